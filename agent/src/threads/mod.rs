//! Threads: the slot of agent memory each has, what the agent knows of each, and the token.
//!
//! Recording: one token, held by the thread that runs program code. Replay: every thread is a fiber on the one kernel thread;
//! a fiber is a saved context and an fs base.
//!
//! # Safety
//! This room may use `unsafe` to view the slots, which are mapped before their number is ever handed out and never unmapped.
#![allow(unsafe_code)]

pub mod token;

use crate::layout::{SLOT_COUNT, SLOT_SIZE, SLOTS};
use crate::sys;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Offset of the signal stack in a slot.
const SIGNAL_STACK: u64 = 0x2_0000;
/// Offset of the top of the boot stack in a slot.
const BOOT_STACK: u64 = 0x1_fff0;
/// Offset of the context a new thread starts from.
const START_CONTEXT: u64 = 0x3800;
/// Offset of the FP state of a fast context, [`FAST_FP_SIZE`] bytes.
const FAST_FP: u64 = 0x4000;
/// Most bytes of FP state.
pub const FAST_FP_SIZE: u64 = 0x4000;
/// Offset of the fast context; the stack of the agent's code grows down from it.
const FAST_CONTEXT: u64 = 0x1_d000;
const _: () = assert!(core::mem::offset_of!(Slot, fast_context) == 32 && core::mem::offset_of!(Slot, fast_rsp) == 40);
const _: () = assert!(size_of::<Slot>() as u64 <= START_CONTEXT && START_CONTEXT + crate::context::CONTEXT_SIZE <= FAST_FP);

/// The first real-time signal (signal(7)).
pub const REAL_TIME: u64 = 32;

/// The part of a thread that asynchronous signal handlers touch.
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    /// Signals that arrived and were not yet delivered, bit `n-1` for signal `n`.
    pub pending: AtomicU64,
    /// Pending and not blocked: what a blocking call must not miss.
    pub wanted: AtomicU64,
    /// The program's signal mask for this thread.
    pub mask: AtomicU64,
    /// Thread id in the kernel.
    pub tid: AtomicU64,
    /// Where a patched system call site builds its context; 0 until prepared. Known to `arch::entry` as byte 32.
    pub fast_context: AtomicU64,
    /// Its stack pointer meanwhile. Known to `arch::entry` as byte 40.
    pub fast_rsp: AtomicU64,
    /// Not 0 while the kernel's thread exists (`CLONE_CHILD_CLEARTID`): until then its signal stack is in use.
    pub kernel: AtomicU32,
    /// A timer of the agent's for this thread: its number in the kernel, plus 1.
    pub timer: AtomicU64,
    /// A signal of the agent's own arrived while its code ran, and may have interrupted a system call.
    pub nudged: AtomicBool,
    /// A vfork child: signals sent to its process are not the parent's.
    pub apart: AtomicBool,
    /// Real-time signals that the kernel's mask of this thread holds back beside what the program blocks: one of each waits here, and the
    /// others queue there. It may name too many, never too few.
    pub held: AtomicU64,
    /// Signals that are sent to this thread, not to its process, though they do not tell: see `signals::directed`.
    pub directed: AtomicU64,
    /// Of what is pending, that of which a second one came before it could be held back.
    seconds: AtomicU64,
    /// The time-stamp counter is trapped in this thread, as far as the token tells; see `intercept::tsc`.
    pub counter_traps: AtomicBool,
    infos: UnsafeCell<[[u8; 128]; 65]>,
    /// The information of the second ones, by number less [`REAL_TIME`].
    more: UnsafeCell<[[u8; 128]; 65 - REAL_TIME as usize]>,
}

// SAFETY: the atomics are atomics; `infos[n]` is written only by the setter of pending bit n, and by who takes n while there is a second, which
// keeps others from writing; `more` likewise, by the bits of `seconds`.
unsafe impl Sync for Slot {}

