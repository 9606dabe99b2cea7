//! When an instruction starts a line: exactly when a C-level trace function would be told so.
//!
//! 3.11 (`maybe_call_line_trace`): the line differs from that of the instruction executed before in the frame, or control went
//! backwards. 3.12 and 3.13 (`initialize_lines`, `_Py_call_instrumentation_line`, `sys_trace_jump_func`): the instruction is one
//! of those marked beforehand, and its line differs from that of the one executed before, or that one was a `RESUME`, or jumped
//! backwards.
//!
//! [`line_event`] is the rule; [`classify`] finds out for which instructions the answer is always the same.

use super::code::Body;
use super::layout::Layout;
use alloc::vec;
use alloc::vec::Vec;

/// What the dispatch of an instruction can mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) line: LineStart,
    /// It returns or yields.
    pub(super) leaves: bool,
    /// It may raise again an exception that nothing in this frame handles.
    pub(super) unwinds: bool,
    /// 3.13: a marked line start that is counted whatever was executed before.
    always: bool,
    /// 3.12 and 3.13: instrumentation would be put here.
    marked: bool,
}

/// Whether an instruction starts a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LineStart {
    /// Never.
    #[default]
    Never,
    /// Whenever it is executed.
    Always,
    /// When the instruction executed before lies behind it.
    Backward,
    /// To be found out each time.
    Depends,
}

impl Unit {
    /// It can start a line.
    pub(super) fn starts_line(self) -> bool {
        self.line != LineStart::Never
    }
}

/// Does executing `unit` start a line, `previous` having been executed before in this frame? (`None`: nothing yet.)
pub(super) fn line_event(layout: &Layout, body: &Body, entry: usize, units: &[Unit], unit: usize, previous: Option<usize>) -> bool {
    let (Some(op), Some(line)) = (body.op(unit), body.lines[unit]) else {
        return false;
    };
    let opcodes = &layout.opcodes;
    if unit < entry || op == opcodes.resume {
        return false;
    }
    if layout.minor == 11 {
        let before = previous.filter(|&p| p > entry);
        return before.is_none_or(|p| body.lines[p] != Some(line) || unit < p && op != opcodes.send);
    }
    if !units[unit].marked {
        return false;
    }
    let Some(previous) = previous else { return true };
    if units[unit].always {
        return true;
    }
    // The line of an inline cache counts as none: 3.12 leaves prev_instr there after a call.
    let before = body.op(previous);
    if before.is_none() || body.lines[previous] != Some(line) || before == Some(opcodes.resume) {
        return true;
    }
    unit <= previous && before == Some(opcodes.jump_backward)
}

/// Finds out, for each unit, what its dispatch can mean.
pub(super) fn classify(layout: &Layout, body: &Body, entry: usize, first_line: i32) -> Vec<Unit> {
    let opcodes = &layout.opcodes;
    let count = body.ops.len();
    let mut units = vec![Unit::default(); count];
    if layout.minor > 11 {
        mark(layout, body, entry, first_line, &mut units);
    }
    let mut seen = vec![Predecessors::default(); count];
    for handler in &body.handlers {
        if let Some(p) = seen.get_mut(handler.target) {
            p.unknown = true;
        }
    }
    let mut pending = None;
    for at in (0..count).filter(|&i| body.ops[i].is_some()) {
        if let Some(previous) = pending {
            seen[at].note(layout, body, entry, &units, at, previous);
        }
        pending = Some(at);
        if let Some(target) = body.target(at) {
            let op = body.op(at);
            // The specialised forms of these skip the END_ that the jump would lead to, the generic ones may not.
            let skipped = [opcodes.end_for, opcodes.end_send].contains(&body.op(target)) && body.op(target).is_some();
            for landing in [Some(target), skipped.then_some(target + 1)]
                .into_iter()
                .flatten()
                .filter(|&t| t < count)
            {
                seen[landing].note(layout, body, entry, &units, landing, at);
                seen[landing].unknown |= skipped && landing != target || op == Some(opcodes.send);
            }
        }
    }
    for at in (0..count).filter(|&i| body.ops[i].is_some()) {
        let op = body.op(at).unwrap_or(0);
        units[at].line = seen[at].verdict();
        if units[at].line != LineStart::Never && body.target(at) == Some(at) {
            units[at].line = LineStart::Depends;
        }
        units[at].leaves = opcodes.leaves(op) && at >= entry;
        units[at].unwinds = opcodes.reraises(op) && body.handler(at).is_none();
    }
    depend_on_guards(layout, body, &mut units);
    units
}

