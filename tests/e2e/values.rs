//! Looking at values and source: types, attributes, limits, annotated lines.

use super::support::{Sandbox, program, travelling};
use serde_json::Value;

fn said(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

fn error(answer: &Value) -> &str {
    answer["error"]["text"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

const SCRIPT: &[&str] = &[
    "break return look",
    "c",
    "whatis thing",
    "whatis Thing",
    "whatis many",
    "whatis 1 + ",
    "whatis nowhere",
    "pp nested",
    "pp wide",
    "set depth 2",
    "pp nested",
    "set depth 6",
    "pp loop",
    "pp bad",
    "p thing",
    "inspect $0",
    "inspect slotted",
    "inspect Base",
    "locals",
    "locals ma",
    "args",
    "set elements 3",
    "locals many",
    "set size 20",
    "locals text",
    "set",
    "globals nested",
    "globals",
    "globals __name__",
    "globals nothing of the kind",
    "up",
    "args",
    "whatis",
    "set size none",
    "whatis 1 # one",
];

#[test]
fn values_are_shown_within_limits() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("values.py");
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
            .trace;
        let answers = sandbox.batch(&trace, &SCRIPT.iter().map(|l| l.to_string()).collect::<Vec<_>>());
        let at = |line: &str| &answers[SCRIPT.iter().position(|l| *l == line).unwrap()];
        assert_eq!(said(at("whatis thing")), "__main__.Thing");
        assert_eq!(said(at("whatis Thing")), "type __main__.Thing, derived from __main__.Base");
        assert_eq!(said(at("whatis many")), "list, length 1000");
        assert_eq!(said(at("whatis 1 # one")), "int");
        assert_eq!(error(at("whatis 1 + ")), "'1 +' is no expression");
        assert!(error(at("whatis nowhere")).contains("NameError: name 'nowhere' is not defined"));
        let nested = "{'a': [1, [2, [3, [4]]]], 'b': (5,), 'c': {6}, 'd': frozenset({7})}";
        assert_eq!(said(&answers[7]), nested);
        let row = |i: u32| format!("    {{'name': 'name {i}', 'value': {i}}},\n");
        assert_eq!(said(at("pp wide")), format!("[\n{}]", (0..6).map(row).collect::<String>()));
        assert_eq!(said(&answers[10]), "{'a': [1, [...]], 'b': (5,), 'c': {6}, 'd': frozenset({7})}");
        assert_eq!(said(at("pp loop")), "[1, [...]]");
        assert_eq!(said(at("pp bad")), "[<ValueError in repr>]");
        let inspected =
            "__main__.Thing\n  size = 4\n  parts = [0, 1, 2, 3]\nproperties: area\nmethods: double\nclass attributes: limit = 3";
        assert_eq!(said(at("inspect $0")), inspected);
        assert_eq!(said(at("inspect slotted")), "__main__.Slotted\n  x = 1\n  _Slotted__hidden = 2");
        assert!(
            said(at("inspect Base")).starts_with("type __main__.Base\n  limit = 3\n  double = <function"),
            "{}",
            at("inspect Base")
        );
        let locals = said(at("locals"));
        assert!(
            locals.contains("key = 'k'\n") && locals.contains("bad = <ValueError in repr>\n") && locals.contains("rest = (1, 2)\n"),
            "{locals}"
        );
        let zeros = format!("{}...", &["0"; 100].join(", ")[..136]);
        assert!(locals.contains(&format!("many = [{zeros}\n")), "{locals}");
        assert_eq!(said(at("locals ma")), format!("many = [{zeros}"));
        let args = said(at("args"));
        assert!(
            args.starts_with("thing = <__main__.Thing object") && args.contains("\nrest = (1, 2)") && !args.contains("many"),
            "{args}"
        );
        assert_eq!(said(at("locals many")), "many = [0, 0, 0, ... 997 more]");
        assert_eq!(said(at("locals text")), format!("text = '{}...", "x".repeat(16)));
        assert_eq!(said(at("set")), "depth 6\nelements 3\nsize 20");
        assert_eq!(said(at("globals nested")), "nested = {'a': [1, [2, [3,...");
        let globals = said(at("globals"));
        assert!(
            globals.contains("list = 'shadowed'") && globals.contains("Thing = <class '__main") && !globals.contains("__name__"),
            "{globals}"
        );
        assert_eq!(said(at("globals __name__")), "__name__ = '__main__'");
        assert_eq!(
            said(at("globals nothing of the kind")),
            "no global variables with 'nothing of the kind' in their names"
        );
        assert_eq!(said(&answers[31]), "no parameters");
        assert_eq!(error(at("whatis")), "expected an expression after whatis");
        assert_eq!(error(at("set size none")), "expected a number, not 'none'");
    }
}

#[test]
fn source_is_shown_with_what_is_known_of_it() {
    let Some(python) = travelling().next() else { return };
    let mut sandbox = Sandbox::new();
    let path = program("returns.py");
    let trace = sandbox
        .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
        .trace;
    let script = [
        "break 8",
        "action 12 i",
        "break outer",
        "c",
        "lines",
        "lines returns.py:7,12",
        "lines :30",
        "list 10,12",
        "list returns.py:10,11",
        "list outer",
        "list Box.take",
        "list nowhere",
        "list values.py:1,2",
        "info source",
        "info sources returns",
        "info source returns",
        "lines 900,901",
        "lines nowhere.py",
        "info line 3",
    ];
    let answers = sandbox.batch(&trace, &script.map(String::from));
    let expected = "       7:        return \"negative\"
>      8: b1            if n == 0:"; // The text of each line keeps its own indentation.
    let part = said(&answers[5]);
    let squeezed = |text: &str| {
        text.lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        squeezed(part)[..2],
        [String::from("7: return \"negative\""), "8: b1 if n == 0:".into()],
        "{part} {expected}"
    );
    assert_eq!(squeezed(part)[5], "12: a2 return i", "{part}");
    let whole = said(&answers[4]);
    assert_eq!(whole.lines().count(), std::fs::read_to_string(&path).unwrap().lines().count());
    assert!(
        whole.contains("> ") && squeezed(whole).contains(&"22: b3 def outer(n):".to_string()),
        "{whole}"
    );
    assert!(
        squeezed(said(&answers[6])).iter().any(|l| l.starts_with("31: got.append")),
        "{}",
        answers[6]
    );
    assert_eq!(said(&answers[7]).lines().count(), 3);
    assert_eq!(squeezed(said(&answers[8]))[0], "10 for i in range(n):");
    assert!(said(&answers[9]).contains("def outer(n):") && said(&answers[10]).contains("def take(self, n):"));
    assert_eq!(error(&answers[11]), "no function nowhere ran in this recording");
    assert!(
        error(&answers[12]).contains("values.py"),
        "the program did not run it: {}",
        answers[12]
    );
    let path = program("skips.py");
    let other = sandbox
        .record("o", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
        .trace;
    // A path that leads there from where the program ran, and is not the one the program knows.
    std::fs::create_dir(sandbox.path("deep")).unwrap();
    std::fs::write(
        sandbox.path("deep/own.py"),
        "import json\ndef f():\n    return json.loads('1')\nf()\n",
    )
    .unwrap();
    let script = sandbox.path("deep/own.py").display().to_string();
    let own = sandbox.record("own", &[python.path.to_str().unwrap(), "-S", "-E", &script]).trace;
    let shown = sandbox.batch(&own, &["break JSONDecoder.decode", "c", "lines deep/own.py"].map(String::from));
    assert_eq!(squeezed(said(&shown[2]))[2], "3: return json.loads('1')", "{}", shown[2]);
    let listed = sandbox.batch(&other, &["list json/decoder.py:1,2", "lines JSON/decoder.py:1,3"].map(String::from));
    assert_eq!(
        (said(&listed[0]).lines().count(), said(&listed[1]).lines().count()),
        (2, 3),
        "{}",
        listed[0]
    );
    assert!(
        said(&answers[13]).contains("32 lines, ") || said(&answers[13]).contains("33 lines, "),
        "{}",
        answers[13]
    );
    assert!(said(&answers[14]).contains("returns.py  (") && said(&answers[14]) == said(&answers[15]));
    assert!(error(&answers[16]).ends_with("has no line 900"));
    assert!(error(&answers[17]).contains("nowhere.py"));
    assert!(said(&answers[18]).contains("is not breakable"), "{}", answers[18]);
}

/// What evaluated code gets from the kernel itself: numbers by chance.
#[test]
fn chance_can_be_evaluated() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let command = [&python.path.display().to_string(), "-c", "import os\nx = 1\ny = 2"];
        let recorded = sandbox.record("trace", &command);
        sandbox.verify(&recorded.trace);
        let answers = sandbox.batch(&recorded.trace, &["continue".into(), "print len(os.urandom(4))".into()]);
        assert_eq!(said(&answers[1]), "4", "{}", answers[1]);
    }
}
