//! Recording: execute, then log.

pub mod bounce;
pub mod chaos;
pub mod child;
pub mod cpuid;
pub mod exec;
pub mod files;
pub mod group;
pub mod inheriting;
pub mod listing;
pub mod log;
pub mod outputs;
pub mod preempt;
pub mod process;
pub mod program_break;
pub mod readings;
pub mod robust;
pub mod sharing;
pub mod snapshot;
pub mod ticks;
pub mod tree;
pub mod waiting;

use crate::arch::entry;
use crate::context::Context;
use crate::intercept::{self, Trapped};
use crate::signals;
use crate::state::{Agent, released};
use crate::sys::{self, errno, nr};
use crate::syscalls::{self, Policy, Row};
use crate::threads::{slot, token};
use alloc::vec::Vec;
use bounce::Bounced;
use log::Log;
use rdb_trace::Kind;
use rdb_trace::event::Fixed;

/// What recording keeps.
#[derive(Debug)]
pub struct Recorder {
    /// The event log; closed when nothing more is recorded.
    pub log: Log,
    /// Content of mapped files.
    pub snapshots: snapshot::Snapshots,
    /// Which descriptors are standard output and error.
    pub outputs: outputs::Outputs,
    /// The recording this process belongs to.
    pub tree: tree::Tree,
    /// Memory shared with other recorded processes.
    pub sharing: sharing::Sharing,
    /// Events between memory hashes; 0 for none.
    pub verify_every: u64,
    /// A thread is being interrupted in native code.
    pub stepping: Option<preempt::Stepping>,
    /// When threads are.
    pub pace: preempt::Pace,
    warned: Vec<u64>,
    /// What the latest call wrote.
    spans: Vec<syscalls::Span>,
}

