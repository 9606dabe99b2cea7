//! Local variables that are watched, against a reference that prints them at each stop point of their call.

use super::support::{Sandbox, program, travelling};
use serde_json::Value;
use std::path::Path;

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

/// A stop point: the functions on the stack, the outermost first, and what kind it is of.
struct Stand {
    stack: Vec<String>,
    kind: String,
}

/// What has variables of its own, in words. Classes have capitals.
fn what(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap();
    if last.starts_with(|c: char| c.is_uppercase()) {
        format!("body of class {name}")
    } else {
        format!("call of {name}")
    }
}

/// All stop points up to the end of the main module.
fn stands(sandbox: &mut Sandbox, trace: &Path) -> Vec<Stand> {
    let answers = sandbox.batch(trace, &["go start".into(), "c".into()]);
    assert_eq!(answers[1]["stop"]["reason"], "main_done");
    let done = answers[1]["time"].as_u64().unwrap();
    let script: Vec<String> = (1..=done).flat_map(|t| [format!("go {t}"), "bt".into()]).collect();
    let answers = sandbox.batch(trace, &script);
    let stand = |pair: &[Value]| {
        let frames = pair[1]["frames"].as_array().unwrap().iter();
        let mut stack: Vec<String> = frames.map(|f| f["function"].as_str().unwrap().to_string()).collect();
        stack.reverse();
        Stand {
            stack,
            kind: pair[0]["stop"]["kind"].as_str().unwrap().to_string(),
        }
    };
    answers.chunks(2).map(stand).collect()
}

/// First and last stop point of the call at a level of the stack at `time`.
fn span(stands: &[Stand], time: usize, level: usize) -> (usize, usize) {
    let here = &stands[time - 1].stack[level];
    let there = |t: usize| stands[t - 1].stack.get(level) == Some(here);
    let ends = |t: usize| stands[t - 1].stack.len() == level + 1 && ["return", "unwind"].contains(&stands[t - 1].kind.as_str());
    let (mut first, mut last) = (time, time);
    while first > 1 && there(first - 1) && !ends(first - 1) {
        first -= 1;
    }
    while !ends(last) && last < stands.len() && there(last + 1) {
        last += 1;
    }
    (first, last)
}

/// The value at each stop point, the first being that of time 1.
fn reference(
    sandbox: &mut Sandbox,
    trace: &Path,
    stands: &[Stand],
    (first, last): (usize, usize),
    level: usize,
    expression: &str,
) -> Vec<String> {
    let function = &stands[first - 1].stack[level];
    let frame = |t: usize| stands[t - 1].stack.len() - 1 - level;
    let script = (first..=last).flat_map(|t| [format!("go {t}"), format!("frame {}", frame(t)), format!("p {expression}")]);
    let answers = sandbox.batch(trace, &script.collect::<Vec<_>>());
    let value = |answer: &Value| match answer["ok"].as_bool() {
        Some(true) => text(answer).to_string(),
        _ => {
            let error = answer["error"]["text"].as_str().unwrap();
            let last = error.lines().rfind(|l| !l.starts_with("refused while evaluating")).unwrap();
            last.split_once(". Did you mean").map_or(last, |l| l.0).to_string()
        }
    };
    let mut values = vec![format!("not there yet: that {} begins at time {first}", what(function)); first - 1];
    values.extend(answers.chunks(3).map(|three| value(&three[2])));
    let over = format!("out of scope: that {} was over at time {}", what(function), last + 1);
    values.resize(stands.len(), over);
    values
}

/// Watched from the stop point `time` on, in the frame at a level of the stack there.
fn watched(sandbox: &mut Sandbox, trace: &Path, stands: &[Stand], (time, level): (usize, usize), expression: &str) {
    let span = span(stands, time, level);
    let values = reference(sandbox, trace, stands, span, level, expression);
    let places = (1..stands.len()).step_by(17).chain(span.0..=span.1).collect();
    searched(sandbox, trace, stands, (time, level), (span.0, places), expression, &values);
}

