//! Hash of a context's general registers.

use crate::interpreters::Registers;

/// Flags that belong to the program: CF, PF, AF, ZF, SF, DF, OF.
const FLAGS: u64 = 0xcd5;

/// Hash of all general registers and the arithmetic flags; never 0, which in a trace means none.
#[must_use]
pub fn hash(registers: &Registers, flags: u64) -> u32 {
    let mix = |h: u64, r: u64| (h ^ r).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29);
    // Four sums side by side, which the CPU works on at once.
    let mut sums = [0x9E37_79B9_7F4A_7C15u64; 4];
    for four in registers.chunks_exact(4) {
        for (sum, r) in sums.iter_mut().zip(four) {
            *sum = mix(*sum, *r);
        }
    }
    let h = sums.into_iter().fold(0, mix) ^ (flags & FLAGS);
    (h >> 32) as u32 ^ h as u32 | 1
}
