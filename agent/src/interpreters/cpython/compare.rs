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
use super::stops::Stops;
use super::stubs::{CODE_SIZE, DATA, Stubs};
use crate::arch::entry;
use crate::layout::STUBS;
use crate::memory::try_get;
use alloc::vec::Vec;
use rdb_protocol::replay::{Watched, Word};

/// Where a comparison that has found a difference goes on; the comparison lies behind it.
const DIFFERS: u64 = STUBS + CODE_SIZE;
const CODE_END: u64 = DATA;
const RAX: u8 = 0;

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
        let segments = self.located.segments();
        let constant = |w: &Word| segments.iter().any(|s| !s.writable && (s.start..s.end & !7).contains(&w.address));
        let same = |w: &Word| try_get::<u64>(w.address).is_some_and(|there| (there ^ w.value) & w.mask == 0);
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
    pub(super) fn changed(&self) -> impl Iterator<Item = u32> {
        self.watched.iter().filter(|(_, words)| differs(words)).map(|w| w.0)
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
        code.move_word(RAX, words.spill, true);
        code.jump(self.slow_path());
        let entry = code.at();
        code.move_word(RAX, words.spill, false);
        for [address, value, mask] in watched.iter().flat_map(|w| &w.1) {
            compare_word(&mut code, *address, *value, *mask);
            code.jump_if(NOT_EQUAL, DIFFERS);
        }
        code.move_word(RAX, words.count, true);
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

/// Compares a word by `rax` as far as the mask goes.
fn compare_word(code: &mut Emitter, address: u64, value: u64, mask: u64) {
    const LOW: u64 = 0xffff_ffff;
    let (at, narrow) = match mask {
        LOW => (address, Some(value)),
        m if m == !LOW => (address + 4, Some(value >> 32)),
        _ => (address, None),
    };
    if let Some(value) = narrow {
        code.byte(0xa1); // mov eax, [imm64]
        code.bytes(&at.to_le_bytes());
        code.byte(0x3d); // cmp eax, imm32
        code.bytes(&value.to_le_bytes()[..4]);
        return;
    }
    code.bytes(&[0x48, 0xa1]); // mov rax, [imm64]
    code.bytes(&at.to_le_bytes());
    // Constants lie between the code: a jump over them would cost more than their bytes being fetched.
    let constants: &[u64] = if mask == u64::MAX { &[value] } else { &[mask, value & mask] };
    let instructions = 7 * constants.len() as u64;
    let behind = code.at() + instructions + 2;
    if constants.len() == 2 {
        code.bytes(&[0x48, 0x23, 0x05]); // and rax, [mask]
        code.relative(behind, 0);
    }
    code.bytes(&[0x48, 0x3b, 0x05]); // cmp rax, [value]
    code.relative(behind + 8 * (constants.len() as u64 - 1), 0);
    code.bytes(&[0xeb, 8 * constants.len().to_le_bytes()[0]]); // jmp over the constants
    constants.iter().for_each(|c| code.bytes(&c.to_le_bytes()));
}
