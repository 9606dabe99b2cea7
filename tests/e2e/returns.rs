//! Breakpoints on returns: all of them, nothing else, in both directions.

use super::support::{Sandbox, program, travelling};
use super::travel::last_time;
use std::path::Path;

/// The times of all returns from a function, by a linear run.
fn returns(sandbox: &mut Sandbox, trace: &Path, function: &str) -> Vec<u64> {
    let last = last_time(sandbox, trace);
    let mut script = vec!["go start".to_string()];
    (1..last).for_each(|_| script.push("step".into()));
    let answers = sandbox.batch(trace, &script);
    let is_return = |s: &serde_json::Value| s["kind"] == "return" && s["function"] == function;
    let found = answers.iter().filter(|a| is_return(&a["stop"]));
    found.map(|a| a["time"].as_u64().unwrap()).collect()
}

fn check(sandbox: &mut Sandbox, trace: &Path, name: &str, function: &str, count: usize) {
    let times = returns(sandbox, trace, function);
    assert_eq!(times.len(), count, "{times:?}");
    let mut script = vec![format!("break return {name}"), "go start".into()];
    (0..=count).for_each(|_| script.push("c".into()));
    script.push("go end".into());
    (0..=count).for_each(|_| script.push("bc".into()));
    let answers = sandbox.batch(trace, &script);
    assert!(
        answers[0]["text"].as_str().unwrap().contains("at each return from"),
        "{}",
        answers[0]
    );
    for (i, time) in times.iter().enumerate() {
        assert_eq!(answers[2 + i]["time"].as_u64(), Some(*time), "{}", answers[2 + i]);
        assert_eq!(answers[2 + i]["stop"]["breakpoints"], serde_json::json!([1]));
        let back = &answers[3 + 2 * count - i];
        assert_eq!(back["time"].as_u64(), Some(*time), "backward: {back}");
    }
    assert_eq!(answers[2 + count]["stop"]["reason"], "main_done");
    assert_eq!(answers[4 + 2 * count]["stop"]["reason"], "history_begin");
}

#[test]
fn breakpoints_stand_on_returns() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("returns.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        let trace = recorded.trace;
        check(&mut sandbox, &trace, "take", "Box.take", 4);
        check(&mut sandbox, &trace, "Box.take()", "Box.take", 4);
        check(&mut sandbox, &trace, "count", "count", 1);
        check(&mut sandbox, &trace, "outer", "outer", 4);
        let script = [
            "break return take if n == 3",
            "go start",
            "c",
            "p i",
            "del",
            "break return nowhere",
            "break return",
            "tbreak return outer",
            "go start",
            "c",
            "finish",
        ];
        let answers = sandbox.batch(&trace, &script.map(String::from));
        assert_eq!(answers[2]["stop"]["kind"], "return", "{}", answers[2]);
        assert_eq!(answers[3]["text"], "2");
        assert!(
            answers[5]["error"]["text"].as_str().unwrap().starts_with("no function nowhere"),
            "{}",
            answers[5]
        );
        assert_eq!(answers[9]["stop"]["function"], "outer");
    }
}
