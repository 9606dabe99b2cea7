//! The processes of one recording: where each one's stream goes.
//!
//! A process gets its number by making its folder, which only one can do. Processes do not know of each other otherwise: each writes
//! a log of its own.

use crate::sys::{self, errno, nr};
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;

/// What a process knows of the recording it belongs to.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The trace directory.
    pub root: Vec<u8>,
    /// The store of file contents.
    pub store: Vec<u8>,
    /// This process's stream.
    pub stream: u32,
    /// Whether the processes it makes are recorded, too.
    pub follow: bool,
    /// No stream below this one is free.
    next: u32,
    /// Children made so far that have not been waited for: their ids and streams.
    children: Vec<(u32, u32)>,
}

/// Folders others may make first before we give up finding a free one.
const TRIES: u32 = 1 << 16;

impl Tree {
    /// For the process that `stream` is to be.
    #[must_use]
    pub fn new(root: &[u8], store: &[u8], stream: u32, follow: bool) -> Tree {
        Tree {
            root: root.to_vec(),
            store: store.to_vec(),
            stream,
            follow,
            next: stream + 1,
            children: Vec::new(),
        }
    }

    /// The folder of a stream.
    #[must_use]
    pub fn folder(&self, stream: u32) -> Vec<u8> {
        folder(&self.root, stream)
    }

    /// Takes a stream for a process to be. `None` where processes are not followed, or none can be made.
    pub fn claim(&mut self) -> Option<u32> {
        if !self.follow {
            return None;
        }
        for _ in 0..TRIES {
            let stream = self.next;
            let path = CString::new(self.folder(stream)).ok()?;
            match make(&path) {
                0 => {
                    self.next = stream + 1;
                    return Some(stream);
                }
                e if e == -errno::EEXIST => self.next = stream + 1,
                e if e == -errno::ENOENT && stream == self.next => {
                    // The first of all.
                    let above = CString::new([&self.root[..], b"/", rdb_trace::PROCESSES_DIR.as_bytes()].concat()).ok()?;
                    match make(&above) {
                        0 => {}
                        e if e == -errno::EEXIST => {}
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        None
    }

    /// Gives a stream back: the process did not come to be.
    pub fn withdraw(&self, stream: u32) {
        if let Ok(path) = CString::new(self.folder(stream)) {
            sys::raw_agent_pointers(nr::RMDIR, [path.as_ptr() as u64, 0, 0, 0, 0, 0]);
        }
    }

    /// Notes which child a stream is of.
    pub fn made(&mut self, pid: u32, stream: u32) {
        self.children.push((pid, stream));
    }

    /// A child has been waited for: its stream.
    pub fn waited(&mut self, pid: u32) -> Option<u32> {
        let i = self.children.iter().position(|(p, _)| *p == pid)?;
        Some(self.children.swap_remove(i).1)
    }

    /// Becomes a new process's own.
    pub fn become_child(&mut self, stream: u32) {
        self.stream = stream;
        self.next = self.next.max(stream + 1);
        self.children.clear();
    }

    /// Makes a stream's folder of file contents; false when that is impossible.
    #[must_use]
    pub fn make_files(&self, stream: u32) -> bool {
        let path = [&self.folder(stream)[..], b"/", rdb_trace::FILES_DIR.as_bytes()].concat();
        CString::new(path).is_ok_and(|p| make(&p) == 0)
    }
}

/// The folder of a stream in the trace at `root`.
#[must_use]
pub fn folder(root: &[u8], stream: u32) -> Vec<u8> {
    if stream == 0 {
        return root.to_vec();
    }
    [root, format!("/{}/{stream}", rdb_trace::PROCESSES_DIR).as_bytes()].concat()
}

fn make(path: &CString) -> i64 {
    sys::raw_agent_pointers(nr::MKDIR, [path.as_ptr() as u64, 0o700, 0, 0, 0, 0])
}