/// The values of a generator that no other call of its function can be taken for: while it is suspended they stay. Where it is not
/// resumed to its end, `gone` is the function that is called when it has just gone.
fn of_generator(sandbox: &mut Sandbox, trace: &Path, stands: &[Stand], function: &str, gone: Option<&str>, expression: &str) {
    let level = |t: usize| stands[t - 1].stack.iter().position(|f| f == function);
    let own: Vec<usize> = (1..=stands.len()).filter(|&t| level(t).is_some()).collect();
    let (first, last) = (own[0], *own.last().unwrap());
    let ended = ["return", "unwind"].contains(&stands[last - 1].kind.as_str()) && level(last) == Some(stands[last - 1].stack.len() - 1);
    let called = |name: &str| {
        (1..=stands.len())
            .find(|&t| stands[t - 1].stack.last().is_some_and(|f| f == name))
            .unwrap()
    };
    // At the line that calls that function it is gone already.
    let over = if ended { last + 1 } else { called(gone.unwrap()) - 1 };
    let mut values = Vec::new();
    for piece in own.chunk_by(|a, b| a + 1 == *b && level(*a) == level(*b)) {
        let part = reference(
            sandbox,
            trace,
            stands,
            (piece[0], piece[piece.len() - 1]),
            level(piece[0]).unwrap(),
            expression,
        );
        let before = values.last().cloned();
        let before = before.unwrap_or_else(|| format!("not there yet: that call of {function} begins at time {first}"));
        values.resize(piece[0] - 1, before);
        values.extend_from_slice(&part[piece[0] - 1..piece[piece.len() - 1]]);
    }
    values.resize(over - 1, values[values.len() - 1].clone());
    values.resize(
        stands.len(),
        format!("out of scope: that call of {function} was over at time {over}"),
    );
    let middle = own[own.len() / 2];
    let places = (1..stands.len()).step_by(41).chain([first, last, over - 1]).collect();
    searched(
        sandbox,
        trace,
        stands,
        (middle, level(middle).unwrap()),
        (first, places),
        expression,
        &values,
    );
    // It is the same call wherever one stands in it.
    for time in [first, last] {
        let frame = stands[time - 1].stack.len() - 1 - level(time).unwrap();
        let script = [format!("go {time}"), format!("frame {frame}"), format!("history {expression}")];
        let answers = sandbox.batch(trace, &script);
        had(text(&answers[2]), &changes(&values), stands.len());
    }
}

/// Times at which the value differs from that of the stop point before.
fn changes(values: &[String]) -> Vec<usize> {
    (1..values.len()).filter(|&i| values[i] != values[i - 1]).map(|i| i + 1).collect()
}

/// A history up to the end of the main module has these changes.
fn had(history: &str, changes: &[usize], done: usize) {
    let times = history.lines().map(|l| l.split_whitespace().next().unwrap().parse().unwrap());
    let times: Vec<usize> = times.filter(|&t| t <= done).collect();
    assert_eq!(times, [&[1][..], changes].concat(), "{history}");
}

