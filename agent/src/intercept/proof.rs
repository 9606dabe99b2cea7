//! Proofs about program code, from the file it is mapped from and from its memory: what a patch may take away.

use crate::load::cpuid;
use crate::memory;
use crate::memory::maps::{self, Mapping};
use crate::sys::{self, map};
use alloc::ffi::CString;
use alloc::vec;

/// Bytes read at a time.
const CHUNK: u64 = 64 << 10;

/// Whether the two-byte instruction at `at` is one (decoding its function from the start arrives there) and nothing in the memory mapped
/// with it can jump to what lies behind it: read as the distance of a jump, long or short, no bytes lead there.
#[must_use]
pub fn pair(at: u64) -> bool {
    const READ_EXEC: u64 = map::READ | map::EXEC;
    let Some(text) = maps::read() else { return false };
    let of_file = |m: &Mapping<'_>| m.protection == READ_EXEC && !m.shared && m.inode != 0 && !m.path.is_empty();
    let Some(m) = maps::mappings(&text).find(|m| (m.start..m.end).contains(&at) && of_file(m)) else {
        return false;
    };
    is_instruction(&m, at) && !is_target(&m, at + 2)
}

/// Whether the mapping's file, if it is still there, has an instruction here.
fn is_instruction(m: &Mapping<'_>, at: u64) -> bool {
    let Some(fd) = CString::new(m.path).ok().and_then(|p| u64::try_from(sys::open(&p, 0, 0)).ok()) else {
        return false;
    };
    let offset = at - m.start + m.offset;
    let (mut there, mut here) = ([0u8; 8], [0u8; 8]);
    let same = sys::fstat(fd).is_ok_and(|st| st[1] == m.inode)
        && sys::pread(fd, &mut there, offset) == 8
        && memory::try_copy_out(at, &mut here)
        && there == here;
    let is = same && cpuid::is_instruction(fd, offset);
    sys::close(fd);
    is
}

/// Whether any four bytes (or one) in the mapping, taken for a jump's distance, lead to `target`.
fn is_target(m: &Mapping<'_>, target: u64) -> bool {
    let mut buffer = vec![0u8; CHUNK as usize + 3];
    let mut done = m.start;
    while done < m.end {
        let n = (CHUNK + 3).min(m.end - done) as usize;
        if !memory::try_copy_out(done, &mut buffer[..n]) {
            return true;
        }
        // Distances count from behind them.
        let want = target.wrapping_sub(done + 4) as u32;
        let long = buffer[..n]
            .windows(4)
            .enumerate()
            .any(|(i, w)| u32::from_le_bytes([w[0], w[1], w[2], w[3]]).wrapping_add(i as u32) == want);
        if long {
            return true;
        }
        done += CHUNK;
    }
    // Short jumps: 70 to 7f, e0 to e3, eb.
    let from = target.saturating_sub(130).max(m.start);
    (from..(target + 127).min(m.end - 1)).any(|i| {
        let (op, distance) = (memory::get::<u8>(i), memory::get::<u8>(i + 1).cast_signed());
        matches!(op, 0x70..=0x7f | 0xe0..=0xe3 | 0xeb) && (i + 2).wrapping_add_signed(i64::from(distance)) == target
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_target_of(code: &[u8], target: usize) -> bool {
        let start = code.as_ptr() as u64;
        let m = Mapping {
            protection: map::READ | map::EXEC,
            shared: false,
            start,
            end: start + code.len() as u64,
            offset: 0,
            inode: 1,
            path: b"",
        };
        is_target(&m, start + target as u64)
    }

    #[test]
    fn jumps_are_found() {
        // Nothing leads to 0x1020 but what each case adds; far distances are beyond two chunks.
        let plain = vec![0x90u8; 3 * CHUNK as usize];
        for target in [0x1020, 2 * CHUNK as usize + 1] {
            assert!(!is_target_of(&plain, target));
            for from in [0, CHUNK as usize - 7, CHUNK as usize - 2, 3 * CHUNK as usize - 5] {
                let mut long = plain.clone();
                long[from] = 0xe9;
                long[from + 1..from + 5].copy_from_slice(&(target as i32 - from as i32 - 5).to_le_bytes());
                assert!(is_target_of(&long, target), "from {from} to {target}");
            }
            for distance in [-128i8, -3, 0, 127] {
                let mut short = plain.clone();
                let from = (target as i64 - 2 - i64::from(distance)) as usize;
                short[from..from + 2].copy_from_slice(&[0x74, distance.cast_unsigned()]);
                assert!(is_target_of(&short, target), "{distance}");
            }
        }
    }
}
