//! Threads, children, execve and the end.

use super::{child, hash_event, robust, sharing};
use crate::arch::entry;
use crate::context::Context;
use crate::intercept;
use crate::memory::try_copy_in;
use crate::signals;
use crate::state::{Agent, Mode, released};
use crate::sys::{self, errno, nr};
use crate::threads::{self, Thread, slot, token};
use rdb_trace::event::Fixed;
use rdb_trace::{End, Kind, Tag};

/// clone(2) flags.
#[allow(missing_docs)]
pub mod clone_flag {
    pub const VM: u64 = 0x100;
    pub const VFORK: u64 = 0x4000;
    pub const SETTLS: u64 = 0x8_0000;
    pub const PIDFD: u64 = 0x1000;
    pub const FILES: u64 = 0x400;
    pub const PARENT_SETTID: u64 = 0x10_0000;
    pub const CHILD_CLEARTID: u64 = 0x20_0000;
    pub const CHILD_SETTID: u64 = 0x100_0000;
}
use clone_flag::{CHILD_CLEARTID, CHILD_SETTID, PARENT_SETTID, PIDFD, SETTLS, VFORK, VM};

/// What a clone, fork or vfork asks for: flags, stack, parent tid, child tid, thread pointer.
#[must_use]
pub fn clone_request(number: u64, a: &[u64; 6]) -> (u64, u64, u64, u64, u64) {
    match number {
        nr::FORK => (17, 0, 0, 0, 0),
        nr::VFORK => (17 | VM | VFORK, 0, 0, 0, 0),
        _ => (a[0], a[1], a[2], a[3], a[4]),
    }
}

/// clone(2), fork(2), vfork(2).
pub fn clone(agent: &'static mut Agent, context: &mut Context, mut fix: Fixed, number: u64, a: &[u64; 6]) -> &'static mut Agent {
    let (flags, stack, ptid, ctid, tls) = clone_request(number, a);
    if flags & VM == 0 {
        return fork(agent, context, fix, (flags, stack, ptid, ctid, tls));
    }
    let Some(n) = threads::free_slot(&agent.threads) else {
        fix.ret = -errno::EAGAIN;
        agent.recorder().log.event(fix).done();
        context.set_return(fix.ret);
        return agent;
    };
    let mut thread = Thread {
        vfork: flags & VFORK != 0,
        ..Thread::new()
    };
    if flags & CHILD_CLEARTID != 0 {
        thread.clear_tid = ctid;
    }
    thread.context = signals::frame::for_thread(n, context, stack);
    slot(n).mask.store(signals::mask(agent), core::sync::atomic::Ordering::SeqCst);
    // Its context has this thread's mask in the kernel.
    let held = slot(agent.current).held.load(core::sync::atomic::Ordering::SeqCst);
    slot(n).held.store(held, core::sync::atomic::Ordering::SeqCst);
    slot(n).apart.store(flags & VFORK != 0, core::sync::atomic::Ordering::SeqCst);
    threads::put(&mut agent.threads, n, thread);
    agent.live += 1;
    let boot = threads::boot_stack(n);
    let number64 = (n as u64).to_le_bytes();
    if flags & VFORK != 0 {
        // The child runs in this memory while we wait in the kernel: an entered call like any other.
        fix.kind = Kind::Enter;
        agent.recorder().log.event(fix).bytes(Tag::Thread, &number64).done();
        let (agent, ret) = released(agent, || raw_clone(flags & (VM | VFORK | SETTLS | 0xff), boot, 0, 0, tls));
        agent.live -= 1;
        agent.threads[n].live = false;
        slot(n).kernel.store(0, core::sync::atomic::Ordering::SeqCst);
        fix.kind = Kind::Complete;
        fix.registers = 0;
        fix.ret = ret;
        agent.recorder().log.event(fix).bytes(Tag::Thread, &number64).done();
        context.set_return(ret);
        return agent;
    }
    // The kernel's own note of the thread's end tells when its slot is free again.
    let ended = slot(n).kernel.as_ptr() as u64;
    let ret = raw_clone(flags & 0xd_0f00 | CHILD_CLEARTID, boot, 0, ended, tls);
    fix.ret = ret;
    if ret < 0 {
        slot(n).kernel.store(0, core::sync::atomic::Ordering::SeqCst);
        agent.threads[n].live = false;
        agent.live -= 1;
        agent.recorder().log.event(fix).done();
        context.set_return(ret);
        return agent;
    }
    let tid = ret as u32;
    let mut record = agent.recorder().log.event(fix).bytes(Tag::Thread, &number64);
    for (flag, at) in [(PARENT_SETTID, ptid), (CHILD_SETTID, ctid)] {
        if flags & flag != 0 {
            // A pointer that cannot be written is passed over, as by the kernel.
            let _ = try_copy_in(at, &tid.to_le_bytes());
            record = record.program(&[crate::syscalls::Span { addr: at, len: 4 }]);
        }
    }
    record.done();
    context.set_return(ret);
    agent
}

/// The new thread begins with all signals blocked, for it has no signal stack yet.
#[allow(unsafe_code)]
fn raw_clone(flags: u64, stack: u64, ptid: u64, ctid: u64, tls: u64) -> i64 {
    let mask = sys::swap_mask(u64::MAX);
    // SAFETY: `stack` is a boot stack made by `threads::boot_stack` for a fresh slot.
    let ret = unsafe { entry::rdb_clone(flags, stack, ptid, ctid, tls) };
    sys::set_mask(mask);
    ret
}

/// A real child in memory of its own, with a stream of its own.
fn fork(
    agent: &'static mut Agent,
    context: &mut Context,
    mut fix: Fixed,
    (flags, stack, ptid, ctid, tls): (u64, u64, u64, u64, u64),
) -> &'static mut Agent {
    let r = agent.recorder();
    let stream = if r.log.is_open() { r.tree.claim() } else { None };
    let forked = r.log.events();
    if stream.is_some() {
        sharing::before_fork(agent, true);
    }
    // The agent needs its own stack and thread pointer on the other side: the program's are put in place there.
    let ret = sys::raw(nr::CLONE, [flags & !SETTLS, 0, ptid, ctid, 0, 0]);
    if ret == 0 {
        child::begin(agent, context, stream, forked, (flags, stack, ptid, ctid, tls));
        child::start_at(context, (flags, stack, ptid, ctid, tls));
        return agent;
    }
    match (stream, u32::try_from(ret)) {
        (Some(stream), Ok(pid)) if ret > 0 => agent.recorder().tree.made(pid, stream),
        (Some(stream), _) => {
            agent.recorder().tree.withdraw(stream);
            sharing::before_fork(agent, false);
        }
        _ => {}
    }
    fix.ret = ret;
    let mut record = agent.recorder().log.event(fix);
    if ret > 0 && flags & (PARENT_SETTID | PIDFD) != 0 {
        record = record.program(&[crate::syscalls::Span { addr: ptid, len: 4 }]);
    }
    record.done();
    context.set_return(ret);
    agent
}

