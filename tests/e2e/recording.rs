//! Recording as the user sees it: the program's own descriptors and exit status, shims and scripts, what cannot be recorded.

use super::support::{Sandbox, header, program, pythons, text, travelling};
use rdb_trace::End;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

#[test]
fn the_exit_status_is_the_programs() {
    let sandbox = Sandbox::new();
    let recorded = sandbox.record("three", &["/bin/sh", "-c", "exit 3"]);
    assert_eq!(recorded.out.status.code(), Some(3));
    assert_eq!(header(&recorded.trace).end, End::Exited(3));
    sandbox.verify(&recorded.trace);
}

#[test]
fn a_signal_is_passed_on() {
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let out = sandbox
        .rdbctl()
        .args(["record", "-q", "-o"])
        .arg(&trace)
        .args(["--", "/bin/sh", "-c", "kill -TERM $$"])
        .output()
        .unwrap();
    assert_eq!(out.status.signal(), Some(15));
    assert_eq!(header(&trace).end, End::Signalled(15));
    sandbox.verify(&trace);
}

#[test]
fn a_fault_sent_by_kill_ends_the_program() {
    let sandbox = Sandbox::new();
    for (name, signal) in [("SEGV", 11), ("FPE", 8), ("TRAP", 5)] {
        let trace = sandbox.path(name);
        let script = format!("kill -{name} $$; echo not reached");
        let out = sandbox
            .rdbctl()
            .args(["record", "-q", "-o"])
            .arg(&trace)
            .args(["--", "/bin/sh", "-c", &script])
            .output()
            .unwrap();
        assert_eq!(
            (out.status.signal(), text(&out.stdout)),
            (Some(signal), String::new()),
            "{}",
            text(&out.stderr)
        );
        sandbox.verify(&trace);
    }
}

#[test]
fn standard_input_is_the_programs() {
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let mut child = sandbox
        .rdbctl()
        .args(["record", "-q", "-o"])
        .arg(&trace)
        .args(["--", "/usr/bin/sort"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"b\nc\na\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(text(&out.stdout), "a\nb\nc\n");
    sandbox.verify(&trace);
}

#[test]
fn scripts_shims_and_env_are_followed() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let script = sandbox.path("script");
        // As pyenv does it: a shell script that ends in exec.
        let shim = sandbox.path("shim");
        fs::write(
            &shim,
            format!("#!/usr/bin/env bash\nset -e\nexec {} \"$@\"\n", python.path.display()),
        )
        .unwrap();
        fs::write(
            &script,
            format!("#!/usr/bin/env {}\nimport sys\nprint(sys.argv[1:])\n", shim.display()),
        )
        .unwrap();
        for file in [&script, &shim] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let recorded = sandbox.record("trace", &[&script.display().to_string(), "a b", "c"]);
        assert_eq!(text(&recorded.out.stdout), "['a b', 'c']\n", "{}", text(&recorded.out.stderr));
        sandbox.verify(&recorded.trace);
        let answers = sandbox.batch(
            &recorded.trace,
            &["break script:3".into(), "continue".into(), "print sys.argv[1]".into()],
        );
        assert_eq!(answers[1]["stop"]["line"], 3, "{}", answers[1]);
        assert_eq!(answers[2]["text"], "'a b'");
    }
}

#[test]
fn an_interpreter_without_stop_points_is_recorded_and_named() {
    for python in pythons().iter().filter(|p| !p.travels()) {
        let mut sandbox = Sandbox::new();
        let recorded = sandbox.record(
            "trace",
            &[&python.path.display().to_string(), &program("texts.py").display().to_string()],
        );
        sandbox.verify(&recorded.trace);
        let answers = sandbox.batch(&recorded.trace, &["step".into()]);
        let said = answers[0]["error"]["text"].as_str().unwrap();
        assert_eq!(answers[0]["ok"], false);
        if python.version >= (3, 6, 0) {
            assert!(
                said.contains(&format!("{}.{}", python.version.0, python.version.1)) && said.contains("build id"),
                "{said}"
            );
        }
    }
}

#[test]
fn what_cannot_be_run_is_said_in_one_line() {
    let sandbox = Sandbox::new();
    let text_file = sandbox.path("text");
    fs::write(&text_file, "just text").unwrap();
    fs::set_permissions(&text_file, fs::Permissions::from_mode(0o755)).unwrap();
    let locked = sandbox.path("locked");
    fs::write(&locked, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o644)).unwrap();
    let old = sandbox.path("elf32");
    let mut elf = fs::read("/bin/true").unwrap();
    elf[4] = 1;
    fs::write(&old, elf).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let cases = [
        ("/no/such/program".to_string(), 127),
        ("no-such-program-anywhere".to_string(), 127),
        (text_file.display().to_string(), 126),
        (locked.display().to_string(), 126),
        (old.display().to_string(), 126),
        ("/tmp".to_string(), 126),
    ];
    for (command, status) in cases {
        let out = sandbox.rdbctl().args(["record", "--", &command]).output().unwrap();
        assert_eq!(out.status.code(), Some(status), "{command}: {}", text(&out.stderr));
        assert_eq!(text(&out.stderr).lines().count(), 1, "{command}: {}", text(&out.stderr));
    }
    assert!(
        !sandbox
            .path("data/rdb")
            .read_dir()
            .is_ok_and(|d| d.flatten().any(|e| e.file_name() != "store")),
        "an empty trace was left"
    );
}

