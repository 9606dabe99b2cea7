//! Conditions of breakpoints, which are decided by reading memory where that is certain: the hits are those at which evaluating each
//! in a copy of its own says so.

use super::support::{Sandbox, program, text, travelling};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Some are decided by reading, some are not, most of them depends on the value.
const CONDITIONS: [&str; 85] = [
    // First, for the reference evaluates one after the other in the same copy.
    "Keeps.kept.append(x) or len(Keeps.kept) < 2",
    "x",
    "not x",
    "x == 3",
    "x != 3",
    "3 == x",
    "x < 3",
    "x >= -1",
    "0 <= x < 21",
    "x is None",
    "x is not None",
    "x == None",
    "x is True",
    "x == True",
    "x == 0.0",
    "x > 0.25",
    "x <= 9007199254740992.0",
    "x == 9007199254740993",
    "x == -1073741824",
    "x == ''",
    "x == 'abc'",
    "x < 'b'",
    "x > 'zz'",
    "x == 'é'",
    "x == 'a😀'",
    "'b' in x",
    "'' in x",
    "1 in x",
    "x in (1, 3, None)",
    "x not in ['a', 3.0, True]",
    "x in (x, 1)",
    "len(x) == 3",
    "'ab'.endswith('') and x",
    "len(x) > 0 and x[0] == 1",
    "len(x)",
    "x[-1] == 'abc'",
    "x[0] is None",
    "x.n == 3",
    "x.n",
    "x.name == 'abc'",
    "x.name is None",
    "x.limit > 6",
    "x.limit2 == 5",
    "x.none is None",
    "x.items[1] == 'abc'",
    "len(x.items) == 2",
    "x.more == 9 or x.extra",
    "x.n and x.name",
    "x.startswith('a')",
    "x.endswith('é') or i == 7",
    "x % 7 == 6",
    "x // -2 == 3",
    "x % -7 == -1",
    "x * 2 - 1 == 5",
    "-x == 7",
    "x & 3 == 3",
    "x | 4 == 5",
    "(x ^ 1) > 1 and True",
    "i == WIDE",
    "WIDE == i and y is x",
    "x == nowhere",
    "i > 5 and nowhere",
    "isinstance(x, int)",
    "isinstance(x, (str, Plain))",
    "isinstance(x, Slots) and x.n == 3",
    "isinstance(x, type) or isinstance(x, Number) or isinstance(x, Text)",
    "type(x) is bool",
    "type(x).__name__ == 'Odd'",
    "isinstance(x, (int, float, str)) and x in GROUP",
    "isinstance(x, (int, float, str)) and x in NAMES",
    "isinstance(x, (int, float, str)) and NAMES.get(x) == 'three'",
    "isinstance(x, str) and NAMES.get(x, 7) == 7",
    "isinstance(x, dict) and (not x or x['a'] == 1)",
    "x in GROUP",
    "isinstance(x, (set, frozenset)) and 3 in x",
    "isinstance(x, (int, float)) and abs(x) >= 1e3",
    "isinstance(x, (int, float)) and min(x, 3) == x",
    "isinstance(x, (int, float)) and max(x, 0.5) != x",
    "isinstance(x, str) and x[:1] == 'a'",
    "isinstance(x, str) and (x[-1:] in ('é', 'c') or x[1:-1] == 'abc')",
    "isinstance(x, str) and len(x) > 1 and x[1] == 'b'",
    "isinstance(x, str) and x.strip() != x",
    "isinstance(x, (int, float)) and -2.6 < x < 1e3",
    "isinstance(x, int) and x > 1152921504606846975",
    "isinstance(x, int) and x + 1 < -1152921504606846975",
];

/// What the condition comes to at each hit, evaluated in a copy each: by time, true, false, or that it raises.
fn reference(sandbox: &Sandbox, trace: &Path, at: &str, conditions: &[&str]) -> Vec<BTreeMap<u64, Option<bool>>> {
    let mut query = sandbox.rdbctl();
    query.arg("query").arg(trace).args(["--at", at, "--exact", "--format", "jsonl"]);
    let shown: Vec<String> = conditions.iter().map(|c| format!("True if ({c}) else False")).collect();
    for condition in &shown {
        query.args(["--print", condition]);
    }
    let out = query.output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let mut all = vec![BTreeMap::new(); conditions.len()];
    for line in text(&out.stdout).lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        for (values, condition) in all.iter_mut().zip(&shown) {
            let value = match row["values"][condition].as_str() {
                Some("True") => Some(true),
                Some("False") => Some(false),
                _ => None,
            };
            values.insert(row["time"].as_u64().unwrap(), value);
        }
    }
    all
}

