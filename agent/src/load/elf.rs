//! Maps the segments of one ELF64 x86-64 file (elf(5)).

use crate::memory;
use crate::state::{Agent, page_up};
use crate::sys::{self, map};
use alloc::vec;
use alloc::vec::Vec;

/// Why a file could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not an ELF64 x86-64 executable.
    Format,
    /// Its ld.so cannot be opened.
    NoInterpreter,
    /// The kernel refused a mapping.
    Map(i64),
}

impl LoadError {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            LoadError::Format => "not a 64-bit x86 executable",
            LoadError::NoInterpreter => "its dynamic loader cannot be opened",
            LoadError::Map(_) => "its segments cannot be mapped",
        }
    }
}

/// A mapped image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Load bias.
    pub base: u64,
    /// Entry address.
    pub entry: u64,
    /// Address of the program headers.
    pub phdr: u64,
    /// How many.
    pub phnum: u64,
    /// Path of the interpreter it names, NUL-terminated; empty without one.
    pub interpreter: Vec<u8>,
}

pub(super) const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

pub(crate) fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

pub(crate) fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from(u32_at(b, at)) | u64::from(u32_at(b, at + 4)) << 32
}

/// Maps the file `fd`. A position-independent image goes to `fixed`, or where mappings go.
///
/// # Errors
/// [`LoadError`].
pub fn map_image(agent: &mut Agent, fd: u64, fixed: Option<u64>) -> Result<Image, LoadError> {
    let mut head = [0u8; 64];
    if sys::pread(fd, &mut head, 0) != 64 || head[..5] != *b"\x7fELF\x02" || u16_at(&head, 18) != 62 || u16_at(&head, 54) != 56 {
        return Err(LoadError::Format);
    }
    let kind = u16_at(&head, 16);
    if kind != ET_EXEC && kind != ET_DYN {
        return Err(LoadError::Format);
    }
    let phoff = u64_at(&head, 32);
    let phnum = u64::from(u16_at(&head, 56));
    let mut table = vec![0u8; phnum as usize * 56];
    if sys::pread(fd, &mut table, phoff) != table.len() as i64 {
        return Err(LoadError::Format);
    }
    let headers = || table.chunks_exact(56);
    let end = headers()
        .filter(|p| u32_at(p, 0) == PT_LOAD)
        .map(|p| u64_at(p, 16).saturating_add(u64_at(p, 40)))
        .max();
    let end = end.filter(|e| *e < 1 << 40).ok_or(LoadError::Format)?;
    let base = match (kind, fixed) {
        (ET_EXEC, _) => 0,
        (_, Some(at)) => at,
        (_, None) => agent.take_addresses(end).ok_or(LoadError::Format)?,
    };
    let mut image = Image {
        base,
        entry: base + u64_at(&head, 24),
        phdr: 0,
        phnum,
        interpreter: Vec::new(),
    };
    for p in headers() {
        let (offset, vaddr, filesz, memsz) = (u64_at(p, 8), u64_at(p, 16), u64_at(p, 32), u64_at(p, 40));
        match u32_at(p, 0) {
            PT_INTERP => {
                let mut path = vec![0u8; filesz.min(4096) as usize];
                if sys::pread(fd, &mut path, offset) != path.len() as i64 || path.last() != Some(&0) {
                    return Err(LoadError::Format);
                }
                image.interpreter = path;
            }
            PT_PHDR => image.phdr = base + vaddr,
            PT_LOAD => {
                map_segment(fd, base + vaddr, offset, filesz, memsz, u32_at(p, 4))?;
                if image.phdr == 0 && offset == 0 {
                    image.phdr = base + vaddr + phoff;
                }
            }
            _ => {}
        }
    }
    Ok(image)
}

fn map_segment(fd: u64, addr: u64, offset: u64, filesz: u64, memsz: u64, flags: u32) -> Result<(), LoadError> {
    let flags = u64::from(flags);
    let prot = (flags & 4) >> 2 | flags & 2 | (flags & 1) << 2;
    let start = addr & !4095;
    let lead = addr - start;
    let must = |want: u64, r: i64| {
        if r.cast_unsigned() == want {
            Ok(())
        } else {
            Err(LoadError::Map(r))
        }
    };
    if start < 4096 || addr.saturating_add(memsz) > crate::layout::PROGRAM_END {
        return Err(LoadError::Format);
    }
    if filesz > 0 {
        must(
            start,
            sys::mmap(start, filesz + lead, prot, map::PRIVATE | map::FIXED, fd, offset - lead),
        )?;
    }
    let (file_end, mem_end) = (addr + filesz, addr + memsz);
    if mem_end > file_end {
        let page = page_up(file_end);
        if prot & map::WRITE != 0 {
            // To the end of the page, as the kernel does (padzero): ld.so allocates from what follows its bss.
            let gap = page - file_end;
            memory::copy_in(file_end, &vec![0u8; gap as usize]);
        }
        if mem_end > page {
            must(
                page,
                sys::mmap(
                    page,
                    mem_end - page,
                    prot,
                    map::PRIVATE | map::FIXED | map::ANONYMOUS,
                    sys::NO_FD,
                    0,
                ),
            )?;
        }
    }
    Ok(())
}
