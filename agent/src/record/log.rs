//! The event log: written through a shared mapping, so that it survives SIGKILL of this process.
//!
//! # Safety
//! This room may use `unsafe`: the log window and the bounce buffers are address ranges of the agent's own, mapped here or by
//! the caller named, and written by the holder of the token alone.
#![allow(unsafe_code)]

use crate::layout::LOG;
use crate::memory;
use crate::state::page_up;
use crate::sys::{self, errno, map};
use crate::syscalls::Span;
use rdb_trace::event::{Fixed, seal};
use rdb_trace::header::{HEADER_SIZE, offset};
use rdb_trace::{End, Header, Origin, Tag};

const MIN_STEP: u64 = 1 << 20;
const MAX_STEP: u64 = 64 << 20;

/// An open (or closed) event log.
#[derive(Debug)]
pub struct Log {
    fd: u64,
    open: bool,
    mapped: u64,
    /// Offset of the next record in the file.
    at: u64,
    events: u64,
    /// Event count at which the next memory hash is due.
    pub next_hash: u64,
}

impl Log {
    /// Creates the log.
    ///
    /// # Errors
    /// The error number.
    pub fn create(path: &core::ffi::CStr, origin: &Origin, verify_every: u32) -> Result<Log, i64> {
        let fd = sys::open(path, 0o302, 0o644); // O_RDWR | O_CREAT | O_EXCL
        if fd < 0 {
            return Err(-fd);
        }
        let high = private(fd.cast_unsigned());
        let mut log = Log {
            fd: high,
            open: true,
            mapped: 0,
            at: HEADER_SIZE as u64,
            events: 0,
            next_hash: u64::from(verify_every),
        };
        log.grow(MIN_STEP)?;
        let page = Header::page(origin, verify_every, sys::clock(0));
        log.slice(0, HEADER_SIZE).copy_from_slice(&page);
        Ok(log)
    }

    /// The log's descriptor, which the program must not touch.
    #[must_use]
    pub fn fd(&self) -> u64 {
        self.fd
    }

    /// Its descriptor has moved.
    pub fn set_fd(&mut self, fd: u64) {
        self.fd = fd;
    }

    /// Whether events are still written.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Makes room for `len` bytes. Blocks are allocated now: a write to the mapping never meets a full disk (SIGBUS).
    fn grow(&mut self, len: u64) -> Result<(), i64> {
        let need = self.at + len;
        while self.mapped < need {
            let step = page_up((self.mapped / 2).clamp(MIN_STEP, MAX_STEP).max(need - self.mapped));
            let r = sys::fallocate(self.fd, self.mapped, step);
            if r < 0 {
                if r == -errno::ENOSPC || r == -errno::EDQUOT {
                    return Err(-r);
                }
                // No fallocate here (some network file systems): a sparse file is the next best.
                let r = sys::ftruncate(self.fd, self.mapped + step);
                if r < 0 {
                    return Err(-r);
                }
            }
            let at = LOG + self.mapped;
            let r = sys::mmap(at, step, map::READ | map::WRITE, map::SHARED | map::FIXED, self.fd, self.mapped);
            if r < 0 {
                return Err(-r);
            }
            self.mapped += step;
        }
        Ok(())
    }

    fn slice(&mut self, at: u64, len: usize) -> &mut [u8] {
        debug_assert!(at + len as u64 <= self.mapped);
        // SAFETY: the range was mapped by `grow` for this log alone; `&mut self` makes the borrow exclusive.
        unsafe { core::slice::from_raw_parts_mut((LOG + at) as *mut u8, len) }
    }

