//! Writing to memory whatever its protection, by changing that for a moment: where `/proc/self/mem` cannot be opened for writing.

use crate::sys::{self, map, nr};
use crate::verify::memory::read_file;

const PAGE: u64 = 4096;

/// Writes program memory. False where nothing is mapped, or the kernel refuses.
pub(super) fn write(addr: u64, bytes: &[u8]) -> bool {
    let Some(maps) = read_file(c"/proc/self/maps") else { return false };
    let end = addr + bytes.len() as u64;
    let mut at = addr;
    for line in maps.split(|b| *b == b'\n') {
        let Some((start, stop, protection)) = mapping(line) else { continue };
        if start > at || at >= stop {
            continue;
        }
        let until = end.min(stop);
        let part = &bytes[(at - addr) as usize..(until - addr) as usize];
        let (first, last) = (at & !(PAGE - 1), (until + PAGE - 1) & !(PAGE - 1));
        let writable = protection & map::WRITE != 0;
        if !writable && !protect(first, last, map::READ | map::WRITE) {
            return false;
        }
        super::copy_in(at, part);
        if !writable && !protect(first, last, protection) {
            return false;
        }
        at = until;
        if at == end {
            return true;
        }
    }
    false
}

fn protect(from: u64, to: u64, protection: u64) -> bool {
    sys::raw(nr::MPROTECT, [from, to - from, protection, 0, 0, 0]) == 0
}

/// A line of `/proc/self/maps` (proc(5)): start, end, protection.
fn mapping(line: &[u8]) -> Option<(u64, u64, u64)> {
    let mut fields = line.split(|b| *b == b' ');
    let (start, end) = core::str::from_utf8(fields.next()?).ok()?.split_once('-')?;
    let protection = fields.next()?;
    let bit = |n: usize, letter: u8, bit: u64| if protection.get(n) == Some(&letter) { bit } else { 0 };
    Some((
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
        bit(0, b'r', map::READ) | bit(1, b'w', map::WRITE) | bit(2, b'x', map::EXEC),
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_of_maps() {
        assert_eq!(super::mapping(b"7f12-7f34 r-xp 0 0:0 0 /x"), Some((0x7f12, 0x7f34, 5)));
        assert_eq!(super::mapping(b"7f12-7f34 rw-p 0 0:0 0"), Some((0x7f12, 0x7f34, 3)));
        assert_eq!(super::mapping(b""), None);
    }
}