#[test]
fn a_trace_is_never_overwritten() {
    let sandbox = Sandbox::new();
    let recorded = sandbox.record("trace", &["/bin/true"]);
    let before = fs::read(recorded.trace.join("events")).unwrap();
    let out = sandbox
        .rdbctl()
        .args(["record", "-o"])
        .arg(&recorded.trace)
        .args(["--", "/bin/true"])
        .output()
        .unwrap();
    assert!(!out.status.success());
    assert_eq!(fs::read(recorded.trace.join("events")).unwrap(), before);
}

#[test]
fn a_full_disk_ends_the_trace_and_not_the_program() {
    let sandbox = Sandbox::new();
    let disk = sandbox.path("disk");
    fs::create_dir(&disk).unwrap();
    // A file system of its own in a mount namespace of its own.
    let script = format!(
        "mount -t tmpfs -o size=12m none {disk} && {rdbctl} record -o {disk}/trace -- /usr/bin/python3 -c '
import os
f = os.open(\"/dev/urandom\", os.O_RDONLY)
n = 0
for i in range(40):
    n += len(os.read(f, 1 << 20))
print(n)
' && cp {disk}/trace/events {copy}",
        disk = disk.display(),
        rdbctl = env!("CARGO_BIN_EXE_rdbctl"),
        copy = sandbox.path("events").display()
    );
    let unshare = if nix::unistd::getuid().is_root() { "-m" } else { "-rm" };
    let mut command = std::process::Command::new("unshare");
    let out = command
        .args([unshare, "sh", "-c", &script])
        .env("XDG_DATA_HOME", sandbox.path("data"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), format!("{}\n", 40 << 20), "the program goes on");
    assert!(text(&out.stderr).contains("disk"), "{}", text(&out.stderr));
    let log = fs::read(sandbox.path("events")).unwrap();
    assert_eq!(super::support::header_of(&log).end, End::DiskFull);
}

#[test]
fn sigkill_leaves_a_trace_that_replays() {
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let script = "import os, signal\nfor i in range(1000): os.getppid()\nprint('now', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)";
    let out = sandbox
        .rdbctl()
        .args(["record", "-q", "-o"])
        .arg(&trace)
        .args(["--", "/usr/bin/python3", "-c", script])
        .output()
        .unwrap();
    assert_eq!(out.status.signal(), Some(9));
    assert!(header(&trace).events > 1000);
    sandbox.verify(&trace);
    let said = sandbox.rdbctl().arg("output").arg(&trace).output().unwrap();
    assert_eq!(text(&said.stdout), "now\n");
}

#[test]
fn a_log_nobody_could_close_is_whole() {
    // The program and `rdbctl` both die at once: what is in the open chunk is all there.
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let script = "import os, signal
for i in range(30000): os.stat('/tmp')
print('now', flush=True)
os.kill(os.getppid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)";
    let out = sandbox
        .rdbctl()
        .args(["record", "-q", "--verify-every", "500", "-o"])
        .arg(&trace)
        .args(["--", "/usr/bin/python3", "-c", script])
        .output()
        .unwrap();
    assert_eq!(out.status.signal(), Some(9));
    let left = header(&trace);
    assert_eq!(left.end, End::Open);
    assert!(
        left.events > 30_000 && left.progress.sealed > 0 && left.progress.open > 0,
        "{left:?}"
    );
    sandbox.verify(&trace);
    let said = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    let verified = format!("verified: {} events", left.events);
    assert!(text(&said.stderr).contains(&verified), "{} {verified}", text(&said.stderr));
    let said = sandbox.rdbctl().arg("output").arg(&trace).output().unwrap();
    assert_eq!(text(&said.stdout), "now\n");
}

#[test]
fn a_recording_under_way_can_be_replayed() {
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let script = "import os
print('ready', flush=True)
while os.read(0, 1): os.stat('/tmp')";
    let mut child = sandbox
        .rdbctl()
        .args(["record", "-q", "--verify-every", "500", "-o"])
        .arg(&trace)
        .args(["--", "/usr/bin/python3", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let mut input = child.stdin.take().unwrap();
    let busy = std::thread::spawn(move || (0..300).try_for_each(|_| input.write_all(&[b'x'; 1000])));
    for _ in 0..5 {
        sandbox.verify(&trace);
    }
    busy.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    sandbox.verify(&trace);
    assert_eq!(header(&trace).end, End::Exited(0));
    assert!(header(&trace).events > 600_000);
}

#[test]
fn killed_anywhere_nothing_that_was_seen_is_lost() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::io::{BufRead, BufReader};
    let sandbox = Sandbox::new();
    let script = "import os
print(os.getpid(), flush=True)
f = os.open('/dev/urandom', os.O_RDONLY)
for i in range(10 ** 9):
    os.read(f, i * 7919 % 5000)
    os.stat('/tmp')
    print(i, flush=True)";
    for round in 0..24 {
        let trace = sandbox.path(&format!("trace{round}"));
        let mut child = sandbox
            .rdbctl()
            .args(["record", "-q", "--verify-every", "200", "-o"])
            .arg(&trace)
            .args(["--", "/usr/bin/python3", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let recorded = Pid::from_raw(lines.next().unwrap().parse().unwrap());
        let seen = lines.by_ref().take(1 + round * 13).last().unwrap();
        // In every other round nobody is left to close the log.
        if round % 2 == 0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        kill(recorded, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        // The pipe ends when the recorded program is gone, whoever is left to wait for it.
        let more = lines.count();
        sandbox.verify(&trace);
        let said = text(&sandbox.rdbctl().arg("output").arg(&trace).output().unwrap().stdout);
        let told: u32 = said.lines().last().unwrap().parse().unwrap();
        // The last write may have been made and not yet logged.
        let printed: u32 = seen.parse().unwrap();
        assert!(
            told >= printed || told + 1 == printed,
            "round {round}: {told} of {printed} and {more} more"
        );
    }
}
