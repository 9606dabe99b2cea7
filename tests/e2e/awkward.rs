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
