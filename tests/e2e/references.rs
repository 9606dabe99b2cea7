//! Numbered objects: `$N` is that very object at any time at which it is alive, and an error at all others; against what the
//! program itself says at each stop point, where addresses are used again.

use super::support::{Sandbox, program, travelling};
use super::travel::{Dice, last_time};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;

/// What tells, at any stop point, which object of a series is there.
const WITNESS: &str = "print 'list %r' % x[0] if 'x' in locals() else 'node %r' % node.name if 'node' in locals() else \
                       'node %r' % name if isinstance(locals().get('name'), int) else ''";

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

fn error(answer: &Value) -> &str {
    answer["error"]["text"].as_str().unwrap_or_default()
}

/// The number given by `print`, and what is shown.
fn numbered(answer: &Value) -> (u32, &str) {
    let (number, shown) = text(answer)
        .strip_prefix('$')
        .and_then(|t| t.split_once(" = "))
        .unwrap_or_else(|| panic!("{answer}"));
    (number.parse().unwrap(), shown)
}

/// A member of the series that is there at a time: its function and number; empty where none is.
fn witnesses(sandbox: &mut Sandbox, trace: &Path, last: u64) -> Vec<String> {
    let mut script = vec!["go start".to_string(), WITNESS.into()];
    (1..last).for_each(|_| script.extend(["step".to_string(), WITNESS.into()]));
    let answers = sandbox.batch(trace, &script);
    let seen = answers.chunks(2).map(|pair| match text(&pair[1]) {
        t if t.contains("list") || t.contains("node") => t.trim_matches('\'').to_string(),
        _ => String::new(),
    });
    seen.collect()
}

fn series(sandbox: &mut Sandbox, trace: &Path) {
    let last = last_time(sandbox, trace);
    let seen = witnesses(sandbox, trace, last);
    let at = |i: usize| i as u64 + 1;
    // Each member gets its number at a time in the middle of its life.
    let mut members: Vec<String> = seen.iter().filter(|s| !s.is_empty()).cloned().collect();
    members.dedup();
    assert_eq!(members.len(), 12, "{members:?}");
    let mut script = Vec::new();
    for member in &members {
        let times: Vec<u64> = (0..seen.len()).filter(|&i| seen[i] == *member).map(at).collect();
        script.push(format!("go {}", times[times.len() / 2]));
        script.push(format!("p {}", if member.contains("list") { "x" } else { "node" }));
        script.push(format!("p id({})", if member.contains("list") { "x" } else { "node" }));
    }
    let answers = sandbox.batch(trace, &script);
    let numbers: Vec<u32> = answers.chunks(3).map(|three| numbered(&three[1]).0).collect();
    assert_eq!(numbers, (0..12).collect::<Vec<u32>>());
    let mut addresses: Vec<&str> = answers.chunks(3).map(|three| text(&three[2])).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert!(addresses.len() < 12, "no address was used again");
    // From a new daemon on: whatever the order in which times are visited, what is there is there, and nothing else.
    sandbox.end_daemon(Signal::SIGTERM);
    let mut dice = Dice::new(last);
    let visits: Vec<(u64, usize)> = (0..150)
        .map(|_| (1 + dice.below(last), usize::try_from(dice.below(12)).unwrap()))
        .chain((0..seen.len()).flat_map(|i| (0..12).step_by(5).map(move |m| (at(i), m))))
        .collect();
    let script: Vec<String> = visits
        .iter()
        .flat_map(|&(time, member)| {
            let (time, number) = (format!("go {time}"), numbers[member]);
            [
                time,
                format!("p vars(${number}).get('name') if hasattr(${number}, '__dict__') else ${number}[0]"),
            ]
        })
        .collect();
    let answers = sandbox.batch(trace, &script);
    for (pair, (time, member)) in answers.chunks(2).zip(visits) {
        let index = usize::try_from(time - 1).unwrap();
        let first = seen.iter().position(|s| *s == members[member]).unwrap();
        if seen[index] == members[member] {
            assert_eq!(pair[1]["ok"], true, "time {time} of {}: {}", members[member], pair[1]);
            // Before its constructor has run a node has no name.
            let shown = text(&pair[1]);
            assert!(
                shown.is_empty() || shown == "None" || members[member].ends_with(shown),
                "{}",
                pair[1]
            );
        } else if index < first {
            let wanted = format!("RuntimeError: '${}' refers to an object created later in time", numbers[member]);
            assert_eq!(error(&pair[1]), wanted, "time {time} of {}", members[member]);
        } else {
            assert!(error(&pair[1]).contains("does not exist any more"), "time {time}: {}", pair[1]);
        }
    }
}

