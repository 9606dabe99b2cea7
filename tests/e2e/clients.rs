//! Several clients on one recording: cursors, breakpoints, news, and what happens to the others when one of them misbehaves.

use super::support::{Prompt, Python, Recorded, Sandbox, children, travelling, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const PROGRAM: &str = "n = 0
while n < 30000:
    n += 1
print(n)
";

/// A search that nothing ends: a condition is evaluated in each round, for it calls something.
const ENDLESS: [&str; 2] = ["break 3 if int(n) < 0", "continue"];

fn recorded(python: &Python) -> (Sandbox, Recorded, u32) {
    let mut sandbox = Sandbox::new();
    fs::write(sandbox.path("loop.py"), PROGRAM).unwrap();
    let recorded = sandbox.record("trace", &[python.path.to_str().unwrap(), "-S", "-E", "loop.py"]);
    sandbox.verify(&recorded.trace);
    let daemon = sandbox.daemon();
    (sandbox, recorded, daemon)
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

fn news(answer: &Value) -> &str {
    answer["news"].as_str().unwrap_or_default()
}

fn error(answer: &Value) -> &str {
    answer["error"]["text"].as_str().unwrap_or_default()
}

/// Waits until a search is under way: its probes come and go.
fn searching(daemon: u32) {
    let before = children(daemon);
    let new = |seen: &[i32]| seen.iter().filter(|p| !before.contains(p)).count();
    let mut probes = Vec::new();
    let seen = wait_until(|| {
        probes.extend(children(daemon));
        probes.sort_unstable();
        probes.dedup();
        new(&probes) > 10
    });
    assert!(seen, "no search is under way");
}

#[test]
fn two_clients_travel_on_their_own_in_one_tree() {
    for python in travelling() {
        let (sandbox, recorded, _) = recorded(python);
        let mut first = Prompt::new(&sandbox, &recorded.trace);
        let last = first.ask("go end")["time"].as_u64().unwrap();
        let mut second = Prompt::new(&sandbox, &recorded.trace);
        assert_eq!(second.ask("when")["time"], 1);
        // Both at once, with answers that depend on where they stand.
        let places = |client: &mut Prompt, seed: u64| {
            let mut dice = seed;
            for _ in 0..20 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // The loop has two stop points a round, after one for the first line.
                let round = 1 + (dice >> 33) % 29_000;
                let time = 2 * round + 1;
                let there = client.ask(&format!("go {time}"));
                assert_eq!((&there["time"], &there["stop"]["line"]), (&time.into(), &3.into()), "{there}");
                assert_eq!(text(&client.ask("print n")), (round - 1).to_string());
                let back = client.ask("bstep");
                assert_eq!((&back["time"], &back["stop"]["line"]), (&(time - 1).into(), &2.into()), "{back}");
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| places(&mut first, 1));
            scope.spawn(|| places(&mut second, 2));
        });
        assert_eq!(second.ask("go end")["time"], last);
        let (ours, theirs) = (first.ask("info checkpoints"), second.ask("info checkpoints"));
        let pids = |a: &Value| -> Vec<String> { text(a).split_whitespace().map(str::to_owned).collect() };
        let shared = pids(&ours).iter().filter(|w| pids(&theirs).contains(w)).count();
        assert!(shared > 4, "{ours} {theirs}");
        // Breakpoints are each one's own unless they keep those of the recording.
        assert_eq!(first.ask("break 4")["ok"], true);
        assert_eq!(text(&second.ask("info breakpoints")), "no breakpoints");
        assert!(first.close().success() && second.close().success());
    }
}

#[test]
fn a_client_that_dies_in_the_middle_takes_nobody_with_it() {
    for python in travelling() {
        let (sandbox, recorded, daemon) = recorded(python);
        let mut other = Prompt::new(&sandbox, &recorded.trace);
        let mut shared = Prompt::with(&sandbox, &recorded.trace, &["--cursor", "ours"]);
        let mut dying = Prompt::with(&sandbox, &recorded.trace, &["--cursor", "ours"]);
        assert_eq!(dying.ask("go 11")["time"], 11);
        assert_eq!(dying.ask(ENDLESS[0])["ok"], true);
        dying.tell(ENDLESS[1]);
        searching(daemon);
        // Another cursor does not wait.
        assert_eq!(other.ask("go 101")["time"], 101);
        assert_eq!(text(&other.ask("print n")), "49");
        // The same cursor does, and is free, where it was, when the client is gone.
        shared.tell("print n");
        searching(daemon);
        dying.child.kill().unwrap();
        dying.child.wait().unwrap();
        let answer = shared.answer();
        assert_eq!((text(&answer), &answer["time"]), ("4", &11.into()), "{answer}");
        assert_eq!(other.ask("step")["time"], 102);
        assert_eq!(shared.ask("bstep")["time"], 10);
        assert!(other.close().success() && shared.close().success());
        assert!(wait_until(|| children(daemon).is_empty()), "a dead client leaves processes");
    }
}