/// Makes this process an ordinary one: the kernel has already dropped interception at the fork; give CPUID, RDTSC and the
/// signal state back.
pub fn let_go(agent: &mut Agent, context: &mut Context, own_files: bool) {
    // Both are the kernel's again when the handler returns.
    context.mask = signals::mask(agent);
    context.stack = agent.thread().signal_stack;
    give_back_stack(agent.current, &context.stack);
    agent.mode = Mode::Off;
    sharing::abandon(agent, own_files);
    agent.sites.set(false);
    agent.sites.give_back();
    agent.host.patched(false);
    intercept::clock::leave();
    super::program_break::give_back(agent);
    intercept::trap_cpu(false);
    for signal in 1..=64u64 {
        if signal == 9 || signal == 19 {
            continue;
        }
        let action = agent.actions[signal as usize];
        if action[0] > 1 || signals::is_ours(signal) {
            sys::set_action(signal, &action);
        }
    }
    if let Some(r) = &mut agent.recorder {
        r.log.abandon(own_files);
    }
}

/// Makes the program's alternate signal stack the kernel's. The kernel refuses that to whoever stands on the present one, so
/// the call is made on the slot's boot stack.
#[allow(unsafe_code)]
fn give_back_stack(slot: usize, stack: &[u64; 3]) {
    extern "C" fn set(base: u64, flags: u64, size: u64) -> u64 {
        let stack = [base, flags, size];
        sys::raw_agent_pointers(nr::SIGALTSTACK, [stack.as_ptr() as u64, 0, 0, 0, 0, 0]).cast_unsigned()
    }
    let args = [stack[0], stack[1], stack[2], 0, 0, 0];
    // SAFETY: the boot stack is idle once its thread has started, and `set` follows the C ABI.
    unsafe {
        entry::rdb_call_on(threads::boot_stack(slot), set as *const () as u64, args.as_ptr());
    }
}

/// A new thread's first steps.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
extern "C" fn rdb_thread_start(n: u64) -> ! {
    let (base, size) = threads::signal_stack(n as usize);
    sys::set_signal_stack(base, size);
    // What the agent's own code may raise; the rest waits until the program's mask comes with its context.
    sys::set_mask(signals::HELD);
    let _ = intercept::enable();
    intercept::tsc::begin_thread(n as usize);
    intercept::trap_cpu(true);
    // What patched system call sites find their slot by.
    crate::arch::dispatch::set_gs_base(threads::slot_address(n as usize));
    slot(n as usize)
        .tid
        .store(sys::raw(nr::GETTID, [0; 6]).cast_unsigned(), core::sync::atomic::Ordering::SeqCst);
    token::acquire(n as usize);
    // SAFETY: we hold the token; the context was made for this thread by `frame::for_thread`; nothing here needs dropping.
    unsafe {
        let agent = crate::state::claim();
        agent.current = n as usize;
        sharing::entered(agent);
        super::preempt::unsettle(agent);
        entry::rdb_resume(agent.threads[n as usize].context)
    }
}

