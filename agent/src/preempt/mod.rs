//! Preemption in native code: a place in a run between two events that is known by the program's state there.
//!
//! A loop without system calls has neither event nor tick, and yet signals must be delivered in it and other threads must run. While
//! recording it is interrupted anywhere, and what tells this moment from others is noted: all general registers and flags, the vector
//! registers, the memory that the loop has been seen to access, the stack's end, and of small programs all memory ([`State`]). In replay a jump to a stub is put at that address for the time until then
//! ([`stub`]); it compares all of this and goes on, a few nanoseconds a round, until all is equal.
//!
//! Why that is enough: code that makes no system call and is alone on the CPU is a function of registers and memory. Were the state equal at an
//! earlier round, the rounds from there on would be the same ones again, so that it makes no difference at which of them one stops. What is
//! not compared in large programs is other memory; where that alone told rounds apart, the replay would stop too early, and the register
//! hashes of the events that follow would say so.
//!
//! Here: the state, and what replay needs to find it. Who interrupts is `record::preempt`, what happens then `replay::preempt`.

pub mod relocate;
pub mod stub;

use crate::context::Context;
use crate::interpreters::Registers;
use crate::layout::{PROGRAM_END, VDSO, VDSO_SIZE};
use crate::memory;
use crate::signals;
use alloc::vec::Vec;

/// Arithmetic flags and the direction flag.
const FLAGS: u64 = 0xcd5;
/// Most words that are noted because code accesses them.
pub const MOST_ACCESSED: usize = 24;
/// Words around the stack pointer, where functions that are not optimised have their variables.
const FRAME: u64 = 32;
/// Most words of memory in a state.
const MOST_WORDS: usize = MOST_ACCESSED + FRAME as usize;
/// Words of a state before those of memory.
const FIXED: usize = 16 + 1 + 16 + 1 + 1 + 1 + 1;
/// Bytes of the stack that are compared, from the red zone on.
const STACK: usize = 4096;
const RED_ZONE: u64 = 128;
/// Where registers, vector registers and words of memory begin in [`State::changing`].
const VECTORS: usize = 16;
const WORDS: usize = 32;

/// What tells a moment from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// General registers, in encoding order.
    pub registers: Registers,
    /// Arithmetic flags.
    pub flags: u64,
    /// Low halves of xmm0 to xmm15.
    pub vectors: [u64; 16],
    /// Hash of the FP state.
    pub fp: u64,
    /// What has been seen to change from round to round, a bit each: registers, vector registers, words. It is compared first; no more than
    /// speed hangs on it.
    pub changing: u64,
    /// Hash of the stack's end: what loops around the present one count by.
    pub stack: u64,
    /// Hash of all memory, of programs that are small enough; 0 for none.
    pub memory: u64,
    /// Aligned words of memory: address and value.
    pub words: Vec<(u64, u64)>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A general register and its value.
    Register(u8, u64),
    /// The low half of an xmm register.
    Vector(u8, u64),
    /// A word of memory: address and value.
    Word(u64, u64),
}

impl State {
    /// The state at `context`, with these words of memory. Those that cannot be read are left out.
    #[must_use]
    pub fn of(context: &mut Context, addresses: &[u64]) -> State {
        let fp = signals::frame::fp_bytes(context);
        State {
            registers: context.registers(),
            flags: context.eflags & FLAGS,
            vectors: vectors(fp),
            fp: hash(fp),
            changing: 0,
            stack: stack(context.rsp),
            memory: 0,
            words: words(addresses.iter().copied()),
        }
    }

    /// Adds the words around the stack pointer.
    pub fn with_frame(&mut self) {
        let from = (self.registers[4] & !7).wrapping_sub(8 * FRAME / 2);
        let frame = words((0..FRAME).map(|n| from.wrapping_add(8 * n)));
        let new = frame.into_iter().filter(|w| self.words.iter().all(|o| o.0 != w.0));
        let new: Vec<_> = new.collect();
        self.words.extend(new);
    }

    /// All that is compared, with its bit in [`State::changing`].
    fn numbered(&self) -> impl Iterator<Item = (usize, Part)> {
        let registers = self.registers.iter().zip(0..).map(|(v, r)| Part::Register(r, *v));
        let vectors = self.vectors.iter().zip(0..).map(|(v, r)| Part::Vector(r, *v));
        let words = self.words.iter().map(|w| Part::Word(w.0, w.1));
        let words = (WORDS..).zip(words);
        (0..).zip(registers).chain((VECTORS..).zip(vectors)).chain(words)
    }

