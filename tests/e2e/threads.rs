//! Threads: moves from one to another against a linear reference, and looks at one while another runs.

use super::support::{Sandbox, program, travelling};
use super::travel::last_time;
use serde_json::Value;
use std::path::Path;

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

/// The thread that stands at each stop point, and the time at which the main module is done.
fn reference(sandbox: &mut Sandbox, trace: &Path) -> (Vec<u64>, u64) {
    let last = last_time(sandbox, trace);
    let mut script = vec!["go start".to_string(), "c".into(), "go start".into()];
    (1..last).for_each(|_| script.push("step".into()));
    let answers = sandbox.batch(trace, &script);
    assert_eq!(answers[1]["stop"]["reason"], "main_done");
    let threads = answers[2..].iter().map(|a| a["stop"]["thread"].as_u64().unwrap());
    (threads.collect(), answers[1]["time"].as_u64().unwrap())
}

/// Where a move leads, and the reason told.
fn expected(threads: &[u64], main_done: u64, here: u64, forward: bool, wanted: Option<u64>) -> (u64, &'static str) {
    let at = |t: u64| threads[usize::try_from(t).unwrap() - 1];
    let last = threads.len() as u64;
    let fits = |t: u64| wanted.is_none_or(|w| w == at(t));
    if forward {
        let bound = if here < main_done { main_done } else { last };
        let found = (here + 1..=bound).find(|&t| at(t) != at(t - 1) && fits(t));
        let end = if here < main_done {
            (main_done, "main_done")
        } else {
            (last, "history_end")
        };
        found.map_or(end, |t| (t, "thread_switch"))
    } else {
        let found = (1..here).rev().find(|&t| at(t) != at(t + 1) && fits(t));
        found.map_or((1, "history_begin"), |t| (t, "thread_switch"))
    }
}

fn moves(sandbox: &mut Sandbox, trace: &Path) {
    let (threads, main_done) = reference(sandbox, trace);
    let most = *threads.iter().max().unwrap();
    assert!(most >= 3, "{threads:?}");
    let mut cases = Vec::new();
    for here in (1..=threads.len() as u64).step_by(3) {
        for forward in [true, false] {
            for wanted in [None, Some(0), Some(1 + here % most)] {
                cases.push((here, forward, wanted));
            }
        }
    }
    let script: Vec<String> = cases
        .iter()
        .flat_map(|&(here, forward, wanted)| {
            let name = if forward { "nthread" } else { "bthread" };
            let argument = wanted.map(|w| format!(" {w}")).unwrap_or_default();
            [format!("go {here}"), format!("{name}{argument}")]
        })
        .collect();
    let answers = sandbox.batch(trace, &script);
    for (pair, (here, forward, wanted)) in answers.chunks(2).zip(cases) {
        let (time, reason) = expected(&threads, main_done, here, forward, wanted);
        let got = (pair[1]["time"].as_u64().unwrap(), pair[1]["stop"]["reason"].as_str().unwrap());
        assert_eq!(got, (time, reason), "from {here}, forward {forward}, to {wanted:?}: {}", pair[1]);
    }
}

fn looks(sandbox: &mut Sandbox, trace: &Path) {
    let commands = [
        "break turns.py:32",
        "go start",
        "c",
        "info threads",
        "thread 3",
        "bt",
        "bt 1",
        "p waiting",
        "args",
        "locals",
        "up",
        "down",
        "thread",
        "p middle if 'middle' in globals() else 0",
        "thread 0",
        "p len(said)",
        "thread 99",
        "thread x",
        "nthread x",
        "bthread 99",
        "thread 3",
        "p (waiting, $0)",
        "step",
        "thread",
        "go start",
        "info threads",
        "thread 1",
        "break turns.py:11",
        "nthread",
        "bthread",
    ];
    let answers = sandbox.batch(trace, &commands.map(String::from));
    let find = |command: &str| answers.iter().filter(|a| a["cmd"] == command).collect::<Vec<_>>();
    let error = |command: &str| find(command)[0]["error"]["text"].as_str().unwrap().to_string();
    let all = text(find("info threads")[0]);
    let sleeping = all.lines().find(|l| l.contains("thread 3")).unwrap();
    assert_eq!(all.lines().filter(|l| l.starts_with("* thread 0")).count(), 1, "{all}");
    assert!(!sleeping.starts_with('*') && !all.contains("thread 99"), "{all}");
    assert!(text(find("bt")[0]).contains("in sleeper:\n"), "{}", find("bt")[0]);
    let (innermost, whole) = (find("bt 1")[0], find("bt")[0]["frames"].as_array().unwrap());
    assert_eq!(innermost["frames"].as_array().unwrap()[..], whole[..1]);
    assert_eq!(
        text(innermost).contains("(only the innermost frame is shown)"),
        whole.len() > 1,
        "{innermost}"
    );
    let functions: Vec<&str> = find("bt")[0]["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["function"].as_str().unwrap())
        .collect();
    assert!(functions.contains(&"sleeper") && !functions.contains(&"<module>"), "{functions:?}");
    let depth = functions.iter().position(|f| *f == "sleeper").unwrap();
    assert_eq!(error("thread 99"), "there is no thread 99 at this time");
    assert_eq!(error("thread x"), "expected a thread number, not 'x'");
    assert_eq!(error("nthread x"), "expected a thread number, not 'x'");
    let never = error("bthread 99");
    assert!(
        never.starts_with("there is no thread 99 in this recording: its threads are 0 to "),
        "{never}"
    );
    assert!(
        text(find("thread")[0]).starts_with("---------- thread 3 ----------"),
        "{}",
        find("thread")[0]
    );
    assert_eq!(text(find("p len(said)")[0]), "6");
    assert!(
        text(find("thread")[1]).starts_with("---------- thread 0 ----------"),
        "a move looks where it ends"
    );
    assert!(find("thread 1")[0]["ok"] == false, "not started yet");
    // What the other thread's frames hold.
    let look = [
        "go start",
        "c",
        "thread 3",
        &format!("frame {depth}"),
        "p waiting",
        "locals",
        "args",
    ];
    let script: Vec<String> = std::iter::once("break turns.py:32").chain(look).map(String::from).collect();
    let answers = sandbox.batch(trace, &script);
    assert_eq!(text(&answers[5]), "'for the end'", "{}", answers[5]);
    assert!(text(&answers[6]).contains("waiting = 'for the end'"));
    assert!(text(&answers[7]).starts_with("done = <"));
}

#[test]
fn threads_are_found_and_looked_at() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("turns.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        moves(&mut sandbox, &recorded.trace);
        looks(&mut sandbox, &recorded.trace);
    }
}
