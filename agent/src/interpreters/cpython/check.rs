//! The first dispatches are looked at closely: whether the registers are what they were taken for.

use super::objects::type_of;
use super::stops::Stops;
use crate::interpreters::Registers;
use crate::memory::{can_read, get};
use alloc::format;

/// Dispatches that are checked before the fast stubs are trusted; of these so many with careful reads.
pub(super) const CHECKED: u32 = 5000;
const CAREFUL: u32 = CHECKED - 64;

impl Stops {
    /// Checks that the registers are what they were taken for; if not, takes everything out.
    pub(super) fn check(&mut self, op: u8, registers: &Registers) -> bool {
        let careful = self.unchecked > CAREFUL;
        self.unchecked -= 1;
        if !self.plausible(op, registers, careful) {
            let why = format!("next_instr and frame are not where they seemed to be (at opcode {op})");
            self.failure = Some(self.located.refuse(&why));
        }
        if (self.failure.is_some() || self.unchecked == 0) && self.patched && !self.set_patched(true) && self.failure.is_none() {
            self.failure = Some(self.located.refuse("the dispatch table cannot be written"));
        }
        self.failure.is_none()
    }

    fn plausible(&self, op: u8, registers: &Registers, careful: bool) -> bool {
        let (layout, opcodes) = (self.located.layout, &self.located.layout.opcodes);
        if Some(op) == opcodes.interpreter_exit {
            return true;
        }
        let instruction = registers[usize::from(self.located.next_instruction)];
        let frame = registers[usize::from(self.located.frame)];
        if careful && !(can_read(frame, 128) && can_read(instruction, 2)) {
            return false;
        }
        let code = get::<u64>(frame + layout.frame_code) & !3;
        if careful && !can_read(code, layout.co_code) || type_of(code) != self.located.code_type {
            return false;
        }
        let start = code + layout.co_code;
        let there: u8 = get(instruction);
        (start..start + 2 * get::<u64>(code + 16)).contains(&instruction)
            && (opcodes.announces(there) || opcodes.announces(op) || opcodes.family(there) == opcodes.family(op))
    }
}
