//! Event records.
//!
//! A record is a fixed part of [`FIXED`] bytes and then its effects. Each effect is a target (`u64`: an address of the
//! program, or a [`Tag`] below 4096), a length (`u64`) and the bytes, padded to 8.

use crate::checksum::checksum;

/// Bytes of the fixed part.
pub const FIXED: usize = 96;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The program starts: image, stack, directory.
    Start = 1,
    /// A system call, entered and left.
    Syscall = 2,
    /// A system call that may block was entered; others may run until its [`Kind::Complete`].
    Enter = 3,
    /// The end of an entered system call.
    Complete = 4,
    /// `rdtsc`/`rdtscp`: the value is in `ret`.
    Tsc = 5,
    /// `cpuid`: `args` holds eax, ebx, ecx, edx, leaf, subleaf.
    Cpuid = 6,
    /// A signal is delivered: `nr` is its number.
    Signal = 7,
    /// A memory hash: it is in `ret`.
    Hash = 8,
    /// The program was stopped between two events, at the interpreter's tick whose ordinal is in `ret`.
    Tick = 9,
    /// Memory shared with other processes was found changed: they wrote these bytes while this process did not run.
    Changed = 10,
}

impl Kind {
    fn from_byte(b: u8) -> Option<Kind> {
        Some(match b {
            1 => Kind::Start,
            2 => Kind::Syscall,
            3 => Kind::Enter,
            4 => Kind::Complete,
            5 => Kind::Tsc,
            6 => Kind::Cpuid,
            7 => Kind::Signal,
            8 => Kind::Hash,
            9 => Kind::Tick,
            10 => Kind::Changed,
            _ => return None,
        })
    }
}

/// Effect targets that are not addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Tag {
    /// Index (`u64`) of the snapshot file the mapping or image shows.
    File = 1,
    /// Content of a mapping, from its start.
    Content = 2,
    /// Ordinal (`u64`) of the thread a clone made.
    Thread = 3,
    /// `siginfo_t` of a delivered signal.
    SignalInfo = 4,
    /// Bytes written to standard output.
    Stdout = 5,
    /// Bytes written to standard error.
    Stderr = 6,
    /// Path of the executed program, without NUL.
    Program = 7,
    /// Working directory, without NUL.
    Directory = 8,
    /// Command line: arguments, each ended by NUL.
    Arguments = 9,
    /// Index (`u64`) of the snapshot file of the program interpreter (ld.so).
    InterpreterFile = 10,
    /// Path of a mapped file, without NUL.
    Path = 11,
}

/// Targets from here on are program addresses.
pub const FIRST_ADDRESS: u64 = 4096;

/// The fixed part of a record, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// What it is.
    pub kind: Kind,
    /// Bits that depend on the kind.
    pub flags: u8,
    /// Ordinal of the thread.
    pub thread: u16,
    /// System call or signal number.
    pub nr: u32,
    /// Result, or the kind's own value.
    pub ret: i64,
    /// Instruction pointer at the event.
    pub rip: u64,
    /// Stack pointer at the event.
    pub rsp: u64,
    /// System call arguments, or the kind's own values.
    pub args: [u64; 6],
    /// Hash of all general registers at the event; 0 where none applies.
    pub registers: u64,
}

impl Fixed {
    /// The fixed part's bytes, size and checksum still zero.
    #[must_use]
    pub fn bytes(&self) -> [u8; FIXED] {
        let mut b = [0; FIXED];
        b[8] = self.kind as u8;
        b[9] = self.flags;
        b[10..12].copy_from_slice(&self.thread.to_le_bytes());
        b[12..16].copy_from_slice(&self.nr.to_le_bytes());
        b[16..24].copy_from_slice(&self.ret.to_le_bytes());
        b[24..32].copy_from_slice(&self.rip.to_le_bytes());
        b[32..40].copy_from_slice(&self.rsp.to_le_bytes());
        for (i, a) in self.args.iter().enumerate() {
            b[40 + 8 * i..48 + 8 * i].copy_from_slice(&a.to_le_bytes());
        }
        b[88..96].copy_from_slice(&self.registers.to_le_bytes());
        b
    }
}

/// Writes size and checksum into a whole record.
///
/// # Panics
/// When the record is shorter than [`FIXED`] or longer than `u32` can say (the writer splits neither).
pub fn seal(record: &mut [u8]) {
    let size = u32::try_from(record.len()).expect("record below 4 GiB");
    record[..4].copy_from_slice(&size.to_le_bytes());
    let sum = checksum(&record[8..]);
    record[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// One event, borrowed from the log.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The fixed part.
    pub fixed: Fixed,
    effects: &'a [u8],
}

/// One effect of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// An address of the program, or a [`Tag`].
    pub target: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Effect<'_> {
    /// The bytes as one `u64`, for tags that hold one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes.try_into().ok()?))
    }
}

impl<'a> Event<'a> {
    /// The effects in order.
    pub fn effects(&self) -> impl Iterator<Item = Effect<'a>> + use<'a> {
        let mut rest = self.effects;
        core::iter::from_fn(move || {
            let (effect, tail) = split_effect(rest)?;
            rest = tail;
            Some(effect)
        })
    }

    /// The first effect with this tag.
    #[must_use]
    pub fn tagged(&self, tag: Tag) -> Option<Effect<'a>> {
        self.effects().find(|e| e.target == tag as u64)
    }
}

