//! Which calls may wait: most by their row, some by what they are asked.

use crate::memory::try_get;
use crate::sys::{self, errno, nr};
use crate::syscalls::{Len, Policy, Row};
use crate::threads::token;

/// How this call is recorded.
pub fn policy(row: &Row, a: &[u64; 6]) -> Policy {
    const F_SETLKW: u64 = 7;
    const F_OFD_SETLKW: u64 = 38;
    match u64::from(row.nr) {
        nr::FUTEX => futex(a),
        // Whoever stops itself must not keep those waiting that it shares memory with. Another is stopped while we have the right to run,
        // which it then has not.
        nr::KILL if stops(a[1]) && ((a[0] as i32) <= 0 || a[0] == sys::pid()) => Policy::Blocks,
        TKILL if stops(a[1]) && sys::tgkill(sys::pid(), a[0], 0) == 0 => Policy::Blocks,
        nr::TGKILL if stops(a[2]) && a[0] == sys::pid() => Policy::Blocks,
        nr::FCNTL if matches!(a[1] & 0xffff_ffff, F_SETLKW | F_OFD_SETLKW) => Policy::Blocks,
        nr::OPEN if may_be_pipe(a[1]) => Policy::Opens,
        nr::OPENAT if may_be_pipe(a[2]) => Policy::Opens,
        _ => row.policy,
    }
}

const TKILL: u64 = 200;

/// Whether a signal stops who does nothing about it: SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU.
fn stops(signal: u64) -> bool {
    matches!(signal, 19..=22)
}

/// Where a call has how long it is to sleep, and where it tells what is left of that when it is interrupted (nanosleep(2)).
#[must_use]
pub fn sleep(number: u64, a: &[u64; 6]) -> Option<(usize, usize)> {
    const ABSOLUTE: u64 = 1;
    match number {
        nr::NANOSLEEP => Some((0, 1)),
        nr::CLOCK_NANOSLEEP if a[1] & ABSOLUTE == 0 => Some((2, 3)),
        _ => None,
    }
}

/// Whether a call may have written something when it is interrupted: then that must not be the program's memory, for the agent's own
/// signals interrupt, too, and the call is made again.
#[must_use]
pub fn tells_when_interrupted(row: &Row) -> bool {
    row.outs
        .iter()
        .any(|o| matches!(o.len, Len::Remaining(_) | Len::Left(_) | Len::ItemsBoth(..)))
}

/// futex(2) operations that wait.
mod operation {
    pub(super) const WAIT: u64 = 0;
    pub(super) const LOCK_PI: u64 = 6;
    pub(super) const WAIT_BITSET: u64 = 9;
    pub(super) const WAIT_REQUEUE_PI: u64 = 11;
    pub(super) const LOCK_PI2: u64 = 13;
}

fn futex(a: &[u64; 6]) -> Policy {
    match a[1] & 0x7f {
        operation::WAIT | operation::WAIT_BITSET | operation::WAIT_REQUEUE_PI => Policy::Blocks,
        // Free: the kernel takes it at once, in the word, which must happen under the token.
        operation::LOCK_PI | operation::LOCK_PI2 if super::inheriting::is_taken(a[0]) => Policy::Blocks,
        _ => Policy::Plain,
    }
}

/// A wait for a futex that is over by its time while many threads stand in line for the token goes on for a while. Whoever waits for a lock
/// with a short limit, again and again (CPython's threads for that of the interpreter, every 5 ms), would otherwise take most turns for
/// finding out that it is not free, and leave few to the thread that has it. A limit is met late on a busy machine, too.
///
/// Under chaos such a wait may be over `sooner`, after so many nanoseconds.
pub fn patiently(thread: usize, number: u64, args: &[u64; 6], sooner: Option<u64>) -> i64 {
    /// So many may stand in line.
    const FEW: u32 = 4;
    /// For each of them, in nanoseconds.
    const EACH: u64 = 2_000_000;
    const MOST: u64 = 200_000_000;
    let ret = match sooner {
        None => super::interruptible(thread, number, args),
        Some(nanoseconds) => for_so_long(thread, args, nanoseconds),
    };
    let queue = token::queue();
    if ret != -errno::ETIMEDOUT || number != nr::FUTEX || queue <= FEW {
        return ret;
    }
    if !matches!(args[1] & 0x7f, operation::WAIT | operation::WAIT_BITSET) {
        return ret;
    }
    match for_so_long(thread, args, (u64::from(queue) * EACH).min(MOST)) {
        0 => 0,
        _ => ret,
    }
}

