//! Signals are virtual: masks and dispositions are the agent's, frames are built by the agent, delivery points are events.
//!
//! The kernel's mask of a thread mirrors the program's (it is written into the signal frame a handler returns through), so
//! that sigtimedwait, signalfd and the default actions work by themselves.

pub mod alt_stack;
pub mod directed;
pub mod extended;
pub mod frame;
pub mod handlers;
pub mod overdue;

use crate::context::Context;
use crate::record::preempt::NUDGE;
use crate::state::{Agent, Mode};
use crate::sys::{self, KernelAction};
use crate::threads::{REAL_TIME, Slot, slot};
use core::sync::atomic::Ordering;

/// SIGKILL and SIGSTOP cannot be blocked.
const UNBLOCKABLE: u64 = 1 << 8 | 1 << 18;
/// Signals the agent needs and therefore never blocks in the kernel: SIGILL, SIGTRAP, SIGBUS, SIGSEGV, SIGSYS, and what interrupts native
/// code.
const NEEDED: u64 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 10 | 1 << 30 | 1 << (NUDGE - 1);
/// What waits while a note of a signal is made, and in threads that begin: all but what the agent's own code may raise. Otherwise
/// each of many real-time signals that are let in at once would have a frame on top of the one before.
pub const HELD: u64 = !(1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 30);
/// `SA_RESTORER`, `SA_SIGINFO`, `SA_ONSTACK`, `SA_RESTART`, `SA_NODEFER`, `SA_RESETHAND`.
#[allow(missing_docs)]
pub mod flag {
    pub const RESTORER: u64 = 0x0400_0000;
    /// `SA_NOCLDSTOP`, `SA_NOCLDWAIT`: which children's changes the kernel tells of.
    pub const CHILDREN: u64 = 3;
    pub const SIGINFO: u64 = 4;
    pub const ONSTACK: u64 = 0x0800_0000;
    pub const RESTART: u64 = 0x1000_0000;
    pub const NODEFER: u64 = 0x4000_0000;
    pub const RESETHAND: u64 = 0x8000_0000;
}

/// Signals the CPU raises at an instruction: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV.
#[must_use]
pub fn synchronous(signal: u64) -> bool {
    matches!(signal, 4 | 5 | 7 | 8 | 11)
}

/// Whether the kernel has a handler of the agent's for a signal whatever the program does about it.
#[must_use]
pub fn is_ours(signal: u64) -> bool {
    synchronous(signal) || signal == 31 || signal == NUDGE
}

/// Sets the running thread's mask, in the frame it returns through too.
pub fn set_mask(agent: &Agent, context: &mut Context, mask: u64) {
    let s = slot(agent.current);
    s.mask.store(mask & !UNBLOCKABLE, Ordering::SeqCst);
    if agent.mode == Mode::Record {
        context.mask = in_kernel(s);
    }
    s.refresh();
}

/// The kernel's mask for a program's mask.
#[must_use]
pub fn kernel_mask(mask: u64) -> u64 {
    mask & !UNBLOCKABLE & !NEEDED
}

/// The mask a thread is to have in the kernel.
#[must_use]
pub fn in_kernel(thread: &Slot) -> u64 {
    kernel_mask(thread.mask.load(Ordering::SeqCst)) | thread.held.load(Ordering::SeqCst)
}

/// Whether several of a signal wait for one another (signal(7)). The kernel keeps those behind the first while the thread's mask holds them back;
/// what the agent itself needs cannot be held back.
#[must_use]
pub fn queues(signal: u64) -> bool {
    signal >= REAL_TIME && signal != NUDGE
}

/// Lets in, here and now, the next of each real-time signal whose first has been delivered. Whether there was any.
pub fn let_in(agent: &Agent) -> bool {
    let me = slot(agent.current);
    let any = me.released();
    if any {
        sys::set_mask(in_kernel(me));
    }
    any
}

/// More is blocked: what comes from now on stays in the kernel, and what has arrived goes back there, where sigwait(3), sigpending(2)
/// and signalfd(2) look for it.
pub fn give_back(agent: &Agent) {
    let me = slot(agent.current);
    let blocked = kernel_mask(mask(agent));
    sys::set_mask(in_kernel(me));
    while let Some((signal, info)) = me.take_of(blocked) {
        sys::queue_signal(me.tid.load(Ordering::SeqCst), signal, &info);
    }
}

/// The running thread's mask.
#[must_use]
pub fn mask(agent: &Agent) -> u64 {
    slot(agent.current).mask.load(Ordering::SeqCst)
}

/// Makes the kernel's disposition follow the program's.
pub fn install(signal: u64, action: &KernelAction) {
    if is_ours(signal) {
        return; // always ours
    }
    let kernel = if action[0] <= 1 {
        [action[0], action[1] & !flag::RESETHAND | flag::RESTORER, handlers::restorer(), 0]
    } else {
        [
            handlers::asynchronous(),
            flag::SIGINFO | flag::ONSTACK | flag::RESTART | flag::NODEFER | flag::RESTORER | action[1] & flag::CHILDREN,
            handlers::restorer(),
            HELD,
        ]
    };
    sys::set_action(signal, &kernel);
}

/// Calls that a handler with `SA_RESTART` makes start again (signal(7)).
#[must_use]
pub fn restartable(nr: u64) -> bool {
    matches!(
        nr,
        0 | 1
            | 2
            | 16
            | 17
            | 18
            | 19
            | 20
            | 40
            | 42
            | 43
            | 44
            | 45
            | 46
            | 47
            | 61
            | 72
            | 73
            | 202
            | 247
            | 257
            | 275
            | 276
            | 278
            | 288
            | 295
            | 296
            | 299
            | 307
            | 318
            | 326
            | 327
            | 328
    )
}
