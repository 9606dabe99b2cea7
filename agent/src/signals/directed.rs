//! Signals for one thread where the kernel does not say so: pthread_sigqueue(3), and timers with `SIGEV_THREAD_ID` (timer_create(2)).
//!
//! A thread that enters the agent by SIGSYS dequeues what was sent to the process as well, which is passed on to the main thread. What was sent to
//! that thread alone must not be, but looks the same.

use crate::memory::try_words;
use crate::state::Agent;
use crate::sys::nr;
use crate::threads::{Slot, slot};
use core::sync::atomic::Ordering;

const SIGEV_THREAD_ID: u64 = 4;
/// `si_code` of signals that sigqueue(3), timers and tgkill(2) send.
const SI_QUEUE: i32 = -1;
const SI_TIMER: i32 = -2;
const SI_TKILL: i32 = -6;

/// A call of the program's that may send a thread signals is about to be made.
pub fn note(agent: &Agent, number: u64, args: &[u64; 6]) {
    let (thread, signal) = match number {
        nr::RT_TGSIGQUEUEINFO => (args[1], args[2]),
        nr::TIMER_CREATE => match try_words::<3>(args[1]) {
            // struct sigevent: value, signal and notification, thread.
            Some([_, how, thread]) if args[1] != 0 && how >> 32 == SIGEV_THREAD_ID => (thread, how),
            _ => return,
        },
        _ => return,
    };
    let (thread, signal) = (thread & 0xffff_ffff, signal & 0xffff_ffff);
    if !(1..=64).contains(&signal) {
        return;
    }
    for n in (0..agent.threads.len()).filter(|n| agent.threads[*n].live) {
        if slot(n).tid.load(Ordering::SeqCst) == thread {
            slot(n).directed.fetch_or(1 << (signal - 1), Ordering::SeqCst);
        }
    }
}

/// Whether a signal is for the thread it has come to. One that has been sent such by either way is taken to be from then on.
#[must_use]
pub fn is_own(thread: &Slot, signal: u64, code: i32) -> bool {
    let directed = thread.directed.load(Ordering::SeqCst) >> (signal - 1) & 1 != 0;
    code == SI_TKILL || directed && matches!(code, SI_QUEUE | SI_TIMER)
}
