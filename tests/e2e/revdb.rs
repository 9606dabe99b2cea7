//! What RevDB's own tests pin down, where no other room here does already.
//!
//! Random jumps: `travel.rs`; forward runs that stop, ignore or record: `walk.rs`; Ctrl-C: `interrupts.rs`; what replays exactly (weak references,
//! finalizers, hashes, threads, raw memory): `programs.rs`, `native.rs`; numbered objects and their lives: `references.rs`.

use super::support::{Sandbox, travelling};
use serde_json::Value;

const SIMPLE: &str = "class A: pass
x = A()
x.y = 10 ** 30
values = [2.5, 0.1 + 0.2, -1e300, [1, 'two'], {'k': (None,)}, x.y]
lst = []
lst.append(50)
lst[-1] = 60
lst.append(70)
del lst
print('done')
";

fn session(python: &super::support::Python, commands: &[&str]) -> Vec<Value> {
    let mut sandbox = Sandbox::new();
    let file = sandbox.path("simple.py");
    std::fs::write(&file, SIMPLE).unwrap();
    let (path, file) = (python.path.display().to_string(), file.display().to_string());
    let trace = sandbox.record("trace", &[&path, "-S", "-E", &file]).trace;
    let events = std::fs::metadata(trace.join("events")).unwrap();
    assert!(
        std::os::unix::fs::MetadataExt::blocks(&events) * 512 < 1 << 20,
        "the log of a trivial program is small"
    );
    sandbox.verify(&trace);
    let script: Vec<String> = commands.iter().map(|c| (*c).to_owned()).collect();
    sandbox.batch(&trace, &script)
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

#[test]
fn values_are_shown_as_they_were_before_their_line_ran() {
    for python in travelling() {
        let a = session(
            python,
            &[
                "continue",
                "p values",
                "p x.y",
                "bstep",
                "bstep",
                "bstep",
                "p lst",
                "bstep",
                "p lst",
                "p type(x)",
            ],
        );
        assert_eq!(a[0]["stop"]["reason"], "main_done");
        let shown = "[2.5, 0.30000000000000004, -1e+300, [1, 'two'], {'k': (None,)}, 1000000000000000000000000000000]";
        assert!(text(&a[1]).ends_with(shown), "{}", a[1]);
        assert!(text(&a[2]).ends_with("1000000000000000000000000000000"), "{}", a[2]);
        // From the end of the module back over `print` and `del` to the second `append`.
        assert_eq!(
            (a[5]["stop"]["line"].as_u64(), a[7]["stop"]["line"].as_u64()),
            (Some(8), Some(7)),
            "{}",
            a[5]
        );
        assert!(text(&a[6]).ends_with("[60]") && text(&a[8]).ends_with("[50]"), "{} {}", a[6], a[8]);
        assert!(text(&a[9]).ends_with("<class '__main__.A'>"), "{}", a[9]);
    }
}

#[test]
fn the_walk_of_a_watched_length() {
    for python in travelling() {
        let a = session(
            python,
            &["break 8", "c", "p lst", "delete 1", "watch len($0)", "bc", "bc", "c", "c", "c"],
        );
        assert_eq!(text(&a[2]), "$0 = [60]", "{}", a[2]);
        let line = |at: usize| a[at]["stop"]["line"].as_u64();
        // Backward each change is met at the line that is about to make it, forward at the next.
        assert_eq!([line(5), line(6)], [Some(6), Some(5)], "{} {}", a[5], a[6]);
        assert_eq!(
            [line(7), line(8), line(9)],
            [Some(6), Some(7), Some(9)],
            "{} {} {}",
            a[7],
            a[8],
            a[9]
        );
        let news = |at: usize| a[at]["stop"]["changes"][0]["new"].as_str().unwrap().to_owned();
        assert_eq!([news(7), news(8), news(9)], ["0", "1", "2"]);
        assert!(
            a[6]["stop"]["changes"][0]["old"].as_str().unwrap().contains("later in time"),
            "{}",
            a[6]
        );
    }
}

#[test]
fn evaluations_that_do_io_or_crash_leave_the_session_as_it_was() {
    for python in travelling() {
        let io = "p open('/tmp/rdb-revdb-test', 'w')";
        let crash = "p __import__('posix').abort()";
        let a = session(python, &["break 8", "c", io, "p lst", crash, "p lst", "step", "p len(lst)"]);
        assert_eq!(
            (a[2]["ok"].as_bool(), a[4]["ok"].as_bool()),
            (Some(false), Some(false)),
            "{} {}",
            a[2],
            a[4]
        );
        assert!(a[2]["error"]["text"].as_str().unwrap().contains("refused"), "{}", a[2]);
        assert!(text(&a[3]).ends_with("[60]") && text(&a[5]).ends_with("[60]"), "{} {}", a[3], a[5]);
        assert_eq!(
            (text(&a[7]), a[7]["time"].as_u64()),
            ("2", a[1]["time"].as_u64().map(|t| t + 1)),
            "{}",
            a[7]
        );
    }
}
