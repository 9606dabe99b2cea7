//! The right to run for processes that share memory: one of them at a time runs program code, so what another one wrote is found when
//! the right comes back.
//!
//! The right is a record lock (fcntl(2) `F_SETLK`) on a file in the trace: the kernel takes it from a process that dies. Beside it, in
//! the file's first page, lie counters that make waiting cheap. They are hints but for `turn`, which is written by the holder alone.
//!
//! # Safety
//! This room may use `unsafe` to view the page: it is mapped before a [`Group`] exists and never unmapped while there is one.
#![allow(unsafe_code)]

use super::log;
use crate::layout::GROUP;
use crate::sys::{self, errno, map, nr};
use alloc::ffi::CString;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

const PAGE: u64 = 4096;
/// How long a holder may keep others waiting before it is asked for a tick, in nanoseconds.
const PATIENCE: u64 = 5_000_000;
/// How long whoever gave the right up for others leaves it to them, in nanoseconds.
const COURTESY: u64 = 1_000_000;
const SIGSYS: u64 = 31;

#[repr(C)]
struct Page {
    /// Times the right was taken.
    turn: AtomicU64,
    /// Times it was given up: what waiters wait at.
    released: AtomicU32,
    waiting: AtomicU32,
    /// Processes that share memory, or did when they were killed.
    members: AtomicU32,
}

/// A member's view.
#[derive(Debug)]
pub struct Group {
    /// The file's descriptor: one number, in every table of descriptors that threads in this memory have.
    fd: u64,
    path: CString,
    /// The turn this process had last.
    turn: u64,
    /// Somebody waited when the right was given up.
    courteous: bool,
}

fn page() -> &'static Page {
    // SAFETY: mapped by `join`, zeroed or another member's; all fields are atomics.
    unsafe { &*(GROUP as *const Page) }
}

/// struct flock: a lock of the whole file.
fn whole(kind: u16) -> [u64; 4] {
    [u64::from(kind), 0, 0, 0]
}

const F_GETLK: u64 = 5;
const F_SETLK: u64 = 6;
const F_WRLCK: u16 = 1;
const F_UNLCK: u16 = 2;

fn wait(word: &AtomicU32, value: u32, nanoseconds: u64) -> bool {
    let limit = [0, nanoseconds];
    let args = [word.as_ptr() as u64, 0, u64::from(value), limit.as_ptr() as u64, 0, 0];
    sys::raw_agent_pointers(nr::FUTEX, args) != -errno::ETIMEDOUT
}

fn open(path: &CStr) -> Result<u64, i64> {
    // O_RDWR | O_CREAT | O_CLOEXEC
    let fd = sys::open(path, 0o2_000_102, 0o600);
    u64::try_from(fd).map_err(|_| -fd)
}

impl Group {
    /// Joins the group of the trace at `root`, and takes the right.
    ///
    /// # Errors
    /// The error number.
    pub fn join(root: &[u8]) -> Result<Group, i64> {
        let path = CString::new([root, b"/", rdb_trace::SHARED_FILE.as_bytes()].concat()).map_err(|_| errno::EINVAL)?;
        let fd = log::private(open(&path)?);
        let r = sys::ftruncate(fd, PAGE);
        let at = if r < 0 {
            r
        } else {
            sys::mmap(GROUP, PAGE, map::READ | map::WRITE, map::SHARED | map::FIXED, fd, 0)
        };
        if at < 0 {
            sys::close(fd);
            return Err(-at);
        }
        page().members.fetch_add(1, SeqCst);
        let mut group = Group {
            fd,
            path,
            turn: 0,
            courteous: false,
        };
        group.take();
        Ok(group)
    }

    /// The file's descriptor, which the program must not touch.
    #[must_use]
    pub fn fd(&self) -> u64 {
        self.fd
    }

    fn lock(&self) -> bool {
        let mut r = self.set_lock(F_WRLCK);
        if r == -errno::EBADF && self.open_again().is_ok() {
            r = self.set_lock(F_WRLCK);
        }
        // Any other error stays: the right cannot be had, and waiting for it would not end.
        r != -errno::EAGAIN && r != -errno::EACCES
    }

