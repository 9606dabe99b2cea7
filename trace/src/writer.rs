//! Writing a log: events are encoded into the open chunk, and a full chunk is sealed.
//!
//! The open chunk lies in the file, behind a gap wide enough for what it will be when it is sealed. So nothing that counts is ever
//! overwritten: sealing writes into the gap, and one store ([`Progress`]) makes the sealed bytes count and the open ones not.
//! Wherever the writer is killed, the file is a good log up to the last whole event.

use crate::chunk::{self, GAP, HEAD, RAW};
use crate::event::Fixed;
use crate::header::{HEADER_SIZE, Progress};
use crate::sites::{Site, Sites, WORDS};
use crate::varint::{Bytes, LONGEST};

/// Bits of an event's first byte.
pub(crate) mod head {
    /// The site is named by its slot.
    pub(crate) const SLOT: u8 = 1;
    /// The site is new. Neither: it is the one expected.
    pub(crate) const NEW: u8 = 2;
    pub(crate) const STACK: u8 = 4;
    pub(crate) const RESULT: u8 = 8;
    pub(crate) const ARGUMENTS: u8 = 16;
    pub(crate) const REGISTERS: u8 = 32;
    pub(crate) const EFFECTS: u8 = 64;
}

/// Parts of an effect's first byte: whether another follows, what it hits, how long it is.
pub(crate) mod code {
    pub(crate) const MORE: u8 = 0x80;
    /// Targets 0 to 5 are arguments.
    pub(crate) const EXPLICIT: u8 = 6;
    pub(crate) const TAG: u8 = 7;
    pub(crate) const TARGET_SHIFT: u8 = 4;
    pub(crate) const LENGTH: u8 = 0;
    pub(crate) const AS_RESULT: u8 = 1;
    /// And one less words told by difference, up to [`super::WORDS`].
    pub(crate) const WORDS_BEFORE: u8 = 1;
    /// And that many bytes.
    pub(crate) const BYTES_BEFORE: u8 = 5;
    pub(crate) const MOST_BYTES: u64 = 10;
}

/// Longest encoding of what comes before an event's effects.
const LONGEST_HEAD: usize = 1 + 2 + 3 * LONGEST + 2 * LONGEST + 1 + 6 * LONGEST + 4;

/// The file a log is written into, by memory.
pub trait Room {
    /// Why there is no more room.
    type Error;
    /// Makes the file's bytes up to `end` usable.
    ///
    /// # Errors
    /// When the file cannot become so large.
    fn extend_to(&mut self, end: u64) -> Result<(), Self::Error>;
    /// Bytes of the file, which were reserved.
    fn bytes(&mut self, at: u64, len: usize) -> &mut [u8];
    /// Stores a word of the header in one piece, after everything written before.
    fn store(&mut self, at: usize, word: u64);
}

/// Writes events.
#[derive(Debug)]
pub struct Writer<R> {
    room: R,
    sites: Sites,
    progress: Progress,
    events: u64,
    event: Fixed,
    /// The small effect whose words are remembered was met.
    small: bool,
}

impl<R: Room> Writer<R> {
    /// A writer of a log whose header page is already there.
    ///
    /// # Errors
    /// When there is no room for a first chunk.
    pub fn new(mut room: R) -> Result<Writer<R>, R::Error> {
        let progress = Progress::default();
        room.extend_to(progress.open_at() + RAW as u64)?;
        let sites = Sites::new();
        Ok(Writer {
            room,
            event: *sites.latest(),
            sites,
            progress,
            events: 0,
            small: false,
        })
    }

    /// The file.
    pub fn room(&mut self) -> &mut R {
        &mut self.room
    }

    /// Whole events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Bytes of the file that count once the open chunk is sealed.
    #[must_use]
    pub fn end(&self) -> u64 {
        HEADER_SIZE as u64 + self.progress.sealed
    }

    /// Begins an event; if it has effects, they follow, and then in either case [`Writer::commit`].
    ///
    /// # Errors
    /// When there is no more room: the log is good up to the event before.
    pub fn event(&mut self, e: &Fixed, effects: bool) -> Result<(), R::Error> {
        let mut b = Bytes::<LONGEST_HEAD>::new();
        let slot = Sites::slot(e);
        let known = self.sites.knows(slot, e);
        let mut bits = 0;
        b.byte(0);
        let before = if known {
            if self.sites.expected() != slot {
                bits |= head::SLOT;
                b.varint(slot as u64);
            }
            self.sites.get(slot).copied()
        } else {
            None
        };
        let before = before.unwrap_or_else(|| {
            bits |= head::NEW;
            b.byte(e.kind as u8);
            b.byte(e.flags);
            b.varint(u64::from(e.thread));
            b.varint(u64::from(e.nr));
            b.delta(self.sites.latest().rip, e.rip);
            self.sites.stranger()
        });
        let old = &before.event;
        if e.rsp != old.rsp {
            bits |= head::STACK;
            b.delta(old.rsp, e.rsp);
        }
        if e.ret != old.ret {
            bits |= head::RESULT;
            b.delta(old.ret.cast_unsigned(), e.ret.cast_unsigned());
        }
        if e.args != old.args {
            bits |= head::ARGUMENTS;
            let changed = (0..6).filter(|i| e.args[*i] != old.args[*i]);
            b.byte(changed.clone().fold(0, |mask, i| mask | 1 << i));
            for i in changed {
                b.delta(old.args[i], e.args[i]);
            }
        }
        if e.registers != 0 {
            bits |= head::REGISTERS;
            b.slice(&e.registers.to_le_bytes());
        }
        if effects {
            bits |= head::EFFECTS;
        }
        b.set(0, bits);
        self.sites.put(slot, Site { event: *e, ..before });
        self.event = *e;
        self.small = false;
        self.append(b.as_slice())
    }