/// The value at each stop point is known: each change is found from all of them and some places more, forward and backward, and `history` has them all.
fn searched(
    sandbox: &mut Sandbox,
    trace: &Path,
    stands: &[Stand],
    (time, level): (usize, usize),
    (first, places): (usize, Vec<usize>),
    expression: &str,
    values: &[String],
) {
    let changes = changes(values);
    let done = stands.len();
    let frame = stands[time - 1].stack.len() - 1 - level;
    let mut script = vec![format!("go {time}"), format!("frame {frame}"), format!("watch {expression}")];
    let places: Vec<usize> = places.into_iter().chain(changes.iter().copied()).collect();
    for here in &places {
        script.extend([format!("go {here}"), "c".into(), format!("go {here}"), "bc".into()]);
    }
    script.extend([
        "delete".into(),
        format!("go {time}"),
        format!("frame {frame}"),
        format!("history {expression}"),
    ]);
    let answers = sandbox.batch(trace, &script);
    let set = text(&answers[2]);
    let name = &stands[time - 1].stack[level];
    assert!(set.contains(&format!("in the {} that begins at time {first}", what(name))), "{set}");
    assert!(set.contains(&format!("its value is {}", values[time - 1])), "{set}");
    for (answer, here) in answers[3..].chunks(4).zip(&places) {
        let found = |i: usize| {
            (
                answer[i]["stop"]["reason"].as_str().unwrap(),
                usize::try_from(answer[i]["time"].as_u64().unwrap()).unwrap(),
            )
        };
        let told = |i: usize| {
            let change = &answer[i]["stop"]["changes"][0];
            (change["old"].as_str().unwrap(), change["new"].as_str().unwrap())
        };
        let ahead = changes.iter().find(|&t| t > here);
        let wanted = ahead.map_or(("main_done", done), |&t| ("watchpoint", t));
        assert_eq!(found(1), wanted, "{expression} in {name} from {here}: {changes:?}");
        let behind = changes.iter().rfind(|&t| t <= here);
        let wanted = behind.map_or(("history_begin", 1), |&t| ("watchpoint", t - 1));
        assert_eq!(found(3), wanted, "{expression} in {name} from {here}: {changes:?}");
        for (i, change) in [(1, ahead), (3, behind)] {
            if let Some(&t) = change {
                assert_eq!(told(i), (values[t - 2].as_str(), values[t - 1].as_str()), "{}", answer[i]);
            }
        }
    }
    had(text(answers.last().unwrap()), &changes, done);
}

#[test]
fn every_change_of_a_local_variable_is_found() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("locals.py");
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
            .trace;
        sandbox.verify(&trace);
        let stands = stands(&mut sandbox, &trace);
        let within = |function: &str| {
            let times = (1..=stands.len()).filter(|&t| stands[t - 1].stack.last().is_some_and(|f| f == function));
            times.collect::<Vec<_>>()
        };
        let middle = |all: &[usize]| all[all.len() / 2];
        let level = |t: usize| stands[t - 1].stack.len() - 1;
        let loops = within("loops");
        let (first, last) = (loops[3], loops[loops.len() - 3]);
        watched(&mut sandbox, &trace, &stands, (first, level(first)), "str(i)");
        watched(&mut sandbox, &trace, &stands, (first, level(first)), "str(total)");
        watched(&mut sandbox, &trace, &stands, (last, level(last)), "total");
        let t = middle(&within("fact"));
        // The same function's calls, one in the other.
        for outer in level(t) - 1..=level(t) {
            watched(&mut sandbox, &trace, &stands, (t, outer), "str((n, got, depth))");
        }
        let fib = within("fib");
        for t in [fib[fib.len() / 2], fib[fib.len() - 3]] {
            watched(&mut sandbox, &trace, &stands, (t, level(t)), "n * 10 + 1");
        }
        let outer = stands[fib[0] - 1].stack.len() - 1;
        watched(&mut sandbox, &trace, &stands, (*fib.last().unwrap(), outer), "k");
        let raising = within("raising");
        for t in [raising[2], raising[raising.len() - 2]] {
            watched(&mut sandbox, &trace, &stands, (t, level(t)), "state");
        }
        let t = middle(&within("cells"));
        watched(&mut sandbox, &trace, &stands, (t, level(t)), "str((count, items))");
        let t = middle(&within("filled"));
        watched(&mut sandbox, &trace, &stands, (t, level(t) - 1), "str(items)");
        of_generator(&mut sandbox, &trace, &stands, "steps", None, "str((n, i))");
    }
}

