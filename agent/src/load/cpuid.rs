//! Where an ELF file has CPUID instructions: for CPUs that cannot trap them, which then is done by rewriting.
//!
//! The two bytes may as well be part of another instruction, so a place counts only when decoding its function from the function's
//! start arrives there.

use super::elf::{PT_LOAD, u16_at, u32_at, u64_at};
use super::functions;
use crate::sys;
use alloc::vec;
use alloc::vec::Vec;
use yaxpeax_arch::{Decoder, LengthedInstruction, U8Reader};
use yaxpeax_x86::long_mode::{InstDecoder, Opcode};

const CPUID: [u8; 2] = [0x0f, 0xa2];
const EXECUTABLE: u32 = 1;
/// Longest function looked at, in bytes.
const LONGEST: u64 = 1 << 20;
const CHUNK: usize = 256 * 1024;

/// A program header: offset, address, size in the file.
struct Segment(u64, u64, u64);

/// File offsets of the CPUID instructions of an open file, ascending. Empty for what is no ELF file.
#[must_use]
pub fn find(fd: u64) -> Vec<u64> {
    found(fd).unwrap_or_default()
}

fn found(fd: u64) -> Option<Vec<u64>> {
    let table = headers(fd)?;
    let mut starts = None;
    let mut sites = Vec::new();
    for text in texts(&table) {
        for at in candidates(fd, &text) {
            let starts = starts.get_or_insert_with(|| functions::starts(fd, &table));
            if proven(fd, &text, starts, at) {
                sites.push(at);
            }
        }
    }
    Some(sites)
}

/// Offset, address and size of what an open file has executed.
#[must_use]
pub fn executable(fd: u64) -> Vec<(u64, u64, u64)> {
    let table = headers(fd).unwrap_or_default();
    texts(&table).map(|s| (s.0, s.1, s.2)).collect()
}

fn headers(fd: u64) -> Option<Vec<u8>> {
    let head = read(fd, 0, 64)?;
    if head[..5] != *b"\x7fELF\x02" || u16_at(&head, 54) != 56 {
        return None;
    }
    read(fd, u64_at(&head, 32), u64::from(u16_at(&head, 56)) * 56)
}

fn texts(table: &[u8]) -> impl Iterator<Item = Segment> {
    table
        .chunks_exact(56)
        .filter(|p| u32_at(p, 0) == PT_LOAD && u32_at(p, 4) & EXECUTABLE != 0)
        .map(|p| Segment(u64_at(p, 8), u64_at(p, 16), u64_at(p, 32)))
}

/// So many bytes of a file, or none.
pub(super) fn read(fd: u64, at: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; usize::try_from(len).ok().filter(|l| *l <= 64 << 20)?];
    (sys::pread(fd, &mut bytes, at) == i64::try_from(len).ok()?).then_some(bytes)
}

/// File offsets of the two bytes.
fn candidates(fd: u64, text: &Segment) -> Vec<u64> {
    let mut found = Vec::new();
    let mut buffer = vec![0u8; CHUNK];
    let mut done = 0;
    while done + 1 < text.2 {
        let want = buffer.len().min((text.2 - done) as usize);
        let Some(n @ 2..) = usize::try_from(sys::pread(fd, &mut buffer[..want], text.0 + done)).ok() else {
            break;
        };
        let window = &buffer[..n];
        found.extend(
            (0..n - 1)
                .filter(|i| window[i + 1] == CPUID[1] && window[*i] == CPUID[0])
                .map(|i| text.0 + done + i as u64),
        );
        // The pair may lie across.
        done += n as u64 - 1;
    }
    found
}

/// Whether decoding from the start of its function arrives at this offset of an open file, at `xor` of two bytes.
#[must_use]
pub fn is_instruction(fd: u64, at: u64) -> bool {
    let Some(table) = headers(fd) else { return false };
    let Some(text) = texts(&table).find(|t| (t.0..t.0 + t.2).contains(&at)) else {
        return false;
    };
    instruction(fd, &text, &functions::starts(fd, &table), at) == Some((Opcode::XOR, 2))
}

/// Whether decoding from the start of its function arrives at the instruction.
fn proven(fd: u64, text: &Segment, starts: &[u64], at: u64) -> bool {
    instruction(fd, text, starts, at).is_some_and(|i| i.0 == Opcode::CPUID)
}

/// The instruction at an offset, and its length, if decoding from the start of its function arrives there.
fn instruction(fd: u64, text: &Segment, starts: &[u64], at: u64) -> Option<(Opcode, u64)> {
    let address = at - text.0 + text.1;
    let start = starts.partition_point(|s| *s <= address).checked_sub(1).map(|i| starts[i])?;
    if start < text.1 || address - start > LONGEST {
        return None;
    }
    // The longest instruction has 15 bytes.
    let len = (address - start + 16).min(text.1 + text.2 - start);
    let code = read(fd, start - text.1 + text.0, len)?;
    let decoder = InstDecoder::default();
    let (mut here, goal) = (0, (address - start) as usize);
    loop {
        let instruction = decoder.decode(&mut U8Reader::new(&code[here..])).ok()?;
        let len = instruction.len().to_const();
        if here == goal {
            return Some((instruction.opcode(), len));
        }
        here += len as usize;
        if here > goal {
            return None;
        }
    }
}
