//! The survey on disk, beside the trace: what one pass over it found, so that the next open knows it at once.
//!
//! Eight bytes of magic and version, a checksum, then one postcard value. Anything wrong with it and it does not exist.

use crate::costs::Costs;
use crate::facts::Key;
use crate::index::Index;
use rdb_protocol::replay::Interpreter;
use rdb_protocol::{SourceFile, Time};
use rdb_trace::checksum::checksum;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

/// Magic and, as its last byte, the version.
const MAGIC: [u8; 8] = *b"RDBSURV\x02";
/// Bytes before the value.
const HEAD: usize = 12;
/// Name of the file.
const NAME: &str = "survey";

/// What a whole pass found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The last stop point.
    pub last: Time,
    /// When the main module was done, if it was.
    pub main_done: Option<Time>,
    /// The interpreter.
    pub interpreter: Interpreter,
    /// All source files.
    pub sources: Vec<SourceFile>,
    /// What replay takes.
    pub costs: Costs,
    /// What was passed where.
    pub index: Index,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    committed: u64,
    started: u64,
    /// Which agent counted: another one may count otherwise.
    agent: u32,
    found: Found,
}

/// The survey of this recording, if one is there.
pub(crate) fn load(trace: &Path, key: Key) -> Option<Found> {
    let bytes = fs::read(trace.join(NAME)).ok()?;
    let (head, body) = bytes.split_at_checked(HEAD)?;
    if head[..8] != MAGIC || head[8..] != checksum(body).to_le_bytes() {
        return None;
    }
    let stored: Stored = postcard::from_bytes(body).ok()?;
    let fits = stored.committed == key.committed && stored.started == key.started && stored.agent == agent();
    let sane = stored.found.costs.is_valid() && stored.found.main_done.is_none_or(|m| m <= stored.found.last);
    (fits && sane).then_some(stored.found)
}

/// Puts the survey beside its trace, whole or not at all.
pub(crate) fn save(trace: &Path, key: Key, found: &Found) -> io::Result<()> {
    let stored = Stored {
        committed: key.committed,
        started: key.started,
        agent: agent(),
        found: found.clone(),
    };
    let body = postcard::to_allocvec(&stored).map_err(io::Error::other)?;
    let new = trace.join(format!("{NAME}.{}.new", std::process::id()));
    let written = write_new(&new, &body).and_then(|()| fs::rename(&new, trace.join(NAME)));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn agent() -> u32 {
    static AGENT: OnceLock<u32> = OnceLock::new();
    *AGENT.get_or_init(|| checksum(rdb_embed::IMAGE))
}

fn write_new(path: &Path, body: &[u8]) -> io::Result<()> {
    // Never through a link someone left there.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(&MAGIC)?;
    file.write_all(&checksum(body).to_le_bytes())?;
    file.write_all(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let mut costs = Costs::default();
        costs.extend(Time(9), 9);
        let sources = vec![SourceFile {
            file: "a.py".into(),
            lines: vec![1],
            functions: vec![("f".into(), 1)],
        }];
        Found {
            last: Time(9),
            main_done: Some(Time(7)),
            interpreter: Interpreter::Ready {
                name: "CPython 3.11".into(),
            },
            sources,
            costs,
            index: Index::default(),
        }
    }

    #[test]
    fn comes_back_for_the_same_recording_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key { committed: 96, started: 5 };
        assert_eq!(load(dir.path(), key), None);
        save(dir.path(), key, &found()).unwrap();
        assert_eq!(load(dir.path(), key), Some(found()));
        assert_eq!(load(dir.path(), Key { committed: 104, ..key }), None);
        assert_eq!(load(dir.path(), Key { started: 6, ..key }), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn any_damage_is_no_survey() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key { committed: 96, started: 5 };
        save(dir.path(), key, &found()).unwrap();
        let good = fs::read(dir.path().join(NAME)).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(dir.path().join(NAME), &bad).unwrap();
            assert_eq!(load(dir.path(), key), None, "byte {at}");
            fs::write(dir.path().join(NAME), &good[..at]).unwrap();
            assert_eq!(load(dir.path(), key), None, "cut at {at}");
        }
    }
}
