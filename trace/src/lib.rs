//! The trace format: bytes to events and back. No files, no libc.
//!
//! A trace is a directory:
//!
//! | name | holds |
//! |---|---|
//! | `events` | one [`header`] page, then [`chunk`]s of encoded [`event`]s, one stream |
//! | `files/N` | the content of mapped files, as they were when first mapped |
//! | `processes/N` | the same again for each further process; see [`Origin`] |
//! | `shared` | of use only while recording |
//! | `survey` | written by the daemon: what one pass over the trace found; may be deleted |
//!
//! Everything is little-endian. The log is written through a shared mapping, so it survives SIGKILL of the recorded
//! program: [`header::Progress`] says how much of it counts.
//!
//! The layers: [`writer`] encodes an event by its difference to what `sites` expects, with `varint`s, into a stream; [`chunk`] cuts the
//! stream, compresses the pieces and guards them by a [`checksum`]; [`reader`] goes the other way.
#![no_std]
// x86-64 only: a `usize` is a `u64`. What is narrower was bounded or masked before.
#![allow(clippy::cast_possible_truncation)]

extern crate alloc;

pub mod checksum;
pub mod chunk;
pub mod cpu;
mod decode;
pub mod event;
pub mod header;
pub mod memory;
pub mod reader;
pub mod readings;
mod sites;
#[cfg(test)]
mod tests;
mod varint;
pub mod writer;

pub use cpu::Cpu;
pub use event::{Effect, Event, Kind, RecordError, Tag};
pub use header::{End, HEADER_SIZE, Header, HeaderError, MAGIC, Origin, VERSION};
pub use reader::{OpenError, Opened, Pieces, Reader, Source};
pub use readings::{Readings, Remaining};
pub use writer::{Room, Writer};

/// Name of the event log inside a trace directory.
pub const EVENTS_FILE: &str = "events";
/// Name of the folder of file contents inside a trace directory.
pub const FILES_DIR: &str = "files";
/// Name of the folder of further processes inside a trace directory: each is a folder, named by its stream's number, that holds what
/// a trace directory holds.
pub const PROCESSES_DIR: &str = "processes";
/// Name of the file inside a trace directory through which processes that share memory take turns while they are recorded.
pub const SHARED_FILE: &str = "shared";
