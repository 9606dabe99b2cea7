//! Breakpoints on calls of functions written in C: each line that calls one, by whatever way, and no other, in both directions.

use super::support::{Sandbox, program, travelling};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Source lines and how often each was stopped at from the first line behind the definitions on, forward; backward it must be the same.
fn stops(sandbox: &mut Sandbox, trace: &Path, place: &str, begin: u64) -> BTreeMap<u64, usize> {
    /// More than there are.
    const MOST: usize = 100;
    let mut script = vec![
        "go start".into(),
        format!("tbreak natives.py:{begin}"),
        "c".into(),
        format!("break call {place}"),
    ];
    (0..MOST).for_each(|_| script.push("c".into()));
    script.push("go end".into());
    (0..MOST).for_each(|_| script.push("bc".into()));
    let answers = sandbox.batch(trace, &script);
    assert_eq!(answers[3]["ok"], true, "{place}: {}", answers[3]);
    let time = |a: &Value| a["time"].as_u64().unwrap();
    let start = time(&answers[2]);
    let own = |all: &[Value]| -> Vec<(u64, u64)> {
        all.iter()
            .filter(|a| a["stop"]["reason"] == "breakpoint" && a["stop"]["breakpoints"] == serde_json::json!([2]) && time(a) > start)
            .filter(|a| a["stop"]["file"].as_str().unwrap().ends_with("natives.py"))
            .map(|a| (time(a), a["stop"]["line"].as_u64().unwrap()))
            .collect()
    };
    let forward = own(&answers[4..4 + MOST]);
    let mut backward = own(&answers[5 + MOST..]);
    backward.reverse();
    // The finalizing interpreter comes after the main module: it calls, too, from other files.
    assert_eq!(forward, backward, "{place}");
    assert!(forward.len() < MOST, "{place}");
    let mut found = BTreeMap::new();
    forward.iter().for_each(|(_, line)| *found.entry(*line).or_default() += 1);
    found
}

fn error(answer: &Value) -> &str {
    answer["error"]["text"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[test]
fn each_line_that_calls_is_stopped_at() {
    let source = std::fs::read_to_string(program("natives.py")).unwrap();
    let line = |text: &str| 1 + source.lines().position(|l| l.contains(text)).unwrap() as u64;
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("natives.py");
        let trace = sandbox.record("t", &[python.path.to_str().unwrap(), path.to_str().unwrap()]).trace;
        sandbox.verify(&trace);
        let name = python.path.display();
        // The specialised calls of `len`, `isinstance` and `append` enter no function.
        let rows = BTreeMap::from([
            (line("total += len(row)"), 60),
            (line("math.gcd(many(rows)"), 1),
            (line("return len("), 1),
            (line("yield len(row)"), 6),
            (line("list(map(len"), 1),
            (line("partial(len"), 1),
            (line("len(Sized())"), 1),
            (line("len(3)"), 1),
        ]);
        let begin = line("print(nested");
        assert_eq!(stops(&mut sandbox, &trace, "len", begin), rows, "{name}");
        let all = [
            ("isinstance", line("if isinstance"), 60),
            ("list.append", line("row.append"), 20),
            ("math.gcd", line("math.gcd"), 1),
            ("_socket.socket.connect", line("one.connect(("), 1),
            ("socket.socket.connect_ex", line("one.connect_ex"), 1),
        ];
        for (place, line, count) in all {
            assert_eq!(
                stops(&mut sandbox, &trace, place, begin),
                BTreeMap::from([(line, count)]),
                "{name}: {place}"
            );
        }
        let refused = ["nowhere", "math.nothing", "json.loads", "int", "math.pi", "math.fsum"].map(|n| format!("break call {n}"));
        let answers = sandbox.batch(&trace, &refused);
        for (answer, why) in answers.iter().zip([
            "no module that was imported, and no builtin name, has it",
            "no module that was imported",
            "it is written in Python: `break loads`",
            "it is a class",
            "it is no function or method written in C",
            "math.fsum is not called in this recording",
        ]) {
            assert!(error(answer).contains(why), "{name}: {answer}");
        }
    }
}
