//! The event log: written through a shared mapping, so that it survives SIGKILL of this process. How events are written is
//! `rdb_trace::writer`'s; here is the file.
//!
//! # Safety
//! This room may use `unsafe`: the log window is an address range of the agent's own, mapped here, and written by the holder of the
//! token alone.
#![allow(unsafe_code)]

use crate::layout::LOG;
use crate::memory;
use crate::state::page_up;
use crate::sys::{self, errno, map, nr};
use crate::syscalls::Span;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use rdb_trace::chunk::RAW;
use rdb_trace::event::Fixed;
use rdb_trace::header::{HEADER_SIZE, offset};
use rdb_trace::{Cpu, End, Header, Origin, Readings, Room, Tag, Writer};

/// getrlimit(2): the number of descriptors.
const NOFILE: u64 = 7;
const MIN_STEP: u64 = 1 << 20;
const MAX_STEP: u64 = 64 << 20;

/// Bytes of a short one, and advice about pages (madvise(2): `MADV_RANDOM`).
const SHORT: u64 = 256 << 10;
const RANDOM: u64 = 1;

/// The log's file, mapped at [`LOG`].
#[derive(Debug)]
struct Mapping {
    fd: u64,
    mapped: u64,
    /// Largest size the file may have in the end, in bytes.
    limit: u64,
}

/// Why the log cannot grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// The kernel says so.
    Error(i64),
    /// It has the size asked for.
    Limit,
}

impl Room for Mapping {
    type Error = Full;

    /// Blocks are allocated now: a write to the mapping never meets a full disk (SIGBUS).
    fn extend_to(&mut self, end: u64) -> Result<(), Full> {
        // What is asked for is the open chunk's end; sealed, that chunk will end before it starts now.
        if end.saturating_sub(RAW as u64) > self.limit {
            return Err(Full::Limit);
        }
        while self.mapped < end {
            let most = self.limit.saturating_add(RAW as u64).saturating_sub(self.mapped);
            let step = (self.mapped / 2).clamp(MIN_STEP, MAX_STEP).min(most).max(end - self.mapped);
            let step = page_up(step);
            let r = sys::fallocate(self.fd, self.mapped, step);
            if r < 0 {
                if r == -errno::ENOSPC || r == -errno::EDQUOT {
                    return Err(Full::Error(-r));
                }
                // No fallocate here (some network file systems): a sparse file is the next best.
                let r = sys::ftruncate(self.fd, self.mapped + step);
                if r < 0 {
                    return Err(Full::Error(-r));
                }
            }
            let at = LOG + self.mapped;
            let r = sys::mmap(at, step, map::READ | map::WRITE, map::SHARED | map::FIXED, self.fd, self.mapped);
            if r < 0 {
                return Err(Full::Error(-r));
            }
            if self.mapped == 0 {
                // Of a short recording no more pages are made than it fills; the kernel would read ahead what is empty.
                sys::raw(nr::MADVISE, [at, SHORT.min(step), RANDOM, 0, 0, 0]);
            }
            self.mapped += step;
        }
        Ok(())
    }

    fn bytes(&mut self, at: u64, len: usize) -> &mut [u8] {
        debug_assert!(at + len as u64 <= self.mapped);
        // SAFETY: the range was mapped by `extend_to` for this log alone; `&mut self` makes the borrow exclusive.
        unsafe { core::slice::from_raw_parts_mut((LOG + at) as *mut u8, len) }
    }

    fn store(&mut self, at: usize, word: u64) {
        // SAFETY: a word of the header page, aligned, mapped as long as this log is open.
        unsafe { AtomicU64::from_ptr((LOG + at as u64) as *mut u64) }.store(word, Ordering::Release);
    }
}

/// What all logs of a recording have in common.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Events between memory hashes; 0 for none.
    pub verify_every: u32,
    /// Largest size, in bytes.
    pub limit: u64,
    /// The CPU.
    pub cpu: Cpu,
}

/// An open (or closed) event log.
#[derive(Debug)]
pub struct Log {
    writer: Writer<Mapping>,
    settings: Settings,
    open: bool,
    /// Clock readings since the latest event.
    pub readings: Readings,
    /// Event count at which the next memory hash is due.
    pub next_hash: u64,
    /// The bytes of an effect whose successor is not known yet.
    kept: Vec<u8>,
}

impl Log {
    /// Creates the log of a process.
    ///
    /// # Errors
    /// The error number.
    pub fn create(path: &core::ffi::CStr, origin: &Origin, settings: &Settings) -> Result<Log, i64> {
        let fd = sys::open(path, 0o302, 0o644); // O_RDWR | O_CREAT | O_EXCL
        if fd < 0 {
            return Err(-fd);
        }
        // Tells `rdbctl rm` that it is being written. Where there are no locks, nobody is told.
        sys::lock(fd.cast_unsigned());
        let mapping = Mapping {
            fd: private(fd.cast_unsigned()),
            mapped: 0,
            limit: settings.limit,
        };
        let mut writer = Writer::new(mapping).map_err(|full| match full {
            Full::Error(e) => e,
            Full::Limit => errno::EINVAL,
        })?;
        let page = Header::page(origin, settings.verify_every, sys::clock(0), &settings.cpu);
        writer.room().bytes(0, HEADER_SIZE).copy_from_slice(&page);
        Ok(Log {
            writer,
            settings: *settings,
            open: true,
            readings: Readings::new(),
            next_hash: u64::from(settings.verify_every),
            kept: Vec::new(),
        })
    }