impl Recorder {
    /// A recorder with an open log.
    #[must_use]
    pub fn new(log: Log, snapshots: snapshot::Snapshots, tree: tree::Tree, verify_every: u64) -> Recorder {
        Recorder {
            log,
            snapshots,
            tree,
            sharing: sharing::Sharing::default(),
            outputs: outputs::Outputs::new(),
            verify_every,
            stepping: None,
            pace: preempt::Pace::default(),
            warned: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Ends the trace.
    pub fn end(&mut self, how: rdb_trace::End) {
        self.log.end(how);
    }

    fn warn(&mut self, number: u64) {
        // Callers of these expect kernels without them and fall back by themselves.
        if !matches!(number, 330 | 334 | 425 | 435 | 449) && !self.warned.contains(&number) {
            self.warned.push(number);
            crate::diag::say!(
                "system call {number} ({}) is not supported under rdb: answered ENOSYS",
                syscalls::name(number)
            );
        }
    }
}

/// The fixed part of an event at `context`.
#[must_use]
pub fn fixed(agent: &Agent, kind: Kind, number: u64, context: &Context, ret: i64) -> Fixed {
    let mut registers = context.registers();
    agent.host.clean(&mut registers);
    Fixed {
        kind,
        flags: 0,
        thread: agent.current as u16,
        nr: number as u32,
        ret,
        rip: context.rip,
        rsp: context.rsp,
        args: context.args(),
        registers: crate::verify::registers::hash(&registers, context.eflags),
    }
}

/// A system call of the program.
pub fn system_call(agent: &'static mut Agent, context: &'static mut Context) {
    let number = context.rax;
    let args = context.args();
    let mut fix = fixed(agent, Kind::Syscall, number, context, 0);
    let row = syscalls::row(number);
    let mut saved_mask = None;
    let mask = signals::mask(agent);
    let policy = row.map_or(Policy::Refuse, |r| waiting::policy(r, &args));
    let agent = match policy {
        Policy::Refuse => {
            agent.recorder().warn(number);
            finish_call(agent, fix, -errno::ENOSYS, context);
            agent
        }
        Policy::Own => {
            let ret = crate::memory_calls::own(agent, context, number, &args);
            finish_call(agent, fix, ret, context);
            match number {
                nr::MUNMAP if ret == 0 => agent.recorder().sharing.forget(args[0], args[1]),
                nr::MREMAP if ret > 0 => agent.recorder().sharing.moved(args[0], args[1], ret.cast_unsigned(), args[2]),
                _ => {}
            }
            if number == nr::MPROTECT && args[2] == sys::map::READ {
                crate::interpreters::after_protect(agent, args[0]);
            }
            agent
        }
        Policy::Special => match number {
            nr::MMAP => {
                files::mmap(agent, context, fix, &args);
                agent
            }
            nr::CLONE | nr::FORK | nr::VFORK => process::clone(agent, context, fix, number, &args),
            nr::EXECVE => process::execve(agent, context, fix, &args),
            nr::EXIT => process::exit(agent, fix),
            nr::EXIT_GROUP => process::exit_group(agent, fix, args[0]),
            nr::RT_SIGRETURN => {
                agent.recorder().log.event(fix).done();
                if !signals::frame::pop(agent, context) {
                    intercept::no_frame(agent, context);
                }
                agent
            }
            nr::SET_TID_ADDRESS => {
                agent.thread().clear_tid = args[0];
                let ret = sys::raw(nr::GETTID, [0; 6]);
                finish_call(agent, fix, ret, context);
                agent
            }
            nr::PRCTL if matches!(args[0], 22 | 25 | 26 | 59) => {
                // SECCOMP, TSC and Syscall User Dispatch are the agent's own tools.
                finish_call(agent, fix, -errno::EINVAL, context);
                agent
            }
            436 => {
                let ret = files::close_range(agent, &args);
                finish_call(agent, fix, ret, context);
                agent
            }
            _ => {
                signals::directed::note(agent, number, &args);
                plain(agent, context, fix, row, &args, false)
            }
        },
        Policy::Plain => plain(agent, context, fix, row, &args, false),
        // One thread alone keeps nobody waiting.
        Policy::Opens if !opens_apart(agent, number, &args) => plain(agent, context, fix, row, &args, true),
        Policy::Blocks | Policy::Opens => {
            if let Some(temporary) = waiting::temporary_mask(number, &args) {
                let old = signals::mask(agent);
                signals::set_mask(agent, context, temporary);
                saved_mask = Some(old);
            }
            let agent = if agent.live > 1 || agent.recorder().sharing.is_member() {
                blocking(agent, context, &mut fix, row, &args)
            } else {
                plain(agent, context, fix, row, &args, true)
            };
            if let Some(old) = saved_mask
                && slot(agent.current).wanted.load(core::sync::atomic::Ordering::SeqCst) == 0
            {
                signals::set_mask(agent, context, old);
                saved_mask = None;
            }
            agent
        }
    };
    // What was blocked and waits in the kernel comes before the program goes on (sigprocmask(2)): it is let in here.
    let open = signals::mask(agent);
    if mask & !open != 0 && saved_mask.is_none() {
        sys::set_mask(signals::in_kernel(slot(agent.current)));
    }
    if open & !mask != 0 && number == nr::RT_SIGPROCMASK {
        signals::give_back(agent);
    }
    deliver(agent, context, number, saved_mask);
    after_event(agent);
}

/// Whether opening a file is to be done without the token: it is a named pipe, and somebody else may run meanwhile.
fn opens_apart(agent: &mut Agent, number: u64, args: &[u64; 6]) -> bool {
    (agent.live > 1 || agent.recorder().sharing.is_member()) && waiting::opens_pipe(number, args)
}

/// Logs an event and sets its result.
fn finish_call(agent: &mut Agent, mut fix: Fixed, ret: i64, context: &mut Context) {
    fix.ret = ret;
    agent.recorder().log.event(fix).done();
    context.set_return(ret);
}

/// Executes a call under the token.
fn plain(
    agent: &'static mut Agent,
    context: &mut Context,
    mut fix: Fixed,
    row: Option<&'static Row>,
    args: &[u64; 6],
    waits: bool,
) -> &'static mut Agent {
    let Some(row) = row else { return agent };
    let number = u64::from(row.nr);
    if let Some(ret) = files::intercepted(agent, number, args, &mut fix) {
        agent.recorder().log.event(fix).program(&files::answered(number, args, ret)).done();
        context.set_return(ret);
        return agent;
    }
    if number == nr::PERSONALITY && args[0] & intercept::tsc::READ_IMPLIES_EXEC != 0 {
        cpuid::unknown_code(agent);
    }
    let before = syscalls::before(row, args);
    let shown = agent.recorder().sharing.is_written(number, args);
    if shown {
        sharing::before_write(agent);
    }
    let call = files::substitute(agent, number, *args);
    let ret = if waits && waiting::tells_when_interrupted(row) {
        let bounced = Bounced::prepare(agent, row, &call, before);
        let ret = interruptible(agent.current, number, &bounced.args);
        bounced.copy_back(row, ret)
    } else if waits {
        interruptible(agent.current, number, &call)
    } else {
        sys::raw(number, call)
    };
    complete(agent, context, fix, row, args, before, ret);
    inheriting::unlocked(number, args);
    if shown {
        sharing::log_changes(agent);
    }
    agent
}

/// Logs a call's result, outputs, and what it wrote to standard output or error.
fn complete(agent: &mut Agent, context: &mut Context, mut fix: Fixed, row: &Row, args: &[u64; 6], before: syscalls::Before, ret: i64) {
    fix.ret = ret;
    let number = u64::from(row.nr);
    let mut spans = core::mem::take(&mut agent.recorder().spans);
    syscalls::outputs(row, args, before, ret, &mut spans);
    // A vfork child has descriptors of its own.
    let vfork = agent.thread().vfork;
    let r = agent.recorder();
    if !vfork {
        r.outputs.track(number, args, ret);
    }
    let mut record = r.log.event(fix).program(&spans);
    if let Some((tag, written)) = r.outputs.written(number, args, ret).filter(|_| !vfork) {
        for s in written {
            record = record.program_as(tag, s);
        }
    }
    record.done();
    r.spans = spans;
    context.set_return(ret);
    if matches!(number, nr::WAIT4 | nr::WAITID) {
        child::after_wait(agent, number, args, ret);
    }
}

/// A call that may block and that a signal must be able to interrupt: of the program's, not of the agent's own.
fn interruptible(thread: usize, number: u64, args: &[u64; 6]) -> i64 {
    use core::sync::atomic::Ordering::{Relaxed, SeqCst};
    use core::sync::atomic::compiler_fence;
    let me = slot(thread);
    let mut call = *args;
    let mut left = [0u64; 2];
    let sleep = waiting::sleep(number, args);
    if let Some((_, to)) = sleep
        && call[to] == 0
    {
        call[to] = left.as_mut_ptr() as u64;
    }
    loop {
        // Handlers of this thread's own set it.
        me.nudged.store(false, Relaxed);
        compiler_fence(SeqCst);
        let ret = sys::interruptible(number, &call, &me.wanted);
        if ret == entry::NOT_MADE {
            if me.wanted.load(SeqCst) == 0 {
                continue;
            }
            // What does not wait is not interrupted either: the signal comes when it is done.
            return if waiting::is_short(number, &call) {
                sys::raw(number, call)
            } else {
                -errno::EINTR
            };
        }
        if ret != -errno::EINTR || !me.nudged.load(SeqCst) || me.wanted.load(SeqCst) != 0 {
            return ret;
        }
        if let Some((from, to)) = sleep {
            call[from] = call[to];
        }
    }
}

/// Executes a call without the token. Outputs bounce, so that the kernel never writes program memory while others run.
fn blocking(
    agent: &'static mut Agent,
    context: &mut Context,
    fix: &mut Fixed,
    row: Option<&'static Row>,
    args: &[u64; 6],
) -> &'static mut Agent {
    let Some(row) = row else { return agent };
    let number = u64::from(row.nr);
    let mut enter = *fix;
    enter.kind = Kind::Enter;
    let marked = inheriting::mark(number, args);
    agent.recorder().log.event(enter).program(marked.as_slice()).done();
    fix.kind = Kind::Complete;
    fix.registers = 0;
    let before = syscalls::before(row, args);
    let shown = agent.recorder().sharing.is_written(number, args);
    let me = agent.current;
    if inheriting::locks(number, args) {
        let (agent, ret) = inheriting::lock(agent, number, args);
        complete(agent, context, *fix, row, args, before, ret);
        return agent;
    }
    let bounced = Bounced::prepare(agent, row, args, before);
    let call = bounced.args;
    let sooner = chaos::sooner(number, args);
    let (agent, ret) = released(agent, || waiting::patiently(me, number, &call, sooner));
    let ret = bounced.copy_back(row, ret);
    complete(agent, context, *fix, row, args, before, ret);
    if shown {
        sharing::log_changes(agent);
    }
    agent
}