    /// All that is compared, what tells rounds apart first.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let changes = |p: &(usize, Part)| self.changing.checked_shr(p.0 as u32).unwrap_or(0) & 1 != 0;
        let first = self.numbered().filter(changes);
        first.chain(self.numbered().filter(|p| !changes(p))).map(|p| p.1).collect()
    }

    /// Notes what is different from a state a round before.
    pub fn compare(&mut self, before: &State) {
        self.changing = self
            .numbered()
            .filter(|(bit, part)| {
                *part
                    != match *part {
                        Part::Register(r, _) => Part::Register(r, before.registers[usize::from(r)]),
                        Part::Vector(r, _) => Part::Vector(r, before.vectors[usize::from(r)]),
                        Part::Word(a, v) => {
                            let old = before.words.iter().find(|w| w.0 == a);
                            Part::Word(a, old.map_or(v, |w| w.1))
                        }
                    }
                    && *bit < 64
            })
            .fold(0, |bits, (bit, _)| bits | 1 << bit);
    }

    /// As bytes of a trace: words, lowest byte first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let fixed =
            self.registers
                .into_iter()
                .chain([self.flags])
                .chain(self.vectors)
                .chain([self.fp, self.changing, self.stack, self.memory]);
        let words = self.words.iter().flat_map(|w| [w.0, w.1]);
        fixed.chain(words).flat_map(u64::to_le_bytes).collect()
    }

    /// From bytes of a trace; `None` where these are no state.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<State> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
        if !rest.is_empty() || words.len() < FIXED || words.len() > FIXED + 2 * MOST_WORDS {
            return None;
        }
        let (pairs, odd) = words[FIXED..].as_chunks::<2>();
        let words_of_memory: Vec<(u64, u64)> = pairs.iter().map(|p| (p[0], p[1])).collect();
        // A trace may be anyone's: the stub reads these addresses.
        let sound = words_of_memory.iter().all(|w| w.0 % 8 == 0 && w.0 < PROGRAM_END);
        (odd.is_empty() && sound).then_some(State {
            registers: words[..16].try_into().ok()?,
            flags: words[16],
            vectors: words[17..33].try_into().ok()?,
            fp: words[33],
            changing: words[34],
            stack: words[35],
            memory: words[36],
            words: words_of_memory,
        })
    }

    /// Whether what the stub does not compare is equal, too, but for all memory.
    #[must_use]
    pub fn is_here(&self, context: &mut Context) -> bool {
        context.eflags & FLAGS == self.flags && hash(signals::frame::fp_bytes(context)) == self.fp && stack(context.rsp) == self.stack
    }
}

/// Whether an address belongs to code of the program that is executed as it is: no stub, and not the vDSO.
#[must_use]
pub fn is_program(address: u64) -> bool {
    address < PROGRAM_END && !crate::intercept::patch::is_stub(address) && !(VDSO..VDSO + VDSO_SIZE).contains(&address)
}

// Offsets in the FP state of a signal frame (Intel SDM 1, 13.4: the XSAVE area).
const X87_CONTROL: core::ops::Range<usize> = 0..5;
const MXCSR: core::ops::Range<usize> = 24..28;
const X87: core::ops::Range<usize> = 32..160;
const XMM: core::ops::Range<usize> = 160..416;
const IN_USE: usize = 512;
const YMM: core::ops::Range<usize> = 576..832;

/// Which components are in use.
fn in_use(fp: &[u8]) -> u8 {
    fp.get(IN_USE).copied().unwrap_or(3)
}

fn vectors(fp: &[u8]) -> [u64; 16] {
    let mut low = [0; 16];
    if in_use(fp) & 2 != 0 && fp.len() >= XMM.end {
        for (to, from) in low.iter_mut().zip(fp[XMM].as_chunks::<16>().0) {
            *to = u64::from_le_bytes(*from.first_chunk().unwrap_or(&[0; 8]));
        }
    }
    low
}

/// Words of memory that can be read.
fn words(addresses: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    addresses.filter_map(|a| Some((a, memory::try_get(a)?))).collect()
}

/// Of the stack from its red zone on.
fn stack(rsp: u64) -> u64 {
    let mut bytes = [0; STACK];
    let from = rsp.wrapping_sub(RED_ZONE);
    let there = memory::readable(from, STACK as u64) as usize;
    let read = memory::try_copy_out(from, &mut bytes[..there]);
    if read { digest(&bytes[..there], START) } else { 0 }
}

const START: u64 = 0x9E37_79B9_7F4A_7C15;

/// Goes on with a hash, a word at a time.
fn digest(bytes: &[u8], sum: u64) -> u64 {
    bytes.chunks(8).fold(sum, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29)
    })
}

/// Of x87, SSE and AVX registers; those of AVX-512 are left to the other registers that change with them.
fn hash(fp: &[u8]) -> u64 {
    let used = in_use(fp);
    let parts = [(X87_CONTROL, 1), (MXCSR, 0), (X87, 1), (XMM, 2), (YMM, 4)];
    parts
        .into_iter()
        .filter(|(_, bit)| *bit == 0 || used & bit != 0)
        .fold(START, |sum, (range, _)| digest(fp.get(range).unwrap_or_default(), sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let state = State {
            registers: core::array::from_fn(|i| i as u64),
            flags: 0x40,
            vectors: core::array::from_fn(|i| 100 + i as u64),
            fp: 7,
            changing: 1 << 33 | 2,
            stack: 8,
            memory: 0,
            words: alloc::vec![(4096, 1), (8192, u64::MAX)],
        };
        let bytes = state.to_bytes();
        assert_eq!(
            state.parts()[..3],
            [Part::Register(1, 1), Part::Word(8192, u64::MAX), Part::Register(0, 0)]
        );
        let mut later = state.clone();
        later.registers[1] = 5;
        later.words[1].1 = 0;
        later.compare(&state);
        assert_eq!(later.changing, state.changing);
        assert_eq!(State::from_bytes(&bytes), Some(state));
        assert_eq!(State::from_bytes(&bytes[..bytes.len() - 8]), None, "an address without a value");
        assert_eq!(State::from_bytes(&bytes[1..]), None);
        assert_eq!(State::from_bytes(&[]), None);
        let mut astray = bytes;
        let at = FIXED * 8;
        astray[at..at + 8].copy_from_slice(&crate::layout::IMAGE_BASE.to_le_bytes());
        assert_eq!(State::from_bytes(&astray), None, "memory of the agent");
    }
}
