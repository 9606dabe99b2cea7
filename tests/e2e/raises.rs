//! Breakpoints on exceptions: each place where one begins to be raised, nothing else, in both directions.

use super::support::{Python, Sandbox, program, travelling};
use serde_json::Value;
use std::path::Path;

fn time(answer: &Value) -> u64 {
    answer["time"].as_u64().unwrap()
}

/// The stops at all hits of a breakpoint, forward; those backward are the same.
fn hits(sandbox: &mut Sandbox, trace: &Path, place: &str, count: usize) -> Vec<Value> {
    let mut script = vec![format!("break {place}"), "go start".into()];
    (0..=count).for_each(|_| script.push("c".into()));
    script.push("go end".into());
    (0..=count).for_each(|_| script.push("bc".into()));
    let answers = sandbox.batch(trace, &script);
    let (forward, backward) = (&answers[2..3 + count], &answers[4 + count..]);
    assert_eq!(forward[count]["stop"]["reason"], "main_done", "{place}: {}", forward[count]);
    assert_eq!(backward[count]["stop"]["reason"], "history_begin", "{place}: {}", backward[count]);
    for (there, back) in forward[..count].iter().zip(backward[..count].iter().rev()) {
        assert_eq!(there["stop"]["breakpoints"], serde_json::json!([1]), "{place}: {there}");
        assert_eq!(time(there), time(back), "{place}");
    }
    forward[..count].iter().map(|a| a["stop"].clone()).collect()
}

fn check(sandbox: &mut Sandbox, trace: &Path) {
    let source = std::fs::read_to_string(program("raises.py")).unwrap();
    let source: Vec<&str> = source.lines().collect();
    let comment = |stop: &Value| {
        let line = source[usize::try_from(stop["line"].as_u64().unwrap()).unwrap() - 1];
        line.split_once("# ").map_or(line, |l| l.1)
    };
    let own = " if __name__ == '__main__'";
    for (class, count, comments) in [
        ("Odd".to_string(), 14, &["Odd", "Odd again", "Inner"][..]),
        ("__main__.Outer.Inner".to_string(), 10, &["Inner"]),
        (format!("ValueError{own}"), 44, &["Odd", "Odd again", "Inner", "ValueError"]),
        (format!("LookupError{own}"), 4, &["KeyError", "IndexError", "Thrown"]),
        (
            own.to_string(),
            50,
            &[
                "Odd",
                "Odd again",
                "Inner",
                "ValueError",
                "KeyError",
                "IndexError",
                "Thrown",
                "SystemExit",
                "Closed",
            ],
        ),
    ] {
        let stops = hits(sandbox, trace, &format!("raise {}", class.trim_start()), count);
        let mut found: Vec<&str> = stops.iter().map(comment).collect();
        found.sort_unstable();
        found.dedup();
        let mut expected = comments.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{class}");
        // The exception thrown into a generator begins where that waits.
        let waits = |s: &Value| ["Thrown", "Closed"].contains(&comment(s));
        assert!(stops.iter().all(|s| s["kind"] == if waits(s) { "yield" } else { "line" }));
    }
    let uncaught = hits(sandbox, trace, "uncaught", 2);
    assert_eq!(uncaught.iter().map(comment).collect::<Vec<_>>(), ["Odd", "KeyError"]);
    assert_ne!(uncaught[0]["thread"], uncaught[1]["thread"]);
}

fn like_other_breakpoints(sandbox: &mut Sandbox, trace: &Path) {
    let script = [
        "tbreak raise ValueError if __name__ == '__main__' and n == 3",
        "go start",
        "c",
        "info breakpoints",
        "break raise Inner",
        "ignore 2 8",
        "c",
        "p i",
        "next",
        "info breakpoints",
        "disable 2",
        "go start",
        "c",
        "until raise builtins.KeyError if",
        "break raise Even",
        "break raise 1",
        "break uncaught ValueError",
    ];
    let answers = sandbox.batch(trace, &script.map(String::from));
    let text = |i: usize| answers[i]["text"].as_str().unwrap();
    assert!(
        text(0).starts_with("Temporary breakpoint 1 where ValueError is raised if"),
        "{}",
        answers[0]
    );
    assert_eq!(answers[2]["stop"]["function"], "odd", "{}", answers[2]);
    assert_eq!(text(3), "no breakpoints");
    assert_eq!(
        text(4),
        "Breakpoint 2 where Inner is raised\nnote: raised: __main__.Outer.Inner (10)"
    );
    assert_eq!(text(7), "32", "{}", answers[6]);
    assert!(text(8).contains("except ValueError:"), "{}", answers[8]);
    assert!(text(9).contains("hit 9 times"), "{}", answers[9]);
    assert_eq!(answers[12]["stop"]["reason"], "main_done");
    let error = |i: usize| answers[i]["error"]["text"].as_str().unwrap();
    assert_eq!(
        error(13),
        "expected the name of an exception class after raise, not 'builtins.KeyError if'"
    );
    assert!(
        error(14).starts_with("no exception of class Even is raised in this recording; raised are ")
            && error(14).contains("__main__.Odd (4)"),
        "{}",
        error(14)
    );
    assert_eq!(error(15), "expected the name of an exception class after raise, not '1'");
    assert_eq!(error(16), "expected nothing or a condition after uncaught, not 'ValueError'");
}

/// The first line of a program, and its last.
fn at_the_edges(sandbox: &mut Sandbox, python: &Python) {
    let recorded = sandbox.record("edge", &[python.path.to_str().unwrap(), "-S", "-E", "-c", "int('x')"]);
    let answers = sandbox.batch(&recorded.trace, &["break uncaught", "go end", "bc", "next"].map(String::from));
    let stop = &answers[2]["stop"];
    assert_eq!(
        (&stop["line"], &stop["kind"], &stop["breakpoints"]),
        (&1.into(), &"line".into(), &serde_json::json!([1]))
    );
    assert!(
        answers[3]["stop"]["value"].as_str().unwrap().starts_with("ValueError("),
        "{}",
        answers[3]
    );
    let recorded = sandbox.record(
        "none",
        &[python.path.to_str().unwrap(), "-S", "-E", "-c", "import sys; sys.exit(1)"],
    );
    let answers = sandbox.batch(&recorded.trace, &["break uncaught".into()]);
    let error = answers[0]["error"]["text"].as_str().unwrap();
    assert_eq!(
        error,
        "no exception is left uncaught in this recording (SystemExit and GeneratorExit do not count)"
    );
}

#[test]
fn breakpoints_stand_where_exceptions_begin() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("raises.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        check(&mut sandbox, &recorded.trace);
        like_other_breakpoints(&mut sandbox, &recorded.trace);
        at_the_edges(&mut sandbox, python);
    }
}
