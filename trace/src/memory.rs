//! A whole log in memory: what a recorder does with a file, for tools and tests.

use crate::chunk::{GAP, seal};
use crate::event::Fixed;
use crate::header::{End, HEADER_SIZE, Header, offset};
use crate::writer::{Room, Writer};
use crate::{Cpu, Origin};
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

impl Room for Vec<u8> {
    type Error = Infallible;

    fn extend_to(&mut self, end: u64) -> Result<(), Infallible> {
        if (self.len() as u64) < end {
            self.resize(end as usize, 0);
        }
        Ok(())
    }

    fn bytes(&mut self, at: u64, len: usize) -> &mut [u8] {
        &mut self[at as usize..at as usize + len]
    }

    fn store(&mut self, at: usize, word: u64) {
        self[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}

/// Adds an event with its effects: target and bytes each.
pub fn add<R: Room>(writer: &mut Writer<R>, fixed: &Fixed, effects: &[(u64, &[u8])]) -> Result<(), R::Error> {
    writer.event(fixed, !effects.is_empty())?;
    for (i, (target, bytes)) in effects.iter().enumerate() {
        writer.effect(*target, bytes.len() as u64, i + 1 == effects.len(), |from, to| {
            to.copy_from_slice(&bytes[from as usize..from as usize + to.len()]);
        })?;
    }
    writer.commit();
    Ok(())
}

/// An event and its effects.
pub type Entry<'a> = (Fixed, &'a [(u64, &'a [u8])]);

/// A log that ended with `end`; a chunk is closed after each of `chunks`.
#[must_use]
pub fn log(started: u64, end: End, chunks: &[&[Entry<'_>]]) -> Vec<u8> {
    let page = Header::page(&Origin::default(), 0, started, &Cpu::default()).to_vec();
    let Ok(mut w) = Writer::new(page);
    for events in chunks {
        for (fixed, effects) in *events {
            let Ok(()) = add(&mut w, fixed, effects);
        }
        w.close();
        let Ok(()) = w.reopen();
    }
    let size = w.close();
    let log = w.room();
    let (kind, value) = end.words();
    log[offset::END..offset::END + 4].copy_from_slice(&kind.to_le_bytes());
    log[offset::END_VALUE..offset::END_VALUE + 4].copy_from_slice(&value.to_le_bytes());
    log.truncate(size as usize);
    core::mem::take(log)
}

/// The sealed chunk of what the writer left open.
#[must_use]
pub fn sealed(open: &[u8]) -> Vec<u8> {
    let mut to = vec![0; GAP as usize];
    let n = seal(open, &mut to);
    to.truncate(n);
    to
}

/// Where the first chunk starts.
pub const FIRST_CHUNK: usize = HEADER_SIZE;
