//! Preemption in native code while recording: who asks for it, and where the program is interrupted.
//!
//! Whoever waits for a thread that neither makes system calls nor ticks sends it [`NUDGE`]. The handler then executes a round of what the
//! thread is at step by step, to see what memory it accesses, and makes an event of the moment after. What cannot be interrupted (a stub, code that
//! enters the kernel, string instructions) is left alone; whoever waits will ask again.

use super::{after_event, deliver, fixed, give_way, is_to_yield};
use crate::context::Context;
use crate::instructions::{self, LONGEST};
use crate::interpreters::cpython::ticks;
use crate::memory;
use crate::preempt::stub::has_room;
use crate::preempt::{MOST_ACCESSED, State, is_program, relocate};
use crate::state::{Agent, Mode};
use crate::sys;
use crate::threads::{Slot, slot, token};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use rdb_trace::{Kind, Tag};

/// The signal that interrupts a thread: SIGRTMAX. Real-time signals are queued, so that none is lost that the program has sent itself.
pub const NUDGE: u64 = 64;
/// `si_value` of a nudge: nobody else's.
const SIGN: u64 = 0x7264_625f_6e75_6467;
/// How long a signal may wait for an event or a tick, in nanoseconds, before its thread is interrupted elsewhere.
const PATIENCE: u64 = 10_000_000;

/// So many steps are looked at, unless a round ends as it began before; then the state is noted at the next place that can be found again, if
/// that is not far.
const WINDOW: u32 = 150;
const PICKY_STEPS: u32 = 200;
const MOST_STEPS: u32 = 300;
const MOST_TARGETS: usize = 64;
/// How long it may take to read all memory, in nanoseconds, for that to be part of a state.
const READABLE: u64 = 20_000_000;
/// A thread that has run so long without a tick that was asked for, in nanoseconds of its own, is in native code.
const UNTICKED: u64 = 2_000_000;
/// What interrupting costs is at most one part in so many.
const SHARE: u64 = 10;
/// Clocks (clock_gettime(2)).
const MONOTONIC: u64 = 1;
const THREAD_CPU: u64 = 3;
/// The trap flag.
const TRAP: u64 = 1 << 8;
/// No system call is under way.
const NO_CALL: u64 = u64::MAX;

/// A thread that is executed step by step.
#[derive(Debug)]
pub struct Stepping {
    /// Where it began, and when.
    start: u64,
    since: u64,
    steps: u32,
    /// A round is over.
    closed: bool,
    /// Where the next instruction would be, were the present one no jump; and where jumps have led.
    next: u64,
    targets: Vec<u64>,
    /// The state it began with, and the words accessed as they were.
    before: State,
    /// Behind a string instruction that is executed at once: an `int3` at this address, in place of this byte.
    trap: Option<(u64, u8)>,
}

impl Stepping {
    /// Whether a moment at this place can be found again: fast, if such a place comes soon.
    fn fits(&self, at: u64) -> bool {
        match relocate::cover(at) {
            // Who jumps into the middle of a jump is slow. So is an `int3` in place of one, for want of room where the jump would lead.
            Some(pieces) if self.steps < PICKY_STEPS => pieces
                .iter()
                .skip(1)
                .all(|p| !self.targets.contains(&p.at) && has_room(at, p.at - at)),
            Some(_) => true,
            None => self.steps >= PICKY_STEPS && relocate::Piece::at(at).is_some(),
        }
    }

    /// Takes the trap out.
    fn disarm(&mut self) {
        if let Some((at, byte)) = self.trap.take() {
            let _ = memory::patch(at, &[byte]);
        }
    }
}

/// Interrupts the thread that holds the token, if it is in native code.
pub fn nudge_holder() {
    if let Some(holder) = token::holder() {
        nudge(slot(holder));
    }
}

fn nudge(thread: &Slot) {
    // siginfo_t: number, code SI_QUEUE, value.
    let mut info = [0; 128];
    info[..8].copy_from_slice(&NUDGE.to_le_bytes());
    info[8..12].copy_from_slice(&(-1i32).to_le_bytes());
    info[24..32].copy_from_slice(&SIGN.to_le_bytes());
    let tid = thread.tid.load(Ordering::SeqCst);
    sys::queue_signal(tid, NUDGE, &info);
}