    /// The log's descriptor, which the program must not touch.
    #[must_use]
    pub fn fd(&mut self) -> u64 {
        self.writer.room().fd
    }

    /// Its descriptor has moved.
    pub fn set_fd(&mut self, fd: u64) {
        self.writer.room().fd = fd;
    }

    /// Whether events are still written.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What it was created with.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.writer.events()
    }

    /// Events that whoever writes the log has made count by now: in a forked child, its parent.
    #[must_use]
    pub fn counted(&self) -> u64 {
        if !self.open {
            return 0;
        }
        // SAFETY: a word of the header page, aligned, mapped as long as this log is open.
        unsafe { AtomicU64::from_ptr((LOG + offset::EVENTS as u64) as *mut u64) }.load(Ordering::Acquire)
    }

    /// Starts a record.
    pub fn event(&mut self, fixed: Fixed) -> Record<'_> {
        let mut pending = None;
        if !self.readings.is_empty() {
            self.kept.clear();
            self.kept.extend_from_slice(self.readings.finish());
            self.readings.clear();
            pending = Some(Pending {
                target: Tag::Readings as u64,
                span: None,
            });
        }
        Record {
            log: self,
            fixed,
            begun: false,
            pending,
        }
    }

    /// Writes how the recording is about to end, or that it is not: an execve may yet fail.
    pub fn announce(&mut self, how: End) {
        if self.open {
            let (kind, value) = how.words();
            let room = self.writer.room();
            room.bytes(offset::END as u64, 4).copy_from_slice(&kind.to_le_bytes());
            room.bytes(offset::END_VALUE as u64, 4).copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes how the recording ended and closes the log; what is recorded afterwards goes nowhere.
    pub fn end(&mut self, how: End) {
        if !self.open {
            return;
        }
        let size = self.writer.close();
        self.announce(how);
        self.open = false;
        let room = self.writer.room();
        sys::munmap(LOG, room.mapped);
        sys::ftruncate(room.fd, size);
        sys::close(room.fd);
    }

    /// Lets the log be, in a forked child: the parent goes on writing it, through the same descriptor unless the child has
    /// descriptors of its own.
    pub fn abandon(&mut self, own_files: bool) {
        self.open = false;
        let room = self.writer.room();
        sys::munmap(LOG, room.mapped);
        if own_files {
            sys::close(room.fd);
        }
    }

    fn fail(&mut self, full: Full) {
        let (why, end) = match full {
            Full::Limit => ("the trace has reached the size asked for", End::SizeLimit),
            Full::Error(errno::ENOSPC | errno::EDQUOT) => ("the disk is full", End::DiskFull),
            Full::Error(_) => ("the trace cannot grow", End::DiskFull),
        };
        crate::diag::say!("recording stopped: {why}; the program goes on");
        self.end(end);
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

/// Makes `to`, a number that [`private_copy`] gave, a copy of a descriptor, closed on exec; the system call's result.
#[must_use]
pub fn copy_to(fd: u64, to: u64) -> i64 {
    const O_CLOEXEC: u64 = 0o2_000_000;
    let (soft, hard) = sys::limit(NOFILE);
    if to >= soft {
        sys::set_limit(NOFILE, hard.min(to + 1), hard);
    }
    let r = sys::raw(nr::DUP3, [fd, to, O_CLOEXEC, 0, 0, 0]);
    if to >= soft {
        sys::set_limit(NOFILE, soft, hard);
    }
    r
}

/// A record being written.
#[derive(Debug)]
pub struct Record<'a> {
    log: &'a mut Log,
    fixed: Fixed,
    begun: bool,
    /// The latest effect, held back until it is known whether another follows.
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    target: u64,
    /// Program memory; without it, the bytes are kept by the log.
    span: Option<Span>,
}

impl Record<'_> {
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
        // A result beyond what is there (a mapping longer than its file): nothing the program could see either.
        if memory::readable(span.addr, span.len) == span.len {
            self.write(false);
            self.pending = Some(Pending { target, span: Some(span) });
        }
        self
    }

    /// Adds bytes of the agent's.
    #[must_use]
    pub fn bytes(mut self, tag: Tag, bytes: &[u8]) -> Self {
        self.write(false);
        self.pending = Some(Pending {
            target: tag as u64,
            span: None,
        });
        self.log.kept.clear();
        self.log.kept.extend_from_slice(bytes);
        self
    }

    /// Writes what is pending, the `last` of the record or not.
    fn write(&mut self, last: bool) {
        let pending = self.pending.take();
        if !self.log.open || pending.is_none() && !last {
            return;
        }
        let writer = &mut self.log.writer;
        let begun = if self.begun {
            Ok(())
        } else {
            writer.event(&self.fixed, pending.is_some())
        };
        self.begun = true;
        let kept = &self.log.kept;
        let written = begun.and_then(|()| match pending {
            None => Ok(()),
            Some(Pending { target, span: Some(span) }) => writer.effect(target, span.len, last, |from, to| {
                if !memory::try_copy_out(span.addr + from, to) {
                    to.fill(0);
                }
            }),
            Some(Pending { target, span: None }) => writer.effect(target, kept.len() as u64, last, |from, to| {
                to.copy_from_slice(&kept[from as usize..from as usize + to.len()]);
            }),
        });
        if let Err(full) = written {
            self.log.fail(full);
        }
    }

    /// Makes the record count.
    pub fn done(mut self) {
        self.write(true);
        if self.log.open {
            self.log.writer.commit();
        }
    }
}