fn go_to(line: &str) -> [String; 3] {
    [format!("tbreak references.py:{line}"), "go start".into(), "continue".into()]
}

/// The line that contains a text, once.
fn line(source: &str, text: &str) -> String {
    let at = source.lines().position(|l| l.contains(text)).unwrap();
    (at + 1).to_string()
}

fn single_objects(sandbox: &mut Sandbox, trace: &Path) {
    let source = std::fs::read_to_string(program("references.py")).unwrap();
    let mut script = Vec::new();
    // Ended and made anew in one line: not the same list.
    script.extend(go_to(&line(&source, "return b == c")));
    script.extend(["p a", "p b == c", "bstep", "p $0", "step", "p $0 is a"].map(String::from));
    // Another class, the same object; rescued by its finalizer, the same object.
    script.extend(go_to(&line(&source, "fire = rescued()")));
    script.extend(["p changed", "go start", "p $1"].map(String::from));
    script.extend(go_to(&line(&source, "thing.extra")));
    script.extend(["p thing", "p $1 is thing", "finish", "p type($1).__name__"].map(String::from));
    script.extend(go_to(&line(&source, "mark = id(bird)")));
    script.push("p bird".into());
    script.extend(go_to(&line(&source, "lst = []")));
    script.push("p $2 is kept".into());
    // An evaluation that ends an object and makes another in its place.
    script.extend(go_to(&line(&source, "lst = []")));
    script.extend(
        [
            "p id(nest[0]) == id((nest.pop(), None)[1] or [8])",
            "p (nest.pop(), None)[1] or [8]",
        ]
        .map(String::from),
    );
    // Where an exception passes.
    script.extend(go_to(&line(&source, "raise ValueError")));
    script.extend(["step", "p nest[0]", "p $3 is nest[0]"].map(String::from));
    let answers = sandbox.batch(trace, &script);
    let find = |command: &str| answers.iter().filter(|a| a["cmd"] == command).collect::<Vec<_>>();
    assert_eq!(numbered(find("p a")[0]), (0, "[2]"));
    assert_eq!(text(find("p b == c")[0]), "True", "the address was not used again");
    assert!(error(find("p $0")[0]).contains("created later"), "{}", find("p $0")[0]);
    assert_eq!(text(find("p $0 is a")[0]), "True");
    assert_eq!(numbered(find("p changed")[0]).0, 1);
    assert!(error(find("p $1")[0]).contains("created later"));
    assert_eq!(numbered(find("p thing")[0]).0, 1, "before its class changed");
    assert_eq!(text(find("p $1 is thing")[0]), "True");
    assert_eq!(text(find("p type($1).__name__")[0]), "'Other'");
    assert_eq!(numbered(find("p bird")[0]).0, 2);
    assert_eq!(text(find("p $2 is kept")[0]), "True", "rescued: {:?}", find("p $2 is kept"));
    assert_eq!(text(find("p id(nest[0]) == id((nest.pop(), None)[1] or [8])")[0]), "True");
    assert_eq!(
        text(find("p (nest.pop(), None)[1] or [8]")[0]),
        "[8]",
        "it took the place of another"
    );
    assert_eq!(find("step")[1]["stop"]["kind"], "unwind");
    assert_eq!(numbered(find("p nest[0]")[0]), (3, "[7]"));
    assert_eq!(text(find("p $3 is nest[0]")[0]), "True");
}