#[test]
fn every_change_of_a_variable_of_a_generator_or_coroutine_is_found() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("suspended.py");
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
            .trace;
        sandbox.verify(&trace);
        let stands = stands(&mut sandbox, &trace);
        let cases = [
            ("finished", None, "str((total, i))"),
            ("closed", Some("after_close"), "k"),
            ("dropped", Some("after_drop"), "str(k)"),
            ("tidied", Some("after_tidy"), "k"),
            ("thrown", None, "k"),
            ("delegating", None, "str(got)"),
            ("coroutine", None, "str((n, got))"),
            ("stream", None, "b"),
            ("shared", None, "count"),
        ];
        for (function, gone, expression) in cases {
            of_generator(&mut sandbox, &trace, &stands, function, gone, expression);
        }
    }
}

#[test]
fn every_change_of_a_variable_of_a_class_body_is_found() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("bodies.py");
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
            .trace;
        sandbox.verify(&trace);
        let stands = stands(&mut sandbox, &trace);
        let within = |function: &str| {
            let times = (1..=stands.len()).filter(|&t| stands[t - 1].stack.last().is_some_and(|f| f == function));
            times.collect::<Vec<_>>()
        };
        let level = |t: usize| stands[t - 1].stack.len() - 1;
        let mut all = |t: usize, level: usize, expression: &str| watched(&mut sandbox, &trace, &stands, (t, level), expression);
        let plain = within("Plain");
        // From before a name is there on, and when all are.
        for t in [plain[1], plain[plain.len() - 2]] {
            all(t, level(t), "str((count, twice(2)))");
        }
        all(plain[2], level(plain[2]), "str(items)");
        all(plain[3], level(plain[3]), "i");
        let inner = within("Plain.Inner");
        all(inner[1], level(inner[1]), "count");
        let t = within("twice")[0];
        all(t, level(t) - 1, "count * 2");
        // Its dictionary is of a class made from `dict`, whose method is on the stack.
        let made = within("Noting.__setitem__");
        let t = *made.last().unwrap();
        all(t, level(t) - 1, "state");
        let closing = within("closure.<locals>.Closing");
        all(closing[2], level(closing[2]), "str((was, state))");
        let raising = within("closure.<locals>.Raising");
        for t in [raising[1], raising[raising.len() - 2]] {
            all(t, level(t), "k");
        }
    }
}

#[test]
fn what_a_dictionary_does_not_hold_is_refused_and_code_executed_has_names_of_its_own() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("bodies.py");
        let trace = sandbox
            .record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
            .trace;
        let script = [
            "tbreak bodies.py:89",
            "c",
            "watch p",
            "watch -l p",
            "watch count",
            "break <string>:2",
            "c",
            "history q",
            "watch q + count",
            "delete",
            "go start",
            "tbreak bodies.py:89",
            "c",
            "p p",
            "p count",
            "p nobody",
        ];
        let answers = sandbox.batch(&trace, &script.map(String::from));
        let error = answers[2]["error"]["text"].as_str().unwrap();
        assert!(error.contains("in no dictionary") && !error.contains('\n'), "{error}");
        assert!(text(&answers[3]).contains("p is (1), which never changes"), "{}", answers[3]);
        // A name that the body does not store is the module's.
        assert!(text(&answers[4]).contains("each change of count\n"), "{}", answers[4]);
        let at: usize = usize::try_from(answers[6]["time"].as_u64().unwrap()).unwrap();
        had(text(&answers[7]), &[at - 1, at, at + 1, at + 2, at + 3], usize::MAX);
        let what = "run of the code executed";
        assert!(
            text(&answers[7]).contains(&format!("not there yet: that {what} begins at time {}\n", at - 1)),
            "{}",
            answers[7]
        );
        assert!(
            text(&answers[8]).contains(&format!("in the {what} that begins at time {}", at - 1)),
            "{}",
            answers[8]
        );
        // What can be looked up there can be evaluated.
        assert_eq!(
            (text(&answers[13]), text(&answers[14])),
            ("1", "100"),
            "{} {}",
            answers[13],
            answers[14]
        );
        assert!(
            answers[15]["error"]["text"].as_str().unwrap().contains("NameError"),
            "{}",
            answers[15]
        );
    }
}
