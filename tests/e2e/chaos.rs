//! `record --chaos`: races come to light within a few runs, the recordings replay exactly, and the program is none the worse.

use super::support::{Sandbox, header, program, text, travelling};
use rdb_trace::End;
use std::process::Command;

/// Records a program again and again, until what it prints is not what it should be. Every recording is verified.
fn races(sandbox: &Sandbox, command: &[&str], right: &str) {
    const RUNS: u64 = 20;
    for seed in 1..=RUNS {
        let trace = sandbox.path(&format!("trace-{seed}"));
        let out = sandbox
            .rdbctl()
            .args(["record", "--verify-every", "100", "-o"])
            .arg(&trace)
            .arg(format!("--chaos={seed}"))
            .arg("--")
            .args(command)
            .current_dir(sandbox.dir.path())
            .output()
            .unwrap();
        assert_eq!(header(&trace).end, End::Exited(0), "{command:?}, seed {seed}: {out:?}");
        let said = text(&out.stderr);
        assert!(said.contains(&format!("from seed {seed};")), "{said}");
        sandbox.verify(&trace);
        if text(&out.stdout) != right {
            return;
        }
    }
    panic!("{command:?} was right {RUNS} times");
}

#[test]
fn races_of_threads_come_to_light() {
    let sandbox = Sandbox::new();
    let binary = sandbox.path("racy").display().to_string();
    let built = Command::new("cc")
        .args(["-O1", "-pthread", "-o", &binary])
        .arg(program("racy.c"))
        .status()
        .unwrap();
    assert!(built.success());
    races(&sandbox, &[&binary], "200000\n");
}

#[test]
fn races_of_python_threads_come_to_light() {
    for python in travelling() {
        let sandbox = Sandbox::new();
        let script = program("racy.py").display().to_string();
        races(&sandbox, &[&python.path.display().to_string(), &script], "20000\n");
    }
}

#[test]
fn a_seed_that_is_none_is_refused_and_nothing_is_run() {
    let sandbox = Sandbox::new();
    let out = sandbox
        .rdbctl()
        .args(["record", "--chaos=much", "--", "touch", "made"])
        .current_dir(sandbox.dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("invalid value 'much' for '--chaos"), "{out:?}");
    assert!(!sandbox.path("made").exists());
}
