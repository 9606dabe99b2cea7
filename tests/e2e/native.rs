//! Native programs, compiled here: each behaves recorded as it does bare, and replays exactly.

use super::support::{Sandbox, program, text};
use std::process::{Command, Stdio};

fn compiled(sandbox: &Sandbox, name: &str, flags: &[&str]) -> String {
    let binary = sandbox.path(name).display().to_string();
    let out = Command::new("cc")
        .args(["-O1", "-g", "-pthread", "-o", &binary])
        .arg(program(&format!("{name}.c")))
        .args(flags)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    binary
}

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

native! { pointers handlers pthreads mapping messages processes shared readings rereads }

/// Without ld.so every call is the program's own from its first instruction on.
#[test]
fn a_static_program() {
    round("mapping", &["-static"]);
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
