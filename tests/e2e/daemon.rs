//! The daemon's life: killed children, killed daemon, nothing left behind.

use super::support::{Prompt, Sandbox, children, program, text, wait_until};
use super::travel;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

fn prepared() -> (Sandbox, std::path::PathBuf, u64) {
    let mut sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("objects.py").display().to_string()])
        .trace;
    let last = travel::last_time(&mut sandbox, &trace);
    (sandbox, trace, last)
}

#[test]
fn killed_replay_processes_are_replaced() {
    let (mut sandbox, trace, last) = prepared();
    let daemon = sandbox.daemon();
    let mut prompt = Prompt::new(&sandbox, &trace);
    let middle = last / 2;
    let before = prompt.ask(&format!("go {middle}"));
    for round in 0..4 {
        for pid in children(daemon) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let moved = prompt.ask(if round % 2 == 0 { "bstep 5" } else { "step 5" });
        assert_eq!(moved["ok"], true, "{moved}");
    }
    let after = prompt.ask("when");
    assert_eq!((&before["time"], &before["stop"]["line"]), (&after["time"], &after["stop"]["line"]));
    assert!(prompt.close().success());
}

#[test]
fn a_killed_daemon_leaves_nothing_and_a_new_one_takes_over() {
    let (mut sandbox, trace, last) = prepared();
    let daemon = sandbox.daemon();
    let mut prompt = Prompt::new(&sandbox, &trace);
    let before = prompt.ask(&format!("go {}", last / 3));
    prompt.ask("break failing");
    let left = children(daemon);
    assert!(!left.is_empty());
    sandbox.end_daemon(Signal::SIGKILL);
    assert!(
        wait_until(|| left.iter().all(|p| !fs::exists(format!("/proc/{p}")).unwrap())),
        "replay processes outlive their daemon"
    );
    sandbox.daemon();
    // The command that meets the dead daemon may say so; the next one finds everything as it was.
    let _ = prompt.ask("when");
    let after = prompt.ask("when");
    assert_eq!(before["time"], after["time"], "{after}");
    let listed = prompt.ask("info breakpoints");
    assert!(listed["text"].as_str().unwrap().contains("failing"), "{listed}");
    prompt.close();
}

#[test]
fn sigterm_leaves_nothing_behind() {
    let (mut sandbox, trace, _) = prepared();
    let daemon = sandbox.daemon();
    let mut prompt = Prompt::new(&sandbox, &trace);
    prompt.ask("go 50%");
    let left = children(daemon);
    assert!(!left.is_empty());
    let status = sandbox.end_daemon(Signal::SIGTERM).unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(left.iter().all(|p| !fs::exists(format!("/proc/{p}")).unwrap()));
    assert!(!sandbox.path("run/rdb/rdbd.sock").exists());
    prompt.close();
}

#[test]
fn a_closed_session_ends_its_processes() {
    let (mut sandbox, trace, _) = prepared();
    let daemon = sandbox.daemon();
    let mut prompt = Prompt::new(&sandbox, &trace);
    prompt.ask("go end");
    assert!(!children(daemon).is_empty());
    assert!(prompt.close().success());
    assert!(wait_until(|| children(daemon).is_empty()), "a closed session leaves processes");
}

#[test]
fn evaluation_changes_nothing_that_runs_forward() {
    let (mut sandbox, trace, last) = prepared();
    sandbox.daemon();
    let mut prompt = Prompt::new(&sandbox, &trace);
    prompt.ask("break 23");
    let here = prompt.ask("continue");
    assert_eq!(here["stop"]["function"], "failing", "{here}");
    assert_eq!(prompt.ask("print n")["text"], "3");
    assert_eq!(prompt.ask("print n = 99")["ok"], true);
    assert_eq!(prompt.ask("print n")["text"], "3");
    for (source, expect) in [
        ("1/0", "ZeroDivisionError"),
        ("open('/etc/passwd').read()", "refused"),
        ("open('/tmp/rdb-must-not-exist', 'w')", "refused"),
        ("__import__('os').fork()", "refused"),
        ("__import__('os').system('true')", "refused"),
        ("__import__('os').kill(1, 0)", "refused"),
        ("__import__('socket').socket()", "refused"),
        ("__import__('sys').exit(3)", "SystemExit"),
        ("__import__('os')._exit(3)", "end the process"),
        ("__import__('ctypes').string_at(0)", "crashed"),
        ("x =", "SyntaxError"),
        ("no_such_name", "NameError"),
    ] {
        let answer = prompt.ask(&format!("print {source}"));
        let said = format!(
            "{}{}",
            answer["text"].as_str().unwrap_or(""),
            answer["error"]["text"].as_str().unwrap_or("")
        );
        assert!(
            said.contains(expect) || (source.contains("ctypes") && said.contains("Error")),
            "{source}: {answer}"
        );
    }
    assert!(!fs::exists("/tmp/rdb-must-not-exist").unwrap());
    let endless = prompt.ask("print while True: pass");
    assert_eq!(endless["error"]["code"], "deadline", "{endless}");
    assert_eq!(
        prompt.ask("print [print('said', i) for i in range(2)]")["text"]
            .as_str()
            .unwrap()
            .lines()
            .next(),
        Some("said 0")
    );
    let again = prompt.ask("when");
    assert_eq!(again["time"], here["time"]);
    assert_eq!(prompt.ask("go end")["time"].as_u64(), Some(last));
    prompt.close();
}

