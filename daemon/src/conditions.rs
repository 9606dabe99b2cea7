//! Whether a breakpoint is really hit: its condition, evaluated in a probe where it lies.

use crate::actions::carry_out;
use crate::breakpoints::Marks;
use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::interrupt::Interrupt;
use crate::life::Prepared;
use crate::replay::Process;
use rdb_protocol::client::{FailureCode, Printed, ValueChange};
use rdb_protocol::{FrameNumber, Time};
use std::time::Instant;

/// What came of looking at the breakpoints of one stop point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Those without a condition, and those whose condition holds.
    pub hit: Vec<u32>,
    /// Those whose condition fails, with the error; only those the user was not told of.
    pub failed: Vec<(u32, String)>,
    /// What the watchpoints among those that are hit have seen.
    pub changes: Vec<ValueChange>,
    /// What the actions of those hit came to.
    pub printed: Vec<Printed>,
}

impl Verdict {
    /// Hits that are certain, at one stop point after the other.
    pub(crate) fn certain(hits: &[(Time, u32)]) -> Vec<(Time, Verdict)> {
        let mut all: Vec<(Time, Verdict)> = Vec::new();
        for &(time, id) in hits {
            match all.last_mut().filter(|last| last.0 == time) {
                Some((_, verdict)) => verdict.hit.push(id),
                None => all.push((
                    time,
                    Verdict {
                        hit: vec![id],
                        ..Verdict::default()
                    },
                )),
            }
        }
        all
    }

    /// With what was found by another look at the same stop point.
    pub(crate) fn and(mut self, other: Verdict) -> Verdict {
        self.hit.extend(other.hit);
        self.failed.extend(other.failed);
        self.changes.extend(other.changes);
        self.printed.extend(other.printed);
        self
    }

    /// All that may stop a search.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.hit.iter().copied().chain(self.failed.iter().map(|f| f.0)).collect();
        all.sort_unstable();
        all
    }
}

/// Judges the breakpoints `ids` that lie where `process` stands; watchpoints are none.
pub(crate) fn judge(process: &mut Process, ids: &[u32], marks: &Marks, interrupt: &Interrupt) -> Result<Verdict, Fault> {
    let plain: Vec<u32> = ids.iter().copied().filter(|&id| !marks.is_watch(id)).collect();
    judge_all(process, &plain, marks, interrupt)
}

/// Judges watchpoints that have changed where `process` stands.
pub(crate) fn judge_changes(
    process: &mut Process,
    changes: Vec<ValueChange>,
    marks: &Marks,
    interrupt: &Interrupt,
) -> Result<Verdict, Fault> {
    let ids: Vec<u32> = changes.iter().map(|c| c.id).collect();
    let mut verdict = judge_all(process, &ids, marks, interrupt)?;
    verdict.changes = changes;
    Ok(verdict)
}

fn judge_all(process: &mut Process, ids: &[u32], marks: &Marks, interrupt: &Interrupt) -> Result<Verdict, Fault> {
    let mut verdict = Verdict::default();
    for &id in ids {
        let Some(condition) = marks.condition(id) else {
            verdict.hit.push(id);
            continue;
        };
        let begun = Instant::now();
        let held = holds(process, condition, interrupt);
        marks.spend(id, begun.elapsed());
        match held? {
            Ok(true) => verdict.hit.push(id),
            Ok(false) => {}
            Err(error) if !marks.is_told(id) => verdict.failed.push((id, error)),
            Err(_) => {}
        }
    }
    for &id in &verdict.hit {
        if let Some(action) = marks.action(id).filter(|_| !marks.is_full()) {
            verdict.printed.push(carry_out(id, action, process, interrupt)?);
        }
    }
    Ok(verdict)
}

fn holds(process: &mut Process, condition: &Prepared, interrupt: &Interrupt) -> Result<Result<bool, String>, Fault> {
    let bound = match condition.bound(process.position().time) {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error)),
    };
    // The line break ends a comment.
    let source = format!("True if ({}\n) else False", condition.source);
    match process.fork()?.evaluate(source, FrameNumber::default(), bound, DEADLINE, interrupt) {
        Ok(value) if value.ok => Ok(Ok(value.text == "True")),
        Ok(value) => Ok(Err(last_line(&value.text))),
        Err(fault @ (Fault::Interrupted | Fault::System { .. } | Fault::Garbled(_) | Fault::Diverged(_))) => Err(fault),
        // The probe died of it, or was killed: that is the condition's fault.
        Err(fault) => Ok(Err(fault.to_string())),
    }
}

/// Refuses what does not even compile: `what` and `condition` for people, `source` for the program.
pub(crate) fn check(process: &mut Process, what: &str, condition: &str, source: &str, interrupt: &Interrupt) -> Result<(), Fault> {
    let source = format!("__import__('builtins').compile({}, '<condition>', 'eval')", quoted(source));
    let value = process
        .fork()?
        .evaluate(source, FrameNumber::default(), Vec::new(), DEADLINE, interrupt)?;
    if value.ok {
        return Ok(());
    }
    Err(Fault::told(
        FailureCode::Invalid,
        format!("the {what} '{condition}' cannot be compiled: {}", last_line(&value.text)),
    ))
}

/// As a string literal.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '\\' => "\\\\".to_string(),
            '\'' => "\\'".to_string(),
            c if (c as u32) < 0x20 => format!("\\x{:02x}", c as u32),
            c => c.to_string(),
        })
        .collect();
    format!("'({escaped}\\n)'")
}

/// A traceback ends in what went wrong; what a probe was refused on the way (showing source lines) comes after it.
pub(crate) fn last_line(text: &str) -> String {
    let refused = |l: &&str| l.starts_with("refused while evaluating");
    let last = text.trim_end().lines().rev().find(|l| !refused(l)).unwrap_or(text);
    last.trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_quoted_and_errors_are_short() {
        assert_eq!(quoted("a == 'x\\'"), "'(a == \\'x\\\\\\'\\n)'");
        assert_eq!(last_line("Traceback\n  File\nNameError: no\n"), "NameError: no");
        assert_eq!(
            last_line("NameError: no\nrefused while evaluating: openat; evaluated code"),
            "NameError: no"
        );
    }
}