fn hits_of(answer: &Value) -> u64 {
    let said = answer["text"].as_str().unwrap();
    let Some((_, count)) = said.split_once("(hit ") else { return 0 };
    match count.split([' ', ')', ',']).next().unwrap() {
        "once" => 1,
        n => n.parse().unwrap(),
    }
}

fn pass(script: &mut Vec<String>, at: &str, condition: &str) {
    // Passed over, both ways: failures count, for nobody was told.
    script.extend(["delete".into(), format!("break {at} if {condition}"), "go start".into()]);
    script.extend(["ignore 2 1000".into(), "c".into(), "info breakpoints".into()]);
    script.extend(["go end".into(), "bc".into(), "info breakpoints".into()]);
}

/// `passing`: hits that are passed over are counted, too, in both directions.
fn same(sandbox: &mut Sandbox, trace: &Path, (at, passing): (&str, bool), conditions: &[&str], least: usize) {
    let expected = reference(sandbox, trace, at, conditions);
    for (condition, values) in conditions.iter().zip(expected) {
        assert!(values.len() >= least, "{at}: {values:?}");
        // The first failure stops, the others count as no.
        let mut stops: Vec<u64> = values.iter().filter(|v| *v.1 == Some(true)).map(|v| *v.0).collect();
        stops.extend(values.iter().find(|v| v.1.is_none()).map(|v| *v.0));
        stops.sort_unstable();
        let mut script = vec![format!("break {at} if {condition}")];
        script.extend(stops.iter().map(|_| "c".to_string()));
        if passing {
            pass(&mut script, at, condition);
        }
        let answers = sandbox.batch(trace, &script);
        let found: Vec<u64> = answers[1..=stops.len()].iter().map(|a| a["time"].as_u64().unwrap()).collect();
        assert_eq!(found, stops, "{condition} at {at}: {values:?}");
        if !passing {
            continue;
        }
        let rest = &answers[stops.len() + 5..];
        assert_eq!(rest[0]["stop"]["reason"], "main_done", "{condition}: {rest:?}");
        let count = values.iter().filter(|v| *v.1 != Some(false)).count() as u64;
        assert_eq!(hits_of(&rest[1]), count, "{condition} at {at}, forward: {values:?}");
        assert_eq!(rest[3]["stop"]["reason"], "history_begin", "{condition}: {rest:?}");
        assert_eq!(hits_of(&rest[4]), 2 * count, "{condition} at {at}, backward: {values:?}");
    }
}

#[test]
fn reading_says_what_evaluating_says() {
    let source = std::fs::read_to_string(program("conditions.py")).unwrap();
    let at = |comment: &str| {
        let line = 1 + source.lines().position(|l| l.ends_with(comment)).unwrap();
        format!("conditions.py:{line}")
    };
    // What is passed over is the same for all interpreters, what is read is not.
    for (python, passing) in travelling().zip(std::iter::once(true).chain(std::iter::repeat(false))) {
        let mut sandbox = Sandbox::new();
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), program("conditions.py").to_str().unwrap()])
            .trace;
        sandbox.verify(&trace);
        same(&mut sandbox, &trace, (&at("# hit"), passing), &CONDITIONS, 70);
        same(
            &mut sandbox,
            &trace,
            (&at("# inner hit"), passing),
            &["x == 2", "x is i", "i % 2 == 1 or x > 2", "len(x)"],
            4,
        );
        same(
            &mut sandbox,
            &trace,
            (&at("# after a store"), passing),
            &["x is None", "x == 3", "len(x) == 3", "'ab'.endswith('') and x", "x and i == 3"],
            70,
        );
        same(
            &mut sandbox,
            &trace,
            (&at("# shadowed"), passing),
            &["type(x) is int", "len(x) == 3", "abs(x) == 3"],
            2,
        );
        same(&mut sandbox, &trace, ("look", passing), &["x == 3", "y == 3"], 70);
        same(&mut sandbox, &trace, ("return look", passing), &["y == 3", "len(y) == 3"], 70);
    }
}

