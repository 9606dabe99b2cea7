//! Writing a packed trace.

use super::{DERIVED, MANIFEST, VERSION, is_own_path};
use crate::Fault;
use rdb_trace::header::{Progress, offset};
use rdb_trace::{EVENTS_FILE, HEADER_SIZE, OpenError, Opened};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Between speed and size: a level more gains a percent.
const LEVEL: i32 = 6;

/// What is packed: its path in the trace, and its bytes.
enum Content {
    File(PathBuf, u64),
    /// An event log as it is now: a recorder may be at work.
    Log(Log),
    /// The same file as that of an earlier path.
    Link(PathBuf),
}

/// An event log with its open chunk sealed.
struct Log {
    page: Vec<u8>,
    file: File,
    sealed: u64,
    last: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> Result<Log, Fault> {
        let failed = |e: io::Error| cannot_read(path, &e);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let read = |at: u64, to: &mut [u8]| file.read_exact_at(to, at).map_err(|e| e.raw_os_error().unwrap_or(libc::EIO));
        let opened = Opened::new(size, read).map_err(|e| match e {
            OpenError::Header(e) => Fault::new(format!("{}: {e}", path.display())),
            OpenError::Unreadable(e) => failed(io::Error::from_raw_os_error(e)),
        })?;
        let mut page = vec![0; HEADER_SIZE];
        file.read_exact_at(&mut page, 0).map_err(failed)?;
        let last = if opened.open.is_empty() {
            Vec::new()
        } else {
            rdb_trace::memory::sealed(&opened.open)
        };
        let sealed = opened.header.progress.sealed;
        if !opened.header.torn() {
            let progress = Progress {
                sealed: sealed + last.len() as u64,
                open: 0,
            };
            page[offset::PROGRESS..offset::PROGRESS + 8].copy_from_slice(&progress.word().to_le_bytes());
            page[offset::EVENTS..offset::EVENTS + 8].copy_from_slice(&opened.header.events.to_le_bytes());
        }
        Ok(Log { page, file, sealed, last })
    }

    fn size(&self) -> u64 {
        HEADER_SIZE as u64 + self.sealed + self.last.len() as u64
    }
}

/// Reads a range of a file.
struct Range<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(to, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// Packs the trace directory `trace` into the new file `to`, which is there whole or not at all; with the daemon's findings or not. Its size.
pub(super) fn file(trace: &Path, to: &Path, derived: bool) -> Result<u64, Fault> {
    let mut contents = Vec::new();
    collect(trace, Path::new(""), &mut HashMap::new(), &mut contents)?;
    if !derived {
        contents.retain(|(path, _)| path.file_name().is_none_or(|name| name != DERIVED));
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let step = to.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write(trace, &contents, &step).and_then(|size| {
        fs::rename(&step, to).map_err(|e| cannot_write(to, &e))?;
        Ok(size)
    });
    if written.is_err() {
        let _ = fs::remove_file(&step);
    }
    written
}

/// All files below `below`, a path within the trace.
fn collect(
    trace: &Path,
    below: &Path,
    seen: &mut HashMap<(u64, u64), PathBuf>,
    contents: &mut Vec<(PathBuf, Content)>,
) -> Result<(), Fault> {
    let at = trace.join(below);
    let failed = |e: io::Error| cannot_read(&at, &e);
    let mut entries: Vec<_> = fs::read_dir(&at).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        let meta = entry.metadata().map_err(failed)?;
        // A name of another kind is nothing of ours, and the other side would refuse it. What processes share is of use only while recording.
        if !is_own_path(&path) || path == Path::new(rdb_trace::SHARED_FILE) {
            continue;
        }
        if meta.is_dir() {
            collect(trace, &path, seen, contents)?;
        } else if meta.is_file() {
            let content = if entry.file_name() == EVENTS_FILE {
                Content::Log(Log::open(&entry.path())?)
            } else if let Some(first) = seen.get(&(meta.dev(), meta.ino())) {
                Content::Link(first.clone())
            } else {
                seen.insert((meta.dev(), meta.ino()), path.clone());
                Content::File(entry.path(), meta.len())
            };
            contents.push((path, content));
        }
    }
    Ok(())
}

fn write(trace: &Path, contents: &[(PathBuf, Content)], to: &Path) -> Result<u64, Fault> {
    let failed = |e: io::Error| cannot_write(to, &e);
    let mut options = fs::OpenOptions::new();
    // What the program read, secrets included: its owner's alone.
    let out = options.write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let mut compressed = zstd::Encoder::new(BufWriter::new(out), LEVEL).map_err(failed)?;
    compressed.include_checksum(true).map_err(failed)?;
    let mut archive = Builder::new(compressed);
    let total: u64 = contents
        .iter()
        .map(|(_, c)| match c {
            Content::File(_, size) => *size,
            Content::Log(log) => log.size(),
            Content::Link(_) => 0,
        })
        .sum();
    let manifest = format!("{MANIFEST} {VERSION}\n{total}\n");
    archive
        .append_data(&mut head(manifest.len() as u64), MANIFEST, manifest.as_bytes())
        .map_err(failed)?;
    for (path, content) in contents {
        match content {
            Content::File(from, size) => {
                let file = File::open(from).map_err(|e| cannot_read(from, &e))?;
                archive.append_data(&mut head(*size), path, file.take(*size))
            }
            Content::Log(log) => {
                let chunks = Range {
                    file: &log.file,
                    at: HEADER_SIZE as u64,
                };
                let bytes = log.page.chain(chunks.take(log.sealed)).chain(log.last.as_slice());
                archive.append_data(&mut head(log.size()), path, bytes)
            }
            Content::Link(first) => {
                let mut head = head(0);
                head.set_entry_type(EntryType::Link);
                archive.append_link(&mut head, path, first)
            }
        }
        .map_err(|e| Fault::new(format!("cannot pack {}: {e}", trace.join(path).display())))?;
    }
    let mut out = archive.into_inner().and_then(zstd::Encoder::finish).map_err(failed)?;
    out.flush().map_err(failed)?;
    Ok(out.get_ref().metadata().map_err(failed)?.len())
}

/// The same trace gives the same bytes: no owners, no times.
fn head(size: u64) -> Header {
    let mut h = Header::new_gnu();
    h.set_entry_type(EntryType::Regular);
    h.set_mode(0o600);
    h.set_size(size);
    h
}

fn cannot_read(at: &Path, e: &io::Error) -> Fault {
    Fault::new(format!("cannot read {}: {e}", at.display()))
}

fn cannot_write(at: &Path, e: &io::Error) -> Fault {
    Fault::new(format!("cannot write {}: {e}", at.display()))
}
