//! Replay: no outside effects. Results and bytes come from the log; memory calls are really made, at recorded addresses; a
//! differing call is a divergence.
//!
//! One kernel thread; every recorded thread is a fiber. Each entry here ends in [`schedule::next`], which never returns: it
//! resumes the fiber the next event belongs to.

pub mod aliases;
pub mod answers;
pub mod apply;
pub mod events;
pub mod lineage;
pub mod open;
pub mod preempt;
pub mod readings;
pub mod schedule;
pub mod ticks;

use crate::context::Context;
use crate::intercept::Trapped;
use crate::orders::Link;
use crate::record::fixed;
use crate::state::Agent;
use crate::sys::{errno, nr};
use crate::syscalls::{self, Policy};
use crate::{signals, sys};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use rdb_trace::event::Fixed;
use rdb_trace::{Event, Kind, Remaining};

/// Whom a replay serves.
#[derive(Debug)]
pub enum Purpose {
    /// Checks everything, reports, exits.
    Verify,
    /// Follows orders.
    Serve(Link),
}

/// The state of a replay.
#[derive(Debug)]
pub struct Replay {
    /// Trace directory.
    pub directory: Vec<u8>,
    /// The log.
    pub reader: events::Events,
    /// Streams to go on with, last first.
    pub branches: Vec<lineage::Branch>,
    /// Events of the streams before the present one.
    pub before: u64,
    /// Whom it serves.
    pub purpose: Purpose,
    /// The run under way.
    pub running: crate::orders::Running,
    /// Stop before this event.
    pub goal_event: u64,
    /// Memory hashes found equal.
    pub hashes: u64,
    /// Clock readings the program has yet to make before the next event.
    pub readings: Remaining<'static>,
    /// A moment in native code at which the program is to be stopped.
    pub sought: Option<Box<preempt::Sought>>,
    /// What evaluated code may ask for.
    pub answers: answers::Answers,
    /// What is evaluated while the program runs.
    pub inline: crate::orders::inline::Evaluating,
    /// State of a probe.
    pub probe: crate::orders::probe::Probe,
    /// Memory is shared with nobody, but between mappings ([`aliases`]).
    pub aliased: bool,
    /// No event is left.
    pub ended: bool,
}

/// A system call of the replayed program.
pub fn system_call(agent: &'static mut Agent, context: &'static mut Context) {
    let number = context.rax;
    let args = context.args();
    enter(agent, context);
    let event = upcoming(agent);
    let found = fixed(agent, Kind::Syscall, number, context, 0);
    let want = event.fixed;
    let entered = want.kind == Kind::Enter;
    if !(want.kind == Kind::Syscall || entered) || !same(agent.host.is_hooked(), &want, &found) {
        diverge(agent, &want, &found);
    }
    match number {
        nr::EXECVE if !entered && want.ret == 0 => apply::exec(agent, context, &event),
        nr::MMAP => {
            apply::mmap(agent, &event);
            context.set_return(want.ret);
        }
        nr::CLONE | nr::VFORK | nr::FORK if agent.replay().branches_here() => {
            lineage::branch(agent, context, &event, number);
            schedule::next(agent)
        }
        nr::CLONE | nr::VFORK | nr::FORK => {
            apply::clone(agent, context, &event, number);
            if !entered {
                context.set_return(want.ret);
            }
        }
        nr::EXIT | nr::EXIT_GROUP => {
            apply::effects(agent, &event);
            if agent.thread().vfork || number == nr::EXIT {
                agent.thread().live = false;
                if !agent.thread().vfork {
                    agent.live -= 1;
                }
            }
        }
        nr::RT_SIGRETURN => {
            if !signals::frame::pop(agent, context) {
                advance(agent);
                crate::intercept::no_frame(agent, context);
            }
        }
        nr::SET_TID_ADDRESS => context.set_return(want.ret),
        _ if !entered && syscalls::row(number).is_some_and(|r| r.policy == Policy::Own) => {
            let refused = number == nr::MPROTECT && want.ret == -errno::EACCES;
            let ret = if refused {
                // What a file's open mode forbade is allowed on the private copy: leave it.
                want.ret
            } else {
                crate::memory_calls::own(agent, context, number, &args)
            };
            if ret != want.ret && !lenient(number) {
                let found = Fixed { ret, ..want };
                diverge(agent, &want, &found);
            }
            context.set_return(want.ret);
            if number == nr::MPROTECT && args[2] == sys::map::READ {
                crate::interpreters::after_protect(agent, args[0]);
            }
        }
        _ => {
            apply::effects(agent, &event);
            if !entered {
                context.set_return(want.ret);
                agent.replay().answers.note(number, &args, want.ret);
            }
        }
    }
    advance(agent);
    schedule::next(agent)
}

/// Calls whose result may differ on private copies of shared mappings and changes nothing else.
fn lenient(number: u64) -> bool {
    number == nr::MADVISE
}

/// rdtsc or cpuid.
pub fn trapped(agent: &'static mut Agent, context: &'static mut Context, what: Trapped) {
    enter(agent, context);
    let event = upcoming(agent);
    let want = event.fixed;
    let mut found = fixed(agent, if what == Trapped::Cpuid { Kind::Cpuid } else { Kind::Tsc }, 0, context, 0);
    if found.kind == Kind::Cpuid {
        found.args = want.args;
    }
    if want.kind != found.kind || !same(agent.host.is_hooked(), &want, &found) {
        diverge(agent, &want, &found);
    }
    let values = match what {
        Trapped::Cpuid => [want.args[0], want.args[1], want.args[2], want.args[3]],
        _ => [want.ret.cast_unsigned(), 0, 0, 0],
    };
    if what == Trapped::Cpuid {
        let a = want.args.map(|a| a as u32);
        agent.cpu.note(a[4], a[5], [a[0], a[1], a[2], a[3]]);
    }
    crate::intercept::finish(context, what, values);
    advance(agent);
    schedule::next(agent)
}

