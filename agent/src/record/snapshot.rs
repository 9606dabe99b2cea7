//! Snapshots of mapped files: a trace holds the content of every file the program mapped, so that it does not depend on what
//! becomes of the file.
//!
//! Content lives in a store shared by all traces, named by the file's identity and times; a trace links to it. Where
//! linking is impossible (another file system) it copies.

use crate::sys;
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;

/// Identity of a file's content: device, inode, size, mtime, ctime.
type Key = [u64; 7];

/// The snapshots of one trace.
#[derive(Debug)]
pub struct Snapshots {
    trace: Vec<u8>,
    store: Vec<u8>,
    known: Vec<Key>,
}

impl Snapshots {
    /// For the trace and store directories given.
    #[must_use]
    pub fn new(trace: &[u8], store: &[u8]) -> Snapshots {
        Snapshots {
            trace: trace.to_vec(),
            store: store.to_vec(),
            known: Vec::new(),
        }
    }

    /// The index of a file's snapshot, made now unless this content is known. `None` when it cannot be made.
    pub fn index(&mut self, fd: u64) -> Option<u64> {
        let st = sys::fstat(fd).ok()?;
        let key = key(&st);
        if let Some(i) = self.known.iter().position(|k| *k == key) {
            return Some(i as u64);
        }
        let index = self.known.len() as u64;
        let target = path(&[&self.trace, b"/files/", format!("{index}").as_bytes()])?;
        let name = stored_name(&st);
        let stored = path(&[&self.store, name.as_bytes()])?;
        let done =
            settled(&st) && (sys::link(&stored, &target) == 0 || self.store_and_link(fd, &name, &stored, &target)) || copy(fd, &target);
        if !done {
            return None;
        }
        self.known.push(key);
        Some(index)
    }

    /// What was noted of a file under a name, if its content is the same still.
    #[must_use]
    pub fn note(&self, fd: u64, kind: &str) -> Option<Vec<u8>> {
        let fd = u64::try_from(sys::open(&self.note_path(fd, kind)?, 0, 0)).ok()?;
        let mut bytes = alloc::vec![0u8; 4096];
        let n = usize::try_from(sys::read(fd, &mut bytes)).ok();
        sys::close(fd);
        bytes.truncate(n?);
        Some(bytes)
    }

    /// Notes something of a file, for recordings to come. A note that cannot be written, or is long, is not.
    pub fn take_note(&self, fd: u64, kind: &str, bytes: &[u8]) {
        let (Some(stored), true) = (self.note_path(fd, kind), bytes.len() < 4096) else {
            return;
        };
        let unique = format!(".{}", sys::pid());
        let Ok(temporary) = CString::new([stored.as_bytes(), unique.as_bytes()].concat()) else {
            return;
        };
        let Ok(out) = u64::try_from(sys::open(&temporary, 0o301, 0o400)) else {
            return;
        };
        let written = sys::write_all(out, bytes).is_ok();
        sys::close(out);
        if !written || sys::rename(&temporary, &stored) != 0 {
            sys::unlink(&temporary);
        }
    }

    fn note_path(&self, fd: u64, kind: &str) -> Option<CString> {
        let st = sys::fstat(fd).ok()?;
        settled(&st).then(|| path(&[&self.store, stored_name(&st).as_bytes(), b".", kind.as_bytes()]))?
    }

    fn store_and_link(&self, fd: u64, name: &str, stored: &CString, target: &CString) -> bool {
        let unique = format!("{name}.{}", sys::pid());
        let Some(temporary) = path(&[&self.store, unique.as_bytes()]) else {
            return false;
        };
        if !copy(fd, &temporary) {
            return false;
        }
        if sys::rename(&temporary, stored) != 0 {
            sys::unlink(&temporary);
            return false;
        }
        sys::link(stored, target) == 0
    }
}

fn key(st: &[u64; 18]) -> Key {
    [st[0], st[1], st[6], st[11], st[12], st[13], st[14]]
}

/// Name of a content in the store.
fn stored_name(st: &[u64; 18]) -> alloc::string::String {
    let [device, inode, size, m, m_ns, c, c_ns] = key(st);
    format!("/{device:x}-{inode:x}-{size:x}-{m:x}.{m_ns:x}-{c:x}.{c_ns:x}")
}

/// Times have the granularity of a timer tick: content changed a moment ago may change again unseen.
fn settled(st: &[u64; 18]) -> bool {
    sys::clock(0) / 1_000_000_000 > st[13] + 2
}

fn path(parts: &[&[u8]]) -> Option<CString> {
    CString::new(parts.concat()).ok()
}

/// Copies a whole file by sharing blocks, in the kernel, or by hand.
fn copy(from: u64, to: &CString) -> bool {
    let out = sys::open(to, 0o301, 0o400); // O_WRONLY | O_CREAT | O_EXCL
    if out < 0 {
        return false;
    }
    let out = out.cast_unsigned();
    let done = sys::clone_file(out, from) == 0 || by_hand(from, out);
    sys::close(out);
    if !done {
        sys::unlink(to);
    }
    done
}

/// Copies what the file holds, and leaves its holes holes.
fn by_hand(from: u64, to: u64) -> bool {
    const SEEK_DATA: u64 = 3;
    const SEEK_HOLE: u64 = 4;
    let Ok(status) = sys::fstat(from) else { return false };
    let size = status[6];
    // Looking for data moves an offset: not the program's.
    let own = path(&[b"/proc/self/fd/", format!("{from}").as_bytes()]).map_or(-1, |p| sys::open(&p, 0, 0));
    let seek = |at: u64, whence: u64, otherwise: u64| match u64::try_from(own).map(|fd| sys::seek(fd, at, whence)) {
        Ok(found) if found >= 0 => found.cast_unsigned(),
        Ok(e) if e == -sys::errno::ENXIO => size,
        _ => otherwise,
    };
    let mut at = seek(0, SEEK_DATA, 0);
    let mut done = true;
    while done && at < size {
        let end = seek(at, SEEK_HOLE, size).min(size);
        done = span(from, to, at, end);
        at = seek(end, SEEK_DATA, end);
    }
    if let Ok(fd) = u64::try_from(own) {
        sys::close(fd);
    }
    done && sys::ftruncate(to, size) == 0
}

/// Copies the bytes from `at` to `end`, or to the file's end if that comes first.
fn span(from: u64, to: u64, mut at: u64, end: u64) -> bool {
    let mut buffer = alloc::vec![0u8; 256 * 1024];
    if sys::seek(to, at, 0) < 0 {
        return false;
    }
    while at < end {
        let want = buffer.len().min((end - at) as usize);
        match sys::pread(from, &mut buffer[..want], at) {
            0 => return true,
            n if n > 0 => {
                if sys::write_all(to, &buffer[..n as usize]).is_err() {
                    return false;
                }
                at += n.cast_unsigned();
            }
            e if e == -sys::errno::EINTR => {}
            _ => return false,
        }
    }
    true
}
