//! Reading a trace's event log from disk, one record at a time. The format itself is `rdb_trace`'s.

use rdb_trace::event::FIXED;
use rdb_trace::header::offset;
use rdb_trace::{EVENTS_FILE, Event, HEADER_SIZE, Header, HeaderError, Reader, RecordError};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Why a log could not be opened or read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system says so.
    #[error("cannot read the trace: {0}")]
    Io(#[from] io::Error),
    /// The header is not one of ours.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// A record is damaged.
    #[error("event {index}: {error}; the trace is damaged from there on")]
    Record {
        /// Which event.
        index: u64,
        /// What is wrong with it.
        error: RecordError,
    },
    /// The file is shorter than its header says.
    #[error("the trace is cut off at event {index}, {missing} bytes are missing")]
    Truncated {
        /// The first event that is not whole.
        index: u64,
        /// How much is missing.
        missing: u64,
    },
}

/// An open log, standing before its next record.
#[derive(Debug)]
pub struct Log {
    header: Header,
    file: BufReader<File>,
    /// Bytes of records the header promises and the reader has not passed.
    left: u64,
    /// Of those, how many the file does not have.
    missing: u64,
    index: u64,
    record: Vec<u8>,
}

impl Log {
    /// Opens the log of the trace directory `trace`.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Header`].
    pub fn open(trace: &Path) -> Result<Log, LogError> {
        let mut file = File::open(trace.join(EVENTS_FILE))?;
        let size = file.metadata()?.len();
        let mut page = Vec::with_capacity(HEADER_SIZE);
        file.by_ref().take(HEADER_SIZE as u64).read_to_end(&mut page)?;
        let mut header = Header::read(&page)?;
        // `Header::read` counts what it was given; only the page was.
        let promised = page[offset::COMMITTED..offset::COMMITTED + 8]
            .iter()
            .rev()
            .fold(0, |n, b| n << 8 | u64::from(*b));
        let present = size - HEADER_SIZE as u64;
        header.committed = promised.min(present);
        let missing = promised.saturating_sub(present);
        Ok(Log {
            header,
            file: BufReader::with_capacity(1 << 16, file),
            left: promised,
            missing,
            index: 0,
            record: Vec::new(),
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of header and whole records.
    #[must_use]
    pub fn size(&self) -> u64 {
        HEADER_SIZE as u64 + self.header.committed
    }

    /// The next event, or `None` at the end.
    ///
    /// # Errors
    /// [`LogError`]; there is nothing to be read after one.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, LogError> {
        if self.left == 0 {
            return Ok(None);
        }
        let index = self.index;
        let malformed = LogError::Record {
            index,
            error: RecordError::Malformed,
        };
        let truncated = LogError::Truncated {
            index,
            missing: self.missing,
        };
        let present = self.left - self.missing;
        if present < FIXED as u64 {
            return Err(if self.missing > 0 { truncated } else { malformed });
        }
        self.record.resize(4, 0);
        self.file.read_exact(&mut self.record)?;
        let size = self.record.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
        if size < FIXED || size as u64 > self.left {
            return Err(malformed);
        }
        if size as u64 > present {
            return Err(truncated);
        }
        self.record.resize(size, 0);
        self.file.read_exact(&mut self.record[4..])?;
        self.left -= size as u64;
        self.index += 1;
        Reader::new(&self.record).next().map_err(|error| LogError::Record { index, error })
    }
}
