//! The logs of a process, read from disk: its own, and those of the processes it was forked from.

use crate::fault::Fault;
use rdb_protocol::client::FailureCode;
use rdb_trace::{EVENTS_FILE, Event, Header, Kind, OpenError, Opened, Origin, PROCESSES_DIR, Pieces, Reader, Tag};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The first stream of the process at `path`, and the further ones with where each branches off, in order.
pub(crate) fn lineage(path: &Path) -> Result<(Stream, Vec<(Stream, Origin)>), Fault> {
    let mut first = Stream::open(path)?;
    let mut branches = Vec::new();
    while first.header.origin.forked != 0 {
        let origin = first.header.origin;
        // A parent's stream is the lower, so this ends.
        let root = path.parent().and_then(Path::parent).filter(|_| origin.parent < origin.stream);
        let root = root.ok_or_else(|| bad(path, "the trace header is corrupt"))?;
        let parent = Stream::open(&match origin.parent {
            0 => root.to_path_buf(),
            n => root.join(PROCESSES_DIR).join(n.to_string()),
        })?;
        branches.insert(0, (std::mem::replace(&mut first, parent), origin));
    }
    Ok((first, branches))
}

/// Calls `each` with every event of the process at `path` and its ordinal, up to the first that is damaged: what lies behind it cannot be
/// replayed either.
pub(crate) fn events(path: &Path, mut each: impl FnMut(u64, &Event<'_>)) -> Result<(), Fault> {
    let (first, branches) = lineage(path)?;
    let mut ends: Vec<u64> = branches.iter().map(|(_, origin)| origin.forked + 1).collect();
    ends.push(u64::MAX);
    let mut ordinal = 0;
    for (stream, end) in [first].into_iter().chain(branches.into_iter().map(|(s, _)| s)).zip(ends) {
        let mut reader = stream.reader();
        for _ in 0..end {
            let Ok(Some(event)) = reader.next() else { break };
            each(ordinal, &event);
            ordinal += 1;
        }
    }
    Ok(())
}

/// The greatest number of a thread that has made an event.
pub(crate) fn last_thread(path: &Path) -> Result<u32, Fault> {
    let mut last = 0;
    events(path, |_, event| last = last.max(u32::from(event.fixed.thread)))?;
    Ok(last)
}

pub(crate) fn bad(path: &Path, what: &str) -> Fault {
    Fault::told(FailureCode::Trace, format!("{}: {what}", path.display()))
}

type Read = Box<dyn FnMut(u64, &mut [u8]) -> Result<(), i32>>;

/// The log of one process.
pub(crate) struct Stream {
    opened: Opened,
    file: File,
    pub header: Header,
    /// Bytes of the log that count, after the header.
    pub committed: u64,
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
        let opened = Opened::new(length, |at, to| piece(&file, at, to)).map_err(|e| match e {
            OpenError::Header(e) => bad(path, &e.to_string()),
            OpenError::Unreadable(e) => unreadable(io::Error::from_raw_os_error(e)),
        })?;
        let header = opened.header;
        let committed = header.progress.sealed + u64::from(header.progress.open);
        if committed == 0 {
            return Err(bad(path, "the recording was cut off before anything was recorded"));
        }
        Ok(Stream {
            opened,
            file,
            header,
            committed,
        })
    }

    /// Reads its events.
    fn reader(self) -> Reader<Pieces<Read>> {
        let file = self.file;
        Reader::new(self.opened, Pieces::new(Box::new(move |at, to| piece(&file, at, to))))
    }

    /// Command and directory, from the first event.
    pub(crate) fn start(self, path: &Path) -> Result<(Vec<String>, String), Fault> {
        let mut reader = self.reader();
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

fn piece(file: &File, at: u64, to: &mut [u8]) -> Result<(), i32> {
    file.read_exact_at(to, at)
        .map_err(|e| e.raw_os_error().unwrap_or(nix::libc::ENODATA))
}
