//! Breakpoints outlive their session: saved with the trace, used again by prompts, by batches only when asked.

use super::support::{Sandbox, program, text, travelling};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;

fn batch(sandbox: &Sandbox, trace: &Path, options: &[&str], commands: &[&str]) -> Vec<Value> {
    let mut c = sandbox.rdbctl();
    c.arg("batch").arg(trace).arg("--json").args(options);
    for line in commands {
        c.args(["-e", line]);
    }
    let out = c.output().unwrap();
    text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn breakpoints_are_saved_with_the_trace() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("returns.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        let trace = &recorded.trace;
        let said = sandbox.prompt(
            trace,
            &[],
            &[
                "break take if n > 4",
                "tbreak outer",
                "break raise ValueError",
                "break count",
                "break return take",
                "ignore 5 2",
                "disable 4",
                "delete 3",
                "c",
            ],
        );
        assert!(
            !said.contains("from before") && said.contains("Temporary breakpoint 2 is deleted"),
            "{said}"
        );
        let list = sandbox.prompt(trace, &[], &["info breakpoints"]);
        let expected = "3 breakpoints are set from before (info breakpoints)
   1  at each entry of take if n > 4
   4  at each entry of count   (disabled)
   5  at each return from take   (passes the next 2 over)
";
        assert_eq!(list, expected);
        sandbox.end_daemon(Signal::SIGKILL);
        let said = sandbox.prompt(trace, &[], &["break raise ValueError", "c", "info breakpoints"]);
        assert!(
            said.starts_with("3 breakpoints are set") && said.contains("Breakpoint 6 where ValueError"),
            "{said}"
        );
        assert!(
            said.contains("Hit breakpoint 6") && said.contains("   6  where ValueError is raised   (hit once, raised: ValueError (1))"),
            "{said}"
        );
        // Neither used nor changed, unless asked.
        let quiet = sandbox.prompt(trace, &["--no-breakpoints"], &["info breakpoints", "break outer"]);
        assert_eq!(quiet, "no breakpoints\nBreakpoint 1 at each entry of outer\n");
        let plain = batch(&sandbox, trace, &[], &["info breakpoints", "break outer", "delete"]);
        assert_eq!(
            (&plain[0]["text"], &plain[1]["text"]),
            (&"no breakpoints".into(), &"Breakpoint 1 at each entry of outer".into())
        );
        let asked = batch(
            &sandbox,
            trace,
            &["--breakpoints"],
            &["disable 5", "go end", "bc", "delete 1", "bc"],
        );
        assert_eq!(asked[2]["stop"]["breakpoints"], serde_json::json!([1]), "{}", asked[2]);
        assert_eq!(asked[4]["stop"]["breakpoints"], serde_json::json!([6]), "{}", asked[4]);
        let left = sandbox.prompt(trace, &[], &["info breakpoints", "delete"]);
        assert!(
            !left.contains("   1  ") && left.contains("   4  ") && left.contains("   6  "),
            "{left}"
        );
        assert_eq!(sandbox.prompt(trace, &[], &["info breakpoints"]), "no breakpoints\n");
    }
}

#[test]
fn breakpoints_that_cannot_be_read_stop_nobody() {
    let Some(python) = travelling().next() else { return };
    let mut sandbox = Sandbox::new();
    let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-c", "print(1)"]);
    // Root, too, cannot read a directory as a file.
    std::fs::create_dir(recorded.trace.join("breakpoints")).unwrap();
    let said = sandbox.prompt(&recorded.trace, &[], &["break 1", "c"]);
    assert!(
        said.starts_with("note: breakpoints are not kept: cannot read the breakpoints"),
        "{said}"
    );
    assert!(said.contains("Breakpoint 1 at") && said.contains("main module done"), "{said}");
}

/// A breakpoint in a module that is imported later, set before anything of it is there.
#[test]
fn breakpoints_wait_for_their_module() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        std::fs::write(
            sandbox.path("late.py"),
            "def work(n):\n    return n + 1\n\nTABLE = [work(i) for i in range(3)]\n",
        )
        .unwrap();
        let main = "def begin():\n    import late\n    return late.work(40)\n\nprint(begin())\n";
        std::fs::write(sandbox.path("main.py"), main).unwrap();
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", "main.py"]);
        let script = [
            "p 'late' in __import__('sys').modules",
            "break late.py:2 if n == 40",
            "tbreak late.py:4",
            "break work if n == 1",
            "c",
            "c",
            "c",
            "bc",
            "break later.py:2",
        ];
        let answers = sandbox.batch(&recorded.trace, &script.map(String::from));
        assert_eq!(answers[0]["text"], "False");
        let stop = |i: usize| (answers[i]["stop"]["line"].as_u64(), answers[i]["stop"]["breakpoints"].to_string());
        assert_eq!(stop(4), (Some(4), "[2]".into()), "{}", answers[4]);
        assert_eq!(stop(5), (Some(2), "[3]".into()), "{}", answers[5]);
        assert_eq!(stop(6), (Some(2), "[1]".into()), "{}", answers[6]);
        assert_eq!(stop(7), (Some(2), "[3]".into()), "{}", answers[7]);
        assert!(
            answers[8]["error"]["text"]
                .as_str()
                .unwrap()
                .starts_with("no file later.py in this recording"),
            "{}",
            answers[8]
        );
    }
}
