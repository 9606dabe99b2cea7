//! The texts of `info`.

use crate::show::count::{bytes, grouped};
use crate::show::source::Sources;
use crate::show::text;
use crate::show::words::command_line;
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{BreakpointInfo, CheckpointInfo, OutputLine, TraceInfo};
use rdb_protocol::replay::Interpreter;

/// What a search must wait for, where reading memory does not decide.
fn evaluated(b: &BreakpointInfo) -> Option<String> {
    let what = match b.place {
        BreakpointPlace::Value { .. } => "value",
        _ => "condition",
    };
    let milliseconds = b.evaluations.microseconds.div_ceil(1000);
    match b.evaluations.count {
        0 => None,
        1 => Some(format!("{what} evaluated once, in {} ms", grouped(milliseconds))),
        n => Some(format!("{what} evaluated {} times, in {} ms", grouped(n), grouped(milliseconds))),
    }
}

pub(super) fn breakpoints(all: &[BreakpointInfo], sources: &Sources) -> String {
    if all.is_empty() {
        return "no breakpoints\n".into();
    }
    let row = |b: &BreakpointInfo| {
        let condition = b.condition.as_ref().map(|c| format!(" if {c}")).unwrap_or_default();
        let hits = match b.hits {
            0 => None,
            1 => Some("hit once".to_owned()),
            n => Some(format!("hit {} times", grouped(n))),
        };
        let facts = [
            (!b.enabled).then(|| "disabled".to_owned()),
            b.temporary.then(|| "temporary".to_owned()),
            hits,
            evaluated(b),
            (b.ignore > 0).then(|| format!("passes the next {} over", grouped(b.ignore))),
            b.note.clone(),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        let facts = if facts.is_empty() {
            String::new()
        } else {
            format!("   ({})", facts.join(", "))
        };
        let action = b.action.as_ref().map(|a| format!(" print {a}")).unwrap_or_default();
        let commands: String = b.commands.iter().map(|c| format!("        {c}\n")).collect();
        format!(
            "{:>4}  {}{condition}{action}{facts}\n{commands}",
            b.id,
            text::place(&b.place, sources)
        )
    };
    all.iter().map(row).collect()
}

pub(super) fn checkpoints(all: &[CheckpointInfo]) -> String {
    if all.is_empty() {
        return "no checkpoints\n".into();
    }
    let head = format!("{:>14}  {:>12}  {:>9}  {:>10}\n", "time", "event", "process", "memory");
    let row = |c: &CheckpointInfo| {
        let pss = c.pss_kib.map_or_else(|| "?".into(), |k| bytes(k * 1024));
        format!("{:>14}  {:>12}  {:>9}  {pss:>10}\n", c.time.to_string(), c.event.to_string(), c.pid)
    };
    std::iter::once(head).chain(all.iter().map(row)).collect()
}

pub(super) fn trace(info: &TraceInfo) -> String {
    let known = |t: Option<rdb_protocol::Time>| t.map_or_else(|| "not known yet".into(), |t| t.to_string());
    let interpreter = match &info.interpreter {
        Interpreter::Unknown => "none seen yet".into(),
        Interpreter::Ready { name } => name.clone(),
        Interpreter::Unsupported { reason } => reason.clone(),
    };
    let survey = if info.surveyed { "complete" } else { "under way" };
    [
        ("trace", info.path.clone()),
        ("command", command_line(&info.command)),
        ("directory", info.directory.clone()),
        ("events", format!("{} in {}", grouped(info.events.0), bytes(info.bytes))),
        ("ending", info.ending.clone()),
        ("interpreter", interpreter),
        ("last time", known(info.last)),
        ("main done", known(info.main_done)),
        ("survey", survey.into()),
    ]
    .iter()
    .map(|(name, value)| format!("{name:<12} {value}\n"))
    .collect()
}

/// Lines of output: number, time, text; those of standard error are marked.
pub(super) fn output(lines: &[OutputLine]) -> String {
    if lines.is_empty() {
        return "nothing was printed before this time\n".into();
    }
    let row = |l: &OutputLine| format!("{:>5} {:>10} {} {}\n", l.number, l.time, if l.error { "!" } else { " " }, l.text);
    lines.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_protocol::{BreakpointPlace, EventIndex, Time};

    #[test]
    fn lists() {
        let sources = Sources::new("/home".into(), std::path::Path::new("/home"), crate::show::Colour::Plain);
        let line = BreakpointPlace::Line {
            file: "/home/x.py".into(),
            line: 3,
        };
        let function = BreakpointPlace::Function { name: "f".into() };
        let all = [
            BreakpointInfo {
                id: 1,
                condition: Some("x > 2".into()),
                hits: 3,
                ignore: 2,
                enabled: false,
                ..BreakpointInfo::new(line)
            },
            BreakpointInfo {
                id: 12,
                note: Some("no such function yet".into()),
                action: Some("a, b".into()),
                commands: vec!["bt".into(), "c".into()],
                ..BreakpointInfo::new(function)
            },
        ];
        assert_eq!(
            breakpoints(&all, &sources),
            "   1  at x.py:3 if x > 2   (disabled, hit 3 times, passes the next 2 over)\n  12  at each entry of f print a, b   (no such function yet)\n        bt\n        c\n"
        );
        assert_eq!(breakpoints(&[], &sources), "no breakpoints\n");
        let c = CheckpointInfo {
            time: Time(7),
            event: EventIndex(9),
            pid: 11,
            pss_kib: None,
        };
        assert!(checkpoints(&[c]).ends_with("             7             9         11           ?\n"));
    }
}
