//! Writes machine code into the stub area.
//!
//! # Safety
//! This room may use `unsafe` for one thing: bytes are written between the bounds an [`Emitter`] was made with, which lie in the stub
//! area, where no Rust object and no program memory is.
#![allow(unsafe_code)]

use crate::arch::syscall::syscall;
use crate::layout::{STUBS, STUBS_SIZE};

// Condition codes of `jcc`.
pub(super) const BELOW: u8 = 2;
pub(super) const ABOVE_OR_EQUAL: u8 = 3;
pub(super) const EQUAL: u8 = 4;
pub(super) const NOT_EQUAL: u8 = 5;
pub(super) const ABOVE: u8 = 7;
pub(super) const LESS_OR_EQUAL: u8 = 14;
pub(super) const GREATER: u8 = 15;

/// Where the next instruction goes.
#[derive(Debug)]
pub(super) struct Emitter {
    at: u64,
    end: u64,
}

impl Emitter {
    /// From `start` to `end`, a part of the stub area, which must be mapped ([`map`]) before anything is emitted.
    pub(super) fn new(start: u64, end: u64) -> Self {
        assert!(start >= STUBS && end <= STUBS + STUBS_SIZE, "outside of the stub area");
        Self { at: start, end }
    }

    /// The address of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// True where more was emitted than there is room for.
    pub(super) fn is_full(&self) -> bool {
        self.at > self.end
    }

    pub(super) fn byte(&mut self, byte: u8) {
        if self.at < self.end {
            // SAFETY: between the bounds, mapped writable, and not executed yet.
            unsafe { (self.at as *mut u8).write(byte) };
        }
        self.at += 1;
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.byte(b));
    }

    /// A 32-bit displacement to `target`, `behind` bytes before the end of its instruction.
    pub(super) fn relative(&mut self, target: u64, behind: u64) {
        let distance = target.wrapping_sub(self.at + 4 + behind).to_le_bytes();
        self.bytes(&distance[..4]);
    }

    pub(super) fn align(&mut self) {
        while !self.at.is_multiple_of(16) {
            self.byte(0xcc);
        }
    }

    pub(super) fn jump(&mut self, target: u64) {
        self.byte(0xe9);
        self.relative(target, 0);
    }

    /// A conditional jump back to `target`.
    pub(super) fn jump_if(&mut self, condition: u8, target: u64) {
        self.bytes(&[0x0f, 0x80 | condition]);
        self.relative(target, 0);
    }

    /// A conditional jump forward; [`Self::land`] says where to.
    pub(super) fn skip_if(&mut self, condition: u8) -> u64 {
        self.jump_if(condition, 0);
        self.at
    }

    /// A jump forward; [`Self::land`] says where to.
    pub(super) fn skip_always(&mut self) -> u64 {
        self.jump(0);
        self.at
    }

    pub(super) fn land(&mut self, from: u64) {
        let here = core::mem::replace(&mut self.at, from - 4);
        self.relative(here, 0);
        self.at = here;
    }

    /// `mov` between a register and a word of the stub area.
    pub(super) fn move_word(&mut self, register: u8, address: u64, load: bool) {
        self.bytes(&[0x48 | register >> 3 << 2, if load { 0x8b } else { 0x89 }, 5 | (register & 7) << 3]);
        self.relative(address, 0);
    }

    /// On to the address in the word `original`; those `registers` that hold what is in the word `stub` hold that address then, too.
    pub(super) fn leave(&mut self, registers: &[u8], stub: u64, original: u64) {
        for &register in registers {
            self.bytes(&[0x48 | register >> 3 << 2, 0x3b, 5 | (register & 7) << 3]); // cmp register, [stub]
            self.relative(stub, 0);
            self.bytes(&[0x75, 7]); // jne over the load
            self.move_word(register, original, true);
        }
        self.bytes(&[0xff, 0x25]); // jmp [original]
        self.relative(original, 0);
    }
}

/// Maps fresh memory at a place the address map gives to stubs alone.
pub(super) fn map(address: u64, size: u64, protection: u64) -> Result<(), &'static str> {
    const PRIVATE_FIXED_ANONYMOUS_NORESERVE: u64 = 0x4032;
    // SAFETY: the address map gives these ranges to stubs alone; nothing lies there that a fixed mapping could replace.
    let at = unsafe { syscall(9, [address, size, protection, PRIVATE_FIXED_ANONYMOUS_NORESERVE, u64::MAX, 0]) };
    if at.cast_unsigned() == address {
        Ok(())
    } else {
        Err("no memory for the stubs")
    }
}
