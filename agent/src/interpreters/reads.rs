//! Which memory code of the program reads: found by executing it one instruction at a time.
//!
//! The trap flag raises SIGTRAP before each instruction; the instruction is decoded, and the bytes it is about to read and write are
//! noted. What has been read, and not written by the same code, is what the outcome depends on: as long as these bytes stay the
//! same, executing the code again gives the same. Instructions whose memory accesses the decoder does not tell make the result
//! inexact, which is said.
//!
//! # Safety
//! This room may use `unsafe` for the one `Reads`: it is reached by [`call`] before and after the code runs, and by the handler of
//! the trap while it does, in a process with one kernel thread.
#![allow(unsafe_code)]

use crate::arch::entry;
use crate::context::Context;
use crate::instructions::{self, LONGEST};
use crate::layout::{LIFE_STACK, PROGRAM_END};
use crate::memory::{copy_out, try_get};
use crate::sorted::sorted;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use rdb_protocol::replay::Word;
use yaxpeax_x86::long_mode::{Instruction, Opcode};

/// `si_code` of a SIGTRAP raised by the trap flag.
pub const TRACE: i32 = 2;
/// More words than this are too many to compare at each stop point.
const MOST: usize = 1 << 16;
static ACTIVE: AtomicBool = AtomicBool::new(false);
static mut READS: Reads = Reads::NONE;

/// What was noted of the word `address`: a bit for each byte.
#[derive(Clone, Copy)]
struct Noted {
    /// The address divided by 8; 0 where nothing is noted.
    word: u64,
    read: u8,
    written: u8,
}

/// A table of words, open-addressed.
struct Reads {
    table: Vec<Noted>,
    used: usize,
    inexact: bool,
}

/// What some code depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependence {
    /// Memory it has read and not written.
    pub words: Vec<Word>,
    /// There may be more.
    pub inexact: bool,
}

impl Reads {
    const NONE: Reads = Reads {
        table: Vec::new(),
        used: 0,
        inexact: false,
    };
    const EMPTY: Noted = Noted {
        word: 0,
        read: 0,
        written: 0,
    };

    fn slot(&mut self, word: u64) -> &mut Noted {
        if 2 * self.used >= self.table.len() {
            let grown = vec![Self::EMPTY; (2 * self.table.len()).max(4096)];
            let old = core::mem::replace(&mut self.table, grown);
            for noted in old.into_iter().filter(|n| n.word != 0) {
                let at = self.find(noted.word);
                self.table[at] = noted;
            }
        }
        let at = self.find(word);
        if self.table[at].word == 0 {
            self.table[at].word = word;
            self.used += 1;
        }
        &mut self.table[at]
    }