/// Has a thread interrupted soon, if a signal still waits for it then.
pub fn remind(thread: &Slot) {
    thread.remind(NUDGE, SIGN, PATIENCE);
}

/// Chaos: this thread, which begins to run, is to be interrupted at some time, if another waits then.
pub fn unsettle(agent: &Agent) {
    if super::chaos::is_on() && agent.live > 1 {
        slot(agent.current).remind(NUDGE, SIGN, super::chaos::patience(PATIENCE));
    }
}

/// The same, where a signal waits.
pub fn remind_if_wanted(thread: &Slot) {
    if thread.wanted.load(Ordering::SeqCst) != 0 {
        remind(thread);
    }
}

/// Whether a signal is a nudge.
#[must_use]
pub fn is_nudge(signal: u64, info: &[u8; 128]) -> bool {
    let code = i32::from_le_bytes([info[8], info[9], info[10], info[11]]);
    let value = info[24..].first_chunk().map(|v| u64::from_le_bytes(*v));
    // SI_QUEUE, SI_TIMER.
    signal == NUDGE && matches!(code, -1 | -2) && value == Some(SIGN)
}

/// Somebody waits for the thread that holds the token: it is asked for a tick, and where none came before, or none comes, it is to be
/// interrupted, which is said.
#[must_use]
pub fn ask() -> bool {
    let overdue = !ticks::counted() || ticks::requested();
    ticks::request();
    overdue
}

/// What is known of interruptions.
#[derive(Debug, Default)]
pub struct Pace {
    /// CPU time of the thread (by its slot) that was asked for a tick, at that time.
    asked: Option<(usize, u64)>,
    /// How long reading all memory took.
    reading: u64,
    /// No interruption before this time.
    not_before: u64,
}

/// A nudge arrived at program code, in the thread that holds the token.
pub fn nudged(agent: &'static mut Agent, context: &'static mut Context) {
    if agent.mode != Mode::Record || agent.recorder().stepping.is_some() {
        return;
    }
    if !is_asked(agent) {
        return unsettle(agent);
    }
    if !is_due(agent) {
        return remind(slot(agent.current));
    }
    agent.recorder().stepping = Some(Stepping {
        start: context.rip,
        since: sys::clock(MONOTONIC),
        steps: 0,
        closed: false,
        next: context.rip,
        targets: Vec::new(),
        before: State::of(context, &[]),
        trap: None,
    });
    step(agent, context);
}

/// Whether it is time: who ticks is stopped at the next tick, but it may not have had the CPU since it was asked to.
fn is_due(agent: &mut Agent) -> bool {
    let me = agent.current;
    // Others can wait a little longer where it costs much; signals are not to.
    let is_signalled = slot(me).wanted.load(Ordering::SeqCst) != 0;
    let pace = &mut agent.recorder().pace;
    if !is_signalled && sys::clock(MONOTONIC) < pace.not_before {
        return false;
    }
    if !ticks::counted() {
        return true;
    }
    let now = sys::clock(THREAD_CPU);
    match pace.asked {
        Some((thread, then)) if thread == me && ticks::requested() => now - then > UNTICKED,
        _ => {
            pace.asked = Some((me, now));
            ticks::request();
            false
        }
    }
}

/// A tick has come.
pub fn ticked(agent: &mut Agent) {
    agent.recorder().pace.asked = None;
}

/// Whether somebody still waits.
fn is_asked(agent: &mut Agent) -> bool {
    slot(agent.current).wanted.load(Ordering::SeqCst) != 0 || is_to_yield(agent)
}

/// Whether a thread is executed step by step.
#[must_use]
pub fn is_stepping(agent: &Agent) -> bool {
    agent.recorder.as_ref().is_some_and(|r| r.stepping.is_some())
}

/// The program comes to the agent otherwise than by a step: the round is given up.
pub fn abandon(agent: &mut Agent, context: &mut Context) {
    if let Some(r) = &mut agent.recorder
        && let Some(mut stepping) = r.stepping.take()
    {
        stepping.disarm();
        context.eflags &= !TRAP;
        remind_if_wanted(slot(agent.current));
    }
}

/// The program is about to execute an instruction of a round.
pub fn step(agent: &'static mut Agent, context: &'static mut Context) {
    match take(agent, context) {
        Next::Step => context.eflags |= TRAP,
        Next::Run => context.eflags &= !TRAP,
        Next::GiveUp => abandon(agent, context),
        Next::Stop => {
            context.eflags &= !TRAP;
            if let Some(stepping) = agent.recorder().stepping.take() {
                interrupt(agent, context, &stepping.before, stepping.since);
            }
        }
    }
}