/// rdtsc or cpuid in program code.
pub fn trapped(agent: &'static mut Agent, context: &'static mut Context, what: Trapped) {
    let mut fix = fixed(agent, Kind::Tsc, 0, context, 0);
    let values = if what == Trapped::Cpuid {
        let (leaf, sub) = (context.rax as u32, context.rcx as u32);
        let r = agent.cpu.answer(leaf, sub).map(u64::from);
        fix.kind = Kind::Cpuid;
        fix.args = [r[0], r[1], r[2], r[3], u64::from(leaf), u64::from(sub)];
        r
    } else {
        let now = sys::clock(1);
        fix.ret = now.cast_signed();
        [now, 0, 0, 0]
    };
    agent.recorder().log.event(fix).done();
    intercept::finish(context, what, values);
    after_event(agent);
}

/// Delivers what is pending and not blocked, building frames; each delivery is an event.
fn deliver(agent: &mut Agent, context: &mut Context, number: u64, mut saved_mask: Option<u64>) {
    let me = slot(agent.current);
    let mut first = true;
    let mut let_in = false;
    loop {
        let_in |= signals::let_in(agent);
        let Some((signal, info)) = me.take() else { break };
        let action = agent.actions[signal as usize];
        if action[0] == 0 && signals::is_ours(signal) {
            // Sent to a program without a handler: the kernel would have ended it, had the agent not a handler of its own.
            agent.recorder().end(rdb_trace::End::Signalled(signal as u32));
            sys::set_action(signal, &[0, signals::flag::RESTORER, signals::handlers::restorer(), 0]);
            sys::tgkill(sys::pid(), sys::raw(nr::GETTID, [0; 6]).cast_unsigned(), signal);
        }
        if action[0] <= 1 {
            continue;
        }
        let mut fix = fixed(agent, Kind::Signal, signal, context, 0);
        let interrupted = context.rax.cast_signed() == -errno::EINTR && number != nr::RT_SIGRETURN;
        fix.args = [number, 0, 0, 0, 0, 0];
        let restarts =
            action[1] & signals::flag::RESTART != 0 && signals::restartable(number) || inheriting::locks(number, &context.args());
        if first && interrupted && restarts {
            fix.flags = 1;
            context.rip -= 2;
            context.rax = number;
            agent.sites.restarting(context.rip);
        }
        first = false;
        let mask = saved_mask.take().unwrap_or_else(|| signals::mask(agent));
        fix.args[1] = mask;
        fix.args[2] = signals::mask(agent);
        agent.recorder().log.event(fix).bytes(rdb_trace::Tag::SignalInfo, &info).done();
        if !signals::frame::push(agent, context, signal, &info, mask) {
            return intercept::no_frame(agent, context);
        }
    }
    if let Some(old) = saved_mask {
        signals::set_mask(agent, context, old);
    }
    if let_in {
        // The kernel's mask is to be set again, by the frame, even where it seems the same.
        signals::frame::save_fp(context);
        context.mask = signals::in_kernel(me);
    }
}

