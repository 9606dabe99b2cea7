//! Hash of all readable memory of the program.
//!
//! Read through `/proc/self/mem`, not directly: a readable mapping may reach beyond the end of its file, and only the kernel can
//! refuse that politely. Zero pages count as absent, so that an untouched page and one filled with zeros hash alike.

use crate::layout::PROGRAM_END;
use crate::sys;
use alloc::vec;
use alloc::vec::Vec;

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
    let maps = read_file(c"/proc/self/maps")?;
    let fd = sys::open(c"/proc/self/mem", 0, 0);
    if fd < 0 {
        return None;
    }
    let fd = fd.cast_unsigned();
    let present = Present::open();
    let mut buffer = vec![0u8; CHUNK];
    let mut sum = 0u64;
    for line in maps.split(|b| *b == b'\n') {
        let Some(m) = parse(line) else { continue };
        if !m.readable || m.end > PROGRAM_END || crate::intercept::patch::is_stub(m.start) {
            continue;
        }
        let mut read = |start, end| sum = u64::wrapping_add(sum, range_hash(fd, start, end, &mut buffer));
        if m.anonymous {
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

/// All of a small file.
pub fn read_file(path: &core::ffi::CStr) -> Option<Vec<u8>> {
    let fd = sys::open(path, 0, 0);
    if fd < 0 {
        return None;
    }
    let fd = fd.cast_unsigned();
    let mut all = vec![0u8; 64 * 1024];
    let mut len = 0;
    loop {
        if len == all.len() {
            all.resize(len * 2, 0);
        }
        match sys::read(fd, &mut all[len..]) {
            n if n > 0 => len += n as usize,
            e if e == -sys::errno::EINTR => {}
            _ => break,
        }
    }
    sys::close(fd);
    all.truncate(len);
    Some(all)
}

/// A mapping.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    readable: bool,
    /// Private, and of no file.
    anonymous: bool,
}

/// One line of `/proc/self/maps` (proc(5)).
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.split(|b| *b == b' ').filter_map(|f| core::str::from_utf8(f).ok());
    let (a, b) = fields.next()?.split_once('-')?;
    let protection = fields.next()?;
    let mut inode = fields.skip(2);
    Some(Mapping {
        start: u64::from_str_radix(a, 16).ok()?,
        end: u64::from_str_radix(b, 16).ok()?,
        readable: protection.starts_with('r'),
        anonymous: protection.ends_with('p') && inode.next() == Some("0"),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn maps_line() {
        let mapping = |line| super::parse(line).map(|m| (m.start, m.end, m.readable, m.anonymous));
        assert_eq!(
            mapping(b"7f12-7f34 rw-p 00000000 00:00 0  [heap]"),
            Some((0x7f12, 0x7f34, true, true))
        );
        assert_eq!(mapping(b"12-34 ---p 0 0:0 0"), Some((0x12, 0x34, false, true)));
        assert_eq!(mapping(b"12-34 rw-s 0 0:0 7 /dev/zero (deleted)"), Some((0x12, 0x34, true, false)));
        assert_eq!(mapping(b"12-34 r-xp 0 0:0 7 /a b"), Some((0x12, 0x34, true, false)));
        assert_eq!(mapping(b""), None);
    }
}