    /// Starts a record.
    pub fn event(&mut self, fixed: Fixed) -> Record<'_> {
        let mut r = Record { len: 0, log: self };
        r.append(&fixed.bytes());
        r
    }

    /// Writes how the recording is about to end, or that it is not: an execve may yet fail.
    pub fn announce(&mut self, how: End) {
        if self.open {
            let (kind, value) = how.words();
            self.slice(offset::END as u64, 4).copy_from_slice(&kind.to_le_bytes());
            self.slice(offset::END_VALUE as u64, 4).copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes how the recording ended and closes the log; what is recorded afterwards goes nowhere.
    pub fn end(&mut self, how: End) {
        if !self.open {
            return;
        }
        self.announce(how);
        self.open = false;
        sys::munmap(LOG, self.mapped);
        sys::ftruncate(self.fd, self.at);
        sys::close(self.fd);
    }

    /// Lets the log be, in a forked child: the parent goes on writing it, through the same descriptor unless the child has
    /// descriptors of its own.
    pub fn abandon(&mut self, own_files: bool) {
        self.open = false;
        sys::munmap(LOG, self.mapped);
        if own_files {
            sys::close(self.fd);
        }
    }

    fn fail(&mut self, error: i64) {
        crate::diag::say!(
            "recording stopped: {}; the program goes on",
            if error == errno::ENOSPC || error == errno::EDQUOT {
                "the disk is full"
            } else {
                "the trace cannot grow"
            }
        );
        self.end(End::DiskFull);
    }
}

/// Writes the end of another process's log, if it could not do so itself.
pub fn close_killed(path: &core::ffi::CStr, how: End) {
    let Ok(fd) = u64::try_from(sys::open(path, 0o2, 0)) else { return };
    let mut end = [0u8; 4];
    if sys::pread(fd, &mut end, offset::END as u64) == 4 && u32::from_le_bytes(end) == End::Open.words().0 {
        let (kind, value) = how.words();
        let words = (u64::from(value) << 32 | u64::from(kind)).to_le_bytes();
        const _: () = assert!(offset::END_VALUE == offset::END + 4);
        sys::raw_agent_pointers(sys::nr::PWRITE64, [fd, words.as_ptr() as u64, 8, offset::END as u64, 0, 0]);
    }
    sys::close(fd);
}

/// Moves a descriptor out of the program's way, closed on exec.
#[must_use]
pub fn private(fd: u64) -> u64 {
    let high = private_copy(fd);
    if high != fd {
        sys::close(fd);
    }
    high
}

/// A copy of a descriptor out of the program's way, closed on exec; the descriptor itself when there can be none.
///
/// Best is beyond what the program may use, where neither its loops nor its `dup2` get.
#[must_use]
pub fn private_copy(fd: u64) -> u64 {
    const F_DUPFD_CLOEXEC: u64 = 1030;
    const NOFILE: u64 = 7;
    /// A table of descriptors as large as its highest is copied at each fork.
    const HIGHEST: u64 = 1 << 14;
    let (soft, hard) = sys::limit(NOFILE);
    let beyond = (soft < hard && soft <= HIGHEST).then_some(soft);
    if beyond.is_some() {
        sys::set_limit(NOFILE, hard.min(soft + 64), hard);
    }
    let high = beyond
        .into_iter()
        .chain([900, 200, 30, 10])
        .map(|from| sys::fcntl(fd, F_DUPFD_CLOEXEC, from))
        .find(|high| *high >= 0);
    if beyond.is_some() {
        sys::set_limit(NOFILE, soft, hard);
    }
    high.map_or(fd, i64::cast_unsigned)
}

/// A record being written.
#[derive(Debug)]
pub struct Record<'a> {
    log: &'a mut Log,
    len: u64,
}

impl Record<'_> {
    fn append(&mut self, bytes: &[u8]) {
        if self.reserve(bytes.len() as u64) {
            let at = self.log.at + self.len;
            self.log.slice(at, bytes.len()).copy_from_slice(bytes);
            self.len += bytes.len() as u64;
        }
    }

    fn reserve(&mut self, more: u64) -> bool {
        if self.log.open
            && let Err(e) = self.log.grow(self.len + more + 8)
        {
            self.log.fail(e);
        }
        self.log.open
    }

    fn pad(&mut self) {
        let rest = (8 - self.len % 8) % 8;
        self.append(&[0; 8][..rest as usize]);
    }

    /// Adds spans of program memory.
    #[must_use]
    pub fn program(mut self, spans: &[Span]) -> Self {
        for s in spans {
            self = self.span(s.addr, *s);
        }
        self
    }

    /// Adds a span of program memory under a tag.
    #[must_use]
    pub fn program_as(self, tag: Tag, span: Span) -> Self {
        self.span(tag as u64, span)
    }

    fn span(mut self, target: u64, span: Span) -> Self {
        if !self.reserve(span.len + 24) {
            return self;
        }
        self.append(&target.to_le_bytes());
        self.append(&span.len.to_le_bytes());
        let at = self.log.at + self.len;
        if memory::try_copy_out(span.addr, self.log.slice(at, span.len as usize)) {
            self.len += span.len;
            self.pad();
        } else {
            // A result beyond what is there (a mapping longer than its file): nothing the program could see either.
            self.len -= 16;
        }
        self
    }

    /// Adds bytes of the agent's.
    #[must_use]
    pub fn bytes(mut self, tag: Tag, bytes: &[u8]) -> Self {
        self.append(&(tag as u64).to_le_bytes());
        self.append(&(bytes.len() as u64).to_le_bytes());
        self.append(bytes);
        self.pad();
        self
    }

    /// Seals the record and commits it.
    pub fn done(self) {
        let log = self.log;
        if !log.open {
            return;
        }
        let (at, len) = (log.at, self.len);
        seal(log.slice(at, len as usize));
        log.at += len;
        log.events += 1;
        let committed = log.at - HEADER_SIZE as u64;
        let events = log.events;
        log.slice(offset::COMMITTED as u64, 8).copy_from_slice(&committed.to_le_bytes());
        log.slice(offset::EVENTS as u64, 8).copy_from_slice(&events.to_le_bytes());
    }
}
