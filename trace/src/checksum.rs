//! CRC-32 (IEEE 802.3, as in gzip and PNG): finds bit rot and torn chunks, resists no adversary.
//!
//! It is chosen over a faster mix of words for what it promises: every error of up to three bits in a chunk and every burst of up
//! to 32 is found, not only very probably.

/// Checksum of `bytes`.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Checksum of `first` and `second`, one behind the other.
#[must_use]
pub fn checksum_of_two(first: &[u8], second: &[u8]) -> u32 {
    let mut h = crc32fast::Hasher::new();
    h.update(first);
    h.update(second);
    h.finalize()
}

#[cfg(test)]
mod tests {
    use super::{checksum, checksum_of_two};

    #[test]
    fn the_standard_check_value() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum_of_two(b"1234", b"56789"), 0xcbf4_3926);
    }

    #[test]
    fn every_bit_counts() {
        let base = [7u8; 24];
        for bit in 0..24 * 8 {
            let mut other = base;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&base), checksum(&other), "bit {bit}");
        }
    }
}