fn uses(sandbox: &mut Sandbox, trace: &Path) {
    let source = std::fs::read_to_string(program("references.py")).unwrap();
    let mut script = Vec::new();
    script.extend(go_to(&line(&source, "lst.append(70)")));
    script.extend(
        [
            "p lst",
            "p table",
            "p lst",
            "p [1, 2]",
            "p 3",
            "p 'x'",
            "p None",
            "p lst is $0",
            "p f'{$0}$0'",
            "p $7",
            "p $0 +",
            "args",
        ]
        .map(String::from),
    );
    // In conditions: only where the object is there, whatever else has its address.
    script.extend(
        [
            "break references.py:APPEND if $0 == [60]",
            "go start",
            "c",
            "go end",
            "bc",
            "del",
            "break references.py:MARK if $0 is None",
            "go start",
            "c",
        ]
        .map(|c| {
            c.replace("APPEND", &line(&source, "lst.append(70)"))
                .replace("MARK", &line(&source, "mark = id(bird)"))
        }),
    );
    let answers = sandbox.batch(trace, &script);
    let find = |command: &str| answers.iter().filter(|a| a["cmd"] == command).collect::<Vec<_>>();
    assert_eq!(numbered(find("p lst")[0]), (0, "[60]"));
    assert_eq!(numbered(find("p table")[0]), (1, "{'a': 1}"));
    assert_eq!(numbered(find("p lst")[1]).0, 0, "the same object, the same number");
    for (command, shown) in [("p [1, 2]", "[1, 2]"), ("p 3", "3"), ("p 'x'", "'x'"), ("p None", "None")] {
        assert_eq!(text(find(command)[0]), shown, "what the evaluation made has no number");
    }
    assert_eq!(text(find("p lst is $0")[0]), "True");
    assert_eq!(text(find("p f'{$0}$0'")[0]), "'[60]$0'");
    assert_eq!(error(find("p $7")[0]), "there is no $7: print gives objects their numbers");
    assert!(error(find("p $0 +")[0]).contains("SyntaxError"));
    let append: u64 = line(&source, "lst.append(70)").parse().unwrap();
    for hit in [find("c")[0], find("bc")[0]] {
        assert_eq!(
            (&hit["stop"]["reason"], &hit["stop"]["line"]),
            (&"breakpoint".into(), &serde_json::json!(append)),
            "{hit}"
        );
    }
    let failed = find("c")[1];
    assert!(
        failed["stop"]["notes"][0]
            .as_str()
            .unwrap()
            .contains("'$0' refers to an object created later in time"),
        "{failed}"
    );
}

#[test]
fn numbers_stand_for_the_same_objects_at_all_times() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("references.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        let references = recorded.trace.join("references");
        for check in [series, single_objects, uses] {
            check(&mut sandbox, &recorded.trace);
            std::fs::remove_file(&references).unwrap();
        }
    }
}

/// Interpreters compiled with a profile have their allocator inlined: with another one in its place they ask the kernel for memory from elsewhere
/// on their stack.
#[test]
fn lives_are_followed_while_much_memory_is_asked_for() {
    const CODE: &str = "import json, argparse, asyncio\nkept = [bytearray(3000) for _ in range(400)]\n\
                        def f(x):\n    y = [x, x]\n    y.append(3)\n    return y\nfor i in range(3): f(i)";
    for python in travelling() {
        let path = python.path.display().to_string();
        let mut sandbox = Sandbox::new();
        let trace = sandbox.record("trace", &[&path, "-c", CODE]).trace;
        sandbox.verify(&trace);
        let script = [
            "break f",
            "continue",
            "next",
            "print y",
            "watch -l y",
            "continue 2",
            "go start",
            "print $0",
        ]
        .map(String::from);
        let answers = sandbox.batch(&trace, &script);
        assert_eq!(text(&answers[3]), "$0 = [0, 0]", "{path}: {answers:?}");
        assert_eq!(error(&answers[4]), "", "{path}");
        assert!(
            error(&answers[7]).contains("'$0' refers to an object created later in time"),
            "{path}: {}",
            answers[7]
        );
    }
}