    /// Adds an effect of `len` bytes, which `fill` gives piece by piece: from which of them on, and where to. `last` when none
    /// follows.
    ///
    /// # Errors
    /// As [`Writer::event`].
    pub fn effect(&mut self, target: u64, len: u64, last: bool, mut fill: impl FnMut(u64, &mut [u8])) -> Result<(), R::Error> {
        let mut b = Bytes::<64>::new();
        let mut first = if last { 0 } else { code::MORE };
        b.byte(0);
        let args = &self.event.args;
        let target_code = match args.iter().position(|a| *a == target) {
            _ if target < crate::event::FIRST_ADDRESS => {
                b.varint(target);
                code::TAG
            }
            Some(i) => i as u8,
            None => {
                let site = self.sites.current();
                b.delta(site.target, target);
                site.target = target;
                code::EXPLICIT
            }
        };
        first |= target_code << code::TARGET_SHIFT;
        if words(len).is_some_and(|_| !self.small) {
            self.small = true;
            let mut bytes = [0; 8 * WORDS];
            let bytes = &mut bytes[..len as usize];
            fill(0, bytes);
            return self.small_effect(b, first, bytes);
        }
        let length_code = if len.cast_signed() == self.event.ret {
            code::AS_RESULT
        } else if (1..=code::MOST_BYTES).contains(&len) {
            code::BYTES_BEFORE + len as u8
        } else {
            b.varint(len);
            code::LENGTH
        };
        b.set(0, first | length_code);
        self.append(b.as_slice())?;
        let mut done = 0;
        while done < len {
            let to = self.tail(len - done)?;
            let n = to.len();
            fill(done, to);
            self.progress.open += n as u16;
            done += n as u64;
        }
        Ok(())
    }

    /// The first effect of one to four words: clocks and other numbers, which change little from one call to the next.
    fn small_effect(&mut self, mut b: Bytes<64>, first: u8, bytes: &[u8]) -> Result<(), R::Error> {
        let site = self.sites.current();
        let mut differences = Bytes::<{ LONGEST * WORDS }>::new();
        for (word, c) in site.words.iter_mut().zip(bytes.chunks_exact(8)) {
            let now = u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
            differences.delta(*word, now);
            *word = now;
        }
        if differences.as_slice().len() < bytes.len() {
            b.set(0, first | (code::WORDS_BEFORE + (bytes.len() / 8) as u8));
            self.append(b.as_slice())?;
            return self.append(differences.as_slice());
        }
        if bytes.len() == 8 {
            b.set(0, first | (code::BYTES_BEFORE + 8));
        } else {
            b.set(0, first | code::LENGTH);
            b.varint(bytes.len() as u64);
        }
        self.append(b.as_slice())?;
        self.append(bytes)
    }

    /// Makes the event count.
    pub fn commit(&mut self) {
        self.events += 1;
        self.room.store(crate::header::offset::PROGRESS, self.progress.word());
        self.room.store(crate::header::offset::EVENTS, self.events);
    }

    /// Seals the open chunk, for which there is always room, and says at which size the file can be cut.
    pub fn close(&mut self) -> u64 {
        if self.progress.open > 0 {
            self.seal();
        }
        self.end()
    }

    /// Makes room for an open chunk behind what [`Writer::close`] sealed.
    ///
    /// # Errors
    /// When there is none.
    pub fn reopen(&mut self) -> Result<(), R::Error> {
        self.room.extend_to(self.progress.open_at() + RAW as u64)
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<(), R::Error> {
        while !bytes.is_empty() {
            let to = self.tail(bytes.len() as u64)?;
            let (now, rest) = bytes.split_at(to.len());
            to.copy_from_slice(now);
            self.progress.open += now.len() as u16;
            bytes = rest;
        }
        Ok(())
    }

    /// Up to `len` free bytes of the open chunk, at least one.
    fn tail(&mut self, len: u64) -> Result<&mut [u8], R::Error> {
        if usize::from(self.progress.open) == RAW {
            self.seal();
            self.reopen()?;
        }
        let open = usize::from(self.progress.open);
        let n = len.min((RAW - open) as u64) as usize;
        Ok(self.room.bytes(self.progress.open_at() + open as u64, n))
    }

    fn seal(&mut self) {
        let open = usize::from(self.progress.open);
        let (gap, raw) = self.room.bytes(self.end(), GAP as usize + open).split_at_mut(GAP as usize);
        let n = chunk::seal(raw, gap);
        debug_assert!(n <= open + HEAD);
        self.progress = Progress {
            sealed: self.progress.sealed + n as u64,
            open: 0,
        };
        self.room.store(crate::header::offset::PROGRESS, self.progress.word());
    }
}

/// How many words a small effect has; `None` when it is none.
pub(crate) fn words(len: u64) -> Option<usize> {
    (len > 0 && len <= 8 * WORDS as u64 && len.is_multiple_of(8)).then_some(len as usize / 8)
}