#[test]
fn clients_of_one_cursor_are_told_where_it_goes() {
    for python in travelling() {
        let (mut sandbox, recorded, _) = recorded(python);
        let mut first = Prompt::with(&sandbox, &recorded.trace, &["--cursor", "ours"]);
        first.ask("go 11");
        let mut second = Prompt::with(&sandbox, &recorded.trace, &["--cursor", "ours"]);
        assert_eq!(second.ask("when")["time"], 11);
        assert_eq!(second.ask("next 2")["time"], 13);
        let told = first.ask("print n");
        assert_eq!((text(&told), &told["time"]), ("5", &13.into()), "{told}");
        let (head, place) = news(&told).split_once('\n').unwrap();
        assert_eq!(head, "another client moved the cursor to time 13:");
        assert!(place.contains("line 3") && place.contains("n += 1"), "{told}");
        second.ask("go 21");
        assert_eq!(first.ask("step")["time"], 22, "from where it stands");
        let told = second.ask("when");
        assert!(news(&told).starts_with("another client moved the cursor to time 22:"), "{told}");
        // Who has another name, or none, has another cursor.
        let mut third = Prompt::with(&sandbox, &recorded.trace, &["--cursor", "theirs"]);
        assert_eq!(third.ask("when")["time"], 1);
        assert_eq!(news(&third.ask("when")), "");
        assert_eq!(third.ask("mark begin")["ok"], true);
        assert_eq!(
            news(&first.ask("info marks")),
            "note: another client changed the bookmarks (info marks)\n"
        );
        let refused = sandbox
            .rdbctl()
            .arg("batch")
            .arg(&recorded.trace)
            .args(["--cursor", "a b", "-e", "when"])
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(super::support::text(&refused.stderr).contains("'a b' cannot name a cursor"));
        // The end of the daemon is told; the cursor is where it was when one of them brings it back.
        sandbox.end_daemon(Signal::SIGTERM);
        sandbox.daemon();
        let told = first.ask("when");
        assert_eq!(
            (news(&told), &told["time"]),
            ("note: the daemon was told to end; the next command starts it again\n", &22.into())
        );
        assert_eq!(first.ask("step")["time"], 23);
        assert_eq!(second.ask("when")["time"], 23, "it was brought back already");
    }
}

#[test]
fn of_two_that_delete_one_breakpoint_the_second_is_told() {
    for python in travelling() {
        let (sandbox, recorded, _) = recorded(python);
        let [mut first, mut second] = [(); 2].map(|()| Prompt::with(&sandbox, &recorded.trace, &["--breakpoints"]));
        first.ask("when");
        second.ask("when");
        assert_eq!(first.ask("break 3 if n == 70")["ok"], true);
        let told = second.ask("continue");
        assert_eq!(
            (&told["time"], &told["stop"]["breakpoints"]),
            (&143.into(), &serde_json::json!([1])),
            "{told}"
        );
        assert!(news(&told).starts_with("note: another client set breakpoint 1 at "), "{told}");
        assert!(text(&first.ask("info breakpoints")).contains("hit once"), "hits are everybody's");
        assert_eq!(second.ask("tbreak 4")["ok"], true);
        first.ask("disable 1");
        assert_eq!(first.ask("continue")["stop"]["breakpoints"], serde_json::json!([2]));
        let told = second.ask("delete 2");
        assert_eq!(
            news(&told),
            "note: another client changed breakpoint 1\nnote: another client deleted breakpoint 2\n",
            "{told}"
        );
        assert_eq!(
            error(&told),
            "there is no breakpoint 2 any more: it was deleted before, maybe by another client"
        );
        assert_eq!(error(&first.ask("delete 9")), "there is no breakpoint 9");
        for id in 3..13 {
            assert_eq!(text(&first.ask("break 4")).split(' ').nth(1), Some(id.to_string().as_str()));
            let delete = format!("delete {id}");
            first.tell(&delete);
            second.tell(&delete);
            let answers = [first.answer(), second.answer()];
            let done = answers.iter().filter(|a| a["ok"] == true).count();
            let told = answers.iter().filter(|a| error(a).contains("it was deleted before")).count();
            assert_eq!((done, told), (1, 1), "{answers:?}");
        }
        // What is left is saved.
        first.close();
        second.close();
        let mut third = Prompt::with(&sandbox, &recorded.trace, &["--breakpoints"]);
        let listed = third.ask("info breakpoints");
        assert!(
            text(&listed).contains("if n == 70") && text(&listed).lines().count() == 1,
            "{listed}"
        );
    }
}

