//! Traces as files: packed and opened elsewhere, listed, deleted, kept small.

use super::support::{Sandbox, compiled, header, program, text, travelling};
use rdb_trace::End;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.rdbctl().args(args).current_dir(sandbox.dir.path()).output().unwrap()
}

fn done(sandbox: &Sandbox, args: &[&str]) -> String {
    let out = run(sandbox, args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

/// Traces kept from older builds.
fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

#[test]
fn a_packed_trace_needs_nothing_else() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let recorded = sandbox.record(
            "trace",
            &[&python.path.display().to_string(), &program("texts.py").display().to_string()],
        );
        let events = header(&recorded.trace).events;
        done(&sandbox, &["pack", "trace", "-o", "small.rdb"]);
        // Another machine: neither the trace nor the store is there.
        fs::remove_dir_all(&recorded.trace).unwrap();
        fs::remove_dir_all(sandbox.path("data")).unwrap();
        let packed = sandbox.path("small.rdb");
        sandbox.verify(&packed);
        let said = run(&sandbox, &["verify", "small.rdb"]);
        assert!(
            text(&said.stderr).contains(&format!("verified: {events} events")),
            "{}",
            text(&said.stderr)
        );
        assert_eq!(done(&sandbox, &["output", "--fd", "1", "small.rdb"]), text(&recorded.out.stdout));
        assert!(done(&sandbox, &["info", "small.rdb"]).contains("exited with status 0"));
        let answers = sandbox.batch(&packed, &["step".into(), "go end".into(), "bstep".into()]);
        assert!(answers.iter().all(|a| a["ok"] == true), "{answers:?}");
        assert_eq!(fs::read_dir(sandbox.path("cache/rdb")).unwrap().count(), 1);

        done(&sandbox, &["unpack", "small.rdb"]);
        sandbox.verify(&sandbox.path("small"));
        assert_eq!(header(&sandbox.path("small")).end, End::Exited(0));
        let again = run(&sandbox, &["unpack", "small.rdb"]);
        assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    }
}