fn split_effect(b: &[u8]) -> Option<(Effect<'_>, &[u8])> {
    if b.len() < 16 {
        return None;
    }
    let target = u64::from_le_bytes(b[..8].try_into().ok()?);
    let len = usize::try_from(u64::from_le_bytes(b[8..16].try_into().ok()?)).ok()?;
    let padded = len.checked_add(7)? & !7;
    let body = b.get(16..)?;
    if padded > body.len() {
        return None;
    }
    Some((
        Effect {
            target,
            bytes: &body[..len],
        },
        &body[padded..],
    ))
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The record does not lie within the log, or its parts do not fit.
    Malformed,
    /// Its checksum is wrong.
    Checksum,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            RecordError::Malformed => "malformed record",
            RecordError::Checksum => "checksum mismatch",
        })
    }
}

/// Reads records one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    records: &'a [u8],
    at: usize,
    index: u64,
    torn: bool,
}

impl<'a> Reader<'a> {
    /// Over the records of a log: what follows the header, cut to [`crate::Header::committed`].
    #[must_use]
    pub fn new(records: &'a [u8]) -> Reader<'a> {
        Reader {
            records,
            at: 0,
            index: 0,
            torn: false,
        }
    }

    /// Over the records of a truncated log ([`crate::Header::torn`]): an incomplete last record is its end, not an error.
    #[must_use]
    pub fn torn(records: &'a [u8]) -> Reader<'a> {
        Reader {
            torn: true,
            ..Reader::new(records)
        }
    }

    /// Ordinal of the next record.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Byte offset of the next record among the records.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next record without passing it; `None` at the end.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn peek(&self) -> Result<Option<Event<'a>>, RecordError> {
        Ok(self.read()?.map(|(e, _)| e))
    }

    /// The next record, passing it; `None` at the end.
    ///
    /// # Errors
    /// [`RecordError`]; the reader then stays where it is.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event<'a>>, RecordError> {
        match self.read()? {
            Some((event, size)) => {
                self.at += size;
                self.index += 1;
                Ok(Some(event))
            }
            None => Ok(None),
        }
    }

    fn read(&self) -> Result<Option<(Event<'a>, usize)>, RecordError> {
        let rest = &self.records[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        if rest.len() < FIXED {
            return if self.torn { Ok(None) } else { Err(RecordError::Malformed) };
        }
        let u32_at = |o: usize| u32::from_le_bytes([rest[o], rest[o + 1], rest[o + 2], rest[o + 3]]);
        let u64_at = |o: usize| u64::from(u32_at(o)) | u64::from(u32_at(o + 4)) << 32;
        let size = u32_at(0) as usize;
        if self.torn && size > rest.len() {
            return Ok(None);
        }
        if size < FIXED || !size.is_multiple_of(8) || size > rest.len() {
            return Err(RecordError::Malformed);
        }
        if checksum(&rest[8..size]) != u32_at(4) {
            return Err(RecordError::Checksum);
        }
        let fixed = Fixed {
            kind: Kind::from_byte(rest[8]).ok_or(RecordError::Malformed)?,
            flags: rest[9],
            thread: u16::from_le_bytes([rest[10], rest[11]]),
            nr: u32_at(12),
            ret: u64_at(16).cast_signed(),
            rip: u64_at(24),
            rsp: u64_at(32),
            args: core::array::from_fn(|i| u64_at(40 + 8 * i)),
            registers: u64_at(88),
        };
        let event = Event {
            fixed,
            effects: &rest[FIXED..size],
        };
        let mut tail = event.effects;
        while !tail.is_empty() {
            tail = split_effect(tail).ok_or(RecordError::Malformed)?.1;
        }
        Ok(Some((event, size)))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn record(effects: &[(u64, &[u8])]) -> Vec<u8> {
        let fixed = Fixed {
            kind: Kind::Syscall,
            flags: 1,
            thread: 2,
            nr: 3,
            ret: -4,
            rip: 5,
            rsp: 6,
            args: [7, 8, 9, 10, 11, 12],
            registers: 13,
        };
        let mut b = fixed.bytes().to_vec();
        for (t, d) in effects {
            b.extend(t.to_le_bytes());
            b.extend((d.len() as u64).to_le_bytes());
            b.extend(*d);
            b.resize(b.len().next_multiple_of(8), 0);
        }
        seal(&mut b);
        b
    }

    #[test]
    fn round_trip() {
        let mut log = record(&[(4096, b"abc"), (Tag::File as u64, &9u64.to_le_bytes())]);
        log.extend(record(&[]));
        let mut r = Reader::new(&log);
        let e = r.next().unwrap().unwrap();
        assert_eq!((e.fixed.nr, e.fixed.ret, e.fixed.args[5], e.fixed.registers), (3, -4, 12, 13));
        assert_eq!(
            e.effects().next().unwrap(),
            Effect {
                target: 4096,
                bytes: b"abc"
            }
        );
        assert_eq!(e.tagged(Tag::File).unwrap().number(), Some(9));
        assert_eq!(r.next().unwrap().unwrap().effects().count(), 0);
        assert!(r.next().unwrap().is_none());
        assert_eq!(r.index(), 2);
    }

    #[test]
    fn any_flipped_bit_is_an_error_or_the_end() {
        let log = record(&[(4096, b"hello world")]);
        for bit in 0..log.len() * 8 {
            let mut bad = log.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Reader::new(&bad).next().is_err(), "bit {bit} passed");
        }
    }

    #[test]
    fn any_truncation_is_an_error() {
        let log = record(&[(4096, b"hello world")]);
        for n in 1..log.len() {
            assert!(Reader::new(&log[..n]).next().is_err(), "{n} bytes passed");
            assert!(matches!(Reader::torn(&log[..n]).next(), Ok(None)), "{n} bytes of a torn log");
        }
    }
}