/// Daemons that were started on demand for a sandbox: `rdbd --socket` somewhere in it.
pub fn started_on_demand(sandbox: &Sandbox) -> Vec<i32> {
    let place = sandbox.dir.path().display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if line.contains("rdbd") && line.contains("--socket") && line.contains(&place) {
            found.push(pid);
        }
    }
    found
}

#[test]
fn clients_that_start_at_once_share_one_daemon() {
    let sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("texts.py").display().to_string()])
        .trace;
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let mut c = sandbox.rdbctl();
            c.arg("batch")
                .arg(&trace)
                .args(["-e", "step 3", "-e", "when"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            c.spawn().unwrap()
        })
        .collect();
    for client in clients {
        let out = client.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    assert!(
        wait_until(|| started_on_demand(&sandbox).len() == 1),
        "{:?}",
        started_on_demand(&sandbox)
    );
    let daemon = started_on_demand(&sandbox)[0];
    kill(Pid::from_raw(daemon), Signal::SIGTERM).unwrap();
    assert!(wait_until(|| started_on_demand(&sandbox).is_empty()), "the daemon outlives SIGTERM");
}

#[test]
fn who_takes_a_connection_and_dies_is_replaced() {
    let sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("texts.py").display().to_string()])
        .trace;
    fs::DirBuilder::new().mode(0o700).create(sandbox.path("run/rdb")).unwrap();
    let dying = UnixListener::bind(sandbox.path("run/rdb/rdbd.sock")).unwrap();
    let client = sandbox
        .rdbctl()
        .arg("batch")
        .arg(&trace)
        .args(["-e", "when"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    dying.set_nonblocking(true).unwrap();
    for _ in 0..3 {
        assert!(wait_until(|| dying.accept().is_ok()), "the client does not try again");
    }
    drop(dying);
    let out = client.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    kill(Pid::from_raw(started_on_demand(&sandbox)[0]), Signal::SIGTERM).unwrap();
    assert!(wait_until(|| started_on_demand(&sandbox).is_empty()), "the daemon outlives SIGTERM");
}

#[test]
fn a_daemon_that_dislikes_its_options_is_quoted() {
    let sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("texts.py").display().to_string()])
        .trace;
    let out = sandbox
        .rdbctl()
        .env("RDBD_MEMORY", "lots")
        .arg("batch")
        .arg(&trace)
        .args(["-e", "when"])
        .output()
        .unwrap();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("invalid value 'lots' for '--memory <N>'") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn a_breakpoint_is_met_in_both_directions() {
    let (mut sandbox, trace, _) = prepared();
    sandbox.daemon();
    let mut prompt = Prompt::new(&sandbox, &trace);
    prompt.ask("break failing");
    let forward: Vec<_> = (0..3).map(|_| prompt.ask("continue")).collect();
    for f in &forward {
        assert_eq!(
            (&f["stop"]["reason"], &f["stop"]["breakpoints"]),
            (&"breakpoint".into(), &serde_json::json!([1])),
            "{f}"
        );
    }
    assert_eq!(prompt.ask("continue")["stop"]["reason"], "main_done");
    for f in forward.iter().rev() {
        let back = prompt.ask("bcontinue");
        assert_eq!(
            (&back["time"], &back["stop"]["reason"], &back["stop"]["breakpoints"]),
            (&f["time"], &"breakpoint".into(), &serde_json::json!([1]))
        );
    }
    let begin = prompt.ask("bcontinue");
    assert_eq!(
        (&begin["stop"]["reason"], begin["time"].as_u64()),
        (&"history_begin".into(), Some(1))
    );
    let nowhere = prompt.ask("break objects.py:21");
    assert!(nowhere["error"]["text"].as_str().unwrap().contains("not breakable"), "{nowhere}");
    for (command, expect) in [
        ("go 0", "out of range"),
        ("go 99999999", "out of range"),
        ("break no_such_function", "no_such_function"),
        ("fly", "unknown command"),
    ] {
        let answer = prompt.ask(command);
        assert_eq!(answer["ok"], false);
        assert!(answer["error"]["text"].as_str().unwrap().contains(expect), "{answer}");
    }
    prompt.close();
}
