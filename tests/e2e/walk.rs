//! Random walks: any sequence of moves ends where the model says it must, whatever breakpoints lie on the way.
//!
//! `RDB_WALK_SEED` and `RDB_WALK_ACTS` make other walks, and longer ones.

use super::model::{Act, Expected, Model, Spot};
use super::reference::Reference;
use super::support::{Sandbox, program, travelling, without_evaluations};
use super::travel::Dice;
use serde_json::{Value, json};
use std::fmt::Write;

/// Commands of a walk, unless asked otherwise.
const ACTS: u64 = 400;
/// Moves between two looks at the list of breakpoints.
const LOOK: usize = 8;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().unwrap())
}

const FUNCTIONS: [&str; 8] = ["fib", "count", "delegating", "failing", "inner", "key", "worker", "drive"];

fn spot(dice: &mut Dice, lines: &[u64]) -> Spot {
    let function = FUNCTIONS[usize::try_from(dice.below(8)).unwrap()];
    match dice.below(5) {
        0 | 1 => Spot::Line(lines[usize::try_from(dice.below(lines.len() as u64)).unwrap()]),
        2 => Spot::Entry(function),
        3 => Spot::Return(function),
        _ => Spot::Argument(
            ["fib", "failing", "inner", "worker"][usize::try_from(dice.below(4)).unwrap()],
            dice.below(3),
        ),
    }
}

fn choose(dice: &mut Dice, model: &Model, reference: &Reference, lines: &[u64]) -> Act {
    let forward = dice.below(2) == 0;
    let some = |dice: &mut Dice| model.points[usize::try_from(dice.below(model.points.len() as u64)).unwrap()].id;
    match dice.below(26) {
        0 | 1 => Act::Step(1 + dice.below(12), forward),
        2..=6 => Act::Next(1 + dice.below(3), forward),
        7 | 8 => Act::Finish(forward),
        9..=11 => Act::Until(lines[usize::try_from(dice.below(lines.len() as u64)).unwrap()], forward),
        12 | 13 => Act::Continue(forward),
        14 | 15 => Act::Switch((dice.below(3) > 0).then(|| dice.below(3)), forward),
        16..=18 => Act::Go(1 + dice.below(reference.last())),
        19 => Act::Undo,
        20 | 21 if model.points.len() < 6 => Act::Break(spot(dice, lines), dice.below(3) == 0),
        22 if !model.points.is_empty() => Act::Ignore(some(dice), dice.below(6)),
        23 if !model.points.is_empty() => Act::Enable(some(dice), forward),
        24 if model.points.len() > 3 => Act::Delete(some(dice)),
        _ => Act::Next(1, forward),
    }
}

fn is_met(expected: &Expected, answer: &Value) -> bool {
    match expected {
        Expected::Stop(time, reason, breakpoints) => {
            let stop = &answer["stop"];
            answer["time"] == *time && stop["reason"] == *reason && breakpoints.as_ref().is_none_or(|b| stop["breakpoints"] == json!(b))
        }
        Expected::Refused(why) => answer["error"]["text"] == *why,
        Expected::Done => answer["ok"] == true,
    }
}

/// The rows of `info breakpoints` say what the model has counted.
fn rows_agree(rows: &[(u32, String)], answer: &Value) -> bool {
    let text = &without_evaluations(answer["text"].as_str().unwrap());
    if rows.is_empty() {
        return text == "no breakpoints";
    }
    let lines: Vec<&str> = text.lines().collect();
    let fits = |line: &str, (id, facts): &(u32, String)| {
        let found = line.rsplit_once("   (").map_or("", |l| l.1.trim_end_matches(')'));
        line.trim_start().starts_with(&format!("{id} ")) && found == facts
    };
    lines.len() == rows.len() && lines.iter().zip(rows).all(|(l, r)| fits(l, r))
}

/// A command's answer: to a move or a change, or the rows of `info breakpoints`; and where it was given.
struct Wanted {
    answer: Option<Expected>,
    rows: Vec<(u32, String)>,
    from: u64,
}

fn walk(sandbox: &mut Sandbox, trace: &std::path::Path, reference: &Reference, seed: u64, what: &str) {
    let mut lines: Vec<u64> = reference
        .stands
        .iter()
        .filter(|s| s.ours && s.kind == "line")
        .map(|s| s.line)
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let mut dice = Dice::new(seed);
    let mut model = Model::new(reference);
    let mut script = Vec::new();
    let mut wanted = Vec::new();
    for _ in 0..number("RDB_WALK_ACTS").unwrap_or(ACTS) {
        let act = choose(&mut dice, &model, reference, &lines);
        let from = model.here;
        let expected = model.carry_out(&act);
        script.push(act.text());
        wanted.push(Wanted {
            answer: Some(expected),
            rows: Vec::new(),
            from,
        });
        if script.len() % LOOK == 0 {
            let rows = model.points.iter().map(|p| (p.id, p.facts())).collect();
            script.push("info breakpoints".into());
            wanted.push(Wanted {
                answer: None,
                rows,
                from: model.here,
            });
        }
    }
    let answers = sandbox.batch(trace, &script);
    for (
        at,
        (
            Wanted {
                answer: expected,
                rows,
                from,
            },
            answer,
        ),
    ) in wanted.iter().zip(&answers).enumerate()
    {
        let fine = match expected {
            Some(expected) => is_met(expected, answer),
            None => rows_agree(rows, answer),
        };
        if !fine {
            let mut trail = String::new();
            for (line, answer) in script.iter().zip(&answers).take(at + 1) {
                let _ = writeln!(trail, "  {line}  -> {} {}", answer["time"], answer["stop"]["reason"]);
            }
            panic!("{what}, seed {seed}, command {at}, from {from}: expected {expected:?} {rows:?}, got {answer}\n{trail}");
        }
    }
}

#[test]
fn any_sequence_of_moves_ends_where_it_must() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        sandbox.stretch = 30;
        let (path, file) = (python.path.display().to_string(), program("frames.py").display().to_string());
        let trace = sandbox.record("trace", &[&path, "-S", "-E", &file]).trace;
        sandbox.verify(&trace);
        let reference = Reference::new(&mut sandbox, &trace);
        let seed = number("RDB_WALK_SEED").unwrap_or(u64::from(python.version.1) * 1000 + u64::from(python.version.2));
        let what = format!("{path}, {} stop points", reference.last());
        println!("{what}: seed {seed}");
        for seed in seed..seed + 2 {
            walk(&mut sandbox, &trace, &reference, seed, &what);
        }
    }
}
