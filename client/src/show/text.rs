//! Results as text.

use super::source::Sources;
use rdb_protocol::client::{Printed, Stop, StopReason};
use rdb_protocol::{BreakpointPlace, Direction, Frame, Location, StopKind, Variable};

/// Characters of a local variable's value.
const VALUE: usize = 140;

/// The marker of a stop point.
#[must_use]
pub fn marker(kind: StopKind) -> &'static str {
    match kind {
        StopKind::Line => ">",
        StopKind::Return | StopKind::Yield => "<<",
        StopKind::Unwind => "!!",
        StopKind::Instruction => "+",
    }
}

/// A stop: why, a banner when the thread `switched`, where, the source line.
pub fn stop(stop: &Stop, switched: bool, sources: &mut Sources) -> String {
    let mut text = printed(stop);
    text.push_str(&reason(stop));
    let Some(at) = &stop.location else {
        return text + "no source line is stood at here\n";
    };
    if switched {
        text.push_str(&format!("---------- thread {} ----------\n", at.thread));
    }
    text.push_str(&place_line(sources.shown(&at.file), at.line, &at.function));
    text.push_str(&source_line(at, sources));
    if let Some(value) = &stop.value {
        let what = if at.kind == StopKind::Unwind { "raised" } else { "returned" };
        text.push_str(&format!("{what} {}\n", cut(value)));
    }
    for note in &stop.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// What actions came to, with their times.
#[must_use]
pub fn printed(stop: &Stop) -> String {
    stop.printed.iter().map(one_printed).collect()
}

fn one_printed(printed: &Printed) -> String {
    let sign = if printed.ok { "" } else { "error: " };
    format!(
        "{:>10}  {sign}{}\n",
        printed.time,
        cut(printed.text.trim_end()).replace('\n', "\n            ")
    )
}

/// One frame of the stack: its number, where, the source line.
pub fn frame(number: u32, frame: &Frame, kind: Option<StopKind>, sources: &mut Sources) -> String {
    let place = place_line(sources.shown(&frame.file), frame.line, &frame.function);
    let mut text = format!("frame {number}: {place}");
    let shown = sources.lines(&frame.file, frame.line, frame.line).unwrap_or_default();
    if let Some(line) = shown.first() {
        text.push_str(&format!("{:<2} {line}\n", kind.map_or("", marker)));
    }
    text
}

/// Why we stopped, as lines.
#[must_use]
pub fn reason(stop: &Stop) -> String {
    let mut text = String::new();
    if !matches!(stop.reason, StopReason::Here | StopReason::Go) {
        let hit = match stop.direction {
            Direction::Forward => "Hit",
            Direction::Backward => "Reverse-hit",
        };
        for change in &stop.changes {
            let (id, what) = (change.id, &change.expression);
            // What is set aside for a command of its own has no number people know.
            let number = if stop.breakpoints.contains(&id) {
                format!("{hit} watchpoint {id}: ")
            } else {
                String::new()
            };
            text.push_str(&format!("{number}{what}: {} -> {}\n", cut(&change.old), cut(&change.new)));
        }
        for id in stop.breakpoints.iter().filter(|id| !stop.changes.iter().any(|c| c.id == **id)) {
            text.push_str(&format!("{hit} breakpoint {id}\n"));
        }
    }
    text.push_str(match stop.reason {
        StopReason::MainDone => "main module done: what follows is the shutdown of the interpreter\n",
        StopReason::HistoryBegin => "history begin: nothing earlier is recorded\n",
        StopReason::HistoryEnd => "history end: nothing later is recorded\n",
        StopReason::Breakpoint
        | StopReason::Watchpoint
        | StopReason::Step
        | StopReason::ThreadSwitch
        | StopReason::Go
        | StopReason::Here => "",
    });
    text
}

fn place_line(file: &str, line: u32, function: &str) -> String {
    format!("File \"{file}\", line {line} in {function}:\n")
}

fn source_line(at: &Location, sources: &mut Sources) -> String {
    let shown = match sources.lines(&at.file, at.line, at.line) {
        Ok(lines) => match lines.first() {
            Some(line) => line.clone(),
            None if at.line == 0 => "(no line)".into(),
            None => format!("(the file has no line {}: was it changed since it was recorded?)", at.line),
        },
        Err(why) => format!("({why})"),
    };
    let note = sources.note(&at.file).map(|n| format!("note: {n}\n")).unwrap_or_default();
    format!("{:<2} {shown}\n{note}", marker(at.kind))
}

/// The stack, the most recent call last, as Python shows it.
pub fn backtrace(frames: &[Frame], more: bool, innermost: Option<StopKind>, sources: &mut Sources) -> String {
    if frames.is_empty() {
        return "no frames\n".into();
    }
    let mut text = String::from("Call stack (most recent call last):\n");
    if more {
        let shown = match frames.len() {
            1 => "frame is".to_owned(),
            n => format!("{n} frames are"),
        };
        text.push_str(&format!("  ... (only the innermost {shown} shown)\n"));
    }
    for (depth, frame) in frames.iter().enumerate().rev() {
        text.push_str("  ");
        text.push_str(&place_line(sources.shown(&frame.file), frame.line, &frame.function));
        let shown = sources.lines(&frame.file, frame.line, frame.line).unwrap_or_default();
        if let Some(line) = shown.first() {
            let mark = innermost.filter(|_| depth == 0).map_or("", marker);
            text.push_str(&format!("  {mark:<2} {}\n", line.trim_start()));
        }
    }
    text
}

/// Variables, one a line; values longer than `size` are cut.
#[must_use]
pub fn variables(all: &[Variable], size: usize) -> String {
    all.iter()
        .map(|v| format!("{} = {}\n", v.name, shortened(&v.value, size)))
        .collect()
}

/// A value, cut to a readable length.
#[must_use]
pub fn cut(value: &str) -> String {
    shortened(value, VALUE)
}

fn shortened(value: &str, size: usize) -> String {
    match value.char_indices().nth(size) {
        None => value.to_owned(),
        Some(_) => value.chars().take(size.saturating_sub(3)).chain("...".chars()).collect(),
    }
}

/// Where a breakpoint is.
#[must_use]
pub fn place(place: &BreakpointPlace, sources: &Sources) -> String {
    match place {
        BreakpointPlace::Line { file, line } if file.is_empty() => format!("at line {line}"),
        BreakpointPlace::Line { file, line } => format!("at {}:{line}", sources.shown(file)),
        BreakpointPlace::Function { name } => format!("at each entry of {name}"),
        BreakpointPlace::Return { name } => format!("at each return from {name}"),
        BreakpointPlace::Calls { name } => format!("at each call of {name}"),
        BreakpointPlace::Output { pattern } => format!("at output that matches {pattern}"),
        BreakpointPlace::Value { expression, call, .. } => {
            let call = call.as_ref().map(|c| format!(" in the {} from time {} on", c.what(), c.from));
            format!("at each change of {expression}{}", call.unwrap_or_default())
        }
        BreakpointPlace::Raise { class: Some(class) } => format!("where {class} is raised"),
        BreakpointPlace::Raise { class: None } => "where an exception is raised".into(),
        BreakpointPlace::Native { name } => format!("where {name} is called"),
        BreakpointPlace::Uncaught => "where an exception is raised that nothing catches".into(),
        BreakpointPlace::Outside { files } => format!("outside {} files", files.len()),
        BreakpointPlace::Times { times } => format!("at {} times", times.len()),
        BreakpointPlace::Switch { .. } => "at switches of threads".into(),
    }
}

/// Numbered lines from `first`; the line stood at is marked.
#[must_use]
pub fn listing(lines: &[String], first: u32, here: Option<(u32, StopKind)>) -> String {
    let row = |(number, line): (u32, &String)| {
        let mark = here.filter(|h| h.0 == number).map_or("", |h| marker(h.1));
        format!("{mark:<2} {number:>5}  {line}").trim_end().to_owned() + "\n"
    };
    (first..).zip(lines).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::Colour;
    use rdb_protocol::Time;

    fn sources() -> (tempfile::TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.py"), "def f():\n    return 1\n\nf()\n").unwrap();
        let s = Sources::new(dir.path().into(), dir.path(), Colour::Plain);
        (dir, s)
    }

    fn at(file: &str, line: u32, kind: StopKind) -> Stop {
        let location = Location {
            file: file.into(),
            line,
            function: "f".into(),
            kind,
            thread: 2,
        };
        Stop {
            reason: StopReason::Step,
            time: Time(1),
            instruction: 0,
            location: Some(location),
            breakpoints: vec![],
            direction: Direction::Forward,
            value: None,
            changes: Vec::new(),
            notes: vec![],
            printed: vec![],
        }
    }

    #[test]
    fn stops() {
        let (_dir, mut s) = sources();
        assert_eq!(
            stop(&at("x.py", 2, StopKind::Line), false, &mut s),
            "File \"x.py\", line 2 in f:\n>      return 1\n"
        );
        assert_eq!(
            stop(&at("x.py", 2, StopKind::Return), false, &mut s),
            "File \"x.py\", line 2 in f:\n<<     return 1\n"
        );
        assert_eq!(
            stop(&at("x.py", 4, StopKind::Unwind), false, &mut s),
            "File \"x.py\", line 4 in f:\n!! f()\n"
        );
        assert!(
            stop(&at("x.py", 9, StopKind::Line), false, &mut s)
                .ends_with("(the file has no line 9: was it changed since it was recorded?)\n")
        );
        let mut returning = at("x.py", 2, StopKind::Return);
        returning.value = Some("1".into());
        returning.notes = vec!["n".into()];
        assert!(stop(&returning, false, &mut s).ends_with("<<     return 1\nreturned 1\nnote: n\n"));
        assert!(stop(&at("y.py", 9, StopKind::Line), false, &mut s).contains("(no source:"));
        assert!(
            stop(&at("<string>", 1, StopKind::Line), true, &mut s)
                .starts_with("---------- thread 2 ----------\nFile \"<string>\", line 1 in f:\n>  (no source")
        );
    }

    #[test]
    fn reasons() {
        let mut stop = at("x.py", 1, StopKind::Line);
        stop.reason = StopReason::Breakpoint;
        stop.breakpoints = vec![1, 3];
        assert_eq!(reason(&stop), "Hit breakpoint 1\nHit breakpoint 3\n");
        stop.direction = Direction::Backward;
        assert_eq!(reason(&stop), "Reverse-hit breakpoint 1\nReverse-hit breakpoint 3\n");
        stop.reason = StopReason::Here;
        assert_eq!(reason(&stop), "");
        stop.breakpoints.clear();
        for (r, text) in [
            (StopReason::HistoryBegin, "history begin"),
            (StopReason::HistoryEnd, "history end"),
            (StopReason::MainDone, "main module done"),
        ] {
            stop.reason = r;
            assert!(reason(&stop).starts_with(text));
        }
    }

    #[test]
    fn stack_locals_listing() {
        let (_dir, mut s) = sources();
        let frame = |line, function: &str| Frame {
            file: "x.py".into(),
            line,
            function: function.into(),
            activation: rdb_protocol::Activation::default(),
        };
        assert_eq!(
            backtrace(&[frame(2, "f"), frame(4, "<module>")], true, Some(StopKind::Return), &mut s),
            "Call stack (most recent call last):\n  ... (only the innermost 2 frames are shown)\n  File \"x.py\", line 4 in <module>:\n     f()\n  \
             File \"x.py\", line 2 in f:\n  << return 1\n"
        );
        let long = Variable {
            name: "v".into(),
            value: "é".repeat(141),
            argument: false,
        };
        assert_eq!(variables(&[long], 140), format!("v = {}...\n", "é".repeat(137)));
        let full = Variable {
            name: "v".into(),
            value: "é".repeat(140),
            argument: false,
        };
        assert_eq!(variables(&[full], 140), format!("v = {}\n", "é".repeat(140)));
        let lines = s.lines("x.py", 2, 9).unwrap();
        assert_eq!(
            listing(&lines, 2, Some((4, StopKind::Line))),
            "       2      return 1\n       3\n>      4  f()\n"
        );
    }
}
