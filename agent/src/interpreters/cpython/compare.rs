//! Watched words, compared at each stop point by code made for them.
//!
//! While something is watched the stubs' counter is kept at its last step, so that each stop point leaves the fast path: not for the
//! slow one, but for the code here, which compares every word and goes on where none differs, counting in a word of its own. What
//! cannot be read any more raises SIGSEGV in this code, and counts as different.
//!
//! # Safety
//! This room may use `unsafe` to call the comparison in the agent's image.
#![allow(unsafe_code)]

use super::emit::{Emitter, LESS_OR_EQUAL, NOT_EQUAL};
use super::stops::{Stop, Stops};
use super::stubs::{CODE_SIZE, DATA, Stubs};
use crate::arch::entry;
use crate::layout::STUBS;
use crate::memory::try_get;
use crate::sorted::sorted;
use alloc::vec::Vec;
use rdb_protocol::replay::{Watched, Word};

/// Where a comparison that has found a difference goes on; the comparison lies behind it.
const DIFFERS: u64 = STUBS + CODE_SIZE;
const CODE_END: u64 = DATA;
const HALF: u64 = 0xffff_ffff;
const BYTE: u64 = 0xff;
const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

/// A watchpoint: its number, and words as address, value, mask.
pub(super) type Compared = (u32, Vec<[u64; 3]>);

/// Whether this address, at which a word could not be read, lies in the code that compares. Then the first address is where to go on.
#[must_use]
pub fn is_comparison(address: u64) -> Option<u64> {
    (DIFFERS..CODE_END).contains(&address).then_some(DIFFERS)
}

impl Stops {
    /// Replaces what is watched. Words that differ already are passed over, and those that no program writes.
    pub fn watch(&mut self, list: &[Watched]) {
        let before: Vec<u64> = self.storing.iter().map(|s| s.1).collect();
        self.storing = list.iter().filter_map(|w| w.call).map(|a| (a.frame, a.code)).collect();
        let after: Vec<u64> = self.storing.iter().map(|s| s.1).collect();
        if before != after {
            for address in before.into_iter().chain(after) {
                let stores = self.stores(address);
                let Some(code) = self.codes.get_mut(&address) else { continue };
                code.stores = stores;
                self.mark_units(address);
            }
            self.mark_late();
        }
        let segments = self.located.segments();
        let constant = |w: &Word| segments.iter().any(|s| !s.writable && (s.start..s.end & !7).contains(&w.address));
        // The first half of a fused pair has still to be executed: its store counts.
        let stored = self.stop.and_then(|stop| self.about_to_store(&stop));
        let same = |w: &Word| {
            stored.is_some_and(|s| s.0 == w.address) || try_get::<u64>(w.address).is_some_and(|there| (there ^ w.value) & w.mask == 0)
        };
        let compared = |w: &Watched| {
            let words = w.words.iter().filter(|w| same(w) && !constant(w));
            (w.id, words.map(|w| [w.address, w.value, w.mask]).collect())
        };
        self.watched = list.iter().map(compared).collect();
        let time = self.time();
        self.slowly = !self.stubs.compare(&self.watched);
        self.rearm(time);
    }

    /// The watchpoints with a word that differs.
    pub(super) fn changed(&self, stop: &Stop) -> impl Iterator<Item = u32> {
        let stored = self.about_to_store(stop);
        self.watched.iter().filter(move |(_, words)| changes(words, stored)).map(|w| w.0)
    }

    /// The opcode that stores a variable, where those of the code at `address` are watched.
    pub(super) fn stores(&self, address: u64) -> Option<u8> {
        let watched = self.storing.iter().any(|s| s.1 == address);
        watched.then_some(self.layout().opcodes.store_fast)
    }

    /// Where the first half of a fused pair is about to store a variable that is watched, and what, if that can be told.
    fn about_to_store(&self, stop: &Stop) -> Option<(u64, Option<u64>)> {
        if !stop.second_half || !self.storing.iter().any(|s| s.0 == stop.frame) {
            return None;
        }
        let (slot, value) = self.stored(stop).ok()??;
        Some((stop.frame + self.layout().frame_locals + 8 * slot, value))
    }
}

fn changes(words: &[[u64; 3]], stored: Option<(u64, Option<u64>)>) -> bool {
    match stored {
        Some((at, value)) if words.iter().any(|w| w[0] == at) => words.iter().any(|&[address, expected, mask]| {
            let there = if address == at { value } else { try_get(address) };
            there.is_none_or(|there| (there ^ expected) & mask != 0)
        }),
        _ => differs(words),
    }
}

fn differs(words: &[[u64; 3]]) -> bool {
    // SAFETY: reads the list, which has that length, and program memory, where a fault ends the comparison.
    unsafe { entry::rdb_compare(words.as_ptr(), words.len()) < words.len() }
}