    fn set_lock(&self, kind: u16) -> i64 {
        let lock = whole(kind);
        sys::raw_agent_pointers(nr::FCNTL, [self.fd, F_SETLK, lock.as_ptr() as u64, 0, 0, 0])
    }

    /// The same descriptor in this table: a child of vfork(2) has the memory of its parent but a table of its own, in which it is not when the
    /// other joined meanwhile.
    fn open_again(&self) -> Result<(), i64> {
        let fd = open(&self.path)?;
        if fd != self.fd {
            let r = log::copy_to(fd, self.fd);
            sys::close(fd);
            if r < 0 {
                return Err(-r);
            }
        }
        Ok(())
    }

    /// Waits for the right. True when others had it since this process had it last.
    pub fn take(&mut self) -> bool {
        let page = page();
        if core::mem::take(&mut self.courteous) {
            wait(&page.released, page.released.load(SeqCst), COURTESY);
        }
        if !self.lock() {
            page.waiting.fetch_add(1, SeqCst);
            loop {
                let released = page.released.load(SeqCst);
                if self.lock() {
                    break;
                }
                if !wait(&page.released, released, PATIENCE) {
                    self.ask();
                }
            }
            page.waiting.fetch_sub(1, SeqCst);
        }
        let before = page.turn.load(SeqCst);
        let others = before != self.turn;
        self.turn = before + 1;
        page.turn.store(self.turn, SeqCst);
        others
    }

    /// Gives the right up.
    pub fn give_up(&mut self) {
        let page = page();
        self.courteous = page.waiting.load(SeqCst) > 0;
        self.set_lock(F_UNLCK);
        page.released.fetch_add(1, SeqCst);
        if self.courteous {
            sys::raw_agent_pointers(nr::FUTEX, [page.released.as_ptr() as u64, 1, 0x7fff_ffff, 0, 0, 0]);
        }
    }

    /// Asks the holder to look for us at its next tick: a SIGSYS that no system call raised. Its agent knows what that means.
    fn ask(&self) {
        let mut lock = whole(F_WRLCK);
        sys::raw_agent_pointers(nr::FCNTL, [self.fd, F_GETLK, lock.as_mut_ptr() as u64, 0, 0, 0]);
        let holder = lock[3] & 0xffff_ffff;
        if lock[0] as u16 == F_WRLCK && holder != 0 {
            // siginfo_t: number, code SI_QUEUE.
            let mut info = [0u64; 16];
            info[0] = SIGSYS;
            info[1] = u64::from((-1i32).cast_unsigned());
            sys::raw_agent_pointers(nr::RT_SIGQUEUEINFO, [holder, SIGSYS, info.as_ptr() as u64, 0, 0, 0]);
        }
    }

    /// Whether another process waits for the right.
    #[must_use]
    pub fn contended(&self) -> bool {
        page().waiting.load(SeqCst) > 0
    }

    /// Whether there is another process to share with.
    #[must_use]
    pub fn others(&self) -> bool {
        page().members.load(SeqCst) > 1
    }

    /// A child that will be a member is about to be made, or was not.
    pub fn expect(&self, child: bool) {
        if child {
            page().members.fetch_add(1, SeqCst);
        } else {
            page().members.fetch_sub(1, SeqCst);
        }
    }

    /// In a child: nothing is known of what others did since the fork, and the right is the parent's.
    pub fn forked(&mut self) {
        self.turn = u64::MAX;
        self.courteous = false;
    }

    /// Forgets the group, in a child that is not recorded.
    pub fn abandon(self, own_files: bool) {
        if own_files {
            sys::close(self.fd);
        }
        sys::munmap(GROUP, PAGE);
    }

    /// Leaves the group for good.
    pub fn leave(mut self) {
        page().members.fetch_sub(1, SeqCst);
        self.give_up();
        sys::close(self.fd);
        sys::munmap(GROUP, PAGE);
    }
}