/// A wait for a futex, with another limit: so many nanoseconds from now.
fn for_so_long(thread: usize, args: &[u64; 6], nanoseconds: u64) -> i64 {
    const SECOND: u64 = 1_000_000_000;
    let until = match args[1] & 0x7f {
        operation::WAIT => nanoseconds,
        _ => nanoseconds + sys::clock(futex_clock(args)),
    };
    let limit = [until / SECOND, until % SECOND];
    let mut args = *args;
    args[3] = limit.as_ptr() as u64;
    super::interruptible(thread, nr::FUTEX, &args)
}

/// The clock (clock_gettime(2)) by which a futex operation with a time of day waits.
fn futex_clock(args: &[u64; 6]) -> u64 {
    const CLOCK_REALTIME: u64 = 256;
    u64::from(args[1] & CLOCK_REALTIME == 0)
}

/// How long, in nanoseconds, a wait for a futex is to last; `None` where that has no end, and for other calls.
pub fn futex_limit(number: u64, args: &[u64; 6]) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    if number != nr::FUTEX || args[3] == 0 {
        return None;
    }
    let [seconds, rest] = crate::memory::try_words(args[3])?;
    let limit = seconds.checked_mul(SECOND)?.checked_add(rest)?;
    match args[1] & 0x7f {
        operation::WAIT => Some(limit),
        operation::WAIT_BITSET => Some(limit.saturating_sub(sys::clock(futex_clock(args)))),
        _ => None,
    }
}

const AT_FDCWD: u64 = (-100i64).cast_unsigned();

/// Type of a file, in its mode.
mod file_type {
    pub(super) const ALL: u64 = 0o170_000;
    pub(super) const PIPE: u64 = 0o010_000;
    pub(super) const DIRECTORY: u64 = 0o040_000;
    pub(super) const REGULAR: u64 = 0o100_000;
}

/// Whether opening with these flags would wait if it is a named pipe (fifo(7)).
fn may_be_pipe(flags: u64) -> bool {
    const O_NONBLOCK: u64 = 0o4000;
    const O_PATH: u64 = 0o10_000_000;
    const O_RDWR: u64 = 2;
    const O_DIRECTORY: u64 = 0o200_000;
    flags & (O_NONBLOCK | O_PATH | O_RDWR | O_DIRECTORY) == 0
}

/// Whether a call that may wait for the other side of a named pipe opens one: that is found out by looking, which is another way
/// through all directories.
#[must_use]
pub fn opens_pipe(number: u64, a: &[u64; 6]) -> bool {
    let (directory, path) = match number {
        nr::OPEN => (AT_FDCWD, a[0]),
        _ => (a[0], a[1]),
    };
    let mut status = [0u64; 18];
    let found = sys::raw_agent_pointers(nr::NEWFSTATAT, [directory, path, status.as_mut_ptr() as u64, 0, 0, 0]) == 0;
    found && status[3] & file_type::ALL == file_type::PIPE
}

/// Whether a call that may wait does not with these arguments, whatever signal comes: files and directories are read, written and opened
/// to the end.
#[must_use]
pub fn is_short(number: u64, a: &[u64; 6]) -> bool {
    match number {
        nr::OPEN | nr::OPENAT => !opens_pipe(number, a),
        nr::READ | nr::WRITE | nr::READV | nr::WRITEV => {
            sys::fstat(a[0]).is_ok_and(|st| matches!(st[3] & file_type::ALL, file_type::REGULAR | file_type::DIRECTORY))
        }
        _ => false,
    }
}

/// Calls that wait under another signal mask: the mask, when they give one that can be read.
pub fn temporary_mask(number: u64, a: &[u64; 6]) -> Option<u64> {
    let at = match number {
        nr::RT_SIGSUSPEND => a[0],
        nr::PPOLL => a[3],
        nr::EPOLL_PWAIT | nr::EPOLL_PWAIT2 => a[4],
        nr::PSELECT6 if a[5] != 0 => try_get(a[5])?,
        _ => 0,
    };
    if at == 0 { None } else { try_get(at) }
}