/// Where an opcode that may turn out not to apply would take a line start with it, that start is noticed one instruction
/// later: there it is known whether it applied.
fn depend_on_guards(layout: &Layout, body: &Body, units: &mut [Unit]) {
    for fused in layout.opcodes.fused.iter().filter(|f| f.guarded) {
        for at in 0..units.len() {
            let second = at + usize::from(fused.distance);
            if body.op(at) != Some(fused.first) || second >= units.len() || !units[second].starts_line() {
                continue;
            }
            let behind = (second + 1..units.len()).find(|&i| body.ops[i].is_some());
            for next in [behind, body.target(second)].into_iter().flatten() {
                units[next].line = LineStart::Depends;
            }
        }
    }
}

/// What [`line_event`] says for the known ways to reach a unit.
#[derive(Clone, Copy, Debug, Default)]
struct Predecessors {
    /// Reached from before: counts, does not count.
    forward: [bool; 2],
    /// Reached from behind: counts, does not count.
    backward: [bool; 2],
    /// Reached in ways that are not known.
    unknown: bool,
}

impl Predecessors {
    fn note(&mut self, layout: &Layout, body: &Body, entry: usize, units: &[Unit], unit: usize, previous: usize) {
        let counts = line_event(layout, body, entry, units, unit, Some(previous));
        let ways = if previous < unit { &mut self.forward } else { &mut self.backward };
        ways[usize::from(!counts)] = true;
        // 3.12 after a call: prev_instr is in the inline cache, and has no line.
        let cached = layout.minor == 12 && body.op(previous).is_some_and(|op| layout.opcodes.caches(op) > 0);
        self.unknown |= cached && !counts && units[unit].marked;
    }

    fn verdict(self) -> LineStart {
        match (self.forward, self.backward) {
            _ if self.unknown => LineStart::Depends,
            ([_, false], [_, false]) if self.forward[0] || self.backward[0] => LineStart::Always,
            ([false, _], [false, _]) => LineStart::Never,
            ([false, _], [_, false]) => LineStart::Backward,
            _ => LineStart::Depends,
        }
    }
}

/// 3.12 and 3.13: the units that instrumentation for lines would be put on.
fn mark(layout: &Layout, body: &Body, entry: usize, first_line: i32, units: &mut [Unit]) {
    let opcodes = &layout.opcodes;
    let skipped =
        |op: u8| op == opcodes.end_async_for || op == opcodes.resume || Some(op) == opcodes.end_for || Some(op) == opcodes.end_send;
    let mut current = None;
    for (at, unit) in units.iter_mut().enumerate().skip(entry) {
        if body.op(at).is_none_or(skipped) {
            continue;
        }
        unit.marked = body.lines[at].is_some() && body.lines[at] != current;
        unit.always = layout.minor >= 13 && unit.marked && !is_near(at, body.lines[at], first_line);
        current = body.lines[at];
    }
    for &(at, target) in body.targets.iter().filter(|t| t.0 >= entry) {
        let skips = body.op(at) == Some(opcodes.for_iter) || body.op(at) == Some(opcodes.send);
        let target = if skips { target + 1 } else { target };
        if body.op(target).is_some() && body.lines[target].is_some() {
            units[target].marked = true;
            units[target].always = false;
        }
    }
    for handler in &body.handlers {
        if body.op(handler.target).is_some_and(|op| op != opcodes.end_async_for) && body.lines[handler.target].is_some() {
            units[handler.target].marked = true;
        }
    }
}

/// 3.13 keeps a line as 8 bits relative to an estimate where it fits, and only then compares it with the one before.
fn is_near(unit: usize, line: Option<u32>, first_line: i32) -> bool {
    let estimate = i64::from(first_line) + (unit >> 4) as i64;
    (-125..=127).contains(&(line.map_or(0, i64::from) - estimate))
}
