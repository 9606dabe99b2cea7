//! Writing to memory whatever its protection, by changing that for a moment: where `/proc/self/mem` cannot be opened for writing.

use super::maps;
use crate::sys::{self, map, nr};

const PAGE: u64 = 4096;

/// Writes program memory. False where nothing is mapped, or the kernel refuses.
pub(super) fn write(addr: u64, bytes: &[u8]) -> bool {
    let Some(text) = maps::read() else { return false };
    let end = addr + bytes.len() as u64;
    let mut at = addr;
    for maps::Mapping {
        start,
        end: stop,
        protection,
        ..
    } in maps::mappings(&text)
    {
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
