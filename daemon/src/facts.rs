//! What a trace says about itself, read before any process is started.

use crate::fault::Fault;
use rdb_protocol::client::FailureCode;
use rdb_trace::{EVENTS_FILE, HEADER_SIZE, Header, Kind, OpenError, Opened, PROCESSES_DIR, Pieces, Reader, Tag};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Which recording this is: a survey of another one is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Bytes of chunks, the open one's included.
    pub committed: u64,
    /// Start of the recording.
    pub started: u64,
}

/// A trace, as far as the daemon reads it itself.
#[derive(Clone, Debug)]
pub(crate) struct TraceFacts {
    /// Its directory.
    pub path: PathBuf,
    /// The recorded command.
    pub command: Vec<String>,
    /// Where it ran.
    pub directory: String,
    /// Events recorded.
    pub events: u64,
    /// Bytes of the log.
    pub bytes: u64,
    /// How the recording ended.
    pub ending: String,
    /// Which recording.
    pub key: Key,
}

impl TraceFacts {
    /// Reads header and first event. Of a forked process that is the first event of the one it descends from, whose events up to the
    /// fork are its own, too.
    pub(crate) fn read(path: &Path) -> Result<TraceFacts, Fault> {
        if !path.is_absolute() {
            return Err(bad(path, "the path of a trace must be absolute"));
        }
        let stream = Stream::open(path)?;
        let mut first = Stream::open(path)?;
        let mut before = 0;
        while first.header.origin.forked != 0 {
            let origin = first.header.origin;
            before += origin.forked + 1;
            // A parent's stream is the lower, so this ends.
            let root = path.parent().and_then(Path::parent).filter(|_| origin.parent < origin.stream);
            let root = root.ok_or_else(|| bad(path, "the trace header is corrupt"))?;
            first = Stream::open(&match origin.parent {
                0 => root.to_path_buf(),
                n => root.join(PROCESSES_DIR).join(n.to_string()),
            })?;
        }
        let (command, directory) = first.start(path)?;
        Ok(TraceFacts {
            path: path.to_path_buf(),
            command,
            directory,
            events: before + stream.header.events,
            bytes: HEADER_SIZE as u64 + stream.committed,
            ending: stream.header.end.to_string(),
            key: Key {
                committed: stream.committed,
                started: stream.header.started,
            },
        })
    }
}

fn bad(path: &Path, what: &str) -> Fault {
    Fault::told(FailureCode::Trace, format!("{}: {what}", path.display()))
}

/// The log of one process.
struct Stream {
    file: File,
    header: Header,
    opened: Opened,
    committed: u64,
}

fn read_at(file: &File, at: u64, to: &mut [u8]) -> Result<(), i32> {
    file.read_exact_at(to, at)
        .map_err(|e| e.raw_os_error().unwrap_or(nix::libc::ENODATA))
}

impl Stream {
    fn open(path: &Path) -> Result<Stream, Fault> {
        let log = path.join(EVENTS_FILE);
        let file = File::open(&log).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound if path.is_dir() => bad(path, "not an rdb trace (there is no file `events` in it)"),
            io::ErrorKind::NotFound => bad(path, "no such trace"),
            io::ErrorKind::NotADirectory => bad(path, "not an rdb trace (a trace is a directory)"),
            _ => bad(path, &format!("cannot read the trace: {e}")),
        })?;
        let unreadable = |e: io::Error| bad(path, &format!("cannot read the trace: {e}"));
        let length = file.metadata().map_err(unreadable)?.len();
        let opened = Opened::new(length, |at, to| read_at(&file, at, to)).map_err(|e| match e {
            OpenError::Header(e) => bad(path, &e.to_string()),
            OpenError::Unreadable(e) => unreadable(io::Error::from_raw_os_error(e)),
        })?;
        let header = opened.header;
        let committed = header.progress.sealed + u64::from(header.progress.open);
        if committed == 0 {
            return Err(bad(path, "the recording was cut off before anything was recorded"));
        }
        Ok(Stream {
            file,
            header,
            opened,
            committed,
        })
    }

    /// Command and directory, from the first event.
    fn start(self, path: &Path) -> Result<(Vec<String>, String), Fault> {
        let Stream { file, opened, .. } = self;
        let mut reader = Reader::new(opened, Pieces::new(|at, to: &mut [u8]| read_at(&file, at, to)));
        let start = reader.next().ok().flatten().filter(|e| e.fixed.kind == Kind::Start);
        let start = start.ok_or_else(|| bad(path, "the first event is damaged"))?;
        let text = |tag| start.tagged(tag).map(|e| String::from_utf8_lossy(e.bytes).into_owned());
        let arguments = text(Tag::Arguments).unwrap_or_default();
        let mut command: Vec<String> = arguments.split_terminator('\0').map(str::to_string).collect();
        if command.is_empty() {
            command.extend(text(Tag::Program));
        }
        Ok((command, text(Tag::Directory).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::write_trace;

    fn refusal(path: &Path) -> String {
        TraceFacts::read(path).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_was_recorded() {
        let dir = tempfile::tempdir().unwrap();
        write_trace(dir.path());
        let facts = TraceFacts::read(dir.path()).unwrap();
        assert_eq!(facts.command, ["python3", "a b.py", ""]);
        assert_eq!(facts.directory, "/home/u");
        assert_eq!(facts.ending, "exited with status 0");
        assert_eq!(facts.key.started, 42);
    }

    #[test]
    fn refuses_clearly_and_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert!(refusal(&path.join("none")).ends_with("none: no such trace"));
        assert!(refusal(path).contains("there is no file `events`"));
        assert!(refusal(Path::new("here")).contains("must be absolute"));
        std::fs::write(path.join("events"), b"hello, world").unwrap();
        assert!(refusal(path).ends_with("not an rdb trace"));
        assert!(refusal(&path.join("events")).contains("a trace is a directory"));
        write_trace(path);
        let good = std::fs::read(path.join("events")).unwrap();
        let with = |at: usize, byte: u8| {
            let mut log = good.clone();
            log[at] = byte;
            std::fs::write(path.join("events"), log).unwrap();
            refusal(path)
        };
        assert!(with(8, 9).contains("trace format 9"));
        assert!(with(HEADER_SIZE + 30, 0xee).contains("the first event is damaged"));
        assert!(with(HEADER_SIZE + 3, 0xee).contains("the first event is damaged"));
        std::fs::write(path.join("events"), &good[..HEADER_SIZE]).unwrap();
        assert!(refusal(path).contains("before anything was recorded"));
    }
}
