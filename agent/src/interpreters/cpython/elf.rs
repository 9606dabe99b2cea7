//! A mapped ELF object, read from memory: segments, dynamic symbols, build id. Not here: relocations, anything CPython.

use crate::memory::{c_string, can_read, get};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// A mapped object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elf {
    base: u64,
    /// What its own addresses are displaced by.
    bias: u64,
}

/// A part of an object, at its place in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) executable: bool,
    pub(super) writable: bool,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const PT_GNU_RELRO: u32 = 0x6474_e552;

impl Elf {
    /// The object mapped from `base` on; `None` where its header says it is no 64-bit ELF object.
    pub(super) fn at(base: u64) -> Option<Self> {
        if get::<u32>(base) != 0x464c_457f || get::<u8>(base + 4) != 2 {
            return None;
        }
        let mut elf = Self { base, bias: 0 };
        let lowest = elf.headers().filter(|h| h.kind == PT_LOAD).map(|h| h.address).min()?;
        elf.bias = base.wrapping_sub(lowest & !0xfff);
        Some(elf)
    }

    /// The same where it is not certain that an object is still there.
    pub(super) fn at_doubtful(base: u64) -> Option<Self> {
        const PAGE: u64 = 4096;
        if !can_read(base, 512) {
            return None;
        }
        let (first, size, count) = (get::<u64>(base + 32), get::<u16>(base + 54), get::<u16>(base + 56));
        let end = first.checked_add(u64::from(size) * u64::from(count))?;
        (end <= PAGE).then(|| Self::at(base)).flatten()
    }

    /// Whether it may be mapped anywhere (`ET_DYN`).
    pub(super) fn is_movable(&self) -> bool {
        get::<u16>(self.base + 16) == 3
    }

    /// Whether making a range read-only from `address` on is what the dynamic linker does to this object when it has relocated it.
    pub(super) fn relocation_ends_with(&self, address: u64) -> bool {
        self.headers()
            .any(|h| h.kind == PT_GNU_RELRO && self.bias.wrapping_add(h.address) & !0xfff == address)
    }

    fn headers(&self) -> impl Iterator<Item = Header> + use<> {
        let (first, size, count) = (
            self.base + get::<u64>(self.base + 32),
            get::<u16>(self.base + 54),
            get::<u16>(self.base + 56),
        );
        (0..u64::from(count)).map(move |i| Header::read(first + i * u64::from(size)))
    }

    /// Its loaded segments, as far as they come from the file.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let loads = self.headers().filter(|h| h.kind == PT_LOAD);
        loads
            .map(|h| Segment {
                start: self.bias.wrapping_add(h.address),
                end: self.bias.wrapping_add(h.address + h.file_size),
                executable: h.flags & 1 != 0,
                writable: h.flags & 2 != 0,
            })
            .collect()
    }

    /// Address and size of a defined dynamic symbol.
    pub(super) fn symbol(&self, name: &[u8]) -> Option<(u64, u64)> {
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        const DT_GNU_HASH: u64 = 0x6fff_fef5;
        let mut entry = self.bias.wrapping_add(self.headers().find(|h| h.kind == PT_DYNAMIC)?.address);
        let (mut strings, mut symbols, mut hash) = (0, 0, 0);
        loop {
            let (tag, value) = (get::<u64>(entry), get::<u64>(entry + 8));
            // The dynamic linker relocates these in place (glibc does); before it ran they are the object's own.
            let value = if value < self.base { value.wrapping_add(self.bias) } else { value };
            match tag {
                0 => break,
                DT_STRTAB => strings = value,
                DT_SYMTAB => symbols = value,
                DT_GNU_HASH => hash = value,
                _ => {}
            }
            entry += 16;
        }
        if strings == 0 || symbols == 0 || hash == 0 {
            return None;
        }
        let wanted = name.iter().fold(5381_u32, |h, &c| h.wrapping_mul(33).wrapping_add(u32::from(c)));
        let (buckets, offset, bloom) = (get::<u32>(hash), get::<u32>(hash + 4), get::<u32>(hash + 8));
        let bucket = hash + 16 + u64::from(bloom) * 8;
        let chain = bucket + u64::from(buckets) * 4;
        let mut index = get::<u32>(bucket + u64::from(wanted.checked_rem(buckets)?) * 4);
        if index < offset {
            return None;
        }
        loop {
            let stored = get::<u32>(chain + u64::from(index - offset) * 4);
            if stored | 1 == wanted | 1 {
                let symbol = symbols + u64::from(index) * 24;
                if get::<u16>(symbol + 6) != 0 && c_string(strings + u64::from(get::<u32>(symbol))) == name {
                    return Some((self.bias.wrapping_add(get::<u64>(symbol + 8)), get(symbol + 16)));
                }
            }
            if stored & 1 != 0 {
                return None;
            }
            index += 1;
        }
    }

    /// The GNU build id in hexadecimal, `unknown` without one.
    pub(super) fn build_id(&self) -> String {
        for note in self.headers().filter(|h| h.kind == PT_NOTE) {
            let (mut at, end) = (
                self.bias.wrapping_add(note.address),
                self.bias.wrapping_add(note.address + note.file_size),
            );
            while at + 12 <= end {
                let (name, size, kind) = (u64::from(get::<u32>(at)), u64::from(get::<u32>(at + 4)), get::<u32>(at + 8));
                let text = at + 12 + name.next_multiple_of(4);
                if kind == 3 && name == 4 && get::<u32>(at + 12) == 0x0055_4e47 {
                    return (0..size.min(64)).fold(String::new(), |mut id, i| {
                        // Writing to a String cannot fail.
                        let _ = write!(id, "{:02x}", get::<u8>(text + i));
                        id
                    });
                }
                at = text + size.next_multiple_of(4);
            }
        }
        String::from("unknown")
    }
}

struct Header {
    kind: u32,
    flags: u32,
    address: u64,
    file_size: u64,
}

impl Header {
    fn read(at: u64) -> Self {
        Self {
            kind: get(at),
            flags: get(at + 4),
            address: get(at + 16),
            file_size: get(at + 32),
        }
    }
}
