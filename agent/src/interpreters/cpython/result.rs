//! What a frame is about to leave behind: the value it returns, the exception that unwinds it.

use super::objects::tuple;
use super::stops::{Stop, Stops};
use crate::memory::get;
use rdb_protocol::StopKind;

impl Stops {
    /// The object, where it lies in the frame or its code. An exception that is pending lies in neither.
    pub(super) fn result_object(&self) -> Option<u64> {
        self.result_of(self.stop.as_ref()?)
    }

    /// The same of another stop point, while its instruction has not been executed.
    pub(super) fn result_of(&self, stop: &Stop) -> Option<u64> {
        let code = self.codes.get(&stop.code)?;
        let opcodes = &self.located.layout.opcodes;
        let argument = |unit: usize| usize::from(get::<u8>(code.body.start + 2 * unit as u64 + 1));
        match stop.kind {
            StopKind::Return if code.body.op(stop.unit) == opcodes.return_const => {
                let extension = stop.unit.checked_sub(1).filter(|&u| code.body.op(u) == Some(opcodes.extended_arg));
                let index = extension.map_or(0, |u| argument(u) << 8) | argument(stop.unit);
                tuple(get(code.address + self.located.layout.co_consts)).nth(index)
            }
            // Nothing else is on the stack of a frame that returns.
            StopKind::Return => Some(self.stack_slot(stop.frame, code, 0)),
            StopKind::Unwind if stop.instruction.is_some() => {
                // The stop point's own unit is where the exception was raised first.
                let reraising = code.unit(stop.registers[usize::from(self.located.next_instruction)])?;
                let cleanup = code.cleanup(reraising).filter(|_| argument(reraising) != 0)?;
                // Above it lies the unit to give back to the frame.
                Some(self.stack_slot(stop.frame, code, cleanup.depth + 1))
            }
            _ => None,
        }
    }
}
