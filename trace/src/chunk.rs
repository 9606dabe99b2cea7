//! Chunks: the stream of encoded events, cut into pieces of [`RAW`] bytes wherever they end, each compressed by itself.
//!
//! A sealed chunk is [`HEAD`] bytes (stored length, raw length, checksum, each `u32`) and the stored bytes: an LZ4 block, or the
//! raw bytes where that would not be shorter.
//!
//! LZ4 because the recorded program waits while a chunk is sealed: a block goes through in some tens of microseconds.

use crate::checksum::checksum_of_two;
use crate::event::RecordError;
use alloc::vec::Vec;

/// Most raw bytes of a chunk. Below 64 KiB, so that LZ4 works with 16-bit positions and so does [`crate::header::Progress`].
pub const RAW: usize = 60 << 10;
/// Bytes before the stored ones.
pub const HEAD: usize = 12;
/// Room left between the sealed chunks and the open one: the open one, once sealed, fits in it whatever it holds.
pub const GAP: u64 = 72 << 10;

/// Seals `raw` into `to`, which has room for [`GAP`] bytes; how many were written.
///
/// # Panics
/// When `raw` is longer than [`RAW`] or `to` shorter than [`GAP`].
pub fn seal(raw: &[u8], to: &mut [u8]) -> usize {
    assert!(raw.len() <= RAW && to.len() as u64 >= GAP);
    let (head, body) = to.split_at_mut(HEAD);
    let stored = match lz4_flex::block::compress_into(raw, body) {
        Ok(n) if n < raw.len() => n,
        _ => {
            body[..raw.len()].copy_from_slice(raw);
            raw.len()
        }
    };
    head[..4].copy_from_slice(&(stored as u32).to_le_bytes());
    head[4..8].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    let sum = checksum_of_two(&head[..8], &body[..stored]);
    head[8..].copy_from_slice(&sum.to_le_bytes());
    HEAD + stored
}

/// A sealed chunk's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    bytes: [u8; 8],
    pub(crate) stored: usize,
    raw: usize,
    sum: u32,
}

impl Head {
    pub(crate) fn read(b: &[u8]) -> Result<Head, RecordError> {
        let b: &[u8; HEAD] = b.try_into().map_err(|_| RecordError::Malformed)?;
        let word = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let (stored, raw) = (word(0) as usize, word(4) as usize);
        if raw > RAW || stored > raw || stored == 0 {
            return Err(RecordError::Malformed);
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&b[..8]);
        Ok(Head {
            bytes,
            stored,
            raw,
            sum: word(8),
        })
    }

    /// Appends the raw bytes of a chunk with these stored bytes to `window`.
    pub(crate) fn open(&self, stored: &[u8], window: &mut Vec<u8>) -> Result<(), RecordError> {
        if checksum_of_two(&self.bytes, stored) != self.sum {
            return Err(RecordError::Checksum);
        }
        if self.stored == self.raw {
            window.extend_from_slice(stored);
            return Ok(());
        }
        let before = window.len();
        window.resize(before + self.raw, 0);
        match lz4_flex::block::decompress_into(stored, &mut window[before..]) {
            Ok(n) if n == self.raw => Ok(()),
            _ => {
                window.truncate(before);
                Err(RecordError::Malformed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 88_172_645_463_325_252_u64;
        (0..len)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                x as u8
            })
            .collect()
    }

    #[test]
    fn whatever_it_holds_it_comes_back() {
        for raw in [vec![1], vec![0; RAW], noise(RAW), noise(17), b"abcabcabcabcabcabcabcabc".to_vec()] {
            let mut to = vec![0; GAP as usize];
            let n = seal(&raw, &mut to);
            assert!(n <= raw.len() + HEAD);
            let head = Head::read(&to[..HEAD]).unwrap();
            assert_eq!(head.stored + HEAD, n);
            let mut window = vec![9];
            head.open(&to[HEAD..n], &mut window).unwrap();
            assert_eq!(window[1..], raw[..]);
        }
    }
}
