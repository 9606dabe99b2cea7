//! Reading a trace's event log from disk, one event at a time. The format itself is `rdb_trace`'s.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rdb_trace::{EVENTS_FILE, Event, HEADER_SIZE, Header, HeaderError, OpenError, Opened, Pieces, Reader, RecordError};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
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
    /// An event is damaged.
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

/// Whether a recorder holds the log in `folder`: it locks it as long as it lives.
pub(crate) fn is_being_written(folder: &Path) -> bool {
    File::open(folder.join(EVENTS_FILE))
        .is_ok_and(|log| matches!(Flock::lock(log, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK))))
}

type Read = Box<dyn FnMut(u64, &mut [u8]) -> Result<(), i32>>;

/// An open log, standing before its next event.
pub struct Log {
    header: Header,
    reader: Reader<Pieces<Read>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log of the trace directory `trace`.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Header`].
    pub fn open(trace: &Path) -> Result<Log, LogError> {
        let file = File::open(trace.join(EVENTS_FILE))?;
        let size = file.metadata()?.len();
        let mut read: Read = Box::new(move |at, to| file.read_exact_at(to, at).map_err(|e| e.raw_os_error().unwrap_or(libc::ENODATA)));
        let opened = Opened::new(size, &mut read).map_err(|e| match e {
            OpenError::Header(e) => LogError::Header(e),
            OpenError::Unreadable(e) => LogError::Io(io::Error::from_raw_os_error(e)),
        })?;
        Ok(Log {
            header: opened.header,
            reader: Reader::new(opened, Pieces::new(read)),
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of header and chunks.
    #[must_use]
    pub fn size(&self) -> u64 {
        HEADER_SIZE as u64 + self.header.progress.sealed + u64::from(self.header.progress.open)
    }

    /// The next event, or `None` at the end.
    ///
    /// # Errors
    /// [`LogError`]; there is nothing to be read after one.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, LogError> {
        let index = self.reader.index();
        match self.reader.next() {
            Ok(None) if self.header.torn() => Err(LogError::Truncated {
                index,
                missing: self.header.missing,
            }),
            Ok(event) => Ok(event),
            Err(error) => Err(LogError::Record { index, error }),
        }
    }
}
