//! A signal that waits for long: said once, because the user presses Ctrl-C and nothing happens.

use crate::threads::Slot;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// So long a signal may wait unnoticed, in nanoseconds.
const LONG: u64 = 1_000_000_000;

/// When each signal that waits first arrived.
static SINCE: [AtomicU64; 65] = [const { AtomicU64::new(0) }; 65];
static SAID: AtomicBool = AtomicBool::new(false);

/// A signal arrives for a thread, and is about to be posted. Where the same one has long been waiting, neither event nor tick has come since.
pub fn note(slot: &Slot, signal: u64) {
    let (bit, now) = (1 << (signal - 1), crate::sys::clock(1));
    let since = &SINCE[signal as usize];
    if slot.pending.load(Ordering::SeqCst) & bit == 0 {
        since.store(now, Ordering::SeqCst);
    } else if slot.wanted.load(Ordering::SeqCst) & bit != 0
        && now.saturating_sub(since.load(Ordering::SeqCst)) > LONG
        && !SAID.swap(true, Ordering::SeqCst)
    {
        crate::diag::say!("signal {signal} waits: the program is in native code that makes no system calls");
    }
}