impl Slot {
    /// Notes that a signal arrived. The first of a kind keeps its information, as for standard signals (signal(7)); of real-time signals
    /// a second one is kept, too.
    pub fn post(&self, signal: u64, info: &[u8; 128]) {
        let bit = 1u64 << (signal - 1);
        if self.pending.load(Ordering::SeqCst) & bit == 0 {
            // SAFETY: the bit is clear, so nobody reads this entry; handlers do not nest within one thread for one signal.
            unsafe { (*self.infos.get())[signal as usize] = *info };
        } else if signal >= REAL_TIME && self.seconds.load(Ordering::SeqCst) & bit == 0 {
            // SAFETY: as above, for the bit of `seconds`.
            unsafe { (*self.more.get())[(signal - REAL_TIME) as usize] = *info };
            self.seconds.fetch_or(bit, Ordering::SeqCst);
        }
        self.pending.fetch_or(bit, Ordering::SeqCst);
        self.refresh();
    }

    /// Recomputes [`Slot::wanted`].
    pub fn refresh(&self) {
        let wanted = self.pending.load(Ordering::SeqCst) & !self.mask.load(Ordering::SeqCst);
        self.wanted.store(wanted, Ordering::SeqCst);
    }

    /// Has the kernel send this thread a signal after so many nanoseconds, once. The latest such request counts.
    pub fn remind(&self, signal: u64, value: u64, nanoseconds: u64) {
        if self.timer.load(Ordering::SeqCst) == 0 {
            let made = sys::make_timer(self.tid.load(Ordering::SeqCst), signal, value);
            let Some(timer) = made else { return };
            self.timer.store(timer + 1, Ordering::SeqCst);
        }
        sys::set_timer(self.timer.load(Ordering::SeqCst) - 1, nanoseconds);
    }

    /// Forgets the timer: it is not this thread's.
    pub fn forget_timer(&self, delete: bool) {
        let timer = self.timer.swap(0, Ordering::SeqCst);
        if delete && timer != 0 {
            sys::delete_timer(timer - 1);
        }
    }

    /// Drops what is pending.
    pub fn nothing_pending(&self) {
        self.seconds.store(0, Ordering::SeqCst);
        self.pending.store(0, Ordering::SeqCst);
        self.wanted.store(0, Ordering::SeqCst);
    }

    /// What the kernel may let in again, of what was held back: its first one has been delivered.
    #[must_use]
    pub fn released(&self) -> bool {
        let free = self.held.load(Ordering::SeqCst) & !self.pending.load(Ordering::SeqCst);
        if free != 0 {
            self.held.fetch_and(!free, Ordering::SeqCst);
        }
        free != 0
    }

    /// Drops what is pending of a signal.
    pub fn forget(&self, signal: u64) {
        self.seconds.fetch_and(!(1 << (signal - 1)), Ordering::SeqCst);
        self.pending.fetch_and(!(1 << (signal - 1)), Ordering::SeqCst);
        self.refresh();
    }

    /// Takes the lowest deliverable signal.
    pub fn take(&self) -> Option<(u64, [u8; 128])> {
        self.take_of(!self.mask.load(Ordering::SeqCst))
    }

    /// Takes the lowest signal of a set.
    pub fn take_of(&self, set: u64) -> Option<(u64, [u8; 128])> {
        let wanted = self.pending.load(Ordering::SeqCst) & set;
        if wanted == 0 {
            return None;
        }
        let signal = u64::from(wanted.trailing_zeros()) + 1;
        let bit = 1 << (signal - 1);
        // SAFETY: the bit is set, so no handler writes this entry.
        let info = unsafe { (*self.infos.get())[signal as usize] };
        if self.seconds.load(Ordering::SeqCst) & bit == 0 {
            self.pending.fetch_and(!bit, Ordering::SeqCst);
        } else {
            // SAFETY: both bits are set, so no handler writes either entry.
            unsafe { (*self.infos.get())[signal as usize] = (*self.more.get())[(signal - REAL_TIME) as usize] };
            self.seconds.fetch_and(!bit, Ordering::SeqCst);
        }
        self.refresh();
        Some((signal, info))
    }
}

/// The slot of an existing thread.
#[must_use]
pub fn slot(n: usize) -> &'static Slot {
    // SAFETY: numbers come from `map_slot`, whose mapping is zeroed (a valid `Slot`) and permanent.
    unsafe { &*((SLOTS + n as u64 * SLOT_SIZE) as *const Slot) }
}

