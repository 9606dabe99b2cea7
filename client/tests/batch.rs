//! `rdbctl batch` against a stand-in daemon.

mod common;

use common::Fake;
use rdb_client::batch;

fn run(fake: &Fake, json: bool, lines: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut debugger = fake.debugger();
    let status = batch::commands(&mut debugger, lines.iter().map(|l| Ok((*l).to_owned())), json, &mut out, &mut err).unwrap();
    (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn a_walk_as_text() {
    let fake = Fake::start();
    let script = [
        "# find it",
        "",
        "b 7",
        "c",
        "step",
        "bc",
        "p x",
        "go 60",
        "bstep 10",
        "quit",
        "never",
    ];
    let (status, out, err) = run(&fake, false, &script);
    assert_eq!(
        out,
        "Breakpoint 1 at x.py:7\n\
         Hit breakpoint 1\nFile \"x.py\", line 7 in f:\n>  line 7\n\
         File \"x.py\", line 8 in f:\n>  line 8\n\
         Reverse-hit breakpoint 1\nFile \"x.py\", line 7 in f:\n>  line 7\n\
         printed\n<x>\n\
         ---------- thread 1 ----------\nFile \"x.py\", line 10 in f:\n>  line 10\n\
         ---------- thread 0 ----------\nFile \"x.py\", line 10 in f:\n>  line 10\n"
    );
    assert_eq!((status, err.as_str()), (0, ""));
}

#[test]
fn refusals_go_on_and_show_in_the_status() {
    let fake = Fake::start();
    let (status, out, err) = run(&fake, false, &["stpe", "p raise", "go 1000", "del 4", "when"]);
    assert_eq!(status, 1);
    assert_eq!(out, "before\nFile \"x.py\", line 1 in f:\n>  line 1\n");
    assert_eq!(
        err,
        "stpe: unknown command 'stpe'; did you mean 'step'? try help\n\
         p raise: ValueError: no\n\
         go 1000: there is no such time; the last is 100\n\
         del 4: no breakpoint of that number\n"
    );
}

#[test]
fn the_ends_of_history_are_negative_answers() {
    let fake = Fake::start();
    let (status, out, err) = run(&fake, false, &["c"]);
    assert!(out.starts_with("main module done: ") && status == 0 && err.is_empty(), "{out}");
    let (status, out, err) = run(&fake, false, &["go end", "c"]);
    assert!(
        out.contains("history end: nothing later is recorded\nFile") && status == 1 && err.is_empty(),
        "{out}"
    );
    let (status, out, _) = run(&fake, true, &["bstep"]);
    assert!(
        status == 1
            && out.contains(r#""ok":false,"time":1,"stop":{"reason":"history_begin","#)
            && out.contains(r#""code":"history_begin""#)
    );
}

#[test]
fn json_is_one_object_a_command() {
    let fake = Fake::start();
    let (status, out, err) = run(&fake, true, &["b 3", "c", "p x", "bad"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((status, err.as_str(), lines.len()), (1, "", 4));
    assert_eq!(lines[1]["stop"]["breakpoints"], serde_json::json!([1]));
    assert_eq!((&lines[1]["time"], &lines[1]["stop"]["line"]), (&3.into(), &3.into()));
    assert_eq!(
        (&lines[2]["text"], &lines[2]["stop"]),
        (&"printed\n<x>".into(), &serde_json::Value::Null)
    );
    assert_eq!(lines[3]["error"]["code"], "syntax");
}

#[test]
fn lists_and_the_stack() {
    let fake = Fake::start();
    let (status, out, _) = run(
        &fake,
        false,
        &[
            "go 9",
            "list",
            "list 1,2",
            "list x.py:20",
            "locals",
            "bt",
            "info b",
            "info t",
            "l no.py:1",
        ],
    );
    assert_eq!(status, 1);
    assert!(
        out.contains("       8  line 8\n>      9  line 9\n      10  line 10\n       1  line 1\n       2  line 2\nt = 9\n"),
        "{out}"
    );
    assert!(
        out.contains("  ... (only the innermost 200 frames are shown)\n  File \"x.py\", line 9 in f199:"),
        "{out}"
    );
    assert!(out.contains("no breakpoints\n") && out.contains("CPython 3.13"), "{out}");
}

#[test]
fn frames_bookmarks_undo_and_conditions() {
    let fake = Fake::start();
    let script = [
        "go middle",
        "n 2",
        "undo",
        "undo",
        "undo",
        "finish",
        "go nowhere",
        "up",
        "print n",
        "down 2",
        "bt",
    ];
    let (status, out, err) = run(&fake, true, &script);
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let times: Vec<u64> = lines.iter().map(|l| l["time"].as_u64().unwrap()).collect();
    assert_eq!((status, err.as_str(), &times[..5]), (1, "", &[50, 52, 50, 1, 1][..]));
    assert_eq!(lines[4]["error"]["text"], "there is no move to undo");
    assert_eq!(lines[5]["error"]["text"], "No caller.");
    assert!(
        lines[6]["error"]["text"]
            .as_str()
            .unwrap()
            .starts_with("there is no bookmark 'nowhere'")
    );
    assert_eq!(lines[7]["text"], "frame 1: File \"x.py\", line 1 in f1:\n   line 1");
    assert_eq!(lines[9]["error"]["text"], "this is the innermost frame already");
    assert_eq!(
        (&lines[10]["frames"][2]["function"], &lines[10]["frames"][2]["id"]),
        (&"f2".into(), &"0.0".into())
    );
    let calls: Vec<_> = fake.calls.try_iter().collect();
    assert!(calls.iter().any(|c| matches!(
        c,
        rdb_protocol::client::Call::Evaluate {
            frame: rdb_protocol::FrameNumber { number: 1, .. },
            ..
        }
    )));
}

#[test]
fn breakpoints_come_back_as_they_were() {
    let fake = Fake::start();
    let script = [
        "b 3 if x > 2",
        "tb 4",
        "b 5",
        "disable 3",
        "ignore 1 7",
        "p die",
        "info b",
        "c",
        "info b",
    ];
    let (_, out, _) = run(&fake, false, &script);
    let after = out.rsplit_once("Breakpoint 3 at x.py:5\n").unwrap().1;
    let kept = "   1  at x.py:3 if x > 2   (passes the next 7 over)\n   2  at x.py:4   (temporary)\n   3  at x.py:5   (disabled)\n";
    assert!(after.starts_with(kept), "{after}");
}

#[test]
fn a_dead_daemon_is_a_fault_and_everything_comes_back() {
    let fake = Fake::start();
    let (status, out, err) = run(
        &fake,
        false,
        &["b 3", "b 4", "b 5", "del 1", "del 2", "go 42", "p die", "info b", "when", "bc"],
    );
    assert_eq!(status, 2);
    assert!(
        err.starts_with("p die: the daemon is gone (") && err.ends_with("returns to time 42\n") && err.lines().count() == 1,
        "{err}"
    );
    let after = out.split_once("   3  at x.py:5\n").expect("breakpoint 3 is back").1;
    assert_eq!(
        after,
        "File \"x.py\", line 2 in f:\n>  line 2\nReverse-hit breakpoint 3\nFile \"x.py\", line 5 in f:\n>  line 5\n"
    );
}
