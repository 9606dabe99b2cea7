//! A fast 32-bit checksum over 8-byte words: finds bit rot and torn records, resists no adversary.

/// Checksum of `bytes`, whose length is a multiple of 8 (a shorter tail is taken as zero-padded).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut h = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chunks = bytes.chunks_exact(8);
    for c in &mut chunks {
        h = mix(h, word(c));
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        h = mix(h, u64::from_le_bytes(last));
    }
    ((h >> 32) as u32) ^ (h & 0xffff_ffff) as u32
}

fn word(c: &[u8]) -> u64 {
    u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]])
}

fn mix(h: u64, w: u64) -> u64 {
    (h ^ w).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn every_bit_counts() {
        let base = [7u8; 24];
        for bit in 0..24 * 8 {
            let mut other = base;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&base), checksum(&other), "bit {bit}");
        }
    }

    #[test]
    fn order_counts() {
        let a = [1u8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        let b = [2u8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_ne!(checksum(&a), checksum(&b));
    }
}
