//! Process trees: every process is recorded, each replays exactly, and one travels in each.

use super::support::{Sandbox, program, pythons, text, travelling};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// `rdbctl ps`, one object a process.
fn processes(sandbox: &Sandbox, trace: &Path) -> Vec<Value> {
    let out = sandbox.rdbctl().arg("ps").arg(trace).arg("--json").output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn endings(all: &[Value]) -> Vec<&str> {
    all.iter().map(|p| p["ending"].as_str().unwrap()).collect()
}

#[test]
fn children_are_recorded() {
    for python in pythons() {
        let path = python.path.display().to_string();
        let sandbox = Sandbox::new();
        let recorded = sandbox.record("trace", &[&path, &program("forks.py").display().to_string()]);
        let said = text(&recorded.out.stdout);
        assert!(said.contains("child True 8\n") && said.ends_with("\n-9\n"), "{path}: {said}");
        let all = processes(&sandbox, &recorded.trace);
        let first = all[0]["pid"].as_u64().unwrap();
        assert!(all[1..].iter().all(|p| p["parent"].as_u64().is_some()), "{path}: {all:?}");
        assert_eq!(all[1]["parent"].as_u64(), Some(first), "{path}");
        let ends = endings(&all);
        assert_eq!(ends[1], "exited with status 3", "{path}");
        assert_eq!(ends.last().copied(), Some("killed by signal 9"), "{path}");
        let commands: Vec<&str> = all.iter().filter_map(|p| p["command"][0].as_str()).collect();
        assert!(commands.contains(&"ls") && commands.contains(&"head"), "{path}: {commands:?}");
        sandbox.verify(&recorded.trace);
    }
}

/// A forked child's history is its parent's up to the fork.
#[test]
fn travel_in_a_child() {
    for python in travelling() {
        let path = python.path.display().to_string();
        let mut sandbox = Sandbox::new();
        let script = program("forks.py").display().to_string();
        let trace = sandbox.record("trace", &[&path, &script]).trace;
        let child = trace.join("processes/1");
        let commands = [
            "break forks.py:11",
            "continue",
            "print (i, numbers)",
            "continue",
            "print (i, numbers)",
            "bcontinue",
            "print (i, numbers)",
            "delete 1",
            "break forks.py:8",
            "bcontinue",
            "print numbers",
            "go end",
        ];
        let commands = commands.map(str::to_owned);
        let said = sandbox.batch(&child, &commands);
        let texts: Vec<&str> = said.iter().map(|v| v["text"].as_str().unwrap_or_default()).collect();
        assert!(texts[2].contains("(0, [1, 2, 3])"), "{path}: {texts:?}");
        assert!(texts[4].contains("(1, [1, 2, 3, 0])"), "{path}: {texts:?}");
        assert!(texts[6].contains("(0, [1, 2, 3])"), "{path}: {texts:?}");
        assert!(texts[10].contains("[1, 2, 3]"), "{path}: {texts:?}");
        let pid = processes(&sandbox, &trace)[1]["pid"].to_string();
        let out = sandbox.rdbctl().arg("output").arg(&trace).args(["--pid", &pid]).output().unwrap();
        assert_eq!(text(&out.stdout), "child True 8\n", "{path}");
    }
}

#[test]
fn shared_memory_of_pools() {
    for python in travelling() {
        let path = python.path.display().to_string();
        // What is executed anew is much the same in every version.
        let methods = if path == "/usr/bin/python3" {
            &["fork", "spawn"][..]
        } else {
            &["fork"]
        };
        for method in methods {
            let sandbox = Sandbox::new();
            let recorded = sandbox.record("trace", &[&path, &program("pools.py").display().to_string(), method]);
            let said = text(&recorded.out.stdout);
            let expected = "375442\n[(0, 0), (1, 1), (2, 4)]\nspun 2\n";
            assert!(said.ends_with(expected), "{path} {method}: {said} {}", text(&recorded.out.stderr));
            assert!(processes(&sandbox, &recorded.trace).len() > 10, "{path} {method}");
            sandbox.verify(&recorded.trace);
        }
    }
}

#[test]
fn pipelines() {
    for shell in ["sh", "bash"] {
        let sandbox = Sandbox::new();
        let script = program("pipelines.sh").display().to_string();
        let bare = Command::new(shell).arg(&script).output().unwrap();
        let recorded = sandbox.record("trace", &[shell, &script]);
        assert_eq!(text(&recorded.out.stdout), text(&bare.stdout), "{shell}");
        assert_eq!(recorded.out.status.code(), Some(5), "{shell}");
        assert!(processes(&sandbox, &recorded.trace).len() > 10, "{shell}");
        sandbox.verify(&recorded.trace);
    }
}

/// execve over threads: the kernel ends them, and a new stream goes on.
#[test]
fn replaced_over_threads() {
    for python in travelling() {
        let path = python.path.display().to_string();
        let sandbox = Sandbox::new();
        let trace = sandbox.path("trace");
        let out = sandbox
            .rdbctl()
            .args(["record", "-q", "--verify-every", "100", "-o"])
            .arg(&trace)
            .args([&path, &program("replaced.py").display().to_string()])
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(7), "{path}: {}", text(&out.stderr));
        assert!(text(&out.stdout).ends_with("/nonexistent'\nsecond 1\n") || text(&out.stdout).ends_with("directory\nsecond 1\n"));
        let all = processes(&sandbox, &trace);
        assert_eq!(all.len(), 2, "{path}: {all:?}");
        assert_eq!(all[0]["pid"], all[1]["pid"], "{path}");
        assert_eq!(
            endings(&all),
            [
                "executed another program, recorded as process 1 of this trace",
                "exited with status 7"
            ],
            "{path}"
        );
        sandbox.verify(&trace);
        let pid = all[0]["pid"].to_string();
        let out = sandbox.rdbctl().arg("info").arg(&trace).args(["--pid", &pid]).output().unwrap();
        assert!(
            text(&out.stderr).contains(&format!("2 processes of {} had the id {pid}", trace.display())),
            "{path}"
        );
    }
}