/// Sends bytes as a client would and gives what is answered until the daemon hangs up.
fn say(socket: &Path, bytes: &[u8], hang_up: bool) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The daemon may have hung up already.
    let _ = stream.write_all(bytes);
    if hang_up {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        // What it has not read when it closes makes a reset of the end.
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
        Err(e) => panic!("the daemon does not hang up: {e}"),
    }
    said
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn hello(version: u8) -> Vec<u8> {
    frame(&[b'r', b'd', b'b', b'1', version])
}

/// The version in a `Welcome`.
fn version(said: &[u8]) -> u8 {
    assert!(said.len() > 5 && said.len() < 20, "{said:?}");
    said[4]
}

#[test]
fn an_older_client_is_told_the_version_and_sent_away() {
    let mut sandbox = Sandbox::new();
    sandbox.daemon();
    let socket = sandbox.path("run/rdb/rdbd.sock");
    let ours = version(&say(&socket, &hello(0), false));
    assert!(ours > 4);
    for old in 1..ours {
        // What it asks next, as it would be asked today, is not looked at.
        let mut bytes = hello(old);
        bytes.extend(frame(&[1, 0, 4, b'/', b't', b'm', b'p']));
        assert_eq!(version(&say(&socket, &bytes, false)), ours, "of version {old}");
    }
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(&hello(ours)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut welcome = [0; 5];
    stream.read_exact(&mut welcome).unwrap();
    assert_eq!(welcome[4], ours);
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut rest = [0; 64];
    let _ = stream.read(&mut rest).unwrap();
    let silent = stream.read(&mut rest).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::WouldBlock, "one of its own version is listened to");
}

#[test]
fn garbage_and_huge_frames_disturb_nobody() {
    let Some(python) = travelling().next() else { return };
    let (sandbox, recorded, daemon) = recorded(python);
    let socket = sandbox.path("run/rdb/rdbd.sock");
    let mut client = Prompt::new(&sandbox, &recorded.trace);
    client.ask("go 11");
    let ours = version(&say(&socket, &hello(0), false));
    let mut dice = 7_u64;
    let mut random = |length: usize| -> Vec<u8> {
        let mut next = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice.to_le_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    };
    for round in 0..60_usize {
        let noise = random(1 + round * 7);
        // Before the greeting, and after it: as it comes, in a frame, and behind an announcement of 4 GB, or of more than is allowed.
        let huge = |length: u32| [&length.to_le_bytes(), &noise[..]].concat();
        for bytes in [noise.clone(), frame(&noise), huge(u32::MAX), huge((1 << 20) + 1)] {
            let greeted = [hello(ours), bytes.clone()].concat();
            let said = say(&socket, &bytes, true);
            assert!(said.len() < 20, "a stranger is told a version at most: {said:?}");
            let said = say(&socket, &greeted, true);
            assert_eq!(version(&said[..said.len().min(12)]), ours);
        }
        // Without hanging up: the announcement alone is enough to be sent away.
        let greeted = [hello(ours), u32::MAX.to_le_bytes().to_vec()].concat();
        let said = super::support::text(&say(&socket, &greeted, false));
        assert!(said.contains("the connection is closed"), "{said:?}");
        let moved = client.ask("step");
        assert_eq!(moved["time"], 12 + round, "{moved}");
    }
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 512 << 10, "nothing announced is set aside: {peak} KiB");
    assert!(client.close().success());
    assert!(wait_until(|| children(daemon).is_empty()));
}
