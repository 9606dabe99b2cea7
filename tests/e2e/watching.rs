//! Watchpoints, against a reference that evaluates the same at each stop point.

use super::support::{Sandbox, program, travelling};
use super::travel::last_time;
use serde_json::Value;
use std::path::Path;

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

/// The value at each stop point up to `last`, the first being that of time 1.
fn reference(sandbox: &mut Sandbox, trace: &Path, expression: &str, last: u64) -> Vec<String> {
    let script = (1..=last).flat_map(|t| [format!("go {t}"), format!("p {expression}")]);
    let answers = sandbox.batch(trace, &script.collect::<Vec<_>>());
    let values = answers.chunks(2).map(|pair| {
        assert_eq!(pair[1]["ok"], true, "{}", pair[1]);
        text(&pair[1]).to_string()
    });
    values.collect()
}

/// Times at which the value differs from that of the stop point before.
fn changes(values: &[String]) -> Vec<u64> {
    let times = (1..values.len()).filter(|&i| values[i] != values[i - 1]);
    times.map(|i| i as u64 + 1).collect()
}

fn main_done(sandbox: &mut Sandbox, trace: &Path) -> u64 {
    let answers = sandbox.batch(trace, &["go start".into(), "c".into()]);
    assert_eq!(answers[1]["stop"]["reason"], "main_done");
    answers[1]["time"].as_u64().unwrap()
}

/// Searches from many places, both ways, and the history.
fn searches(sandbox: &mut Sandbox, trace: &Path, expression: &str, done: u64) {
    let values = reference(sandbox, trace, expression, done);
    let changes = changes(&values);
    assert!(changes.len() >= 3, "{expression}: {changes:?}");
    let mut script = vec![format!("watch {expression}")];
    let places: Vec<u64> = (1..done).step_by(29).chain(changes.iter().copied()).collect();
    for here in &places {
        script.extend([format!("go {here}"), "c".into(), format!("go {here}"), "bc".into()]);
    }
    script.push("delete".into());
    script.push(format!("history {expression}"));
    let answers = sandbox.batch(trace, &script);
    for (answer, here) in answers[1..].chunks(4).zip(&places) {
        let found = |i: usize| (answer[i]["stop"]["reason"].as_str().unwrap(), answer[i]["time"].as_u64().unwrap());
        let told = |i: usize| {
            let change = &answer[i]["stop"]["changes"][0];
            (change["old"].as_str().unwrap(), change["new"].as_str().unwrap())
        };
        let ahead = changes.iter().find(|&&t| t > *here);
        let wanted = ahead.map_or(("main_done", done), |&t| ("watchpoint", t));
        assert_eq!(found(1), wanted, "{expression} from {here}");
        let behind = changes.iter().rfind(|&&t| t <= *here);
        let wanted = behind.map_or(("history_begin", 1), |&t| ("watchpoint", t - 1));
        assert_eq!(found(3), wanted, "{expression} from {here}");
        for (i, change) in [(1, ahead), (3, behind)] {
            if let Some(&t) = change {
                let t = usize::try_from(t).unwrap();
                assert_eq!(told(i), (values[t - 2].as_str(), values[t - 1].as_str()), "{}", answer[i]);
            }
        }
    }
    let mut expected = vec![1];
    expected.extend(&changes);
    let history = text(answers.last().unwrap());
    let times: Vec<u64> = history
        .lines()
        .map(|l| l.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    let times: Vec<u64> = times.into_iter().filter(|&t| t <= done).collect();
    assert_eq!(times, expected, "{history}");
}

#[test]
fn every_change_is_found_and_nothing_else() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("watched.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        let done = main_done(&mut sandbox, &recorded.trace);
        assert!(last_time(&mut sandbox, &recorded.trace) >= done);
        // Text, and not the dictionary, which would get a number.
        for expression in [
            "repr(globals().get('seen'))",
            "str(getattr(globals().get('account'), 'entries', ()))",
        ] {
            searches(&mut sandbox, &recorded.trace, expression, done);
        }
    }
}

#[test]
fn an_object_is_watched_through_its_life() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("watched.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        let commands = [
            "break Account.pay",
            "c",
            "when",
            "watch -l self.balance",
            "delete 1",
            "c",
            "bc",
            "bc",
            "bc",
            "bc",
            "delete",
            "go end",
            "history -l nothing",
            "break watched.py:41",
            "bc",
            "last account.balance",
            "last account",
            "delete",
            "undo",
            "watch",
            "watch 1 +",
            "watch account.owner",
            "info breakpoints",
            "condition 4 False",
            "go start",
            "c",
        ];
        let answers = sandbox.batch(&recorded.trace, &commands.map(String::from));
        let find = |command: &str| answers.iter().filter(|a| a["cmd"] == command).collect::<Vec<_>>();
        let error = |a: &Value| a["error"]["text"].as_str().unwrap().to_string();
        let set = text(find("watch -l self.balance")[0]);
        assert!(set.starts_with("Watchpoint 2 at each change of $0.balance\n"), "{set}");
        assert!(set.contains("self is $0") && set.contains("its value is 0"), "{set}");
        let stop = |i: usize| {
            let s = &answers[i]["stop"];
            let change = &s["changes"][0];
            (
                s["line"].as_u64().unwrap(),
                change["old"].as_str().unwrap_or(""),
                change["new"].as_str().unwrap_or(""),
            )
        };
        // Forward to the line behind the change, backward to the line that makes it.
        assert_eq!(stop(5), (16, "0", "5"));
        assert_eq!(stop(6), (15, "0", "5"));
        assert_eq!((stop(7).0, stop(7).2), (8, "0"), "{}", answers[7]);
        assert!(stop(7).1.starts_with("AttributeError: "), "{}", answers[7]);
        assert!(
            stop(8).1.ends_with("'$0' refers to an object created later in time"),
            "{}",
            answers[8]
        );
        assert_eq!(answers[9]["stop"]["reason"], "history_begin");
        assert_eq!(answers[14]["stop"]["line"], 41, "{}", answers[14]);
        assert_eq!(stop(15), (37, "13", "12"), "{}", answers[15]);
        assert_eq!(answers[15]["stop"]["breakpoints"].as_array().unwrap().len(), 0);
        assert!(stop(16).1.starts_with("NameError: "), "{}", answers[16]);
        assert_eq!(error(find("watch")[0]), "expected an expression");
        assert!(
            error(find("watch 1 +")[0]).starts_with("the expression '1 +' cannot be compiled: SyntaxError"),
            "{}",
            find("watch 1 +")[0]
        );
        assert!(text(find("info breakpoints")[0]).contains("at each change of account.owner"));
        assert_eq!(
            answers.last().unwrap()["stop"]["reason"],
            "main_done",
            "{}",
            answers.last().unwrap()
        );
    }
}