impl Stubs {
    /// Has these words compared at each stop point. False where they are too many: then they are not, and each stop point must be
    /// looked at.
    fn compare(&mut self, watched: &[Compared]) -> bool {
        let mut code = Emitter::new(DIFFERS, CODE_END);
        let words = self.counting();
        let mut all: Vec<[u64; 3]> = watched.iter().flat_map(|w| w.1.iter().copied()).collect();
        all = sorted(all);
        let mut saved = Vec::from([(RAX, words.spill), (RCX, words.more)]);
        if all.iter().any(|w| is_uneven(w[2])) {
            saved.push((RDX, words.more + 8));
        }
        saved.iter().for_each(|&(register, at)| code.move_word(register, at, true));
        code.jump(self.slow_path());
        code.align();
        let entry = code.at();
        saved.iter().for_each(|&(register, at)| code.move_word(register, at, false));
        let mut base = None;
        for [address, value, mask] in all {
            compare_word(&mut code, &mut base, address, value & mask, mask);
            code.jump_if(NOT_EQUAL, DIFFERS);
        }
        code.move_word(RCX, words.opcode, true);
        code.bytes(&[0x48, 0x8d, 0x05]); // lea rax, [onward]
        code.relative(words.onward, 0);
        code.bytes(&[0x48, 0x8b, 0x0c, 0xc8]); // mov rcx, [rax + 8 * rcx]
        code.move_word(RCX, words.go, false);
        code.move_word(RAX, words.count, true);
        saved[1..].iter().for_each(|&(register, at)| code.move_word(register, at, true));
        code.bytes(&[0x48, 0x29, 0x05]); // sub [left], rax
        code.relative(words.left, 0);
        let reached = code.skip_if(LESS_OR_EQUAL);
        code.move_word(RAX, words.spill, true);
        code.bytes(&[0xff, 0x25]); // jmp [go]
        code.relative(words.go, 0);
        code.land(reached);
        code.bytes(&[0x48, 0x01, 0x05]); // add [left], rax
        code.relative(words.left, 0);
        code.jump(DIFFERS);
        let fits = !code.is_full();
        let on = fits && watched.iter().any(|w| !w.1.is_empty());
        self.set_counting(on.then_some(entry));
        fits
    }
}

/// The bytes of a mask behind those that do not count; and how many bits these are.
fn shifted(mask: u64) -> (u64, u64) {
    let shift = u64::from(mask.trailing_zeros()) & 0x38;
    (mask >> shift, shift)
}

/// Whether what counts is neither all of a word, nor a half, nor one byte.
fn is_uneven(mask: u64) -> bool {
    ![u64::MAX, HALF, BYTE].contains(&shifted(mask).0)
}

/// Compares a word, as far as the mask goes, by as few memory accesses as there can be. `base` is what `rax` holds; `rcx` may be changed,
/// and `rdx` if the mask is uneven.
fn compare_word(code: &mut Emitter, base: &mut Option<u64>, address: u64, value: u64, mask: u64) {
    const NEAR: u64 = 1 << 30;
    const COMPARE: u8 = 7;
    // The bytes that count, where these are one, or one half: its own address, and the value there.
    let (part, shift) = shifted(mask);
    let there = value >> shift;
    let narrow = part == BYTE || part == HALF;
    let address = if narrow { address + shift / 8 } else { address };
    let from = match *base {
        Some(from) if (address.wrapping_sub(from)) < NEAR => from,
        _ => {
            code.bytes(&[0x48, 0xb8]); // mov rax, imm64
            code.bytes(&address.to_le_bytes());
            *base = Some(address);
            address
        }
    };
    let near = (address - from).to_le_bytes();
    let operand = |code: &mut Emitter, register: u8| {
        if address - from < 0x80 {
            code.bytes(&[0x40 | register << 3, near[0]]);
        } else {
            code.byte(0x80 | register << 3);
            code.bytes(&near[..4]);
        }
    };
    let load = |code: &mut Emitter, register: u8, value: u64| {
        code.bytes(&[0x48, 0xb8 | register]); // mov register, imm64
        code.bytes(&value.to_le_bytes());
    };
    let signed = value.cast_signed();
    if part == BYTE {
        code.byte(0x80); // cmp byte [address], imm8
        operand(code, COMPARE);
        code.byte(there.to_le_bytes()[0]);
    } else if part == HALF || mask == u64::MAX && i64::from(signed as i32) == signed {
        code.bytes(if narrow { &[0x81] } else { &[0x48, 0x81] }); // cmp dword (qword) [address], imm32
        operand(code, COMPARE);
        code.bytes(&there.to_le_bytes()[..4]);
    } else if mask == u64::MAX {
        load(code, RCX, value);
        code.bytes(&[0x48, 0x39]); // cmp [address], rcx
        operand(code, RCX);
    } else {
        load(code, RDX, mask);
        code.bytes(&[0x48, 0x23]); // and rdx, [address]
        operand(code, RDX);
        load(code, RCX, value);
        code.bytes(&[0x48, 0x39, 0xca]); // cmp rdx, rcx
    }
}