/// A SIGTRAP that no step raised: whether it was the trap behind a string instruction.
pub fn behind(agent: &'static mut Agent, context: &'static mut Context) -> bool {
    let at = context.rip - 1;
    let Some(stepping) = &mut agent.recorder().stepping else {
        return false;
    };
    if stepping.trap.is_none_or(|t| t.0 != at) {
        return false;
    }
    stepping.disarm();
    context.rip = at;
    step(agent, context);
    true
}

enum Next {
    Step,
    /// To the trap.
    Run,
    GiveUp,
    Stop,
}

fn take(agent: &mut Agent, context: &Context) -> Next {
    if !is_program(context.rip) {
        return Next::GiveUp;
    }
    let mut code = [0; LONGEST];
    let there = memory::readable(context.rip, LONGEST as u64) as usize;
    let instruction = if memory::try_copy_out(context.rip, &mut code[..there]) {
        instructions::decode(&code)
    } else {
        None
    };
    let (sites, recorder) = (&agent.sites, &mut agent.recorder);
    let near = |at| sites.is_near(at);
    let is_patched = near(context.rip);
    let Some(stepping) = recorder.as_mut().and_then(|r| r.stepping.as_mut()) else {
        return Next::GiveUp;
    };
    let again = stepping.steps > 0 && stepping.start == context.rip && stepping.before.registers == context.registers();
    stepping.closed |= again || stepping.steps >= WINDOW;
    if context.rip != stepping.next && stepping.targets.len() < MOST_TARGETS && !stepping.targets.contains(&context.rip) {
        stepping.targets.push(context.rip);
    }
    if stepping.closed && !is_patched && stepping.fits(context.rip) {
        return Next::Stop;
    }
    if stepping.steps >= MOST_STEPS || is_patched {
        return Next::GiveUp;
    }
    stepping.steps += 1;
    let Some(instruction) = instruction else {
        return Next::Step;
    };
    if relocate::is_stopping(&instruction) {
        return Next::GiveUp;
    }
    stepping.next = context.rip + instructions::length(&instruction);
    if relocate::is_string(&instruction) {
        let behind = context.rip + instructions::length(&instruction);
        let byte = memory::try_get::<u8>(behind).filter(|_| !near(behind));
        let Some(byte) = byte.filter(|_| memory::patch(behind, &[0xcc])) else {
            return Next::GiveUp;
        };
        stepping.trap = Some((behind, byte));
        return Next::Run;
    }
    let words = &mut stepping.before.words;
    for access in instructions::accesses(&instruction, context).list() {
        let word = access.address & !7;
        if words.len() < MOST_ACCESSED
            && words.iter().all(|w| w.0 != word)
            && let Some(value) = memory::try_get(word)
        {
            words.push((word, value));
        }
    }
    Next::Step
}

/// The event.
fn interrupt(agent: &'static mut Agent, context: &'static mut Context, before: &State, stepped: u64) {
    let yields = is_to_yield(agent);
    // Stub addresses are not the same in replay.
    let mut registers = context.registers();
    agent.host.clean(&mut registers);
    if registers != context.registers() {
        return;
    }
    let words: Vec<u64> = before.words.iter().map(|w| w.0).collect();
    let mut state = State::of(context, &words);
    state.compare(before);
    state.with_frame();
    let began = sys::clock(MONOTONIC);
    let r = agent.recorder();
    if r.pace.reading < READABLE && !r.sharing.is_member() {
        state.memory = super::memory_hash(agent).unwrap_or(0);
        agent.recorder().pace.reading = sys::clock(MONOTONIC) - began;
    }
    let took = sys::clock(MONOTONIC) - stepped;
    let share = if super::chaos::is_on() { 1 } else { SHARE };
    agent.recorder().pace.not_before = sys::clock(MONOTONIC) + share * took;
    let mut fix = fixed(agent, Kind::Preempt, 0, context, 0);
    fix.args = [0; 6];
    agent.recorder().log.event(fix).bytes(Tag::State, &state.to_bytes()).done();
    let agent = if yields { give_way(agent) } else { agent };
    deliver(agent, context, NO_CALL, None);
    after_event(agent);
}
