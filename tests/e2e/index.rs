//! The hit index: searches that leave out what cannot hold a hit come to the same as those that look everywhere.

use super::support::{Sandbox, program, text, travelling};
use super::travel::{Dice, last_time};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Breakpoints on code that runs rarely, often, in threads, in coroutines, and on none.
const BREAKPOINTS: [&str; 14] = [
    "break consume",
    "break return produce",
    "break locked",
    "break walk",
    "break names",
    "break textwrap.py:222",
    "break TextWrapper._wrap_chunks",
    "break return ArgumentParser.parse_known_args",
    "break Queue.put",
    "break busy.py:28",
    "break _worker",
    "break return BaseEventLoop.run_forever",
    "break ThreadPoolExecutor.submit",
    "break main",
];

fn script(seed: u64, last: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let (mut lines, mut set) = (Vec::new(), 0);
    for _ in 0..60 {
        lines.push(format!("go {}", 1 + dice.below(last)));
        for _ in 0..1 + dice.below(4) {
            let line = match dice.below(16) {
                0 if set < 30 => {
                    set += 1;
                    BREAKPOINTS[usize::try_from(dice.below(BREAKPOINTS.len() as u64)).unwrap()].to_string()
                }
                1 if set > 0 => format!("delete {}", 1 + dice.below(set)),
                0..=2 => "bfinish".to_string(),
                3 | 4 => "finish".to_string(),
                5 | 6 => "next".to_string(),
                7..=9 => "bnext".to_string(),
                10 | 11 => "continue".to_string(),
                12 => "buntil busy.py:37".to_string(),
                _ => "bcontinue".to_string(),
            };
            lines.push(line);
        }
    }
    lines
}

/// What matters of an answer.
fn told(answer: &Value) -> (Value, Value, Value, Value) {
    let stop = &answer["stop"];
    (
        answer["time"].clone(),
        stop["reason"].clone(),
        stop["breakpoints"].clone(),
        answer["error"]["text"].clone(),
    )
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// A recording for a daemon with very short stretches, the same for one that knows a single one, and its last time.
fn recorded(path: &str) -> ((Sandbox, PathBuf), (Sandbox, PathBuf), u64) {
    let (mut fine, mut coarse) = (Sandbox::new(), Sandbox::new());
    (fine.stretch, coarse.stretch) = (150, 1 << 40);
    let trace = fine.record("trace", &[path, "-E", &program("busy.py").display().to_string()]).trace;
    fine.verify(&trace);
    let other = coarse.path("trace");
    copy(&trace, &other);
    let last = last_time(&mut fine, &trace);
    assert_eq!(last_time(&mut coarse, &other), last);
    ((fine, trace), (coarse, other), last)
}

/// Places and what is asked there, and between which hundredths of the run.
const QUERIES: [(&[&str], u64, u64); 8] = [
    (&["--at", "consume", "--print", "1 + 1"], 0, 100),
    (&["--at", "main", "--print", "3"], 0, 100),
    (&["--at", "walk", "--print", "len(locals())"], 0, 100),
    (&["--at", "textwrap.py:222", "--print", "len(locals())"], 30, 100),
    (&["--at", "names", "--print", "str(locals())[:20]"], 10, 60),
    (&["--at", "Queue.put", "--print", "len(locals())", "--exact"], 0, 40),
    (&["--calls", "TextWrapper._wrap_chunks"], 0, 100),
    (&["--calls", "produce"], 0, 100),
];

#[test]
fn queries_with_and_without_agree() {
    // Interpreters do not differ in this.
    for python in travelling().take(1) {
        let path = python.path.display().to_string();
        let ((fine, trace), (coarse, other), last) = recorded(&path);
        let both = |asked: &[&str], from: u64, to: u64| {
            let answer = |sandbox: &Sandbox, trace: &Path| {
                let mut query = sandbox.rdbctl();
                query
                    .arg("query")
                    .arg(trace)
                    .args(["--format", "csv", "--from", &from.to_string(), "--to", &to.to_string()]);
                let out = query.args(asked).output().unwrap();
                assert!(out.status.success(), "{path}, {asked:?}: {}", text(&out.stderr));
                text(&out.stdout)
            };
            let (with, without) = (answer(&fine, &trace), answer(&coarse, &other));
            assert_eq!(with, without, "{path}, {asked:?} from {from} to {to}");
            with.lines().count() - 1
        };
        let mut rows = 0;
        for (asked, from, to) in QUERIES {
            rows += both(asked, (last * from / 100).max(1), last * to / 100);
        }
        assert!(rows > 50, "{path}: {rows} rows are too few");
    }
}

#[test]
fn a_query_shows_what_is_hit_where_a_stretch_ends() {
    let python = travelling().next().unwrap().path.display().to_string();
    let (first, mut second) = (Sandbox::new(), Sandbox::new());
    let trace = first
        .record("trace", &[&python, "-E", &program("busy.py").display().to_string()])
        .trace;
    first.verify(&trace);
    let other = second.path("trace");
    copy(&trace, &other);
    let query = |sandbox: &Sandbox, trace: &Path, more: &[&str]| {
        let mut query = sandbox.rdbctl();
        query
            .arg("query")
            .arg(trace)
            .args(["--format", "csv", "--at", "main", "--print", "0"]);
        let out = query.args(more).output().unwrap();
        assert!(out.status.success(), "{more:?}: {}", text(&out.stderr));
        text(&out.stdout)
            .lines()
            .skip(1)
            .map(|l| l.split(',').next().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    let hit = query(&first, &trace, &[]);
    let [time] = &hit[..] else { panic!("{hit:?}") };
    // The first stretch begins with the first stop point.
    second.stretch = time.parse::<u64>().unwrap() - 1;
    last_time(&mut second, &other);
    for more in [
        &[][..],
        &["--from", time],
        &["--to", time],
        &["--from", time, "--to", time],
        &["--exact"],
    ] {
        assert_eq!(query(&second, &other, more), hit, "{more:?}");
    }
}

#[test]
fn searches_with_and_without_agree() {
    for python in travelling() {
        let path = python.path.display().to_string();
        let ((mut fine, trace), (mut coarse, other), last) = recorded(&path);
        let seed = 17 * u64::from(python.version.1) + u64::from(python.version.2);
        let lines = script(seed, last);
        let (with, without) = (fine.batch(&trace, &lines), coarse.batch(&other, &lines));
        assert!(
            with.iter().filter(|a| a["stop"]["reason"] == "breakpoint").count() > 5,
            "{path}: too few hits"
        );
        for (at, (a, b)) in with.iter().zip(&without).enumerate() {
            assert_eq!(told(a), told(b), "{path}, seed {seed}, {at}: {}\n{:#?}", lines[at], &lines[..at]);
        }
    }
}
