//! Reading a log, event by event: the one way for replay and for every tool.

use crate::chunk::{HEAD, Head};
use crate::decode::Decoded;
use crate::event::{Event, RecordError};
use crate::header::{HEADER_SIZE, Header, HeaderError, Progress, offset};
use crate::sites::Sites;
use crate::varint::Stop;
use alloc::vec;
use alloc::vec::Vec;

/// Raw bytes kept for the next event: more is given back.
const KEPT: usize = 1 << 20;

/// Where the sealed chunks come from. Their bytes never change once they count.
pub trait Source {
    /// Bytes of the log's file.
    ///
    /// # Errors
    /// [`RecordError`].
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], RecordError>;
}

impl Source for &[u8] {
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], RecordError> {
        let at = usize::try_from(at).map_err(|_| RecordError::Malformed)?;
        self.get(at..).and_then(|b| b.get(..len)).ok_or(RecordError::Malformed)
    }
}

/// A log read piece by piece, by a function that fills a buffer from a place in the file or gives an error number.
#[derive(Debug)]
pub struct Pieces<F> {
    read: F,
    buffer: Vec<u8>,
}

impl<F: FnMut(u64, &mut [u8]) -> Result<(), i32>> Pieces<F> {
    /// With the function that reads.
    pub fn new(read: F) -> Pieces<F> {
        Pieces { read, buffer: Vec::new() }
    }
}

impl<F: FnMut(u64, &mut [u8]) -> Result<(), i32>> Source for Pieces<F> {
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], RecordError> {
        self.buffer.resize(len, 0);
        (self.read)(at, &mut self.buffer).map_err(RecordError::Unreadable)?;
        Ok(&self.buffer)
    }
}

/// A log just opened: its header, and the bytes of its open chunk, copied, for a recorder may still be at work.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The header.
    pub header: Header,
    /// The open chunk.
    pub open: Vec<u8>,
}

/// Why a log could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The header is not one of ours.
    Header(HeaderError),
    /// The file could not be read (an error number).
    Unreadable(i32),
}

impl Opened {
    /// Opens a log whose file has `size` bytes, read by a function as that of [`Pieces`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn new(size: u64, mut read: impl FnMut(u64, &mut [u8]) -> Result<(), i32>) -> Result<Opened, OpenError> {
        let mut page = vec![0; HEADER_SIZE.min(usize::try_from(size).unwrap_or(HEADER_SIZE))];
        loop {
            read(0, &mut page).map_err(OpenError::Unreadable)?;
            let header = Header::read(&page, size).map_err(OpenError::Header)?;
            let mut open = vec![0; usize::from(header.progress.open)];
            let copied = if open.is_empty() {
                Ok(())
            } else {
                read(header.progress.open_at(), &mut open)
            };
            // A chunk sealed meanwhile is no longer where it was.
            let mut word = [0; 8];
            read(offset::PROGRESS as u64, &mut word).map_err(OpenError::Unreadable)?;
            let now = Progress::from_word(u64::from_le_bytes(word));
            let before = Progress::from_word(u64::from_le_bytes(core::array::from_fn(|i| page[offset::PROGRESS + i])));
            if now.sealed == before.sealed {
                copied.map_err(OpenError::Unreadable)?;
                return Ok(Opened { header, open });
            }
        }
    }
}

/// Reads events one after the other.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    /// Where the next sealed chunk starts, and where the last one ends.
    at: u64,
    end: u64,
    torn: bool,
    promised: u64,
    open: Vec<u8>,
    /// Raw bytes, and where in them the next event starts.
    window: Vec<u8>,
    pos: usize,
    sites: Sites,
    index: u64,
    decoded: Decoded,
    /// `decoded` is the next event.
    ready: bool,
}

impl<S: Source> Reader<S> {
    /// Over an opened log.
    #[must_use]
    pub fn new(opened: Opened, source: S) -> Reader<S> {
        Reader {
            source,
            at: HEADER_SIZE as u64,
            end: HEADER_SIZE as u64 + opened.header.progress.sealed,
            torn: opened.header.torn(),
            promised: opened.header.events,
            open: opened.open,
            window: Vec::new(),
            pos: 0,
            sites: Sites::new(),
            index: 0,
            decoded: Decoded::new(),
            ready: false,
        }
    }

    /// Over nothing.
    #[must_use]
    pub fn empty(source: S) -> Reader<S> {
        Reader {
            source,
            at: 0,
            end: 0,
            torn: false,
            promised: 0,
            open: Vec::new(),
            window: Vec::new(),
            pos: 0,
            sites: Sites::new(),
            index: 0,
            decoded: Decoded::new(),
            ready: false,
        }
    }

    /// Ordinal of the next event.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The next event without passing it; `None` at the end, which in a truncated log is where its whole events end.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn peek(&mut self) -> Result<Option<Event<'_>>, RecordError> {
        if !self.ready && !self.read()? {
            return Ok(None);
        }
        Ok(Some(self.event()))
    }

    /// The next event, passing it; `None` at the end.
    ///
    /// # Errors
    /// [`RecordError`]; the reader then stays where it is.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, RecordError> {
        if !self.ready && !self.read()? {
            return Ok(None);
        }
        self.ready = false;
        self.index += 1;
        self.pos = self.decoded.end;
        Ok(Some(self.event()))
    }

    fn event(&self) -> Event<'_> {
        Event {
            fixed: self.decoded.fixed,
            effects: &self.decoded.effects,
            stream: &self.window,
            words: &self.decoded.words,
        }
    }

    /// Decodes the next event; false at the end. What the event before lent is gone.
    fn read(&mut self) -> Result<bool, RecordError> {
        loop {
            match self.decoded.read(&self.window, self.pos, &mut self.sites) {
                Ok(()) => {
                    self.ready = true;
                    return Ok(true);
                }
                Err(Stop::Malformed) => return Err(RecordError::Malformed),
                Err(Stop::More) => {
                    if !self.load()? {
                        // An event that was being written when the recorder ended is none.
                        return if self.torn || self.index >= self.promised {
                            Ok(false)
                        } else {
                            Err(RecordError::Malformed)
                        };
                    }
                }
            }
        }
    }

    /// Adds a chunk to the window; false when there is none.
    fn load(&mut self) -> Result<bool, RecordError> {
        let left = self.end - self.at;
        let cut = if self.torn { Ok(false) } else { Err(RecordError::Malformed) };
        if left == 0 {
            if self.open.is_empty() {
                return Ok(false);
            }
            self.make_way();
            self.window.extend_from_slice(&core::mem::take(&mut self.open));
            return Ok(true);
        }
        if left < HEAD as u64 {
            return cut;
        }
        let head = Head::read(self.source.bytes(self.at, HEAD)?)?;
        let size = (HEAD + head.stored) as u64;
        if size > left {
            return cut;
        }
        self.make_way();
        let stored = self.source.bytes(self.at + HEAD as u64, head.stored)?;
        head.open(stored, &mut self.window)?;
        self.at += size;
        Ok(true)
    }

    /// Drops the raw bytes of events that were passed.
    fn make_way(&mut self) {
        self.window.drain(..self.pos);
        self.decoded.rebase(self.pos);
        self.pos = 0;
        if self.window.capacity() > KEPT && self.window.len() < KEPT / 4 {
            self.window.shrink_to(KEPT / 2);
        }
    }
}
