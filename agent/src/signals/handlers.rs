//! The handlers the kernel calls.
//!
//! # Safety
//! This room may use `unsafe` to view what the kernel hands a handler, and to claim the state: a synchronous handler interrupts
//! program code, which runs only under the token.
#![allow(unsafe_code)]

use super::flag;
use crate::arch::entry;
use crate::context::Context;
use crate::intercept::tsc;
use crate::interpreters::cpython::{compare, ticks};
use crate::interpreters::reads;
use crate::layout::{AGENT_END, IMAGE_BASE, PROGRAM_END};
use crate::record::preempt;
use crate::sandbox;
use crate::state::{self, Mode};
use crate::sys;
use crate::threads::{current_slot, slot, token};
use core::sync::atomic::Ordering;

const SIGTRAP: u64 = 5;
const SIGSEGV: u64 = 11;
/// `si_code` of SIGSYS raised by Syscall User Dispatch.
const SYS_USER_DISPATCH: u8 = 2;

/// `sa_restorer`.
#[must_use]
pub fn restorer() -> u64 {
    entry::rdb_restorer as *const () as u64
}

/// The handler of asynchronous signals.
#[must_use]
pub fn asynchronous() -> u64 {
    on_signal as *const () as u64
}

/// Installs the synchronous handlers. Once.
pub fn install() {
    let flags = flag::SIGINFO | flag::ONSTACK | flag::NODEFER | flag::RESTORER;
    sys::set_action(31, &[on_system_call as *const () as u64, flags, restorer(), 0]);
    for signal in [4, 5, 7, 8, 11] {
        sys::set_action(signal, &[on_fault as *const () as u64, flags, restorer(), 0]);
    }
    // Calls that it interrupts go on.
    sys::set_action(preempt::NUDGE, &[asynchronous(), flags | flag::RESTART, restorer(), super::HELD]);
}

extern "C" fn on_system_call(_signal: i32, info: *const [u8; 128], context: *mut Context) {
    // SAFETY: the kernel's, alive until we return.
    let code = unsafe { (*info)[8] };
    if code == sandbox::REFUSED {
        // SAFETY: in replay, where there is one thread, and what was under way is not gone back to; the information is the kernel's.
        let (agent, info) = unsafe { (state::claim(), &*info) };
        crate::orders::refused(agent, info)
    }
    if code != SYS_USER_DISPATCH {
        // Another recorded process waits for this one, see `record::group`.
        if preempt::ask() && token::holder() != Some(current_slot()) {
            preempt::nudge_holder();
        }
        return interrupted(context);
    }
    // SAFETY: as above.
    let stopped = unsafe { &mut *context };
    if tsc::is_vdso(stopped.rip) {
        // The agent's own call: a clock that the kernel's vDSO leaves to the kernel.
        let ret = sys::raw_agent_pointers(stopped.rax, stopped.args());
        stopped.rax = ret.cast_unsigned();
        return;
    }
    // SAFETY: SIGSYS interrupts program code only (agent text is the allowed range), and the context is the kernel's, alive until we return.
    let (agent, context) = unsafe { (state::claim(), &mut *context) };
    agent.current = current_slot();
    preempt::abandon(agent, context);
    if slot(agent.current).fast_context.load(Ordering::Relaxed) == 0 {
        super::frame::prepare_fast(agent.current, context);
    }
    crate::intercept::patch::consider(agent, context);
    match agent.mode {
        Mode::Record => crate::record::system_call(agent, context),
        Mode::Replay => crate::replay::system_call(agent, context),
        Mode::Probe => crate::orders::probe::system_call(agent, context),
        Mode::Off => {}
    }
}

/// A system call of a patched site, called by the fast entries.
#[unsafe(no_mangle)]
extern "C" fn rdb_fast_call(context: *mut Context) -> ! {
    // SAFETY: a patched site is program code, so this thread holds the token; the context is on its slot until it is resumed.
    let (agent, context) = unsafe { (state::claim(), &mut *context) };
    let at = (&raw mut *context) as u64;
    agent.current = current_slot();
    match agent.mode {
        Mode::Record => {
            let mask = super::in_kernel(slot(agent.current));
            context.mask = mask;
            // SAFETY: the same object; `context` is used again only after the call is done with it.
            crate::record::system_call(agent, unsafe { &mut *(at as *mut Context) });
            if context.link != super::frame::FAST || context.mask != mask {
                super::frame::save_fp(context);
                // SAFETY: a whole frame on this thread's slot; nothing here needs dropping.
                unsafe { entry::rdb_resume(at) }
            }
        }
        // Does not come back.
        Mode::Replay => crate::replay::system_call(agent, context),
        Mode::Probe => crate::orders::probe::system_call(agent, context),
        Mode::Off => {}
    }
    // SAFETY: made by the fast entry; agent code has left the FP registers alone; nothing here needs dropping.
    unsafe { entry::rdb_fast_return(at) }
}

