//! Steps by instructions, against what the interpreter tells its own trace function.

use super::support::{Prompt, Sandbox, program, text, travelling};
use serde_json::Value;
use std::process::Command;

/// Name and offset of each instruction that is executed in functions of a file, from the call of `work` to its end. Tracing makes
/// the interpreter execute one at a time. It does not tell of what begins a function, before its first line and after a `yield`.
const TRACED: &str = "import sys, dis
file = sys.argv[1]
def trace(frame, event, arg):
    if frame.f_code.co_filename != file:
        return None
    frame.f_trace_opcodes = True
    if event == 'opcode' and on:
        seen.append((frame.f_code, frame.f_lasti))
    return trace
on, seen = False, []
source = open(file).read().rsplit('work()', 1)[0]
names = {'__name__': '__main__'}
exec(compile(source, file, 'exec'), names)
# Some versions look only here whether instructions are wanted.
sys._getframe().f_trace_opcodes = on = True
sys.settrace(trace)
names['work']()
sys.settrace(None)
for code, at in seen:
    print(code.co_name, at, dis.opname[code.co_code[at]])";

/// The function and the offset in it, of the frame stood in.
const HERE: &str = "print (lambda f: (f.f_code.co_name, f.f_lasti))(__import__('sys')._getframe(1))";

/// `12+3`.
fn moment(answer: &Value) -> String {
    match answer["stop"]["instruction"].as_u64() {
        None => answer["time"].to_string(),
        Some(n) => format!("{}+{n}", answer["time"]),
    }
}

fn said(answer: &Value) -> &str {
    assert_eq!(answer["ok"], true, "{answer}");
    answer["text"].as_str().unwrap()
}

#[test]
fn each_instruction_is_one_step_both_ways() {
    for python in travelling() {
        let (path, file) = (python.path.display().to_string(), program("instructions.py").display().to_string());
        let mut sandbox = Sandbox::new();
        let trace = sandbox.record("trace", &[&path, "-S", "-E", &file]).trace;
        sandbox.verify(&trace);
        let out = Command::new(&path).args(["-S", "-E", "-c", TRACED, &file]).output().unwrap();
        // At an exception that leaves its function the frame is at what raised it, not at what raises it again.
        let traced = text(&out.stdout);
        let traced = traced.lines().filter(|l| !l.ends_with(" RERAISE"));
        let mut traced: Vec<&str> = traced.filter_map(|l| l.rsplit_once(' ')).map(|l| l.0).collect();
        traced.dedup();
        assert!(traced.len() > 200, "{}", text(&out.stderr));
        sandbox.daemon();
        let mut prompt = Prompt::new(&sandbox, &trace);
        said(&prompt.ask("break work"));
        let mut here = prompt.ask("continue");
        let (mut places, mut walked) = (Vec::new(), Vec::new());
        while here["stop"]["function"] != "<module>" {
            places.push(moment(&here));
            if here["stop"]["kind"] != "unwind" {
                walked.push(said(&prompt.ask(HERE)).replace(['(', ')', '\'', ','], ""));
            }
            here = prompt.ask("stepi");
            said(&here);
        }
        walked.retain(|w| traced.contains(&w.as_str()));
        walked.dedup();
        assert_eq!(walked, traced, "{path}");
        // The same places backward, one by one and at once, and by their names.
        for place in places.iter().rev() {
            assert_eq!(moment(&prompt.ask("bstepi")), *place, "{path}");
        }
        for (from, count) in [(0, 7), (3, 60), (90, 151)] {
            assert_eq!(moment(&prompt.ask(&format!("go {}", places[from]))), places[from], "{path}");
            assert_eq!(moment(&prompt.ask(&format!("stepi {count}"))), places[from + count], "{path}");
            assert_eq!(moment(&prompt.ask(&format!("bstepi {count}"))), places[from], "{path}");
            assert_eq!(moment(&prompt.ask("undo")), places[from + count], "{path}");
        }
        let beginning = prompt.ask("bstepi 100000");
        assert_eq!(beginning["stop"]["reason"], "history_begin", "{path}: {beginning}");
        prompt.ask("go end");
        let end = prompt.ask("stepi 100000");
        assert_eq!(end["stop"]["reason"], "history_end", "{path}: {end}");
        prompt.close();
    }
}

