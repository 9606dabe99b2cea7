//! Moves by frames, against a linear run: where a move must lead is then arithmetic.

use super::reference::Reference;
use super::support::{Sandbox, program, travelling, without_evaluations};
use serde_json::Value;

#[test]
fn moves_by_frames_agree_with_a_linear_run() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let (path, file) = (python.path.display().to_string(), program("frames.py").display().to_string());
        let trace = sandbox.record("trace", &[&path, &file]).trace;
        let reference = Reference::new(&mut sandbox, &trace);
        let mut wanted = Vec::new();
        // Every third keeps the test short; which third differs from interpreter to interpreter.
        for here in (1 + u64::from(python.version.1) % 3..=reference.last()).step_by(3) {
            for command in ["next", "bnext", "finish", "bfinish"] {
                wanted.push((here, command, reference.expected(here, command)));
            }
        }
        let script: Vec<String> = wanted.iter().flat_map(|w| [format!("go {}", w.0), w.1.to_string()]).collect();
        let answers = sandbox.batch(&trace, &script);
        for (pair, (here, command, want)) in answers.chunks(2).zip(&wanted) {
            let got = &pair[1];
            let what = format!("{path}: {command} from {here} of {}: {} led to {got}", reference.last(), pair[0]);
            match want {
                Some((time, reason)) => {
                    assert_eq!(
                        (got["time"].as_u64(), got["stop"]["reason"].as_str()),
                        (Some(*time), Some(*reason)),
                        "{what}"
                    );
                }
                None => assert_eq!(got["error"]["text"], "No caller.", "{what}"),
            }
        }
    }
}

/// Runs commands in a recording of `frames.py`.
fn walk(python: &super::support::Python, commands: &[&str]) -> Vec<Value> {
    let mut sandbox = Sandbox::new();
    let (path, file) = (python.path.display().to_string(), program("frames.py").display().to_string());
    let trace = sandbox.record("trace", &[&path, &file]).trace;
    let script: Vec<String> = commands.iter().map(|c| (*c).to_owned()).collect();
    sandbox.batch(&trace, &script)
}

#[test]
fn values_returned_and_raised_are_shown() {
    for python in travelling() {
        let a = walk(
            python,
            &[
                "tbreak fib",
                "c",
                "finish",
                "finish",
                "tbreak failing if n == 0",
                "c",
                "finish",
                "bfinish",
                "go start",
                "tbreak count",
                "c",
                "finish",
            ],
        );
        let name = python.path.display();
        assert_eq!(a[2]["stop"]["value"], "3", "{name}: {}", a[2]);
        assert!(a[2]["text"].as_str().unwrap().ends_with("\nreturned 3"), "{}", a[2]);
        assert_eq!(a[3]["error"]["text"], "No caller.", "{}", a[3]);
        assert_eq!(
            (&a[6]["stop"]["kind"], &a[6]["stop"]["value"]),
            (&"unwind".into(), &"KeyError('bottom')".into()),
            "{name}"
        );
        assert_eq!(
            (&a[7]["stop"]["function"], &a[7]["stop"]["line"]),
            (&"catching".into(), &58.into()),
            "{}",
            a[7]
        );
        assert_eq!(
            (&a[11]["stop"]["kind"], &a[11]["stop"]["value"]),
            (&"return".into(), &"None".into()),
            "{}",
            a[11]
        );
    }
}

#[test]
fn breakpoints_with_conditions_both_ways() {
    for python in travelling() {
        let a = walk(
            python,
            &[
                "b fib if n == 0",         // 0
                "c",                       // 1
                "print n",                 // 2
                "c",                       // 3
                "bc",                      // 4
                "info b",                  // 5
                "condition 1 nnn",         // 6
                "c",                       // 7
                "c",                       // 8
                "condition 1 n == 1 or ]", // 9
                "go start",                // 10
                "condition 1 n == 1",      // 11
                "ignore 1 2",              // 12
                "c",                       // 13
                "disable 1",               // 14
                "c",                       // 15
                "enable",                  // 16
                "bc",                      // 17
                "until frames.py:19",      // 18
                "c",                       // 19
            ],
        );
        let name = python.path.display();
        assert_eq!(a[2]["text"], "0", "{name}");
        assert!(a[3]["time"].as_u64() > a[1]["time"].as_u64(), "{name}");
        assert_eq!(a[4]["time"], a[1]["time"], "{name}");
        let list = without_evaluations(a[5]["text"].as_str().unwrap());
        assert_eq!(list, "   1  at each entry of fib if n == 0   (hit 3 times)");
        assert_eq!(a[7]["stop"]["breakpoints"], serde_json::json!([1]));
        assert!(
            a[7]["stop"]["notes"][0]
                .as_str()
                .unwrap()
                .contains("NameError: name 'nnn' is not defined"),
            "{}",
            a[7]
        );
        assert_eq!(a[8]["stop"]["reason"], "main_done", "told once: {}", a[8]);
        assert!(
            a[9]["error"]["text"].as_str().unwrap().contains("cannot be compiled: SyntaxError"),
            "{}",
            a[9]
        );
        assert_eq!(a[13]["stop"]["reason"], "breakpoint");
        assert_eq!(a[15]["stop"]["reason"], "main_done");
        assert_eq!(a[17]["stop"]["breakpoints"], serde_json::json!([1]), "{}", a[17]);
        assert_eq!(a[18]["stop"]["reason"], "step", "{}", a[18]);
    }
}

#[test]
fn frames_bookmarks_and_undo() {
    let python = travelling().next().unwrap();
    let a = walk(
        python,
        &[
            "b fib if n == 1",     // 0
            "c",                   // 1
            "up",                  // 2
            "print n",             // 3
            "args",                // 4
            "down",                // 5
            "locals",              // 6
            "down",                // 7
            "frame 99",            // 8
            "mark here-1",         // 9
            "step 3",              // 10
            "n",                   // 11
            "undo",                // 12
            "undo",                // 13
            "go end",              // 14
            "go here-1",           // 15
            "info marks",          // 16
            "go nowhere",          // 17
            "info functions fib",  // 18
            "info line 7",         // 19
            "info sources frames", // 20
        ],
    );
    assert_eq!(
        (&a[3]["text"], &a[4]["text"], &a[6]["text"]),
        (&"2".into(), &"n = 2".into(), &"n = 1".into())
    );
    assert!(a[2]["text"].as_str().unwrap().starts_with("frame 1: File"), "{}", a[2]);
    assert_eq!(a[7]["error"]["text"], "this is the innermost frame already");
    assert!(
        a[8]["error"]["text"]
            .as_str()
            .unwrap()
            .starts_with("there is no frame 99: the outermost is frame "),
        "{}",
        a[8]
    );
    assert_eq!(a[12]["time"], a[10]["time"]);
    for at_mark in [&a[13], &a[15]] {
        assert_eq!(at_mark["time"], a[1]["time"]);
    }
    assert_eq!(a[16]["text"].as_str().unwrap().trim(), format!("{}  here-1", a[1]["time"]));
    assert_eq!(a[17]["error"]["code"], "unknown");
    assert!(a[18]["text"].as_str().unwrap().contains("      5  fib"), "{}", a[18]);
    assert!(a[19]["text"].as_str().unwrap().contains("breakable") && a[20]["text"].as_str().unwrap().contains("frames.py"));
}