extern "C" fn on_fault(signal: i32, info: *const [u8; 128], context: *mut Context) {
    // SAFETY: as above; a fault in agent code is reported and ends the process before the state is claimed.
    let (info, context) = unsafe { (&*info, &mut *context) };
    let code = i32::from_le_bytes([info[8], info[9], info[10], info[11]]);
    let signal = u64::from(signal.unsigned_abs());
    if code <= 0 {
        // Sent, not raised: kill(2) and friends; it may well arrive while the agent works.
        on_signal(i32::try_from(signal).unwrap_or(11), info, context);
        return;
    }
    if context.rip == entry::rdb_copy_access as *const () as u64 {
        // A pointer of the program's that was wrong: the copy says so.
        context.rip = entry::rdb_copy_failed as *const () as u64;
        return;
    }
    if context.rip == entry::rdb_compare_access as *const () as u64 {
        // A word that was compared is not there any more.
        context.rip = entry::rdb_compare_failed as *const () as u64;
        return;
    }
    if signal == SIGSEGV
        && let Some(onward) = compare::is_comparison(context.rip)
    {
        context.rip = onward;
        return;
    }
    if signal == SIGTRAP && code == reads::TRACE && reads::active() {
        return reads::step(context);
    }
    if signal == SIGTRAP && ticks::is_stub(context.rip) {
        // SAFETY: a stub was interrupted, which program code runs through, so this thread holds the token.
        let agent = unsafe { state::claim() };
        agent.current = current_slot();
        preempt::abandon(agent, context);
        if code != reads::TRACE {
            crate::interpreters::tick(agent, context);
        }
        return;
    }
    if signal == SIGTRAP && context.rip < PROGRAM_END && native(context, code == reads::TRACE) {
        return;
    }
    // Elsewhere above the program it is the program that jumped astray.
    if (IMAGE_BASE..AGENT_END).contains(&context.rip) {
        let addr = u64::from_le_bytes([info[16], info[17], info[18], info[19], info[20], info[21], info[22], info[23]]);
        crate::orders::fault_in_agent(signal, context, addr);
    }
    // SAFETY: program code was interrupted, so this thread holds the token.
    let agent = unsafe { state::claim() };
    agent.current = current_slot();
    preempt::abandon(agent, context);
    crate::intercept::fault(agent, context, signal, info, code);
}

/// A SIGTRAP in program code: true when it is a step, or a stub's, of what interrupts native code.
fn native(context: *mut Context, is_step: bool) -> bool {
    // SAFETY: program code was interrupted, so this thread holds the token; the context is the kernel's, alive until we return.
    let (agent, context) = unsafe { (state::claim(), &mut *context) };
    agent.current = current_slot();
    match agent.mode {
        Mode::Record if is_step && preempt::is_stepping(agent) => preempt::step(agent, context),
        Mode::Record if !is_step && preempt::is_stepping(agent) => return preempt::behind(agent, context),
        Mode::Replay | Mode::Probe if !is_step => return crate::replay::preempt::trapped(agent, context),
        _ => return false,
    }
    true
}

/// Asynchronous signals only leave a note; delivery happens at an event, or at a tick, which then is one.
extern "C" fn on_signal(signal: i32, info: *const [u8; 128], context: *mut Context) {
    // SAFETY: both are the kernel's, alive until we return. The state is not touched: another thread may hold the token.
    let (info, context) = unsafe { (&*info, &mut *context) };
    let me = current_slot();
    let signal = u64::from(signal.unsigned_abs());
    if preempt::is_nudge(signal, info) {
        return interrupted(context);
    }
    let code = i32::from_le_bytes([info[8], info[9], info[10], info[11]]);
    let main = slot(0);
    let bit = 1u64 << (signal - 1);
    if me != 0
        && !slot(me).apart.load(Ordering::SeqCst)
        && !super::directed::is_own(slot(me), signal, code)
        && main.mask.load(Ordering::SeqCst) & bit == 0
        && main.tid.load(Ordering::SeqCst) != 0
    {
        // A process-directed signal that this thread dequeued only because it entered SIGSYS: the kernel prefers the main thread.
        if super::queues(signal) {
            if sys::queue_signal(main.tid.load(Ordering::SeqCst), signal, info) == 0 {
                return;
            }
            return note(me, signal, info, context);
        }
        super::overdue::note(main, signal);
        main.post(signal, info);
        sys::tgkill(sys::pid(), main.tid.load(Ordering::SeqCst), signal);
        return;
    }
    note(me, signal, info, context);
}

/// The same, for this thread.
fn note(me: usize, signal: u64, info: &[u8; 128], context: &mut Context) {
    super::overdue::note(slot(me), signal);
    let others = slot(me).wanted.load(Ordering::SeqCst) != 0;
    slot(me).post(signal, info);
    ticks::request();
    if !others && !slot(me).apart.load(Ordering::SeqCst) {
        preempt::remind(slot(me));
    }
    if super::queues(signal) {
        let bit = 1 << (signal - 1);
        slot(me).held.fetch_or(bit, Ordering::SeqCst);
        context.mask |= bit;
    }
    leave_window(context);
}

/// A blocking call that is about to be made, or made again, is not: a signal waits.
fn leave_window(context: &mut Context) {
    let window = entry::rdb_window_start as *const () as u64..entry::rdb_window_end as *const () as u64;
    if window.contains(&context.rip) {
        context.rip = entry::rdb_window_interrupted as *const () as u64;
    }
}

/// A nudge: where it finds program code, that is interrupted.
fn interrupted(context: *mut Context) {
    // SAFETY: the context is the kernel's, alive until we return.
    let context = unsafe { &mut *context };
    if crate::preempt::is_program(context.rip) {
        // SAFETY: program code was interrupted, so this thread holds the token.
        let agent = unsafe { state::claim() };
        agent.current = current_slot();
        preempt::nudged(agent, context);
    } else {
        let me = slot(current_slot());
        me.nudged.store(true, Ordering::SeqCst);
        // A signal may have arrived on top of this one: its handler found this one's, not the call that both interrupted.
        if me.wanted.load(Ordering::SeqCst) != 0 {
            leave_window(context);
            preempt::remind(me);
        }
    }
}