    fn find(&self, word: u64) -> usize {
        let mask = self.table.len() - 1;
        let mut at = (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.table[at].word != 0 && self.table[at].word != word {
            at = (at + 1) & mask;
        }
        at
    }

    /// Bytes that are about to be read or written. What the agent has, and the evaluation itself, is no part of the program.
    fn access(&mut self, address: u64, size: u64, write: bool) {
        let mut at = address;
        while at < address.saturating_add(size) && at < LIFE_STACK {
            let first = at & 7;
            let count = (8 - first).min(address + size - at);
            let bits = (((1_u16 << count) - 1) << first).to_le_bytes()[0];
            let noted = self.slot(at >> 3);
            if write {
                noted.written |= bits;
            } else {
                noted.read |= bits & !noted.written;
            }
            at += count;
        }
    }

    fn step(&mut self, context: &Context) {
        let mut code = [0_u8; LONGEST];
        copy_out(context.rip, &mut code);
        let Some(instruction) = instructions::decode(&code) else {
            self.inexact |= !registers_alone(&code);
            return;
        };
        let repeated = instruction.prefixes.rep_any();
        let width = instruction.mem_size().and_then(|s| s.bytes_size()).map_or(8, u64::from);
        // A repeated instruction traps before each of its rounds.
        let round = !(repeated && context.rcx == 0);
        match instruction.opcode() {
            Opcode::MOVS if round => {
                self.access(context.rsi, width, false);
                self.access(context.rdi, width, true);
            }
            Opcode::CMPS if round => {
                self.access(context.rsi, width, false);
                self.access(context.rdi, width, false);
            }
            Opcode::LODS if round => self.access(context.rsi, width, false),
            Opcode::SCAS if round => self.access(context.rdi, width, false),
            Opcode::STOS if round => self.access(context.rdi, width, true),
            Opcode::MOVS | Opcode::CMPS | Opcode::LODS | Opcode::SCAS | Opcode::STOS | Opcode::LEA | Opcode::NOP => {}
            _ => self.plain(&instruction, context),
        }
    }

    fn plain(&mut self, instruction: &Instruction, context: &Context) {
        let found = instructions::accesses(instruction, context);
        if found.is_complex {
            // Most of these keep registers in memory of the code's own, or access none.
            let (gathers, bits) = (
                Opcode::VPGATHERDD..=Opcode::VGATHERQPS,
                [Opcode::BT, Opcode::BTS, Opcode::BTR, Opcode::BTC],
            );
            let opcode = instruction.opcode();
            let gathers = (*gathers.start() as u32..=*gathers.end() as u32).contains(&(opcode as u32));
            self.inexact |= gathers || bits.contains(&opcode);
        }
        self.inexact |= found.is_partial;
        // All that is read is read before anything is written.
        for write in [false, true] {
            for access in found.list().iter().filter(|a| a.write == write) {
                self.access(access.address, access.size, write);
            }
        }
    }

    fn dependence(&mut self) -> Dependence {
        let read: Vec<[u64; 3]> = self
            .table
            .iter()
            .filter(|n| n.read & !n.written != 0)
            .filter_map(|n| {
                let bits = n.read & !n.written;
                let mask = (0..8).filter(|i| bits >> i & 1 != 0).map(|i| 0xff_u64 << (8 * i)).sum();
                // What the code itself had mapped, and is gone again, was never the program's.
                Some([n.word << 3, try_get::<u64>(n.word << 3)?, mask])
            })
            .collect();
        let word = |[address, value, mask]: [u64; 3]| Word { address, value, mask };
        let mut words: Vec<Word> = sorted(read).into_iter().map(word).collect();
        let inexact = self.inexact || words.len() > MOST;
        words.truncate(MOST);
        *self = Self::NONE;
        Dependence { words, inexact }
    }
}

/// Whether an instruction that the decoder does not know (those of AVX-512 masks) has registers alone as its operands: the VEX prefix,
/// the opcode, and a ModRM byte of that kind.
fn registers_alone(code: &[u8; LONGEST]) -> bool {
    const REGISTER: u8 = 0xc0;
    match code[0] {
        0xc5 => code[3] & REGISTER == REGISTER,
        0xc4 => code[4] & REGISTER == REGISTER,
        _ => false,
    }
}

/// Whether code is executed step by step.
#[must_use]
pub fn active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// An instruction of the code is about to be executed.
pub fn step(context: &Context) {
    if context.rip < PROGRAM_END {
        // SAFETY: see the room's header; the agent's own code was not interrupted.
        unsafe { (*addr_of_mut!(READS)).step(context) };
    }
}

/// Calls a function of the program on the given stack, noting what it reads from now on; to be ended by [`dependence`].
///
/// # Safety
/// As for [`entry::rdb_call_on`].
pub unsafe fn call(stack: u64, function: u64, args: &[u64; 6]) -> u64 {
    ACTIVE.store(true, Ordering::Relaxed);
    // SAFETY: by contract; the handlers are installed.
    let result = unsafe { entry::rdb_call_stepped(stack, function, args.as_ptr()) };
    ACTIVE.store(false, Ordering::Relaxed);
    result
}

/// What all the calls so far have read, and not written.
pub fn dependence() -> Dependence {
    // SAFETY: see the room's header.
    unsafe { (*addr_of_mut!(READS)).dependence() }
}
