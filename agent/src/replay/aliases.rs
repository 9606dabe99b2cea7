//! A file that the program has mapped shared more than once: what it writes through one mapping it reads through the other.
//!
//! Replay maps what is shared as private memory of its own, so that its copies stay apart. Mappings of one file must not be apart from
//! each other, though: they become views of one piece of shared memory, and each copy of the process makes a piece of its own.
//!
//! # Safety
//! This room may use `unsafe` for one thing: bytes are written into a piece of memory that was mapped a moment before, and that nothing
//! else knows of.
#![allow(unsafe_code)]

use crate::layout::PROGRAM_END;
use crate::memory::maps::{self, Mapping};
use crate::memory::try_copy_out;
use crate::state::page_up;
use crate::sys::{self, map, nr};
use alloc::vec;
use alloc::vec::Vec;

/// More shared memory is not believed.
const LARGEST: u64 = 1 << 40;
const CHUNK: u64 = 1 << 20;

/// Part of a file, seen at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    start: u64,
    len: u64,
    offset: u64,
    protection: u64,
}

/// Makes a mapping just made one with those of the same file, of which `list` tells addresses, lengths and offsets. False where that
/// cannot be.
pub fn join(at: u64, len: u64, offset: u64, protection: u64, list: &[u8]) -> bool {
    let mut views = Vec::new();
    let Some(text) = maps::read() else { return false };
    for one in list.as_chunks::<24>().0 {
        let word = |i: usize| u64::from_le_bytes(core::array::from_fn(|k| one[8 * i + k]));
        let (start, len, offset) = (word(0), word(1), word(2));
        // Its protection may differ from part to part.
        for m in maps::mappings(&text).filter(|m| m.start < start.saturating_add(len) && m.end > start) {
            let from = m.start.max(start);
            views.push(View {
                start: from,
                len: m.end.min(start.saturating_add(len)) - from,
                offset: offset.saturating_add(from - start),
                protection: m.protection,
            });
        }
    }
    views.push(View {
        start: at,
        len: page_up(len),
        offset,
        protection,
    });
    unite(&views)
}

/// In a copy of the process: its shared memory is not that of the one it is a copy of.
pub fn separate() -> bool {
    let Some(text) = maps::read() else { return false };
    let shared: Vec<Mapping<'_>> = maps::mappings(&text).filter(|m| m.shared && m.end <= PROGRAM_END).collect();
    let mut inodes: Vec<u64> = shared.iter().map(|m| m.inode).collect();
    inodes.sort_unstable();
    inodes.dedup();
    inodes.into_iter().all(|inode| {
        let of_file = shared.iter().filter(|m| m.inode == inode);
        let views: Vec<View> = of_file
            .map(|m| View {
                start: m.start,
                len: m.end - m.start,
                offset: m.offset,
                protection: m.protection,
            })
            .collect();
        unite(&views)
    })
}

/// Puts one piece of new shared memory behind all views, with what they show; the last one's word counts.
fn unite(views: &[View]) -> bool {
    let fits = |v: &View| v.start.checked_add(v.len).is_some_and(|end| end <= PROGRAM_END) && v.offset < LARGEST && v.len < LARGEST;
    let first = views.iter().map(|v| v.offset).min().unwrap_or(0);
    let last = views.iter().map(|v| v.offset.saturating_add(v.len)).max().unwrap_or(0);
    if first == last || !views.iter().all(fits) {
        return false;
    }
    let protection = map::READ | map::WRITE;
    let flags = map::SHARED | map::ANONYMOUS;
    let piece = sys::mmap(0, last - first, protection, flags, sys::NO_FD, 0);
    if piece < 0 {
        return false;
    }
    let piece = piece.cast_unsigned();
    let mut done = true;
    let mut contents = vec![0u8; CHUNK as usize];
    for v in views {
        done &= v.protection & map::READ != 0 || protect(v, protection);
        let mut at = 0;
        while at < v.len {
            let part = &mut contents[..CHUNK.min(v.len - at) as usize];
            if try_copy_out(v.start + at, part) {
                let to = (piece + (v.offset - first) + at) as *mut u8;
                // SAFETY: within the piece, by how its size was chosen.
                unsafe { core::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len()) };
            }
            at += CHUNK;
        }
    }
    for v in views {
        const MAYMOVE_FIXED: u64 = 3;
        // An old size of 0 makes another mapping of the same memory (mremap(2)).
        let from = piece + (v.offset - first);
        done &= sys::raw(nr::MREMAP, [from, 0, v.len, MAYMOVE_FIXED, v.start, 0]).cast_unsigned() == v.start;
        done &= v.protection == protection || protect(v, v.protection);
    }
    sys::munmap(piece, last - first);
    done
}

fn protect(view: &View, protection: u64) -> bool {
    sys::raw(nr::MPROTECT, [view.start, view.len, protection, 0, 0, 0]) == 0
}
