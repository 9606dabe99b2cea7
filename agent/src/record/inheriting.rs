//! Priority-inheriting locks (futex(2), `FUTEX_LOCK_PI`).
//!
//! The kernel changes the word of such a lock by itself: it marks it as waited for when somebody comes to wait, and gives it to a waiter
//! when it is unlocked. Done while other threads run, either would be seen by these at another moment in replay. So a lock that
//! is taken is waited for on a word of the agent's: it is marked under the token, its owner's unlocking wakes who waits here, and it is
//! taken by the kernel, under the token, when it is free. Priorities are not inherited meanwhile: one thread runs at a time, whatever they are.

use super::interruptible;
use crate::memory::{try_copy_in, try_get, try_words};
use crate::state::{Agent, released};
use crate::sys::{self, errno, nr};
use crate::syscalls::Span;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rdb_trace::Kind;

/// futex(2) operations.
const LOCK_PI: u64 = 6;
const UNLOCK_PI: u64 = 7;
const LOCK_PI2: u64 = 13;
const OPERATION: u64 = 0x7f;
const CLOCK_REALTIME: u64 = 256;
/// Parts of a lock's word.
const OWNER: u32 = 0x3fff_ffff;
const WAITERS: u32 = 0x8000_0000;

/// Counts how often such a lock was given up.
static FREED: AtomicU32 = AtomicU32::new(0);

/// Whether a call waits for such a lock, if it is taken.
#[must_use]
pub fn locks(number: u64, a: &[u64; 6]) -> bool {
    number == nr::FUTEX && matches!(a[1] & OPERATION, LOCK_PI | LOCK_PI2)
}

/// Whether another thread that lives has the lock. What the kernel says to its own owner, of an owner who died, or of a bad address, it
/// says at once.
#[must_use]
pub fn is_taken(at: u64) -> bool {
    const TKILL: u64 = 200;
    let me = sys::raw(nr::GETTID, [0; 6]);
    let owner = try_get::<u32>(at).unwrap_or(0) & OWNER;
    owner != 0 && i64::from(owner) != me && sys::raw(TKILL, [u64::from(owner), 0, 0, 0, 0, 0]) != -errno::ESRCH
}

/// Marks such a lock as waited for, as the kernel is about to do: under the token, so that the owner finds the mark at the same
/// place in replay. The word, when it was marked.
pub fn mark(number: u64, a: &[u64; 6]) -> Option<Span> {
    if !locks(number, a) {
        return None;
    }
    let word: u32 = try_get(a[0])?;
    try_copy_in(a[0], &(word | WAITERS).to_le_bytes()).then_some(Span { addr: a[0], len: 4 })
}

/// Waits for a lock that is taken and marked, and takes it.
pub fn lock(mut agent: &'static mut Agent, number: u64, a: &[u64; 6]) -> (&'static mut Agent, i64) {
    /// Who is in another process wakes nobody here: it is looked after so often, in nanoseconds.
    const OFTEN: u64 = 20_000_000;
    const SECOND: u64 = 1_000_000_000;
    /// FUTEX_WAIT, private.
    const WAIT: u64 = 128;
    let me = agent.current;
    // The limit of FUTEX_LOCK_PI is one of CLOCK_REALTIME whatever it says.
    let real = a[1] & OPERATION == LOCK_PI || a[1] & CLOCK_REALTIME != 0;
    let limit = if a[3] == 0 { None } else { try_words::<2>(a[3]) };
    let limit = limit.map(|[s, n]| s.saturating_mul(SECOND).saturating_add(n));
    while is_taken(a[0]) {
        let left = limit.map_or(OFTEN, |l| l.saturating_sub(sys::clock(u64::from(!real))).min(OFTEN));
        if left == 0 {
            return (agent, -errno::ETIMEDOUT);
        }
        let (freed, time) = (FREED.load(SeqCst), [0, left]);
        let wait = [FREED.as_ptr() as u64, WAIT, u64::from(freed), time.as_ptr() as u64, 0, 0];
        let ret;
        (agent, ret) = released(agent, || interruptible(me, nr::FUTEX, &wait));
        if ret == -errno::EINTR {
            return (agent, ret);
        }
        // Taken again meanwhile, without a mark, it would be given up without a word.
        if is_taken(a[0])
            && try_get::<u32>(a[0]).is_some_and(|word| word & WAITERS == 0)
            && let Some(marked) = mark(number, a)
        {
            let fix = super::fixed_at(agent, Kind::Changed);
            agent.recorder().log.event(fix).program(&[marked]).done();
        }
    }
    (agent, sys::raw(number, *a))
}

/// After a call: a lock was given up, for which somebody may wait here.
pub fn unlocked(number: u64, a: &[u64; 6]) {
    if number == nr::FUTEX && a[1] & OPERATION == UNLOCK_PI {
        FREED.fetch_add(1, SeqCst);
        sys::futex_wake(&FREED);
    }
}