/// Memory hashes and fairness.
fn after_event(agent: &'static mut Agent) {
    let r = agent.recorder();
    if r.verify_every > 0 && r.log.events() >= r.log.next_hash {
        r.log.next_hash = r.log.events() + r.verify_every;
        hash_event(agent);
    }
    if contended(agent) {
        agent.thread().turns += 1;
        if agent.thread().turns > 20 || chaos::gives_way() {
            give_way(agent);
        }
    } else if agent.live == 1 && chaos::gives_way() {
        // Processes race as well.
        chaos::absence();
    }
}

/// Whether another thread, or another process that shares memory, waits to run.
fn contended(agent: &mut Agent) -> bool {
    agent.live > 1 && token::contended() || agent.recorder().sharing.contended()
}

/// Whether the thread that is interrupted is to give way: somebody waits, or chaos has it.
fn is_to_yield(agent: &mut Agent) -> bool {
    contended(agent) || chaos::is_on() && agent.live > 1
}

/// An event that stands for no instruction of the program.
fn fixed_at(agent: &Agent, kind: Kind) -> Fixed {
    Fixed {
        kind,
        flags: 0,
        thread: agent.current as u16,
        nr: 0,
        ret: 0,
        rip: 0,
        rsp: 0,
        args: [0; 6],
        registers: 0,
    }
}

/// Lets other threads run that wait for the token. What signals arrive meanwhile is delivered soon.
fn give_way(agent: &'static mut Agent) -> &'static mut Agent {
    agent.thread().turns = 0;
    let (agent, ()) = released(agent, chaos::absence);
    if slot(agent.current).wanted.load(core::sync::atomic::Ordering::SeqCst) != 0 {
        crate::interpreters::cpython::ticks::request();
    }
    preempt::remind_if_wanted(slot(agent.current));
    agent
}

/// A hash of all readable memory, as it would be without the agent.
pub fn memory_hash(agent: &mut Agent) -> Option<u64> {
    agent.sites.set(false);
    agent.host.patched(false);
    let hash = crate::verify::memory::hash();
    agent.host.patched(true);
    agent.sites.set(true);
    hash
}

/// Logs a hash of all readable memory.
pub fn hash_event(agent: &mut Agent) {
    let Some(h) = memory_hash(agent) else { return };
    let fix = Fixed {
        ret: h.cast_signed(),
        ..fixed_at(agent, Kind::Hash)
    };
    agent.recorder().log.event(fix).done();
}