/// SIGTRAP: true when it was one of ours.
pub fn trap(agent: &mut Agent, context: &mut Context) -> bool {
    crate::interpreters::trap(agent, context)
}

/// Saves the fiber that entered, and pauses when the run's event goal is reached.
fn enter(agent: &mut Agent, context: &Context) {
    let at = (&raw const *context) as u64;
    agent.thread().context = at;
    if agent.replay().index() >= agent.replay().goal_event {
        crate::orders::reached_event(agent);
    }
}

/// The event the program is about to meet.
fn upcoming(agent: &mut Agent) -> Event<'static> {
    match agent.replay().reader.peek() {
        Ok(Some(e)) => {
            readings::check(agent, &e);
            e
        }
        Ok(None) => ended(agent),
        Err(e) => damaged(agent, e),
    }
}

/// Passes an event.
fn advance(agent: &mut Agent) {
    agent.replay().reader.pass();
}

/// The trace is damaged here.
pub fn damaged(agent: &mut Agent, error: rdb_trace::RecordError) -> ! {
    let at = agent.replay().index();
    crate::orders::failed(
        agent,
        &format!("the trace is damaged at event {at} ({error}); everything before it can be replayed"),
    )
}

/// The program dies of a fault without a handler: so it did in the recording, if nothing more is recorded.
pub fn died(agent: &mut Agent, context: &Context, signal: u64, info: &[u8; 128]) -> ! {
    match agent.replay().reader.peek() {
        Ok(None) => ended(agent),
        Ok(Some(e)) => {
            let addr = u64::from_le_bytes([info[16], info[17], info[18], info[19], info[20], info[21], info[22], info[23]]);
            let actual = format!("signal {signal} at rip {:#x}, address {addr:#x}", context.rip);
            crate::orders::diverged(agent, &describe(&e.fixed), &actual)
        }
        Err(e) => damaged(agent, e),
    }
}

/// Nothing is left to replay.
pub fn ended(agent: &mut Agent) -> ! {
    if !agent.replay().branches.is_empty() {
        crate::orders::failed(
            agent,
            "the process that forked this one was killed before its own recording told of it; what follows cannot be replayed",
        );
    }
    agent.replay().ended = true;
    crate::orders::end(agent)
}

/// Whether the program meets the event it met. Where its allocators are `hooked` the registers tell nothing: an interpreter compiled
/// with a profile has its usual allocator inlined, and leaves other values in registers it is done with when it finds another there, and stands
/// elsewhere on its stack when that one asks the kernel for memory; what is evaluated on the way leaves such values, too. Such a process is
/// thrown away.
fn same(hooked: bool, want: &Fixed, found: &Fixed) -> bool {
    want.thread == found.thread
        && want.nr == found.nr
        && want.rip == found.rip
        && (want.rsp == found.rsp || hooked && is_for_memory(want))
        && (hooked && same_data(want, found) || want.registers == found.registers && (want.args == found.args || want.kind == Kind::Tsc))
}

/// Whether it is a call that an allocator makes.
fn is_for_memory(event: &Fixed) -> bool {
    let number = u64::from(event.nr);
    event.kind == Kind::Syscall && matches!(number, nr::BRK | nr::MMAP | nr::MUNMAP | nr::MREMAP | nr::MADVISE)
}

/// Whether the arguments are the same that lead to data.
fn same_data(want: &Fixed, found: &Fixed) -> bool {
    if want.kind != Kind::Syscall {
        return true;
    }
    let number = u64::from(want.nr);
    if matches!(number, nr::READ | nr::WRITE) {
        return want.args[..3] == found.args[..3];
    }
    if is_for_memory(want) {
        return want.args[0] == found.args[0] && (number == nr::BRK || want.args[1] == found.args[1]);
    }
    let outs = syscalls::row(number).map_or(&[][..], |r| r.outs);
    outs.iter()
        .all(|o| want.args.get(usize::from(o.arg)) == found.args.get(usize::from(o.arg)))
}

/// One event for people.
#[must_use]
pub fn describe(f: &Fixed) -> String {
    let what = match f.kind {
        Kind::Syscall | Kind::Enter | Kind::Complete => {
            let a = f.args;
            format!(
                "{}({:#x}, {:#x}, {:#x}, {:#x}, {:#x}, {:#x}) = {}",
                syscalls::name(u64::from(f.nr)),
                a[0],
                a[1],
                a[2],
                a[3],
                a[4],
                a[5],
                f.ret
            )
        }
        Kind::Tsc => String::from("rdtsc"),
        Kind::Cpuid => String::from("cpuid"),
        Kind::Signal => format!("signal {}", f.nr),
        Kind::Hash => String::from("memory hash"),
        Kind::Tick => format!("tick {}", f.ret),
        Kind::Changed => String::from("shared memory changed"),
        Kind::Preempt => String::from("interrupted in native code"),
        Kind::Start => String::from("start"),
    };
    format!(
        "thread {} {what} at rip {:#x} rsp {:#x} registers {:08x}",
        f.thread, f.rip, f.rsp, f.registers
    )
}

/// The replay differs from the recording.
pub fn diverge(agent: &mut Agent, want: &Fixed, found: &Fixed) -> ! {
    crate::orders::diverged(agent, &describe(want), &describe(found))
}
