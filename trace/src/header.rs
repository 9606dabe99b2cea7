//! The header page of `events`. Magic and version are fixed bytes, read before anything else is believed.

use crate::chunk::GAP;
use crate::cpu::Cpu;

/// Bytes of the header: one page, so that chunks start page-aligned.
pub const HEADER_SIZE: usize = 4096;
/// First eight bytes.
pub const MAGIC: [u8; 8] = *b"RDBTRACE";
/// Version of the whole format. Any change of meaning bumps it.
pub const VERSION: u32 = 5;

/// Byte offset of each field. All are naturally aligned, so that the writer may update them in place.
pub mod offset {
    /// `[u8; 8]`: [`super::MAGIC`].
    pub const MAGIC: usize = 0;
    /// `u32`: [`super::VERSION`].
    pub const VERSION: usize = 8;
    /// `u32`: which of the trace's streams this is (one per recorded process); 0 is the first.
    pub const STREAM: usize = 12;
    /// `u64`: how far the log has come, see [`super::Progress`]. Written after each event and at each sealing, in one store.
    pub const PROGRESS: usize = 16;
    /// `u64`: whole events. Written after [`PROGRESS`], so that it is never ahead of it.
    pub const EVENTS: usize = 24;
    /// `u32`: how the recording ended, see [`super::End`].
    pub const END: usize = 32;
    /// `u32`: exit status or signal number.
    pub const END_VALUE: usize = 36;
    /// `u32`: events between memory hashes; 0 for none.
    pub const VERIFY_EVERY: usize = 40;
    /// `u32`: the process's id, as it saw it.
    pub const PID: usize = 44;
    /// `u64`: start of the recording, nanoseconds since 1970.
    pub const STARTED: usize = 48;
    /// `u32`: the stream of the process that made this one.
    pub const PARENT: usize = 56;
    /// `u64`: ordinal of the parent's event that forked this process; 0 where it started a program of its own.
    pub const FORKED: usize = 64;
    /// The recording CPU, see [`crate::cpu::Cpu`].
    pub const CPU: usize = 72;
}

/// How far a log has come: bytes of sealed chunks after the header, and bytes of the open chunk, which lies [`GAP`] further on.
///
/// It is one word, so that a recorder killed between any two instructions leaves the state before a sealing or the one after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of sealed chunks.
    pub sealed: u64,
    /// Bytes in the open chunk.
    pub open: u16,
}

impl Progress {
    /// As written.
    #[must_use]
    pub fn word(self) -> u64 {
        self.sealed << 16 | u64::from(self.open)
    }

    /// As read.
    #[must_use]
    pub fn from_word(word: u64) -> Progress {
        Progress {
            sealed: word >> 16,
            open: word as u16,
        }
    }

    /// Where in the file the open chunk starts.
    #[must_use]
    pub fn open_at(self) -> u64 {
        HEADER_SIZE as u64 + self.sealed + GAP
    }
}

/// Which process of a recording a stream belongs to, and where it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its stream; 0 is the first process.
    pub stream: u32,
    /// Its process id.
    pub pid: u32,
    /// The stream of the process that made it.
    pub parent: u32,
    /// Ordinal of the parent's event that forked it: up to there the parent's events are its own. 0 where it started a program.
    pub forked: u64,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No end was written: the program was killed by SIGKILL, or is still running.
    Open,
    /// `exit_group` with this status.
    Exited(u32),
    /// Killed by this signal.
    Signalled(u32),
    /// The disk was full: the program went on, the recording did not.
    DiskFull,
    /// The log reached the size asked for: the program went on, the recording did not.
    SizeLimit,
    /// Something happened that cannot be recorded (the value is the system call number); the program went on.
    Unsupported(u32),
    /// The process executed another program while it had several threads: this stream goes on.
    Replaced(u32),
}

impl End {
    /// As the two header words.
    #[must_use]
    pub fn words(self) -> (u32, u32) {
        match self {
            End::Open => (0, 0),
            End::Exited(v) => (1, v),
            End::Signalled(v) => (2, v),
            End::DiskFull => (3, 0),
            End::Unsupported(v) => (4, v),
            End::Replaced(v) => (5, v),
            End::SizeLimit => (6, 0),
        }
    }

    fn from_words(kind: u32, value: u32) -> Option<End> {
        Some(match kind {
            0 => End::Open,
            1 => End::Exited(value),
            2 => End::Signalled(value),
            3 => End::DiskFull,
            4 => End::Unsupported(value),
            5 => End::Replaced(value),
            6 => End::SizeLimit,
            _ => return None,
        })
    }
}

impl core::fmt::Display for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            End::Open => f.write_str("cut off (the program was killed, or still runs)"),
            End::Exited(v) => write!(f, "exited with status {v}"),
            End::Signalled(v) => write!(f, "killed by signal {v}"),
            End::DiskFull => f.write_str("cut off: the disk was full; the program went on unrecorded"),
            End::Replaced(v) => write!(f, "executed another program, recorded as process {v} of this trace"),
            End::SizeLimit => f.write_str("cut off at the size asked for; the program went on unrecorded"),
            End::Unsupported(v) => write!(
                f,
                "cut off at system call {v}, which cannot be recorded; the program went on unrecorded"
            ),
        }
    }
}

/// Why bytes are not a header of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Shorter than a header.
    Short,
    /// Not a trace.
    Magic,
    /// A trace of this other version.
    Version(u32),
    /// A field makes no sense.
    Corrupt,
}

