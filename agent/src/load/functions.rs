//! Where the functions of an ELF file start, as unwinding tables tell it (Linux Standard Base, Core Specification, 10.6): stripped files
//! have them, too.

use super::cpuid::read;
use super::elf::{u16_at, u32_at, u64_at};
use alloc::vec::Vec;

const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`.
const RELATIVE: u8 = 0x1b;

/// Addresses at which functions start, ascending; `headers` are the file's program headers.
#[must_use]
pub fn starts(fd: u64, headers: &[u8]) -> Vec<u64> {
    let mut all = from_index(fd, headers).or_else(|| from_frames(fd)).unwrap_or_default();
    all.sort_unstable();
    all
}

/// From the table that unwinders search (`.eh_frame_hdr`).
fn from_index(fd: u64, headers: &[u8]) -> Option<Vec<u64>> {
    let p = headers.chunks_exact(56).find(|p| u32_at(p, 0) == PT_GNU_EH_FRAME)?;
    let (offset, address) = (u64_at(p, 8), u64_at(p, 16));
    let bytes = read(fd, offset, u64_at(p, 32))?;
    // Version 1, a pointer of four bytes, a count of four, a table of pairs of four bytes relative to this header.
    if bytes.len() < 12 || bytes[0] != 1 || !matches!(bytes[1], RELATIVE | 0x3b | 0x03) || bytes[2] != 0x03 || bytes[3] != 0x3b {
        return None;
    }
    let count = u32_at(&bytes, 8) as usize;
    let starts = bytes[12..].chunks_exact(8).take(count);
    Some(
        starts
            .map(|e| address.wrapping_add_signed(i64::from(u32_at(e, 0).cast_signed())))
            .collect(),
    )
}

/// From the frames themselves (`.eh_frame`): static programs have no such table.
fn from_frames(fd: u64) -> Option<Vec<u64>> {
    let head = read(fd, 0, 64)?;
    let (offset, size, count, names) = (u64_at(&head, 40), u16_at(&head, 58), u16_at(&head, 60), u16_at(&head, 62));
    if size != 64 || names >= count {
        return None;
    }
    let sections = read(fd, offset, u64::from(count) * 64)?;
    let section = |i: usize| sections.get(64 * i..64 * i + 64);
    let strings = section(usize::from(names))?;
    let strings = read(fd, u64_at(strings, 24), u64_at(strings, 32))?;
    let frames = sections.chunks_exact(64).find(|s| {
        let name = strings.get(u32_at(s, 0) as usize..).unwrap_or_default();
        name.starts_with(b".eh_frame\0")
    })?;
    let bytes = read(fd, u64_at(frames, 24), u64_at(frames, 32))?;
    Some(of_frames(&bytes, u64_at(frames, 16)))
}

/// The starts in the frames that lie at `address`, of those entries whose encoding is the usual one.
fn of_frames(bytes: &[u8], address: u64) -> Vec<u64> {
    let mut all = Vec::new();
    let mut at = 0;
    while at + 12 <= bytes.len() {
        let len = u32_at(bytes, at) as usize;
        // The end, or a length of eight bytes, which no file of this size needs.
        if len == 0 || len >= 0xffff_fff0 {
            break;
        }
        let back = u32_at(bytes, at + 4) as usize;
        if back != 0 && (at + 4).checked_sub(back).is_some_and(|common| is_relative(&bytes[common..])) {
            let start = i64::from(u32_at(bytes, at + 8).cast_signed());
            all.push((address + at as u64 + 8).wrapping_add_signed(start));
        }
        at += len + 4;
    }
    all
}

/// Whether entries under this common one say where functions start relative to themselves, in four bytes.
fn is_relative(common: &[u8]) -> bool {
    let Some(text) = common.get(9..) else { return false };
    let Some(end) = text.iter().position(|b| *b == 0) else {
        return false;
    };
    let Some((b'z', augmentation)) = text[..end].split_first() else {
        return false;
    };
    // Alignments and the register of the return address, then the length of the data: a byte each in what compilers write.
    let mut data = text.get(end + 5..).unwrap_or_default();
    for letter in augmentation {
        let Some((encoding, rest)) = data.split_first() else { return false };
        data = match letter {
            b'R' => return *encoding == RELATIVE,
            b'L' => rest,
            b'P' => rest.get(if encoding & 7 == 3 { 4 } else { 8 }..).unwrap_or_default(),
            _ => return false,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_tell_starts() {
        let mut bytes = Vec::new();
        let common: &[u8] = b"\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b";
        bytes.extend((common.len() as u32).to_le_bytes());
        bytes.extend(common);
        let entry = bytes.len();
        bytes.extend(12u32.to_le_bytes());
        bytes.extend((entry as u32 + 4).to_le_bytes());
        bytes.extend((-0x100i32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend([0; 4]);
        assert_eq!(of_frames(&bytes, 0x5000), [0x5000 + entry as u64 + 8 - 0x100]);
        assert!(!is_relative(&bytes[..8]));
    }
}
