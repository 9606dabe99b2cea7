//! From one instruction to the next, between stop points.
//!
//! Only in a throw-away process: each dispatch takes the slow path, and a pair of instructions that is executed as one, both only
//! moving values, is taken apart. What else the interpreter executes in one dispatch is one instruction here, too: to take that apart would
//! make other objects than the recording has, or other ticks.
//!
//! An instruction is named by the stop point before it and its number since, the one executed at the stop point itself not counted.

use super::stops::{Reason, Stop, Stops};
use rdb_protocol::StopKind;

/// A run by instructions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stepping {
    /// Instructions passed since the stop point, the one stood at included.
    number: u64,
    /// The number to stop at.
    goal: u64,
    /// Frame and address of the instruction dispatched last.
    last: Option<(u64, u64)>,
}

impl Stops {
    /// From now on the hook is called where `count` more instructions have been passed. False where instructions cannot be looked at.
    pub fn step_instructions(&mut self, count: u64) -> bool {
        let mut stepping = self.stepping.unwrap_or_default();
        stepping.goal = stepping.number.saturating_add(count);
        self.stepping = Some(stepping);
        self.set_patched(true)
    }

    /// Whether the program goes from instruction to instruction.
    #[must_use]
    pub fn is_stepping(&self) -> bool {
        self.stepping.is_some()
    }

    /// Instructions passed since such a run began.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.stepping.map_or(0, |s| s.number)
    }

    /// An instruction is dispatched, which is `at` no stop point if it is given: a second time if its code was found not to apply.
    pub(super) fn note_instruction(&mut self, frame: u64, instruction: u64, at: Option<Stop>) {
        let Some(stepping) = &mut self.stepping else { return };
        let again = stepping.last == Some((frame, instruction)) && !at.is_some_and(|stop| self.jumps_to_itself(&stop));
        let Some(stepping) = &mut self.stepping else { return };
        stepping.last = Some((frame, instruction));
        let Some(stop) = at.filter(|_| !again) else { return };
        stepping.number += 1;
        if stepping.number == stepping.goal {
            self.stop = Some(stop);
            self.call_hook(Reason::Instruction);
            self.stop = None;
        }
    }

    fn jumps_to_itself(&self, stop: &Stop) -> bool {
        self.codes
            .get(&stop.code)
            .is_some_and(|code| code.body.target(stop.unit) == Some(stop.unit))
    }

    /// The instruction at `instruction`, as something to stop at; `None` for one that only announces another, or is no program's.
    pub(super) fn instruction(&self, op: u8, frame: u64, address: u64, instruction: u64) -> Option<Stop> {
        let code = self.codes.get(&address)?;
        let unit = code.unit(instruction)?;
        // By code that has nothing behind its RESUME the interpreter itself goes from C to Python and back.
        (code.entry + 1 < code.units.len() && !self.located.layout.opcodes.announces(op)).then_some(Stop {
            kind: StopKind::Instruction,
            frame,
            code: address,
            unit,
            instruction: Some(instruction),
            second_half: false,
            registers: [0; 16],
            switched_from: None,
        })
    }

    /// Addresses of the objects on the stack of the frame stood in, the oldest first; 0 for a place that holds none.
    ///
    /// # Errors
    /// Why they cannot be told.
    pub fn value_stack(&self) -> Result<alloc::vec::Vec<u64>, &'static str> {
        use crate::memory::get;
        let stop = self.stop.filter(|s| s.instruction.is_some());
        let stop = stop.ok_or("no instruction is about to be executed here: an exception leaves the frame")?;
        let register = self
            .located
            .stack_pointer
            .ok_or("where this build of the interpreter keeps its stack pointer is not evident")?;
        let code = self.codes.get(&stop.code).ok_or("the code is not known")?;
        let first = self.stack_at(stop.frame, code, 0);
        let end = stop.registers[usize::from(register)];
        // No frame has a stack as deep as it has instructions.
        let depth = end.checked_sub(first).filter(|d| d % 8 == 0 && d / 8 <= code.body.ops.len() as u64);
        let depth = depth.ok_or("the stack pointer is not where it should be")? / 8;
        Ok((0..depth).map(|i| get(first + 8 * i)).collect())
    }
}
