//! What is mapped in this process (`/proc/self/maps`, proc(5)).

use crate::sys::{self, map};
use alloc::vec;
use alloc::vec::Vec;

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    /// `PROT_READ` and others.
    pub protection: u64,
    /// What is written is seen by others.
    pub shared: bool,
    /// Where in its file it begins.
    pub offset: u64,
    /// Of its file; 0 where it has none.
    pub inode: u64,
    /// Of its file; empty where it has none.
    pub path: &'a [u8],
}

/// The text; `None` where it cannot be read.
#[must_use]
pub fn read() -> Option<Vec<u8>> {
    read_file(c"/proc/self/maps")
}

/// What a text says.
pub fn mappings(text: &[u8]) -> impl Iterator<Item = Mapping<'_>> {
    text.split(|b| *b == b'\n').filter_map(mapping)
}

fn mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let mut fields = line.split(|b| *b == b' ');
    let mut field = || core::str::from_utf8(fields.next()?).ok();
    let (start, end) = field()?.split_once('-')?;
    let letters = field()?.as_bytes();
    let bit = |n: usize, letter: u8, bit: u64| if letters.get(n) == Some(&letter) { bit } else { 0 };
    let offset = field()?;
    field()?;
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        protection: bit(0, b'r', map::READ) | bit(1, b'w', map::WRITE) | bit(2, b'x', map::EXEC),
        shared: letters.get(3) == Some(&b's'),
        offset: u64::from_str_radix(offset, 16).ok()?,
        inode: field()?.parse().ok()?,
        path: line.iter().position(|b| *b == b'/').map_or(&[][..], |at| &line[at..]),
    })
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

#[cfg(test)]
mod tests {
    use super::{Mapping, mapping};

    #[test]
    fn lines() {
        let library = Mapping {
            start: 0x7f10,
            end: 0x7f20,
            protection: 5,
            shared: false,
            offset: 0x26000,
            inode: 325_843,
            path: b"/usr/lib/a b.so",
        };
        assert_eq!(
            mapping(b"7f10-7f20 r-xp 00026000 fe:00 325843       /usr/lib/a b.so"),
            Some(library)
        );
        let heap = mapping(b"7f12-7f34 rw-p 00000000 00:00 0  [heap]").unwrap();
        assert_eq!(
            (heap.start, heap.end, heap.protection, heap.shared, heap.inode),
            (0x7f12, 0x7f34, 3, false, 0)
        );
        let shared = mapping(b"12-34 rw-s 1000 00:01 7 /dev/zero (deleted)").unwrap();
        assert_eq!((shared.shared, shared.offset, shared.inode), (true, 0x1000, 7));
        assert_eq!(mapping(b"12-34 ---p 0 0:0 0").map(|m| m.protection), Some(0));
        assert_eq!(mapping(b""), None);
    }
}
