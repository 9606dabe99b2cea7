//! Native programs, compiled here: each behaves recorded as it does bare, and replays exactly.

use super::support::{Sandbox, compiled, text};
use std::process::{Command, Stdio};

fn round(name: &str, flags: &[&str]) {
    let sandbox = Sandbox::new();
    let binary = compiled(&sandbox, name, flags);
    let bare = Command::new(&binary)
        .stdin(Stdio::null())
        .current_dir(sandbox.dir.path())
        .output()
        .unwrap();
    let recorded = sandbox.record("trace", &[&binary]);
    assert_eq!(text(&recorded.out.stdout), text(&bare.stdout), "{name}");
    assert_eq!(text(&recorded.out.stderr), text(&bare.stderr), "{name}");
    assert_eq!(recorded.out.status.code(), bare.status.code(), "{name}");
    sandbox.verify(&recorded.trace);
}

macro_rules! native {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            round(stringify!($name), &[]);
        })*
    };
}

native! { vforked counter aliases files inherited flooded late pointers handlers pthreads mapping messages processes shared queued readings rereads }

/// Threads and signals get through to loops without system calls, at the same moments in replay: what a race has brought forth is the same.
fn interrupt(what: &str, optimised: bool) {
    let sandbox = Sandbox::new();
    let binary = compiled(&sandbox, "native", &[if optimised { "-O2" } else { "-O0" }]);
    let recorded = sandbox.record("trace", &[&binary, what]);
    assert!(recorded.out.status.success(), "{what}: {:?}", recorded.out);
    assert_eq!(text(&recorded.out.stderr), "", "{what}");
    let expected: &[&str] = match what {
        "flags" => &["flag 1\n"],
        "computations" => &["sums 20000000 20000000 counts 49999999 49999999\n"],
        "locks" => &["shared 9000000\n"],
        "races" => &["raced to "],
        "processes" => &["child 1, parent 2\n"],
        "signals" => &["rings at "],
        "nested" => &["rings at ", "rounds 1\n"],
        _ => &["rings at ", "block of 1\n"],
    };
    let printed = text(&recorded.out.stdout);
    for part in expected {
        assert!(printed.contains(part), "{what}: {printed}");
    }
    sandbox.verify(&recorded.trace);
    let again = sandbox.rdbctl().arg("output").arg(&recorded.trace).output().unwrap();
    assert_eq!(text(&again.stdout), printed, "{what}");
}

macro_rules! interrupted {
    ($($name:ident: $what:literal)*) => {
        $(#[test]
        fn $name() {
            interrupt($what, true);
            interrupt($what, false);
        })*
    };
}

interrupted! {
    a_flag_is_waited_for: "flags"
    computing_threads_take_turns: "computations"
    spin_locks: "locks"
    a_race: "races"
    processes_that_spin: "processes"
    signals_in_computation: "signals"
    signals_in_nested_loops: "nested"
    signals_in_string_instructions: "strings"
}

/// Without ld.so every call is the program's own from its first instruction on.
#[test]
fn a_static_program() {
    round("mapping", &["-static"]);
}

/// A forged trace may have any code in it, which can get at the agent's own system calls: it is contained, and one line says so.
#[test]
fn what_would_escape_is_contained() {
    let sandbox = Sandbox::new();
    let binary = compiled(&sandbox, "escape", &[]);
    for what in ["open", "socket", "kill", "ptrace", "execve"] {
        let recorded = sandbox.record(&format!("trace-{what}"), &[&binary, what]);
        assert_eq!(text(&recorded.out.stdout), "tried\n");
        let escaped = sandbox.path("escaped");
        if what == "open" {
            std::fs::remove_file(&escaped).expect("recorded, it was made");
        }
        let verified = sandbox.rdbctl().arg("verify").arg(&recorded.trace).output().unwrap();
        assert_eq!(verified.status.code(), Some(2), "{what}");
        let said = text(&verified.stderr);
        assert!(said.contains(&format!("({what})")) && said.contains("forged"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!escaped.exists());
    }
}

/// Standard streams closed: what the program opens takes their numbers, and nothing of ours gets into it.
#[test]
fn closed_streams() {
    let sandbox = Sandbox::new();
    let script = "exec 0<&- 1>&- 2>&-; exec python3 -c \"$0\"";
    let inner = "import os; a = [os.open(n, os.O_RDWR | os.O_CREAT) for n in 'abc']; os.write(a[2], str(a).encode())";
    let recorded = sandbox.record("trace", &["sh", "-c", script, inner]);
    assert!(recorded.out.status.success());
    assert_eq!(std::fs::read_to_string(sandbox.path("c")).unwrap(), "[0, 1, 2]");
    sandbox.verify(&recorded.trace);
}
