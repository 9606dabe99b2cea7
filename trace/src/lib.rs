//! The trace format: bytes to events and back. No files, no allocation, no libc.
//!
//! A trace is a directory:
//!
//! | name | holds |
//! |---|---|
//! | `events` | one [`header`] page, then [`event`] records, one stream |
//! | `files/N` | the content of mapped files, as they were when first mapped |
//! | `processes/N` | the same again for each further process; see [`Origin`] |
//! | `shared` | of use only while recording |
//! | `survey` | written by the daemon: what one pass over the trace found; may be deleted |
//!
//! Everything is little-endian. The log is written through a shared mapping, so it survives SIGKILL of the recorded
//! program: [`header::Header::committed`] says how many bytes of records are whole; each record carries a checksum.
#![no_std]

pub mod checksum;
pub mod event;
pub mod header;

pub use event::{Effect, Event, Kind, Reader, RecordError, Tag};
pub use header::{End, HEADER_SIZE, Header, HeaderError, MAGIC, Origin, VERSION};

/// Name of the event log inside a trace directory.
pub const EVENTS_FILE: &str = "events";
/// Name of the folder of file contents inside a trace directory.
pub const FILES_DIR: &str = "files";
/// Name of the folder of further processes inside a trace directory: each is a folder, named by its stream's number, that holds what
/// a trace directory holds.
pub const PROCESSES_DIR: &str = "processes";
/// Name of the file inside a trace directory through which processes that share memory take turns while they are recorded.
pub const SHARED_FILE: &str = "shared";
