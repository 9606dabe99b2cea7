//! Going somewhere and back: the same place is the same place, however one came.

use super::support::Sandbox;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Valid in any frame, whatever it calls its variables, and different wherever anything differs.
const LOOK: &str = "print (lambda b: (b.sorted(k for k in b.globals() if not k.startswith('_'))[:30], \
    [b.id(v) for v in b.list(b.globals().values())[:10]]))(__builtins__)";

/// A small generator of numbers: the same ones in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

pub fn last_time(sandbox: &mut Sandbox, trace: &Path) -> u64 {
    let answers = sandbox.batch(trace, &["go end".into()]);
    assert_eq!(answers[0]["ok"], true, "{}", answers[0]);
    answers[0]["time"].as_u64().unwrap()
}

/// What is seen at each time, visited in this order in one session.
fn visit(sandbox: &mut Sandbox, trace: &Path, times: &[u64], main_done: u64) -> BTreeMap<u64, (Value, Value)> {
    let script: Vec<String> = times.iter().flat_map(|t| [format!("go {t}"), LOOK.to_string()]).collect();
    let answers = sandbox.batch(trace, &script);
    let mut seen = BTreeMap::new();
    for (pair, time) in answers.chunks(2).zip(times) {
        assert_eq!(pair[0]["time"].as_u64(), Some(*time), "{}", pair[0]);
        // Late in the shutdown even the builtins are gone: then the error is what must be the same each time.
        assert!(pair[1]["ok"] == true || *time > main_done, "{}", pair[1]);
        let place = &pair[0]["stop"];
        let place = serde_json::json!([place["file"], place["line"], place["function"], place["kind"], place["thread"]]);
        seen.insert(*time, (place, serde_json::json!([pair[1]["text"], pair[1]["error"]])));
    }
    seen
}

/// Fifty random times, in two orders and directly; steps back and forth.
pub fn check(sandbox: &mut Sandbox, trace: &Path) {
    let last = last_time(sandbox, trace);
    assert!(last > 10, "only {last} stop points");
    let ends = sandbox.batch(trace, &["go start".into(), "continue".into()]);
    assert_eq!(ends[1]["stop"]["reason"], "main_done", "{}", ends[1]);
    let main_done = ends[1]["time"].as_u64().unwrap();
    let mut dice = Dice::new(last);
    let mut times: Vec<u64> = (0..50).map(|_| 1 + dice.below(last)).collect();
    let there = visit(sandbox, trace, &times, main_done);
    times.reverse();
    let back = visit(sandbox, trace, &times, main_done);
    assert_eq!(there, back);
    for t in times.iter().take(3) {
        let directly = visit(sandbox, trace, &[*t], main_done);
        assert_eq!(directly[t], there[t], "time {t}");
    }
    for _ in 0..5 {
        let n = 1 + dice.below(9);
        let t = n + 1 + dice.below(last - 2 * n - 1);
        let a = sandbox.batch(
            trace,
            &[
                format!("go {t}"),
                format!("bstep {n}"),
                format!("step {n}"),
                format!("step {n}"),
                format!("bstep {n}"),
            ],
        );
        assert_eq!(a[1]["time"].as_u64(), Some(t - n));
        for again in [&a[2], &a[4]] {
            assert_eq!(again["time"], a[0]["time"]);
            assert_eq!(again["stop"]["line"], a[0]["stop"]["line"]);
            assert_eq!(again["stop"]["function"], a[0]["stop"]["function"]);
        }
    }
}

/// What is mapped twice is one memory at any time, and each time has its own.
#[test]
fn memory_mapped_twice() {
    for python in super::support::travelling() {
        let mut sandbox = Sandbox::new();
        let (path, file) = (
            python.path.display().to_string(),
            super::support::program("attached.py").display().to_string(),
        );
        let trace = sandbox.record("trace", &[&path, "-E", &file]).trace;
        sandbox.verify(&trace);
        let half = "n, list(second.buf[200 + n - 1:200 + n + 1]), first.buf[n], second.buf[n]";
        let lines = [
            "tbreak attached.py:11 if n == 100",
            "continue",
            &format!("print {half}"),
            "mark middle",
            "go end",
            "tbreak attached.py:14",
        ];
        let more = [
            "bcontinue",
            "print bytes(second.buf[:200]) == bytes(range(200)), seen == bytes(first.buf[200:400])",
            "go middle",
            &format!("print {half}"),
        ];
        let answers = sandbox.batch(&trace, &lines.iter().chain(&more).map(ToString::to_string).collect::<Vec<_>>());
        let texts: Vec<&str> = answers.iter().map(|a| a["text"].as_str().unwrap_or_default()).collect();
        assert!(texts[2].contains("(100, [7, 0], 0, 0)"), "{path}: {texts:#?}");
        assert!(texts[7].contains("(True, True)"), "{path}: {texts:#?}");
        assert_eq!(
            texts[9].split_once(" = ").map(|t| t.1),
            texts[2].split_once(" = ").map(|t| t.1),
            "{path}"
        );
    }
}
