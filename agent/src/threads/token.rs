//! The token: a ticket lock over futex(2). Fair, so no waiting thread starves.

use super::slot;
use crate::intercept::tsc;
use crate::record::{chaos, preempt};
use crate::sys;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

static NEXT: AtomicU32 = AtomicU32::new(0);
static SERVING: AtomicU32 = AtomicU32::new(0);
/// Slot of the thread that has it, or [`NOBODY`].
static HOLDER: AtomicUsize = AtomicUsize::new(0);
const NOBODY: usize = usize::MAX;

/// How long the holder may keep the first in the queue waiting, in nanoseconds, before it is interrupted: at a tick, or where that does not
/// come within as long, in native code. CPython's own threads ask for the lock of the interpreter after as long.
const PATIENCE: u64 = 5_000_000;

/// Waits for the token, for the thread of this slot.
pub fn acquire(me: usize) {
    chaos::pause();
    let ticket = NEXT.fetch_add(1, SeqCst);
    loop {
        let serving = SERVING.load(SeqCst);
        if serving == ticket {
            HOLDER.store(me, SeqCst);
            // Program code is next: by now it may be such that the counter is to be trapped.
            if tsc::is_trapped() && !slot(me).counter_traps.swap(true, SeqCst) {
                tsc::apply(true);
            }
            return;
        }
        if serving.wrapping_add(1) == ticket {
            if !sys::futex_wait_for(&SERVING, serving, chaos::patience(PATIENCE)) && preempt::ask() {
                preempt::nudge_holder();
            }
        } else {
            sys::futex_wait(&SERVING, serving);
        }
    }
}

/// Gives it up.
pub fn release() {
    HOLDER.store(NOBODY, SeqCst);
    let next = SERVING.fetch_add(1, SeqCst).wrapping_add(1);
    if NEXT.load(SeqCst) != next {
        sys::futex_wake(&SERVING);
    }
}

/// In a forked child, whose one thread holds the token: nobody waits.
pub fn reset(me: usize) {
    NEXT.store(SERVING.load(SeqCst).wrapping_add(1), SeqCst);
    HOLDER.store(me, SeqCst);
}

/// Slot of the thread that runs, as far as can be told without the token.
#[must_use]
pub fn holder() -> Option<usize> {
    Some(HOLDER.load(SeqCst)).filter(|h| *h != NOBODY)
}

/// How many have it or wait for it.
#[must_use]
pub fn queue() -> u32 {
    NEXT.load(SeqCst).wrapping_sub(SERVING.load(SeqCst))
}

/// Whether somebody waits for it. Only the holder may ask.
#[must_use]
pub fn contended() -> bool {
    NEXT.load(SeqCst) != SERVING.load(SeqCst).wrapping_add(1)
}
