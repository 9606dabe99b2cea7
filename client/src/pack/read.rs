//! Reading a packed trace, which may be a stranger's: nothing is believed, nothing is left behind when it is refused.

use super::{MAGIC, MANIFEST, MOST_FILES, VERSION, is_own_path};
use crate::show::count::bytes;
use crate::{Fault, Log};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tar::{Archive, EntryType};

/// A directory that goes when this does, unless it has been moved away.
#[derive(Debug)]
pub(super) struct Unpacked(PathBuf);

impl Unpacked {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is wrong with a packed trace.
enum Wrong {
    /// With the file: the words after its name.
    File(String),
    /// With the place it is unpacked to.
    Place(io::Error),
}

/// From reading: the archive is damaged.
fn damaged(_: io::Error) -> Wrong {
    Wrong::File("is damaged or cut off".into())
}

fn foreign() -> Wrong {
    Wrong::File("is not a packed trace".into())
}

/// Unpacks `packed` into a new directory beside `to`, where it can be renamed to `to`.
pub(super) fn file(packed: &Path, to: &Path) -> Result<Unpacked, Fault> {
    let cannot = |e: &io::Error| Fault::new(format!("cannot open {}: {e}", packed.display()));
    let file = File::open(packed).map_err(|e| cannot(&e))?;
    if !file.metadata().map_err(|e| cannot(&e))?.is_file() {
        return Err(Fault::new(format!("{} is not a packed trace", packed.display())));
    }
    let step = step_beside(to);
    let unpacked = || {
        DirBuilder::new().mode(0o700).create(&step).map_err(Wrong::Place)?;
        let unpacked = Unpacked(step.clone());
        extract(file, unpacked.path())?;
        Ok(unpacked)
    };
    let unpacked = unpacked().map_err(|wrong| match wrong {
        Wrong::File(what) => Fault::new(format!("{} {what}", packed.display())),
        Wrong::Place(e) => Fault::new(format!("cannot unpack into {}: {e}", to.display())),
    })?;
    // A trace, not only an archive.
    Log::open(unpacked.path()).map_err(|e| Fault::new(format!("{}: {e}", packed.display())))?;
    Ok(unpacked)
}

/// A name nobody else uses.
fn step_beside(to: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // A dead process of our number may have left its copy.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    to.with_file_name(format!(".{name}.{}-{now:x}-{count}", std::process::id()))
}

fn extract(mut file: File, to: &Path) -> Result<(), Wrong> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| foreign())?;
    if magic != MAGIC {
        return Err(foreign());
    }
    let stream = zstd::Decoder::new(io::Cursor::new(magic).chain(file)).map_err(damaged)?;
    let mut archive = Archive::new(stream);
    let mut entries = archive.entries().map_err(damaged)?;
    let mut left = match entries.next() {
        Some(Ok(first)) => manifest(first)?,
        Some(Err(e)) => return Err(damaged(e)),
        None => return Err(foreign()),
    };
    let free = nix::sys::statvfs::statvfs(to).map_err(|e| Wrong::Place(e.into()))?;
    let free = free.blocks_available().saturating_mul(free.fragment_size());
    if left > free {
        let (left, free) = (bytes(left), bytes(free));
        return Err(Wrong::File(format!("takes {left} unpacked, and only {free} are free")));
    }
    let mut there = HashSet::new();
    for entry in entries {
        let mut entry = entry.map_err(damaged)?;
        let path = own_path(&entry.path().map_err(damaged)?)?;
        if there.len() == MOST_FILES || !there.insert(path.clone()) {
            return Err(Wrong::File("holds a file twice, or too many".into()));
        }
        let at = to.join(&path);
        if let Some(above) = at.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(Wrong::Place)?;
        }
        match entry.header().entry_type() {
            EntryType::Regular => {
                let size = entry.size();
                left = left
                    .checked_sub(size)
                    .ok_or_else(|| Wrong::File("holds more than it says".into()))?;
                write(&mut entry, size, &at)?;
            }
            EntryType::Link => {
                let first = entry.link_name().map_err(damaged)?.ok_or_else(foreign)?;
                let first = own_path(&first)?;
                if first == path || !there.contains(&first) {
                    return Err(Wrong::File("holds a link to nothing in it".into()));
                }
                fs::hard_link(to.join(first), &at).map_err(Wrong::Place)?;
            }
            _ => return Err(Wrong::File("holds what no trace holds (a link or a device)".into())),
        }
    }
    // The checksum is behind the archive's end.
    let rest = io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    if left > 0 || rest > 1 << 20 {
        return Err(Wrong::File("does not hold what it says".into()));
    }
    Ok(())
}

/// The version is checked; the bytes that all files take.
fn manifest(mut entry: tar::Entry<'_, impl Read>) -> Result<u64, Wrong> {
    if entry.path().map_err(damaged)?.as_os_str() != MANIFEST || entry.size() > 256 {
        return Err(foreign());
    }
    let mut text = String::new();
    entry.read_to_string(&mut text).map_err(damaged)?;
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|l| l.strip_prefix(MANIFEST)?.trim().parse::<u32>().ok())
        .ok_or_else(foreign)?;
    if version != VERSION {
        return Err(Wrong::File(format!(
            "is a packed trace of format {version}, this rdb reads format {VERSION}"
        )));
    }
    lines.next().and_then(|l| l.parse().ok()).ok_or_else(foreign)
}

fn own_path(path: &Path) -> Result<PathBuf, Wrong> {
    if is_own_path(path) {
        Ok(path.to_path_buf())
    } else {
        Err(Wrong::File("holds a path that no trace has".into()))
    }
}

fn write(from: &mut impl Read, size: u64, at: &Path) -> Result<(), Wrong> {
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(at)
        .map_err(Wrong::Place)?;
    let mut buffer = vec![0; 1 << 16];
    let mut left = size;
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = from.read(&mut buffer[..want]).map_err(damaged)?;
        if n == 0 {
            return Err(damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        io::Write::write_all(&mut out, &buffer[..n]).map_err(Wrong::Place)?;
        left -= n as u64;
    }
    Ok(())
}
