//! The shadow bytes of code: which instructions ask at the slow path, and for what.

use super::Stops;
use super::breakpoints;
use super::code::Code;
use super::decide::Decisions;
use super::rules::{LineStart, Unit};
use super::stubs::Mark;
use crate::memory::get;
use alloc::vec::Vec;
use rdb_protocol::replay::{Breakpoint, Passing};

impl Stops {
    /// Replaces the breakpoints. The hook is called at each hit.
    pub fn set_breakpoints(&mut self, breakpoints: &[Breakpoint]) {
        self.breakpoints = breakpoints.to_vec();
        self.times = breakpoints::times(breakpoints);
        self.decisions = Decisions::of(self, breakpoints);
        self.rearm(self.time());
        for code in self.codes.values_mut() {
            let before: Vec<usize> = code.marks.iter().map(|m| m.0).collect();
            code.marks = breakpoints::marks(&self.breakpoints, code);
            for unit in before.into_iter().chain(code.marks.iter().map(|m| m.0)) {
                self.stubs.set_mark(code.body.start + 2 * unit as u64, mark_of(code, unit));
            }
        }
        self.mark_late();
    }

    /// Units behind second halves not yet counted ask, whatever their mark was set to since.
    pub(super) fn mark_late(&mut self) {
        for &(frame, _, next) in &self.late {
            let address = get::<u64>(frame + self.located.layout.frame_code) & !3;
            if let Some(code) = self.codes.get(&address) {
                self.stubs.set_mark(code.body.start + 2 * next as u64, Mark::Ask);
            }
        }
    }

    /// Sets the shadow bytes of a code object's units.
    pub(super) fn mark_units(&mut self, address: u64) {
        let Some(code) = self.codes.get(&address) else { return };
        for unit in 0..code.units.len() {
            self.stubs.set_mark(code.body.start + 2 * unit as u64, mark_of(code, unit));
        }
    }

    /// The code object at `address` is gone.
    pub(super) fn forget(&mut self, address: u64) {
        self.decisions.forget(address);
        if let Some(inline) = &mut self.inline {
            inline.forget(address);
        }
        if let Some(passages) = &mut self.passages {
            passages.forget(address);
        }
        if let Some(code) = self.codes.remove(&address) {
            for unit in 0..code.units.len() {
                self.stubs.set_mark(code.body.start + 2 * unit as u64, Mark::Unknown);
            }
        }
    }
}

/// The shadow byte of a unit.
pub(super) fn mark_of(code: &Code, unit: usize) -> Mark {
    let Unit { line, leaves, unwinds, .. } = code.units[unit];
    if let Some(passing) = code.followed
        && (leaves || unit == code.entry || passing == Passing::Any && code.units[unit].starts_line())
    {
        return Mark::Ask;
    }
    if code.tracked && (leaves || unit == code.entry || code.units[unit].starts_line()) {
        return Mark::Ask;
    }
    if (leaves || code.units[unit].starts_line()) && code.fresh.get(unit) == Some(&true) {
        return Mark::Ask;
    }
    // Variables are watched, and the store before this line may be executed along with it: then it is not in memory yet.
    if code.stores.is_some() && unit > 0 && code.body.op(unit - 1) == code.stores && code.units[unit].starts_line() {
        return Mark::Ask;
    }
    if unwinds || code.marks.iter().any(|m| m.0 == unit) {
        return Mark::Ask;
    }
    match (line, leaves) {
        (LineStart::Never, false) => Mark::Nothing,
        (LineStart::Never, true) => Mark::Leave,
        (LineStart::Always, false) => Mark::Line,
        (LineStart::Always, true) => Mark::LineAndLeave,
        (LineStart::Backward, false) => Mark::Backward,
        _ => Mark::Ask,
    }
}
