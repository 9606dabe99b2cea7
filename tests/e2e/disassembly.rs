//! Instructions, against the interpreter's own `dis`.

use super::support::{Sandbox, program, text, travelling};
use std::process::Command;

/// Offset, name and argument of each instruction of a function, as `dis` has them.
const DIS: &str = "import dis, sys, types
m = types.ModuleType('m')
code = compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')
find = lambda c: [k for k in c.co_consts if isinstance(k, types.CodeType)]
for f in find(code):
    if f.co_name == sys.argv[2]:
        for i in dis.get_instructions(f):
            print(i.offset, i.opname, '' if i.arg is None else i.arg)";

fn instructions(shown: &str) -> Vec<String> {
    let words = |l: &str| {
        let mut words: Vec<String> = l[9..].split_whitespace().take(3).map(str::to_owned).collect();
        if words.get(2).is_some_and(|w| w.starts_with('(')) {
            words.pop();
        }
        words.join(" ")
    };
    shown.lines().skip(1).map(words).collect()
}

#[test]
fn instructions_are_those_of_dis() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let (path, file) = (python.path.display().to_string(), program("frames.py").display().to_string());
        let trace = sandbox.record("trace", &[&path, "-S", "-E", &file]).trace;
        sandbox.verify(&trace);
        let functions = ["fib", "failing", "from_c", "consuming", "threads", "count", "drive"];
        let mut script = vec!["break frames.py:8 if n == 0".to_string(), "go start".into(), "c".into()];
        script.extend(["disassemble".to_string(), "up".into(), "disassemble".into(), "disassemble 3".into()]);
        script.extend(functions.iter().map(|f| format!("disassemble {f}")));
        let answers = sandbox.batch(&trace, &script);
        for (function, answer) in functions.iter().zip(&answers[7..]) {
            let out = Command::new(&path).args(["-c", DIS, &file, function]).output().unwrap();
            let dis: Vec<String> = text(&out.stdout).lines().map(|l| l.trim_end().to_owned()).collect();
            assert!(dis.len() > 10, "{}", text(&out.stderr));
            assert_eq!(
                instructions(answer["text"].as_str().unwrap_or_default()),
                dis,
                "{path}: {function}: {answer}"
            );
        }
        // The next instruction begins line 8; the caller's is the call in line 10.
        let marked = |at: usize| {
            let shown = answers[at]["text"].as_str().unwrap();
            let marked: Vec<&str> = shown.lines().filter(|l| l.get(6..8) == Some("=>")).collect();
            assert_eq!(marked.len(), 1, "{path}: {}", answers[at]);
            marked[0].to_owned()
        };
        assert!(marked(3).trim_start().starts_with("8 =>"), "{path}: {}", marked(3));
        assert!(marked(5).contains(" CALL "), "{path}: {}", marked(5));
        assert!(
            answers[6]["error"]["text"].as_str().unwrap().contains("int has no bytecode"),
            "{}",
            answers[6]
        );
    }
}
