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

/// Hash of every readable page below [`PROGRAM_END`]; `None` when `/proc` cannot be read.
#[must_use]
pub fn hash() -> Option<u64> {
    let maps = read_file(c"/proc/self/maps")?;
    let fd = sys::open(c"/proc/self/mem", 0, 0);
    if fd < 0 {
        return None;
    }
    let fd = fd.cast_unsigned();
    let mut buffer = vec![0u8; CHUNK];
    let mut sum = 0u64;
    for line in maps.split(|b| *b == b'\n') {
        let Some((start, end, readable)) = parse(line) else { continue };
        if !readable || end > PROGRAM_END || crate::intercept::patch::is_stub(start) {
            continue;
        }
        let mut at = start;
        while at < end {
            let want = CHUNK.min((end - at) as usize);
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
    }
    sys::close(fd);
    Some(sum)
}

fn page_hash(addr: u64, page: &[u8]) -> u64 {
    let mut any = 0u64;
    let mut h = addr;
    for c in page.chunks_exact(8) {
        let w = u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
        any |= w;
        h = (h ^ w).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(27);
    }
    if any == 0 { 0 } else { h }
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

/// One line of `/proc/self/maps`: start, end, readable.
fn parse(line: &[u8]) -> Option<(u64, u64, bool)> {
    let text = core::str::from_utf8(line.get(..line.iter().position(|b| *b == b' ')? + 2)?).ok()?;
    let (range, perms) = text.split_once(' ')?;
    let (a, b) = range.split_once('-')?;
    Some((
        u64::from_str_radix(a, 16).ok()?,
        u64::from_str_radix(b, 16).ok()?,
        perms.starts_with('r'),
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn maps_line() {
        let line = b"7f12-7f34 rw-p 00000000 00:00 0  [heap]";
        assert_eq!(super::parse(line), Some((0x7f12, 0x7f34, true)));
        assert_eq!(super::parse(b"12-34 ---p 0 0:0 0"), Some((0x12, 0x34, false)));
        assert_eq!(super::parse(b""), None);
    }
}
