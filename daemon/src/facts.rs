//! What a trace says about itself, read before any process is started.

use crate::fault::Fault;
use crate::streams::{bad, lineage};
use rdb_trace::HEADER_SIZE;
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
        let (first, branches) = lineage(path)?;
        let before: u64 = branches.iter().map(|(_, origin)| origin.forked + 1).sum();
        let (header, committed) = match branches.last() {
            Some((own, _)) => (own.header, own.committed),
            None => (first.header, first.committed),
        };
        let (command, directory) = first.start(path)?;
        Ok(TraceFacts {
            path: path.to_path_buf(),
            command,
            directory,
            events: before + header.events,
            bytes: HEADER_SIZE as u64 + committed,
            ending: header.end.to_string(),
            key: Key {
                committed,
                started: header.started,
            },
        })
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
