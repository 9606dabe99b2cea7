//! Which stop points the dispatch of an instruction is.

use super::code::Code;
use super::marking::mark_of;
use super::objects::{ends_with_code, is_instance, small_integer};
use super::rules::{Unit, line_event};
use super::stops::{Stop, Stops};
use super::stubs::Mark;
use crate::memory::get;
use rdb_protocol::StopKind;

impl Stops {
    /// The unit executed before in `frame`.
    pub(super) fn previous(&self, frame: u64, code: &Code) -> Option<usize> {
        code.unit(get(frame + self.located.layout.frame_instruction))
    }

    /// The stop points of dispatching `op` at `instruction`, in order.
    pub(super) fn events(&mut self, op: u8, frame: u64, address: u64, instruction: u64) -> [Option<Stop>; 4] {
        let mut found = [None; 4];
        let (Some(code), layout) = (self.codes.get(&address), self.located.layout) else {
            return found;
        };
        let Some(unit) = code.unit(instruction) else { return found };
        let body = &code.body;
        let is_line = |unit, previous| line_event(layout, body, code.entry, &code.units, unit, previous);
        let stop = |kind, unit: usize, second_half| {
            let instruction = Some(body.start + 2 * unit as u64);
            Some(Stop {
                kind,
                frame,
                code: address,
                unit,
                instruction,
                second_half,
                registers: [0; 16],
                switched_from: None,
            })
        };
        let mut previous = self.previous(frame, code);
        if let Some((before, fused)) = previous.and_then(|p| Some((p, layout.opcodes.fused(get(body.start + 2 * p as u64))?))) {
            let second = before + usize::from(fused.distance);
            if second != unit && before != unit && second < body.lines.len() {
                let late = self.late.iter().position(|l| *l == (frame, second, unit));
                if late.is_some() || fused.guarded && is_line(second, Some(before)) {
                    found[0] = stop(StopKind::Line, second, false);
                }
                if let Some(late) = late {
                    self.late.swap_remove(late);
                    self.stubs.set_mark(instruction, mark_of(code, unit));
                }
                previous = Some(second);
            }
        }
        // The same instruction again: dispatched anew as another form of itself, unless it jumps to itself.
        let again = previous == Some(unit) && body.target(unit) != Some(unit);
        if !again && is_line(unit, previous) {
            found[1] = stop(StopKind::Line, unit, false);
        }
        if layout.opcodes.announces(op) {
            return found;
        }
        let Unit { leaves, unwinds, .. } = code.units[unit];
        if leaves {
            let kind = if body.op(unit) == Some(layout.opcodes.yield_value) {
                StopKind::Yield
            } else {
                StopKind::Return
            };
            found[2] = stop(kind, unit, false);
        } else if unwinds && self.raises_again(frame, code, unit) {
            found[2] = stop(StopKind::Unwind, self.raised_at(frame, code, unit).unwrap_or(unit), false);
        }
        if let Some(fused) = layout.opcodes.fused(op).filter(|f| !f.guarded && !self.is_stepping()) {
            let second = unit + usize::from(fused.distance);
            if second < body.lines.len() && is_line(second, Some(unit)) {
                if fused.first == layout.opcodes.store_fast && self.drops(frame, instruction) && second + 1 < body.lines.len() {
                    // A fused second half is a load or a store: the next unit is executed next.
                    self.late.retain(|l| l.0 != frame);
                    self.late.push((frame, second, second + 1));
                    self.stubs.set_mark(body.start + 2 * (second as u64 + 1), Mark::Ask);
                } else {
                    found[3] = stop(StopKind::Line, second, true);
                }
            }
        }
        found
    }

    /// Whether the store at `instruction` overwrites the last reference to an object: what its end sets off comes before the
    /// second half of the pair.
    fn drops(&self, frame: u64, instruction: u64) -> bool {
        let variable = frame + self.located.layout.frame_locals + 8 * u64::from(get::<u8>(instruction + 1));
        ends_with_code(get(variable))
    }

    /// Whether the reraising instruction at `unit`, with no handler, will raise: some only do for other exceptions than their own.
    fn raises_again(&self, frame: u64, code: &Code, unit: usize) -> bool {
        let opcodes = &self.located.layout.opcodes;
        let absorbed: &[u8] = match code.body.op(unit) {
            Some(op) if op == opcodes.end_async_for => b"PyExc_StopAsyncIteration",
            op if op == opcodes.cleanup_throw => b"PyExc_StopIteration",
            _ => return true,
        };
        let Some(handler) = code.body.handlers.iter().find(|h| h.target == unit) else {
            return true;
        };
        let Some((variable, _)) = self.located.elf.symbol(absorbed) else {
            return true;
        };
        !is_instance(self.stack_slot(frame, code, handler.depth + usize::from(handler.lasti)), variable)
    }

    /// The unit that an exception reraised at `unit` comes from. A cleanup handler keeps it below the exception, and gives it back
    /// to the frame when it reraises.
    fn raised_at(&self, frame: u64, code: &Code, unit: usize) -> Option<usize> {
        if code.body.op(unit) != Some(self.located.layout.opcodes.reraise) || get::<u8>(code.body.start + 2 * unit as u64 + 1) == 0 {
            return None;
        }
        let cleanup = code.cleanup(unit)?;
        let object = self.stack_slot(frame, code, cleanup.depth);
        let origin = usize::try_from(small_integer(object, self.symbol("PyLong_Type")?)?).ok()?;
        (origin < code.units.len()).then_some(origin)
    }

    /// The object at a depth of the frame's evaluation stack.
    pub(super) fn stack_slot(&self, frame: u64, code: &Code, depth: usize) -> u64 {
        get(self.stack_at(frame, code, depth))
    }

    /// Where that is.
    pub(super) fn stack_at(&self, frame: u64, code: &Code, depth: usize) -> u64 {
        let locals: i32 = get(code.address + self.located.layout.co_nlocalsplus);
        frame + self.located.layout.frame_locals + 8 * (u64::try_from(locals).unwrap_or(0) + depth as u64)
    }
}