#[test]
fn between_stop_points_all_else_works() {
    for python in travelling() {
        let (path, file) = (python.path.display().to_string(), program("frames.py").display().to_string());
        let mut sandbox = Sandbox::new();
        let trace = sandbox.record("trace", &[&path, "-S", "-E", &file]).trace;
        sandbox.verify(&trace);
        sandbox.daemon();
        let mut prompt = Prompt::new(&sandbox, &trace);
        // `return fib(n - 1) + fib(n - 2)`
        said(&prompt.ask("break frames.py:9 if n == 3"));
        let line = prompt.ask("continue");
        let (time, function) = (line["time"].as_u64().unwrap(), line["stop"]["function"].clone());
        let inside = |answer: &Value| answer["stop"]["instruction"].as_u64().unwrap_or(0);
        // Up to where the argument is on the stack, above the function: `n - 1` was just taken.
        let mut stack = said(&prompt.ask("info stack")).to_owned();
        assert!(stack.contains("nothing is on the stack"), "{path}: {stack}");
        let mut steps = 0;
        while !stack.starts_with("   0  2\n") {
            assert_eq!(inside(&prompt.ask("stepi")), steps + 1, "{path}: {stack}");
            stack = said(&prompt.ask("info stack")).to_owned();
            steps += 1;
        }
        assert!(stack.contains("<function fib at 0x"), "{path}: {stack}");
        let shown = prompt.ask("when");
        assert_eq!((shown["time"].as_u64(), inside(&shown)), (Some(time), steps), "{path}");
        assert_eq!(
            (&shown["stop"]["kind"], &shown["stop"]["function"]),
            (&"instruction".into(), &function),
            "{path}"
        );
        assert_eq!(said(&prompt.ask("print n * 7")), "21", "{path}");
        assert!(said(&prompt.ask("locals")).contains("n = 3"), "{path}");
        assert!(said(&prompt.ask("backtrace")).contains("  +  return fib(n - 1)"), "{path}");
        let marked = said(&prompt.ask("disassemble")).to_owned();
        assert_eq!(marked.lines().filter(|l| l.get(6..8) == Some("=>")).count(), 1, "{path}: {marked}");
        // An object gets no number where it is not known when it ends; nor is one looked for.
        assert!(said(&prompt.ask("print fib")).starts_with("<function fib"), "{path}");
        prompt.ask("bstep");
        assert!(said(&prompt.ask("print fib")).starts_with("$0 = <function fib"), "{path}");
        assert_eq!(inside(&prompt.ask(&format!("stepi {steps}"))), steps, "{path}");
        let refused = prompt.ask("print $0");
        assert!(
            refused["error"]["text"].as_str().unwrap().contains("at stop points, not between"),
            "{path}: {refused}"
        );
        let there = format!("go {time}+{steps}");
        let mut from_there = |command: &str| {
            said(&prompt.ask(&there));
            let stop = prompt.ask(command);
            (
                stop["time"].as_u64().unwrap(),
                inside(&stop),
                stop["stop"]["line"].as_u64().unwrap(),
                stop,
            )
        };
        // Forward as from the stop point before; backward that one comes first.
        assert_eq!(from_there("step").0, time + 1, "{path}");
        assert_eq!(from_there("step 3").0, time + 3, "{path}");
        assert_eq!((from_there("bstep").0, from_there("bstep").1), (time, 0), "{path}");
        assert_eq!(from_there("bstep 2").0, time - 1, "{path}");
        assert_eq!(from_there("bnext").0, time, "{path}");
        let back = from_there("bcontinue");
        assert_eq!(
            (back.0, back.1, &back.3["stop"]["reason"]),
            (time, 0, &"breakpoint".into()),
            "{path}"
        );
        let next = from_there("next");
        assert_eq!(
            (&next.3["stop"]["kind"], &next.3["stop"]["function"]),
            (&"return".into(), &function),
            "{path}"
        );
        let finished = from_there("finish");
        assert_eq!((finished.0, finished.3["stop"]["value"].as_str()), (next.0, Some("2")), "{path}");
        let deep = prompt.ask("backtrace")["frames"].as_array().unwrap().len();
        said(&prompt.ask("delete 1"));
        said(&prompt.ask(&there));
        let before = prompt.ask("bfinish");
        assert!(before["time"].as_u64().unwrap() < time, "{path}: {before}");
        assert_eq!(
            prompt.ask("backtrace")["frames"].as_array().unwrap().len(),
            deep - 1,
            "{path}: {before}"
        );
        prompt.close();
    }
}
