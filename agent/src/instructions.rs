//! Machine instructions of the program, decoded: what memory one accesses. Not here: copying them elsewhere, which is `preempt::relocate`'s.

use crate::arch::bases;
use crate::context::Context;
use crate::interpreters::Registers;
use yaxpeax_arch::{Decoder, LengthedInstruction, U8Reader};
use yaxpeax_x86::long_mode::behavior::AccessVisitor;
use yaxpeax_x86::long_mode::{InstDecoder, Instruction, RegSpec, Segment};

/// No instruction is longer, in bytes.
pub const LONGEST: usize = 15;

/// The instruction at the start of `code`; `None` for one the decoder does not know.
#[must_use]
pub fn decode(code: &[u8]) -> Option<Instruction> {
    InstDecoder::default().decode(&mut U8Reader::new(code)).ok()
}

/// Length of an instruction, in bytes.
#[must_use]
pub fn length(instruction: &Instruction) -> u64 {
    instruction.len().to_const()
}

/// One access of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Its first byte.
    pub address: u64,
    /// In bytes.
    pub size: u64,
    /// Whether it writes.
    pub write: bool,
}

/// What an instruction accesses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accesses {
    found: [Access; 8],
    count: usize,
    /// The decoder does not tell.
    pub is_complex: bool,
    /// There are more.
    pub is_partial: bool,
}

impl Accesses {
    /// What is known.
    #[must_use]
    pub fn list(&self) -> &[Access] {
        &self.found[..self.count]
    }
}

/// What memory the instruction accesses that is executed next. String instructions are not told rightly: they are the caller's.
#[must_use]
pub fn accesses(instruction: &Instruction, context: &Context) -> Accesses {
    let thread_local = (0..instruction.operand_count()).any(|i| instruction.segment_override_for_op(i) == Some(Segment::FS));
    let mut visit = Visit {
        registers: context.registers(),
        behind: context.rip + length(instruction),
        base: if thread_local { bases::fs_base() } else { 0 },
        accesses: Accesses::default(),
    };
    visit.accesses.is_complex = instruction.behavior().visit_accesses(&mut visit).is_err();
    visit.accesses
}

struct Visit {
    registers: Registers,
    behind: u64,
    base: u64,
    accesses: Accesses,
}

impl Visit {
    fn note(&mut self, address: Option<u64>, size: u32, write: bool) {
        let a = &mut self.accesses;
        match address {
            Some(address) if a.count < a.found.len() => {
                a.found[a.count] = Access {
                    address: address.wrapping_add(self.base),
                    size: size.into(),
                    write,
                };
                a.count += 1;
            }
            _ => a.is_partial = true,
        }
    }
}

impl AccessVisitor for Visit {
    fn register_read(&mut self, _: RegSpec) {}

    fn register_write(&mut self, _: RegSpec) {}

    fn get_register(&mut self, register: RegSpec) -> Option<u64> {
        if register == RegSpec::rip() {
            return Some(self.behind);
        }
        let value = self.registers.get(usize::from(register.num())).copied()?;
        match register.class().width() {
            8 => Some(value),
            4 => Some(value & 0xffff_ffff),
            1 => Some(value & 0xff),
            _ => None,
        }
    }

    fn memory_read(&mut self, address: Option<u64>, size: u32) {
        self.note(address, size, false);
    }

    fn memory_write(&mut self, address: Option<u64>, size: u32) {
        self.note(address, size, true);
    }
}