/// exit(2): the end of one thread.
pub fn exit(agent: &'static mut Agent, fix: Fixed) -> &'static mut Agent {
    if agent.thread().vfork {
        agent.recorder().log.event(fix).done();
        sharing::left(agent);
        token::release();
        sys::exit_group(fix.args[0] as u32);
    }
    if agent.live <= 1 {
        exit_group(agent, fix, fix.args[0]);
    }
    let clear = agent.thread().clear_tid;
    let robust = robust::release(agent);
    let cleared = clear != 0 && try_copy_in(clear, &[0; 4]);
    let mut record = agent.recorder().log.event(fix).program(&robust);
    if cleared {
        record = record.program(&[crate::syscalls::Span { addr: clear, len: 4 }]);
    }
    record.done();
    agent.thread().live = false;
    agent.live -= 1;
    if agent.current == 0 {
        slot(0).tid.store(0, core::sync::atomic::Ordering::SeqCst);
    }
    for word in &robust {
        sys::raw(nr::FUTEX, [word.addr, 1, 1, 0, 0, 0]);
    }
    if cleared {
        sys::raw(nr::FUTEX, [clear, 1, 0x7fff_ffff, 0, 0, 0]);
    }
    sharing::left(agent);
    token::release();
    sys::exit_thread();
}

/// exit_group(2): the end.
pub fn exit_group(agent: &'static mut Agent, fix: Fixed, status: u64) -> ! {
    agent.recorder().log.event(fix).done();
    if agent.thread().vfork {
        sharing::left(agent);
        token::release();
        sys::exit_group(status as u32);
    }
    if agent.recorder().verify_every > 0 {
        hash_event(agent);
    }
    agent.recorder().end(End::Exited(status as u32 & 0xff));
    sharing::leave(agent);
    sys::exit_group(status as u32)
}

/// execve(2).
pub fn execve(agent: &'static mut Agent, context: &mut Context, mut fix: Fixed, a: &[u64; 6]) -> &'static mut Agent {
    if agent.thread().vfork {
        // The child leaves this memory for a life of its own.
        fix.kind = Kind::Enter;
        agent.recorder().log.event(fix).done();
        let call = super::files::substitute(agent, nr::EXECVE, *a);
        let executor = child::executor(agent, a);
        if let Some(e) = &executor {
            agent.recorder().tree.made(sys::pid() as u32, e.stream);
        }
        let (agent, ret) = released(agent, || {
            intercept::trap_cpu(false);
            if let Some(e) = &executor {
                e.run();
            }
            let ret = sys::raw(nr::EXECVE, call);
            intercept::trap_cpu(true);
            ret
        });
        if let Some(e) = &executor {
            agent.recorder().tree.waited(sys::pid() as u32);
            agent.recorder().tree.withdraw(e.stream);
        }
        fix.kind = Kind::Complete;
        fix.registers = 0;
        fix.ret = ret;
        agent.recorder().log.event(fix).done();
        context.set_return(ret);
        return agent;
    }
    if agent.live > 1 {
        // The other threads would have to die inside this process first: only the kernel's execve does that.
        if let Err(e) = super::exec::check(agent, a[0]) {
            fix.ret = -e;
            agent.recorder().log.event(fix).done();
            context.set_return(fix.ret);
            return agent;
        }
        // What waits through an execve meets a default action: to end the process.
        sys::hold_signal(super::preempt::NUDGE);
        if let Some(e) = child::executor(agent, a) {
            agent.recorder().log.announce(End::Replaced(e.stream));
            intercept::trap_cpu(false);
            e.run();
            intercept::trap_cpu(true);
            agent.recorder().log.announce(End::Open);
            agent.recorder().tree.withdraw(e.stream);
        }
        crate::diag::say!("recording stopped: execve with other threads running cannot be recorded yet; the program goes on");
        agent.recorder().end(End::Unsupported(nr::EXECVE as u32));
        intercept::trap_cpu(false);
        let ret = sys::raw(nr::EXECVE, *a);
        intercept::trap_cpu(true);
        context.set_return(ret);
        return agent;
    }
    match super::exec::exec(agent, context, fix, a) {
        Ok(()) => {}
        Err(e) => {
            fix.ret = -e;
            agent.recorder().log.event(fix).done();
            context.set_return(-e);
        }
    }
    agent
}
