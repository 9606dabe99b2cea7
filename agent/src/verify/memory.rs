//! Hash of all readable memory of the program.
//!
//! Read through `/proc/self/mem`, not directly: a readable mapping may reach beyond the end of its file, and only the kernel can
//! refuse that politely. Zero pages count as absent, so that an untouched page and one filled with zeros hash alike.

use crate::layout::PROGRAM_END;
use crate::memory::maps;
use crate::sys::{self, map};
use alloc::vec;

const PAGE: usize = 4096;
const CHUNK: usize = 256 * 1024;

/// Which pages of private anonymous memory there are (Documentation/admin-guide/mm/pagemap.rst): the others are zero, and need not be read.
struct Present {
    /// `/proc/self/pagemap`, where it can be read.
    fd: Option<u64>,
}

impl Present {
    fn open() -> Present {
        let fd = sys::open(c"/proc/self/pagemap", 0, 0);
        Present {
            fd: u64::try_from(fd).ok(),
        }
    }

    /// The pages of `start..end` that are to be read, as ranges, to `found`.
    fn ranges(&self, (start, end): (u64, u64), mut found: impl FnMut(u64, u64)) {
        /// In memory, or swapped.
        const THERE: u64 = 3 << 62;
        let Some(fd) = self.fd else { return found(start, end) };
        let mut entries = [0u8; 4096];
        let mut run = None;
        let mut at = start;
        while at < end {
            let pages = ((end - at) / PAGE as u64).min(512);
            let n = sys::pread(fd, &mut entries[..pages as usize * 8], at / PAGE as u64 * 8);
            if n != pages.cast_signed() * 8 {
                return found(run.unwrap_or(at), end);
            }
            for entry in entries[..pages as usize * 8].as_chunks::<8>().0 {
                let there = u64::from_le_bytes(*entry) & THERE != 0;
                match run {
                    None if there => run = Some(at),
                    Some(from) if !there => {
                        found(from, at);
                        run = None;
                    }
                    _ => {}
                }
                at += PAGE as u64;
            }
        }
        if let Some(from) = run {
            found(from, end);
        }
    }

    fn close(self) {
        if let Some(fd) = self.fd {
            sys::close(fd);
        }
    }
}

/// Hash of every readable page below [`PROGRAM_END`]; `None` when `/proc` cannot be read.
#[must_use]
pub fn hash() -> Option<u64> {
    let maps = maps::read()?;
    let fd = sys::open(c"/proc/self/mem", 0, 0);
    if fd < 0 {
        return None;
    }
    let fd = fd.cast_unsigned();
    let present = Present::open();
    let mut buffer = vec![0u8; CHUNK];
    let mut sum = 0u64;
    for m in maps::mappings(&maps) {
        if m.protection & map::READ == 0 || m.end > PROGRAM_END || crate::intercept::patch::is_stub(m.start) {
            continue;
        }
        let mut read = |start, end| sum = u64::wrapping_add(sum, range_hash(fd, start, end, &mut buffer));
        if !m.shared && m.inode == 0 {
            present.ranges((m.start, m.end), read);
        } else {
            read(m.start, m.end);
        }
    }
    present.close();
    sys::close(fd);
    Some(sum)
}

/// The sum of the hashes of pages.
fn range_hash(fd: u64, start: u64, end: u64, buffer: &mut [u8]) -> u64 {
    let mut sum = 0u64;
    let mut at = start;
    while at < end {
        let want = buffer.len().min((end - at) as usize);
        let n = sys::pread(fd, &mut buffer[..want], at);
        if n <= 0 {
            at += PAGE as u64; // beyond the end of its file
            continue;
        }
        let whole = n as usize / PAGE * PAGE;
        for (i, page) in buffer[..whole].chunks_exact(PAGE).enumerate() {
            sum = sum.wrapping_add(page_hash(at + (i * PAGE) as u64, page));
        }
        at += whole.max(PAGE) as u64;
    }
    sum
}

fn page_hash(addr: u64, page: &[u8]) -> u64 {
    let mix = |h: u64, w: u64| (h ^ w).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(27);
    let mut any = 0u64;
    // Four sums side by side, which the CPU works on at once.
    let mut sums = [addr; 4];
    for four in page.as_chunks::<32>().0 {
        for (sum, word) in sums.iter_mut().zip(four.as_chunks::<8>().0) {
            let w = u64::from_le_bytes(*word);
            any |= w;
            *sum = mix(*sum, w);
        }
    }
    if any == 0 { 0 } else { sums.into_iter().fold(0, mix) }
}
