//! Real programs on every interpreter: what they print is in the trace, the replay is exact, and one travels in it.

use super::support::{Python, Sandbox, program, text, travelling};
use super::travel;

fn round_on(python: &Python, name: &str, arguments: &[&str]) {
    let mut sandbox = Sandbox::new();
    std::fs::copy(program("tested.py"), sandbox.path("tested.py")).unwrap();
    let path = python.path.display().to_string();
    let command: Vec<&str> = std::iter::once(path.as_str()).chain(arguments.iter().copied()).collect();
    let recorded = sandbox.record("trace", &command);
    assert!(recorded.out.status.success(), "{name} on {path}: {}", text(&recorded.out.stderr));
    for (fd, said) in [("1", &recorded.out.stdout), ("2", &recorded.out.stderr)] {
        let out = sandbox
            .rdbctl()
            .arg("output")
            .arg(&recorded.trace)
            .args(["--fd", fd])
            .output()
            .unwrap();
        assert_eq!(text(&out.stdout), text(said), "{name} on {path}, descriptor {fd}");
    }
    sandbox.verify(&recorded.trace);
    travel::check(&mut sandbox, &recorded.trace);
}

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let file = program(concat!(stringify!($name), ".py")).display().to_string();
            travelling().for_each(|python| round_on(python, stringify!($name), &[&file]));
        })*
    };
}

programs! { clocks texts objects threads children web tasks database signals spin alarm }

/// `python3 -m unittest` on a module of the standard library's own tests; Debian's python3 comes without them, and gets one of ours.
#[test]
fn a_module_of_the_standard_library_tested() {
    for python in travelling() {
        let path = python.path.display().to_string();
        let has = std::process::Command::new(&path)
            .args(["-c", "import test.test_textwrap"])
            .output()
            .unwrap()
            .status
            .success();
        let module = if has { "test.test_textwrap" } else { "tested" };
        round_on(python, "unittest", &["-m", "unittest", "-q", module]);
    }
}