#[test]
fn a_recording_under_way_is_packed_as_far_as_it_is() {
    let sandbox = Sandbox::new();
    let script = "import os\nprint('ready', flush=True)\nwhile os.read(0, 1): os.stat('/tmp')";
    let mut child = sandbox
        .rdbctl()
        .args(["record", "-q", "--verify-every", "500", "-o"])
        .arg(sandbox.path("trace"))
        .args(["--", "/usr/bin/python3", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let mut input = child.stdin.take().unwrap();
    let busy = std::thread::spawn(move || (0..100).try_for_each(|_| input.write_all(&[b'x'; 1000])));
    let removed = run(&sandbox, &["rm", "./trace"]);
    assert!(text(&removed.stderr).contains("is being recorded"), "{}", text(&removed.stderr));
    done(&sandbox, &["pack", "./trace", "-o", "part.rdb"]);
    busy.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    sandbox.verify(&sandbox.path("part.rdb"));
    sandbox.verify(&sandbox.path("trace"));
}

#[test]
fn what_is_no_packed_trace_is_refused_in_one_line() {
    let sandbox = Sandbox::new();
    sandbox.record("trace", &["/bin/true"]);
    done(&sandbox, &["pack", "./trace", "-o", "t.rdb"]);
    let whole = fs::read(sandbox.path("t.rdb")).unwrap();
    fs::write(sandbox.path("cut.rdb"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(sandbox.path("flipped.rdb"), flipped).unwrap();
    fs::write(sandbox.path("text.rdb"), "hello").unwrap();
    fs::write(sandbox.path("empty.rdb"), "").unwrap();
    for name in ["cut.rdb", "flipped.rdb", "text.rdb", "empty.rdb", "absent.rdb"] {
        for command in [
            &["verify"][..],
            &["info"],
            &["output"],
            &["unpack"],
            &["batch", "-e", "when"],
            &["replay"],
        ] {
            let out = run(&sandbox, &[command, &[name]].concat());
            let said = text(&out.stderr);
            assert_eq!(out.status.code(), Some(2), "{command:?} {name}: {said}");
            assert!(said.lines().count() == 1 && said.contains(name), "{command:?} {name}: {said}");
        }
    }
    let left = fs::read_dir(sandbox.path("cache/rdb")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left in the cache");
    assert!(!sandbox.path("cut").exists() && !sandbox.path("flipped").exists());
    let hidden = fs::read_dir(sandbox.dir.path())
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with('.'))
        .count();
    assert_eq!(hidden, 0, "nothing is left here");
}

#[test]
fn traces_are_listed_and_removed_with_what_only_they_need() {
    let sandbox = Sandbox::new();
    let stored = || fs::read_dir(sandbox.path("data/rdb/store")).unwrap().count();
    done(&sandbox, &["record", "-q", "/bin/true"]);
    let small = stored();
    done(&sandbox, &["record", "-q", "/usr/bin/python3", "-c", "import json"]);
    assert!(stored() > small);
    let listed = done(&sandbox, &["ls"]);
    let names: Vec<&str> = listed.lines().map(|l| l.split_whitespace().next().unwrap()).collect();
    assert!(names[0].starts_with("true-") && names[1].starts_with("python3-"), "{listed}");
    let line: serde_json::Value = serde_json::from_str(done(&sandbox, &["ls", "--json"]).lines().last().unwrap()).unwrap();
    assert_eq!(line["ending"], "exited with status 0");
    done(&sandbox, &["rm", "latest"]);
    assert_eq!(stored(), small, "what only the removed trace needed is gone");
    sandbox.verify(Path::new("latest"));
    done(&sandbox, &["rm", names[0]]);
    assert_eq!((stored(), done(&sandbox, &["ls"])), (0, String::new()));
    let missing = run(&sandbox, &["rm", names[0]]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_size_limit_ends_the_trace_and_not_the_program() {
    let sandbox = Sandbox::new();
    let trace = sandbox.path("trace");
    let script = "import os
f = os.open('/dev/urandom', os.O_RDONLY)
n = sum(len(os.read(f, 1000)) for i in range(5000))
print(n + len(os.read(f, 3 << 20)))";
    let out = sandbox
        .rdbctl()
        .args(["record", "-q", "--max-size", "2M", "--verify-every", "300", "-o"])
        .arg(&trace)
        .args(["--", "/usr/bin/python3", "-c", script])
        .output()
        .unwrap();
    assert_eq!(text(&out.stdout), format!("{}\n", 5_000_000 + (3 << 20)), "the program goes on");
    assert_eq!(
        text(&out.stderr),
        "rdb: recording stopped: the trace has reached the size asked for; the program goes on\n"
    );
    let head = header(&trace);
    assert_eq!(head.end, End::SizeLimit);
    let size = fs::metadata(trace.join("events")).unwrap().len();
    assert!(size <= 2 << 20 && size > (2 << 20) - (200 << 10), "{size}");
    sandbox.verify(&trace);
    let said = run(&sandbox, &["verify", "./trace"]);
    let verified = format!("verified: {} events", head.events);
    assert!(text(&said.stderr).contains(&verified), "{} {verified}", text(&said.stderr));
    let bad = run(&sandbox, &["record", "--max-size", "10K", "/bin/true"]);
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn a_tree_of_processes_is_packed_whole_and_its_killed_ones_closed() {
    let sandbox = Sandbox::new();
    // One child pipes to another, one is killed in the middle of its chunk.
    let script = "python3 -c 'print(6 * 7)' | cat
python3 -c 'import os
for i in range(2000): os.stat(\"/tmp\")
os.kill(os.getpid(), 9)'
exit 0";
    let recorded = sandbox.record("trace", &["/bin/sh", "-c", script]);
    assert_eq!(text(&recorded.out.stdout), "42\n");
    let folders: Vec<_> = fs::read_dir(recorded.trace.join("processes"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    let heads: Vec<_> = folders.iter().map(|f| header(f)).collect();
    assert!(heads.len() >= 3 && heads.iter().all(|h| h.progress.open == 0), "{heads:?}");
    let killed: Vec<_> = heads.iter().filter(|h| h.end == End::Signalled(9)).collect();
    assert!(killed.len() == 1 && killed[0].events > 2000, "{heads:?}");
    for (folder, head) in folders.iter().zip(&heads) {
        let size = fs::metadata(folder.join("events")).unwrap().len();
        assert_eq!(size, 4096 + head.progress.sealed, "no more room than the chunks take");
    }
    sandbox.verify(&recorded.trace);
    let listed = done(&sandbox, &["ps", "./trace"]).lines().count();

    done(&sandbox, &["pack", "./trace", "-o", "tree.rdb"]);
    fs::remove_dir_all(&recorded.trace).unwrap();
    fs::remove_dir_all(sandbox.path("data")).unwrap();
    assert_eq!(done(&sandbox, &["ps", "tree.rdb"]).lines().count(), listed);
    sandbox.verify(&sandbox.path("tree.rdb"));
}

/// Traces made by earlier builds of the same trace format are replayed by this one: the program has seen nothing of the agent that has
/// changed. `tests/traces/README.md` says how they were made.
#[test]
fn traces_of_older_builds_are_replayed() {
    let sandbox = Sandbox::new();
    let flags = "-nostdlib -static -ffreestanding -fno-stack-protector -fcf-protection=none -DMOMENTS";
    let binary = compiled(&sandbox, "outlived", &flags.split(' ').collect::<Vec<_>>());
    let today = sandbox.record("today", &[&binary]);
    assert_eq!(today.out.status.code(), Some(0), "{}", text(&today.out.stderr));
    sandbox.verify(&today.trace);
    let said = text(&today.out.stdout);
    for (name, events, hashes) in [("version-5-first", 2566, 0), ("version-5-moments", 3247, 33)] {
        let packed = traces().join(format!("{name}.rdb")).display().to_string();
        done(&sandbox, &["unpack", &packed, "-o", name]);
        let head = header(&sandbox.path(name));
        assert_eq!((head.events, head.end), (events, End::Exited(0)), "{name}");
        let replayed = run(&sandbox, &["verify", &packed]);
        let line = text(&replayed.stderr);
        let lacking: Vec<_> = head.cpu.lacking_in(&header(&today.trace).cpu).collect();
        if !lacking.is_empty() {
            assert_eq!(replayed.status.code(), Some(2), "{name}: {line}");
            assert!(lacking.iter().all(|feature| line.contains(feature)), "{name}: {line}");
            continue;
        }
        assert!(replayed.status.success(), "{name}: {line}");
        let all = format!("verified: {events} events, {hashes} memory hashes, all equal");
        assert!(line.contains(&all), "{name}: {line}");
        // What the program saw of the agent is what it sees today.
        let output = done(&sandbox, &["output", "--fd", "1", &packed]);
        for fixed in ["vdso", "turns", "break", "status"] {
            let of = |text: &str| text.lines().find(|l| l.starts_with(&format!("{fixed} "))).map(String::from);
            assert!(of(&said).is_some() && of(&output) == of(&said), "{name}, {fixed}: {output}{said}");
        }
    }
}