/// What reading decides wherever it is asked at the line with `# hit`.
const READ: [&str; 11] = [
    "i < 3",
    "i % 7 == 3 or i in (1, 2)",
    "x is None and i < WIDE",
    "0 < i < 57 and isinstance(x, str) and x.startswith('a')",
    "0 < i < 57 and isinstance(x, str) and len(x) > 1 and x[1] == 'b'",
    "0 < i < 57 and isinstance(x, list) and len(x) == 3",
    "0 < i < 57 and type(x) is int and -5 < x < WIDE",
    "i == 57 and x.name == 'abc' and x.limit == 7",
    "NAMES.get('abc') == i",
    "i in GROUP",
    "abs(i - 16) < 2 and not x",
];
/// What is evaluated at each hit at the line with `# hit`.
const EVALUATED: [&str; 3] = ["i in range(3)", "str(i) == '3'", "look(i, i) == 3"];

/// How often the condition of the breakpoint was evaluated in a copy.
fn evaluations(answer: &Value) -> u64 {
    match answer["text"].as_str().unwrap().split_once("condition evaluated ") {
        None => 0,
        Some((_, rest)) if rest.starts_with("once") => 1,
        Some((_, rest)) => rest.split(' ').next().unwrap().parse().unwrap(),
    }
}

#[test]
fn what_reading_decides_is_not_evaluated() {
    let source = std::fs::read_to_string(program("conditions.py")).unwrap();
    let hit = format!("conditions.py:{}", 1 + source.lines().position(|l| l.ends_with("# hit")).unwrap());
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), program("conditions.py").to_str().unwrap()])
            .trace;
        let cases: Vec<(&str, bool)> = READ.iter().map(|&c| (c, true)).chain(EVALUATED.map(|c| (c, false))).collect();
        // Passed over, forward and backward: at none of these hits has anybody to see the value.
        let both_ways = ["go start", "c", "info breakpoints", "go end", "bc", "info breakpoints"].map(String::from);
        let mut script = Vec::new();
        for (n, (condition, _)) in (1..).zip(&cases) {
            script.extend(["delete".into(), format!("break {hit} if {condition}"), format!("ignore {n} 1000")]);
            script.extend(both_ways.clone());
        }
        let answers = sandbox.batch(&trace, &script);
        let plain = sandbox.batch(
            &trace,
            &[
                format!("break {hit}"),
                "ignore 1 1000".into(),
                "c".into(),
                "info breakpoints".into(),
            ],
        );
        let all = hits_of(&plain[3]);
        assert!(all > 70, "{}", plain[3]);
        for (answer, (condition, read)) in answers.chunks(9).zip(&cases) {
            let (forward, both) = (evaluations(&answer[5]), evaluations(&answer[8]));
            let hits = (hits_of(&answer[5]), hits_of(&answer[8]));
            assert!(hits.0 > 0 && hits.1 == 2 * hits.0, "{condition}: {answer:?}");
            if *read {
                // A search looks through one stretch after the other: what a stretch ends at, or begins with, is judged for itself.
                assert!(both <= all / 8, "{condition}: {both} of {all}");
            } else {
                assert!(forward == all && both >= 2 * all, "{condition}: {forward}, {both} of {all}");
            }
        }
        // One that ends a search is looked at once more.
        let script = [
            format!("break {hit} if i == 9"),
            "c".into(),
            "info breakpoints".into(),
            "c".into(),
            "info breakpoints".into(),
        ];
        let answers = sandbox.batch(&trace, &script);
        assert_eq!(
            (answers[1]["stop"]["reason"].as_str().unwrap(), evaluations(&answers[2])),
            ("breakpoint", 1)
        );
        assert_eq!(
            (answers[3]["stop"]["reason"].as_str().unwrap(), evaluations(&answers[4])),
            ("main_done", 1)
        );
        // A changed condition has cost nothing yet.
        let script = [
            format!("break {hit} if str(i) == '9'"),
            "c".into(),
            "condition 1 i == 5".into(),
            "info breakpoints".into(),
        ];
        assert_eq!(evaluations(&sandbox.batch(&trace, &script)[3]), 0);
    }
}