/// The slot this code runs on.
#[inline(always)]
#[must_use]
pub fn current_slot() -> usize {
    ((crate::arch::bases::stack_pointer() - SLOTS) / SLOT_SIZE) as usize
}

/// Maps a slot. False when there is no such slot.
#[must_use]
pub fn map_slot(n: usize) -> bool {
    if n as u64 >= SLOT_COUNT {
        return false;
    }
    sys::reserve(SLOTS + n as u64 * SLOT_SIZE, SLOT_SIZE, sys::map::READ | sys::map::WRITE);
    true
}

/// Address of a slot: the gs base of its thread in recording.
#[must_use]
pub fn slot_address(n: usize) -> u64 {
    SLOTS + n as u64 * SLOT_SIZE
}

/// Where the context goes from which a slot's thread starts.
#[must_use]
pub fn start_context(n: usize) -> u64 {
    slot_address(n) + START_CONTEXT
}

/// Where a slot's fast context and its FP state go.
#[must_use]
pub fn fast_places(n: usize) -> (u64, u64) {
    (slot_address(n) + FAST_CONTEXT, slot_address(n) + FAST_FP)
}

/// A slot for a new thread: one whose thread has ended, or a fresh one, mapped. `None` when all are in use.
#[must_use]
pub fn free_slot(threads: &[Thread]) -> Option<usize> {
    let ended = |n: &usize| *n != 0 && !threads[*n].live && slot(*n).kernel.load(Ordering::SeqCst) == 0;
    let n = match (0..threads.len()).find(ended) {
        Some(n) => n,
        None if map_slot(threads.len()) => threads.len(),
        None => return None,
    };
    let s = slot(n);
    s.nothing_pending();
    s.directed.store(0, Ordering::SeqCst);
    s.kernel.store(1, Ordering::SeqCst);
    s.forget_timer(true);
    s.fast_context.store(0, Ordering::SeqCst);
    Some(n)
}

/// Puts a new thread into its slot's place.
pub fn put(threads: &mut Vec<Thread>, n: usize, thread: Thread) {
    match threads.get_mut(n) {
        Some(old) => {
            *old = Thread {
                bounce: old.bounce,
                ..thread
            }
        }
        None => threads.push(thread),
    }
}

/// Base and size of a slot's signal stack.
#[must_use]
pub fn signal_stack(n: usize) -> (u64, u64) {
    (SLOTS + n as u64 * SLOT_SIZE + SIGNAL_STACK, SLOT_SIZE - SIGNAL_STACK)
}

/// Prepares the boot stack of a thread to be: the stack pointer for `rdb_clone`.
#[must_use]
pub fn boot_stack(n: usize) -> u64 {
    let at = SLOTS + n as u64 * SLOT_SIZE + BOOT_STACK;
    // SAFETY: within the slot, which only the thread to be uses.
    unsafe { (at as *mut u64).write(n as u64) };
    at
}

/// What the agent knows of a thread, under the token.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Whether it exists.
    pub live: bool,
    /// Address of its saved context while it does not run.
    pub context: u64,
    /// Its fs base while it does not run (replay).
    pub fs: u64,
    /// `set_tid_address`: cleared and woken at its exit.
    pub clear_tid: u64,
    /// It is a vfork child, in this memory until it executes or exits.
    pub vfork: bool,
    /// The program's alternate signal stack: base, flags, size.
    pub signal_stack: [u64; 3],
    /// Head of its robust futexes (set_robust_list(2)), or 0.
    pub robust_list: u64,
    /// Whether its bounce buffer is mapped.
    pub bounce: bool,
    /// Events since it last gave up the token.
    pub turns: u32,
}

impl Thread {
    /// A new thread.
    #[must_use]
    pub fn new() -> Thread {
        Thread {
            live: true,
            context: 0,
            fs: 0,
            clear_tid: 0,
            vfork: false,
            signal_stack: crate::signals::alt_stack::NONE,
            robust_list: 0,
            bounce: false,
            turns: 0,
        }
    }
}

impl Default for Thread {
    fn default() -> Self {
        Thread::new()
    }
}