#[test]
fn alone_on_request() {
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let out = sandbox
        .rdbctl()
        .args(["record", "--no-follow", "--verify-every", "50", "-o"])
        .arg(&trace)
        .args(["sh", "-c", "echo a | cat; /bin/echo b"])
        .output()
        .unwrap();
    assert_eq!(text(&out.stdout), "a\nb\n");
    assert!(!text(&out.stderr).contains("processes"), "{}", text(&out.stderr));
    assert_eq!(processes(&sandbox, &trace).len(), 1);
    sandbox.verify(&trace);
    let out = sandbox.rdbctl().arg("info").arg(&trace).args(["--pid", "1"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("no process 1 in "), "{}", text(&out.stderr));
}

/// The agent's own descriptors are not to be seen: programs close, count and pass on what they find.
#[test]
fn descriptors_are_the_programs() {
    let script = "import os
def there(fd):
    try: return bool(os.fstat(fd))
    except OSError: return False
print(sorted(map(int, os.listdir('/proc/self/fd'))), [fd for fd in range(4096) if there(fd)], flush=True)
a = __import__('mmap').mmap(-1, 4096)
if os.fork() == 0:
    print(sorted(map(int, os.listdir('/proc/self/fd'))), [fd for fd in range(4096) if there(fd)], flush=True)
    os._exit(0)
os.wait()
os.closerange(3, 4096)
os.system('ls /proc/self/fd | wc -l')";
    let sandbox = Sandbox::new();
    let command = ["/usr/bin/python3", "-c", script];
    let bare = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output().unwrap();
    let recorded = sandbox.record("trace", &command);
    assert_eq!(text(&recorded.out.stdout), text(&bare.stdout), "{}", text(&recorded.out.stderr));
    sandbox.verify(&recorded.trace);
}
