//! Objects that cannot show themselves, and code that makes no sense: limits that are said, and everything else goes on.

use super::support::{Sandbox, program, travelling};
use serde_json::Value;

fn said(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

fn error(answer: &Value) -> &str {
    answer["error"]["text"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

/// Python's `RecursionError`, `ValueError` and the like, as the last line of a traceback.
fn raised(answer: &Value) -> &str {
    error(answer).lines().last().unwrap()
}

#[test]
fn a_repr_that_loops_raises_recurses_or_is_huge_hides_nothing_else() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("awkward.py");
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
            .trace;
        sandbox.verify(&trace);
        let script = [
            "break return look",
            "continue",
            "print loop",
            "locals",
            "print number",
            "print 'ab' * 2000000",
            "break return others",
            "continue",
            "print raises",
            "print recursing",
            "print wrong",
            "locals",
            "print rest.keys()",
        ];
        let answers = sandbox.batch(&trace, &script.map(str::to_owned));
        let python = python.path.display();
        assert!(error(&answers[2]).starts_with("no answer within 5s"), "{python}: {}", answers[2]);
        let locals = said(&answers[3]);
        for line in [
            "loop = <Loop object, not asked for its repr>",
            "n = 21",
            "number = 42",
            "text = 'plain'",
            "huge = <Huge object, not asked for its repr>",
            "words = ['ab', <Loop object, not asked for its repr>]",
        ] {
            assert!(locals.lines().any(|l| l == line), "{python}: {line} in {locals}");
        }
        assert_eq!(said(&answers[4]), "42", "{python}");
        let huge = said(&answers[5]);
        assert!(
            huge.len() < (1 << 20) + 100 && huge.ends_with("ba... (the first 1048576 of 4000002 characters)"),
            "{python}: {}",
            &huge[huge.len() - 100..]
        );
        assert_eq!(raised(&answers[8]), "ValueError: no repr today", "{python}");
        assert!(raised(&answers[9]).starts_with("RecursionError: "), "{python}: {}", answers[9]);
        assert_eq!(
            raised(&answers[10]),
            "TypeError: __repr__ returned non-string (type int)",
            "{python}"
        );
        let locals = said(&answers[11]);
        for line in [
            "raises = <ValueError in repr>",
            "recursing = <RecursionError in repr>",
            "wrong = <TypeError in repr>",
            "rest = <ValueError in repr>",
        ] {
            assert!(locals.lines().any(|l| l == line), "{python}: {line} in {locals}");
        }
        assert_eq!(said(&answers[12]), "dict_keys([1])", "{python}");
    }
}

/// A traceback would show lines of files, which cannot be opened: that is nobody's concern. What the code itself was refused is.
#[test]
fn only_what_the_code_itself_was_refused_is_said() {
    let mut sandbox = Sandbox::new();
    let path = program("awkward.py").display().to_string();
    let trace = sandbox.record("t", &["/usr/bin/python3", &path]).trace;
    sandbox.verify(&trace);
    let script = [
        "break look",
        "continue",
        "print 1 +",
        "print (",
        "print nowhere",
        "print open('/etc/passwd')",
        "break look if n ==",
        "condition 1 n.nothing == 3",
        "bcontinue",
        "break look if n.nothing == 3",
        "continue",
    ];
    let answers = sandbox.batch(&trace, &script.map(str::to_owned));
    assert_eq!(raised(&answers[2]), "SyntaxError: invalid syntax");
    assert_eq!(raised(&answers[3]), "SyntaxError: '(' was never closed");
    assert_eq!(raised(&answers[4]), "NameError: name 'nowhere' is not defined");
    assert!(
        raised(&answers[5]).starts_with("refused while evaluating: openat;") && error(&answers[5]).contains("PermissionError"),
        "{}",
        answers[5]
    );
    assert_eq!(
        error(&answers[6]),
        "the condition 'n ==' cannot be compiled: SyntaxError: invalid syntax"
    );
    assert!(
        said(&answers[10]).contains("note: the condition of breakpoint 1 fails: AttributeError: 'int' object has no attribute 'nothing'"),
        "{}",
        answers[10]
    );
    assert!(said(&answers[10]).contains("in look"), "{}", answers[10]);
}

/// What does not exist is named, and nothing moves.
#[test]
fn what_is_not_there_is_named() {
    let mut sandbox = Sandbox::new();
    let path = program("awkward.py").display().to_string();
    let trace = sandbox.record("t", &["/usr/bin/python3", "-S", "-E", &path]).trace;
    sandbox.verify(&trace);
    let table = [
        ("thread 99", "there is no thread 99 at this time"),
        ("frame 99", "there is no frame 99: the outermost is frame 0"),
        ("up", "frame 0"),
        ("go nowhere", "there is no bookmark 'nowhere'"),
        ("unmark nowhere", "there is no bookmark nowhere"),
        ("go 999999999", "is out of range: this recording has times 1 to "),
        ("delete 7", "there is no breakpoint 7"),
        ("condition 7 x", "there is no breakpoint 7"),
        ("commands 7", "there is no breakpoint 7"),
        ("print $7", "there is no $7"),
        ("watch -l [", "cannot be compiled: SyntaxError"),
        (
            "break call nowhere.at.all",
            "no module that was imported, and no builtin name, has it",
        ),
        ("break awkward.py:9999", "line 9999 of"),
        ("source /nowhere", "cannot read /nowhere"),
        ("list 9999", "has no line 9999"),
    ];
    let script: Vec<String> = table.iter().map(|t| t.0.to_owned()).chain(["when".to_owned()]).collect();
    let answers = sandbox.batch(&trace, &script);
    for (answer, (line, why)) in answers.iter().zip(table) {
        let said = error(answer);
        assert!(said.contains(why) && said.lines().count() == 1, "{line}: {said}");
        assert_eq!(answer["time"], 1, "{line}");
    }
    assert_eq!((&answers[15]["ok"], &answers[15]["time"]), (&true.into(), &1.into()));
}