impl core::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            HeaderError::Short => f.write_str("too short to be a trace; it was cut off before anything was recorded"),
            HeaderError::Magic => f.write_str("not an rdb trace"),
            HeaderError::Version(v) => write!(
                f,
                "trace format {v}, this rdb reads format {VERSION}; open it with the rdb that recorded it"
            ),
            HeaderError::Corrupt => f.write_str("the trace header is corrupt"),
        }
    }
}

impl core::error::Error for HeaderError {}

/// A header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which process.
    pub origin: Origin,
    /// How far the log has come, as far as the file has it.
    pub progress: Progress,
    /// Bytes the header promises and the file lacks: it was truncated after it was written.
    pub missing: u64,
    /// Whole events.
    pub events: u64,
    /// How the recording ended.
    pub end: End,
    /// Events between memory hashes; 0 for none.
    pub verify_every: u32,
    /// Start, nanoseconds since 1970.
    pub started: u64,
    /// The recording CPU.
    pub cpu: Cpu,
}

impl Header {
    /// Reads the header of a log whose file has `size` bytes, from its first page.
    ///
    /// # Errors
    /// [`HeaderError`]; a log shorter than its header says is no error (it was truncated: what is there counts).
    pub fn read(page: &[u8], size: u64) -> Result<Header, HeaderError> {
        if page.len() < HEADER_SIZE {
            return Err(if page.len() >= 8 && page[..8] != MAGIC {
                HeaderError::Magic
            } else {
                HeaderError::Short
            });
        }
        if page[..8] != MAGIC {
            return Err(HeaderError::Magic);
        }
        let version = u32_at(page, offset::VERSION);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let end = End::from_words(u32_at(page, offset::END), u32_at(page, offset::END_VALUE)).ok_or(HeaderError::Corrupt)?;
        let promised = Progress::from_word(u64_at(page, offset::PROGRESS));
        if usize::from(promised.open) > crate::chunk::RAW {
            return Err(HeaderError::Corrupt);
        }
        let present = size.saturating_sub(HEADER_SIZE as u64);
        let sealed = promised.sealed.min(present);
        let open = if sealed == promised.sealed {
            present.saturating_sub(sealed + GAP).min(u64::from(promised.open)) as u16
        } else {
            0
        };
        Ok(Header {
            origin: Origin {
                stream: u32_at(page, offset::STREAM),
                pid: u32_at(page, offset::PID),
                parent: u32_at(page, offset::PARENT),
                forked: u64_at(page, offset::FORKED),
            },
            progress: Progress { sealed, open },
            missing: promised.sealed - sealed + u64::from(promised.open - open),
            events: u64_at(page, offset::EVENTS),
            end,
            verify_every: u32_at(page, offset::VERIFY_EVERY),
            started: u64_at(page, offset::STARTED),
            cpu: Cpu::from_bytes(&page[offset::CPU..]),
        })
    }

    /// The log holds less than its header promises.
    #[must_use]
    pub fn torn(&self) -> bool {
        self.missing > 0
    }

    /// A fresh header page.
    #[must_use]
    pub fn page(origin: &Origin, verify_every: u32, started: u64, cpu: &Cpu) -> [u8; HEADER_SIZE] {
        let mut page = [0; HEADER_SIZE];
        page[..8].copy_from_slice(&MAGIC);
        page[offset::VERSION..offset::VERSION + 4].copy_from_slice(&VERSION.to_le_bytes());
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        put(offset::VERIFY_EVERY, &verify_every.to_le_bytes());
        put(offset::STARTED, &started.to_le_bytes());
        put(offset::STREAM, &origin.stream.to_le_bytes());
        put(offset::PID, &origin.pid.to_le_bytes());
        put(offset::PARENT, &origin.parent.to_le_bytes());
        put(offset::FORKED, &origin.forked.to_le_bytes());
        cpu.write(&mut page[offset::CPU..]);
        page
    }
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from(u32_at(b, at)) | u64::from(u32_at(b, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let size = HEADER_SIZE as u64;
        let origin = Origin {
            stream: 3,
            pid: 4711,
            parent: 2,
            forked: 1 << 40,
        };
        let page = Header::page(&origin, 7, 9, &Cpu::default());
        let h = Header::read(&page, size).unwrap();
        assert_eq!(h.origin, origin);
        assert_eq!(
            (h.verify_every, h.started, h.end, h.progress),
            (7, 9, End::Open, Progress::default())
        );
        assert_eq!(Header::read(&page[..100], 100), Err(HeaderError::Short));
        assert_eq!(Header::read(b"not a trace at all", 18), Err(HeaderError::Magic));
        for version in [VERSION - 1, VERSION + 1] {
            let mut other = page;
            other[offset::VERSION] = version as u8;
            assert_eq!(Header::read(&other, size), Err(HeaderError::Version(version)));
        }
        let mut odd = page;
        odd[offset::END] = 77;
        assert_eq!(Header::read(&odd, size), Err(HeaderError::Corrupt));
    }

    #[test]
    fn a_truncated_log_counts_what_is_there() {
        let mut page = Header::page(&Origin::default(), 0, 0, &Cpu::default());
        let promised = Progress { sealed: 5000, open: 100 };
        page[offset::PROGRESS..offset::PROGRESS + 8].copy_from_slice(&promised.word().to_le_bytes());
        let read = |size| Header::read(&page, size).unwrap();
        let whole = promised.open_at() + 100;
        assert_eq!((read(whole).progress, read(whole).torn()), (promised, false));
        assert_eq!((read(whole - 3).progress.open, read(whole - 3).missing), (97, 3));
        assert_eq!((read(4096 + 4000).progress.sealed, read(4096 + 4000).missing), (4000, 1100));
    }
}
