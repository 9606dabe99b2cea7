//! Where an ELF file has CPUID instructions: for CPUs that cannot trap them, which then is done by rewriting.
//!
//! The two bytes may as well be part of another instruction, so a place counts only when decoding its function from the function's
//! start arrives there.

use super::elf::{PT_LOAD, u16_at, u32_at, u64_at};
use super::{functions, vector};
use crate::sys;
use alloc::vec;
use alloc::vec::Vec;
use yaxpeax_arch::{Decoder, LengthedInstruction, U8Reader};
use yaxpeax_x86::long_mode::{InstDecoder, Opcode};

const CPUID: [u8; 2] = [0x0f, 0xa2];
const RDTSC: [u8; 2] = [0x0f, 0x31];
const RDTSCP: [u8; 3] = [0x0f, 0x01, 0xf9];
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

/// What bytes are that may read the time-stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// rdtsc
    Short,
    /// rdtscp
    Long,
    /// Decoding does not tell: it may be executed, or be data.
    Unsure,
}

/// File offsets at which an open ELF file may read the time-stamp counter: where the bytes are that do, and are not known to be part of other
/// instructions. `None` for other files, or when it could write its own code.
#[must_use]
pub fn counter(fd: u64) -> Option<Vec<(u64, Counter)>> {
    let table = headers(fd)?;
    let mut starts = None;
    let mut sites = Vec::new();
    for text in texts(&table) {
        for (bytes, opcode, kind) in [
            (&RDTSC[..], Opcode::RDTSC, Counter::Short),
            (&RDTSCP[..], Opcode::RDTSCP, Counter::Long),
        ] {
            for at in occurrences(fd, &text, bytes)? {
                let starts = starts.get_or_insert_with(|| functions::starts(fd, &table));
                match decoded(fd, &text, starts, at) {
                    Some(Decoded {
                        at: here, opcode: found, ..
                    }) if here == at && found == opcode => sites.push((at, kind)),
                    Some(found) if found.at < at && !found.entered => {}
                    _ => sites.push((at, Counter::Unsure)),
                }
            }
        }
    }
    (!writes_code(&table)).then_some(sites)
}

fn writes_code(table: &[u8]) -> bool {
    const WRITABLE: u32 = 2;
    texts_with(table, EXECUTABLE | WRITABLE).next().is_some()
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
    texts_with(table, EXECUTABLE)
}

/// Loaded segments with these flags.
fn texts_with(table: &[u8], flags: u32) -> impl Iterator<Item = Segment> {
    table
        .chunks_exact(56)
        .filter(move |p| u32_at(p, 0) == PT_LOAD && u32_at(p, 4) & flags == flags)
        .map(|p| Segment(u64_at(p, 8), u64_at(p, 16), u64_at(p, 32)))
}

/// So many bytes of a file, or none.
pub(super) fn read(fd: u64, at: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; usize::try_from(len).ok().filter(|l| *l <= 64 << 20)?];
    (sys::pread(fd, &mut bytes, at) == i64::try_from(len).ok()?).then_some(bytes)
}

/// File offsets of the two bytes.
fn candidates(fd: u64, text: &Segment) -> Vec<u64> {
    occurrences(fd, text, &CPUID).unwrap_or_default()
}

/// File offsets of some bytes; `None` when not all could be read.
fn occurrences(fd: u64, text: &Segment, bytes: &[u8]) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    let mut buffer = vec![0u8; CHUNK];
    let mut done = 0;
    while done + bytes.len() as u64 <= text.2 {
        let want = buffer.len().min((text.2 - done) as usize);
        let n = usize::try_from(sys::pread(fd, &mut buffer[..want], text.0 + done)).ok()?;
        if n < bytes.len() {
            return None;
        }
        let window = &buffer[..n];
        found.extend(
            (0..=n - bytes.len())
                .filter(|i| window[i + 1] == bytes[1] && window[*i..].starts_with(bytes))
                .map(|i| text.0 + done + i as u64),
        );
        // They may lie across.
        done += (n - bytes.len() + 1) as u64;
    }
    Some(found)
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
    decoded(fd, text, starts, at).filter(|i| i.at == at).map(|i| (i.opcode, i.length))
}

/// The instruction that a byte is part of, as decoding from the start of its function tells it.
struct Decoded {
    /// Offset in the file.
    at: u64,
    /// What the decoder does not know is of a kind of its own.
    opcode: Opcode,
    length: u64,
    /// The function has a jump to that byte before it.
    entered: bool,
}

fn decoded(fd: u64, text: &Segment, starts: &[u64], at: u64) -> Option<Decoded> {
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
    let mut entered = false;
    loop {
        let (opcode, len) = match decoder.decode(&mut U8Reader::new(&code[here..])) {
            Ok(instruction) => (instruction.opcode(), instruction.len().to_const()),
            Err(_) => (Opcode::Invalid, vector::length(&code[here..])?),
        };
        if here + len as usize > goal {
            return Some(Decoded {
                at: start - text.1 + text.0 + here as u64,
                opcode,
                length: len,
                entered,
            });
        }
        let next = here + len as usize;
        entered |= jump(&code[here..next]).is_some_and(|by| next.checked_add_signed(by) == Some(goal));
        here = next;
    }
}

/// How far an instruction jumps or calls from its end, if it says so itself.
fn jump(code: &[u8]) -> Option<isize> {
    let hints = code.iter().take_while(|b| matches!(b, 0x2e | 0x3e | 0xf2)).count();
    match code[hints..] {
        [0x70..=0x7f | 0xe0..=0xe3 | 0xeb, by] => Some(isize::from(by.cast_signed())),
        [0xe8 | 0xe9, a, b, c, d] | [0x0f, 0x80..=0x8f, a, b, c, d] => Some(i32::from_le_bytes([a, b, c, d]) as isize),
        _ => None,
    }
}
