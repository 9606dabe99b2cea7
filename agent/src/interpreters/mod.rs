//! Interpreters: ticks, stop points, frames, source lines.
//!
//! An interpreter is recognised in both modes, at the same event, and only its data is patched. The rest of the agent knows it as
//! a [`Host`]; Perl and native code will be found behind the same methods.
//!
//! # Safety
//! This room may use `unsafe` to reach the one [`Stops`]: it is leaked at installation, and replay has one kernel thread. While
//! the hook runs, the pointer is the one derived from the reference the hook was given.
#![allow(unsafe_code)]

pub mod cpython;
mod raises;
pub mod reads;

use crate::context::Context;
use crate::orders;
use crate::state::{self, Agent, Mode};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ptr::NonNull;
use cpython::{Dispatch, Followed, Located, Places, Reason, Stops, Ticks, Trap, Unsupported, ticks};
use rdb_protocol::replay::{Boundaries, Breakpoint, Entry, Follow, Hits, Interpreter, Object, Raises, Watched};
use rdb_protocol::rows::Rows;
use rdb_protocol::stretch::Stretch;
use rdb_protocol::{BreakpointPlace, Frame, Location, SourceFile, Time};

/// General registers of the interrupted program, in encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15.
pub type Registers = [u64; 16];

/// The interpreter of the program, as far as it is known.
#[derive(Debug)]
pub struct Host {
    /// Whether stop points are wanted.
    pub wanted: bool,
    /// Bases and paths of mapped objects.
    objects: Vec<(u64, String)>,
    ticks: Option<Ticks>,
    stops: Option<NonNull<Stops>>,
    unsupported: Option<String>,
    /// Stop points of interpreters that are gone: an execve replaced them.
    before: u64,
    main_done: Option<u64>,
    breakpoints: Vec<Breakpoint>,
    follow: Option<Follow>,
    /// An object was watched, and its interpreter is gone: nothing outlives it.
    life_cut: Option<Boundaries>,
    /// Exceptions are noted, or calls, in code at these addresses with their lines.
    noting: Option<(Vec<u64>, Option<Entry>)>,
    /// Those noted in interpreters that are gone.
    raised: Raises,
    /// Hits of quiet breakpoints in interpreters that are gone.
    quiet: Vec<(Time, u32)>,
    /// Instructions passed in interpreters that are gone.
    instructions_before: u64,
}

impl Host {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Host {
        Host {
            wanted: false,
            objects: Vec::new(),
            ticks: None,
            stops: None,
            unsupported: None,
            before: 0,
            main_done: None,
            breakpoints: Vec::new(),
            follow: None,
            life_cut: None,
            noting: None,
            raised: Raises::default(),
            quiet: Vec::new(),
            instructions_before: 0,
        }
    }

    /// The stop points in force.
    pub fn stops(&mut self) -> Option<&mut Stops> {
        // SAFETY: see the room's header; the borrow of `self` makes it the only one in use.
        self.stops.map(|mut p| unsafe { p.as_mut() })
    }

    fn stops_ref(&self) -> Option<&Stops> {
        // SAFETY: as above, shared.
        self.stops.map(|p| unsafe { p.as_ref() })
    }

    /// Stub addresses become what they stand for.
    pub fn clean(&self, registers: &mut Registers) {
        if let Some(ticks) = &self.ticks {
            ticks.launder(registers);
        }
        if let Some(stops) = self.stops_ref() {
            stops.clean(registers);
        }
    }

    /// The program mapped an object, from its start.
    pub fn mapped(&mut self, base: u64, path: &str) {
        // What lay there before is not there any more.
        self.objects.retain(|o| o.0 != base);
        self.objects.push((base, String::from(path)));
    }

    /// The program is to be stopped at this tick. False where it has been passed, or there are none.
    pub fn set_tick(&mut self, goal: Option<u64>) -> bool {
        match &mut self.ticks {
            Some(ticks) => ticks.set_goal(goal),
            None => goal.is_none(),
        }
    }

    /// Makes a context that was stopped in a stub that of the program, about to execute an opcode's code. How many ticks there have
    /// been; `None`: the context was not stopped at one.
    fn tick(&self, context: &mut Context) -> Option<u64> {
        /// Arithmetic flags, which no opcode's code reads, and what the trap itself sets.
        const FLAGS: u64 = 0x1_0cd5;
        let ticks = self.ticks.as_ref()?;
        let trap = context.rip.wrapping_sub(1);
        let op = ticks.trapped(trap).or_else(|| self.stops_ref()?.tick(trap))?;
        let mut registers = context.registers();
        self.clean(&mut registers);
        context.set_registers(&registers);
        context.rip = ticks.target(op);
        context.eflags &= !FLAGS;
        Some(ticks.count())
    }

    /// The program is replaced (execve): its interpreter is gone.
    pub fn forget(&mut self) {
        let now = Some(Time(self.time()));
        self.life_cut = self.boundaries().map(|seen| Boundaries {
            first: seen.first.or(now),
            last: now,
            ..seen
        });
        self.keep_raises();
        self.quiet = self.take_quiet().0;
        self.instructions_before = self.instructions();
        self.before = self.time();
        self.main_done = None;
        self.stops = None;
        self.ticks = None;
        self.objects.clear();
        ticks::forget();
    }

    fn time(&self) -> u64 {
        self.before + self.stops_ref().map_or(0, Stops::time)
    }

    /// Time, and the stop point stood at.
    #[must_use]
    pub fn place(&self) -> (u64, Option<Location>) {
        (self.time(), self.stops_ref().and_then(Stops::location))
    }

    /// Time at which the main module was done.
    #[must_use]
    pub fn main_done(&self) -> Option<u64> {
        Some(self.before + self.stops_ref()?.main_done()?)
    }

    /// Replaces the breakpoints.
    pub fn set_breakpoints(&mut self, list: &[Breakpoint]) {
        self.breakpoints = list.to_vec();
        let mut own = list.to_vec();
        // An interpreter counts its own stop points.
        for breakpoint in &mut own {
            for (_, from, until) in breakpoint.test.iter_mut().flat_map(|t| &mut t.objects) {
                from.0 = from.0.saturating_sub(self.before);
                *until = until.map(|t| Time(t.0.saturating_sub(self.before)));
            }
            if let BreakpointPlace::Times { times } = &mut breakpoint.place {
                *times = times.iter().filter_map(|t| t.0.checked_sub(self.before).map(Time)).collect();
            }
        }
        if let Some(s) = self.stops() {
            s.set_breakpoints(&own);
        }
    }

    /// The breakpoints at the stop point stood at.
    #[must_use]
    pub fn hits_here(&self) -> Vec<u32> {
        self.stops_ref().map_or_else(Vec::new, Stops::hits_here)
    }

    /// Follows an activation, or none.
    pub fn set_follow(&mut self, follow: Option<Follow>) {
        self.follow = follow;
        if let Some(s) = self.stops() {
            s.follow(follow);
        }
    }

    /// What was seen of the activation followed, in times of all interpreters.
    #[must_use]
    pub fn followed(&self) -> Followed {
        let followed = self.stops_ref().map_or(Followed::default(), Stops::followed);
        Followed {
            last: followed.last.map(|t| self.before + t),
            begun_at: followed.begun_at.map(|t| self.before + t),
            ..followed
        }
    }

    /// Replaces what is watched.
    pub fn watch(&mut self, list: &[Watched]) {
        if let Some(s) = self.stops() {
            s.watch(list);
        }
    }

    /// Only in a throw-away process: watches the object's memory.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub fn watch_life(&mut self, object: &Object) -> Result<(), String> {
        let stops = self.stops().ok_or_else(|| String::from("there is no interpreter here"))?;
        stops.watch_life(object)
    }

    /// Whether registers may hold something else than in the recording where they are of no use: an object's life is watched, and the
    /// interpreter's allocators are hooked, or something is evaluated on the way, or pairs of instructions are taken apart.
    #[must_use]
    pub fn is_hooked(&self) -> bool {
        self.stops_ref()
            .is_some_and(|s| s.watched().is_some() || s.has_inline() || s.is_stepping())
    }

    /// Only in a throw-away process: pauses where so many more instructions have been passed.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub fn step_instructions(&mut self, count: u64) -> Result<(), String> {
        match self.stops().map(|s| s.step_instructions(count)) {
            Some(true) => Ok(()),
            Some(false) => Err(String::from("the dispatch table cannot be written")),
            None => Err(String::from("there is no interpreter here")),
        }
    }

    /// Instructions passed since.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.instructions_before + self.stops_ref().map_or(0, Stops::instructions)
    }

    /// What was seen of the object watched, in times of all interpreters.
    #[must_use]
    pub fn boundaries(&self) -> Option<Boundaries> {
        if self.life_cut.is_some() {
            return self.life_cut;
        }
        let seen = self.stops_ref()?.boundaries()?;
        Some(Boundaries {
            first: seen.first.map(|t| Time(self.before + t)),
            last: seen.last.map(|t| Time(self.before + t)),
            lost: seen.lost,
        })
    }

    /// What was passed since the last call, from the first on; the threads alive are given with their fs bases.
    pub fn take_stretch(&mut self, threads: &[(u32, u64)]) -> Stretch {
        self.stops().map_or_else(Stretch::default, |s| s.take_stretch(threads))
    }

    /// Whether the stop point stood at is the followed activation's own.
    #[must_use]
    pub fn own_here(&self) -> bool {
        self.stops_ref().is_some_and(Stops::own_here)
    }

    /// Prepares for a run to a time.
    pub fn arm(&mut self, until: Option<u64>, hits: Hits) {
        let before = self.before;
        if let Some(s) = self.stops() {
            s.forget_followed(hits == Hits::Stop);
            s.sift(hits == Hits::Stop || hits == Hits::Evaluate);
            s.set_goal(until.and_then(|t| t.checked_sub(before)));
        }
    }

    /// Evaluates what is to be evaluated where the program stands.
    ///
    /// # Errors
    /// Why nothing more can be evaluated in this process.
    pub fn evaluate_inline(&mut self, thread: u32, rows: &mut Rows) -> Result<(), String> {
        let time = self.time();
        let stops = self.stops().ok_or_else(|| String::from("there is no stop point here"))?;
        stops.evaluate_inline(thread, time, rows)
    }

    /// The stack.
    #[must_use]
    pub fn frames(&self, limit: u32) -> Vec<Frame> {
        self.stops_ref().map_or_else(Vec::new, |s| s.frames(limit as usize))
    }

    /// A thread runs.
    pub fn run_thread(&mut self, thread: usize) {
        let thread = thread as u32;
        if let Some(s) = self.stops().filter(|s| s.running() != thread) {
            s.run_thread(thread);
        }
    }

    /// The stack of a thread, which is known by its fs base.
    #[must_use]
    pub fn thread_frames(&self, fs: u64, limit: u32) -> Vec<Frame> {
        self.stops_ref().map_or_else(Vec::new, |s| s.thread_frames(fs, limit as usize))
    }

    /// The hits of quiet breakpoints since the last call, in times of all interpreters; so many of them are from before the followed
    /// activation has begun, if it has.
    pub fn take_quiet(&mut self) -> (Vec<(Time, u32)>, u32) {
        let mut all = core::mem::take(&mut self.quiet);
        let offset = self.before;
        let (mut before, gone) = (0, all.len());
        if let Some(s) = self.stops() {
            let (hits, first) = s.take_quiet();
            before = gone + first;
            all.extend(hits.into_iter().map(|(time, id)| (Time(offset + time), id)));
        }
        (all, before as u32)
    }

    /// The sources.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceFile> {
        self.stops_ref().map_or_else(Vec::new, Stops::sources)
    }

    /// What is known.
    #[must_use]
    pub fn interpreter(&self) -> Interpreter {
        if let Some(s) = self.stops_ref() {
            return match s.failure() {
                Some(f) => Interpreter::Unsupported { reason: f.reason.clone() },
                None => Interpreter::Ready {
                    name: String::from(s.name()),
                },
            };
        }
        match &self.unsupported {
            Some(reason) => Interpreter::Unsupported { reason: reason.clone() },
            None => Interpreter::Unknown,
        }
    }

    /// Takes all patches out (false) or puts them back (true), around a hash of memory.
    pub fn patched(&mut self, on: bool) {
        if let Some(s) = self.stops() {
            s.set_patched(on);
        } else if let Some(t) = &self.ticks {
            t.set_patched(on);
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Host::new()
    }
}

/// The program made a range read-only: where that ends the relocation of an object, it may be an interpreter.
pub fn after_protect(agent: &mut Agent, addr: u64) {
    let host = &mut agent.host;
    if host.ticks.is_some() {
        if let Some(stops) = host.stops() {
            stops.trap_calls();
        }
        return;
    }
    let Some((base, path)) = host.objects.iter().filter(|o| o.0 <= addr).max().cloned() else {
        return;
    };
    if !cpython::relocated(base, addr) {
        return;
    }
    let stops = match cpython::recognise(base) {
        None => return,
        Some(Err(unsupported)) => Err(unsupported),
        Some(Ok(dispatch)) => install(host, dispatch),
    };
    match stops {
        Ok(None) => {}
        Ok(Some(stops)) => {
            host.stops = Some(NonNull::from(stops));
            host.unsupported = None;
            let list = core::mem::take(&mut host.breakpoints);
            host.set_breakpoints(&list);
            host.set_follow(host.follow);
            if let Some((tracked, calls)) = host.noting.take() {
                host.note_raises(tracked, calls);
            }
            let run = agent.replay.as_ref().and_then(|r| r.running.run.as_ref());
            let (until, hits) = (run.and_then(|r| r.until_time), run.map_or(Hits::Ignore, |r| r.hits));
            agent.host.arm(until.map(|t| t.0), hits);
        }
        Err(u) => host.unsupported = Some(format!("{path}: {}", u.reason)),
    }
}

/// Puts ticks into an interpreter, and stop points where they are wanted.
fn install(host: &mut Host, dispatch: Dispatch) -> Result<Option<&'static mut Stops>, Unsupported> {
    let ticks = &*host.ticks.insert(Ticks::install(&dispatch).map_err(|why| dispatch.refuse(why))?);
    if !host.wanted {
        return Ok(None);
    }
    let stops = Located::new(dispatch).and_then(|l| Stops::install(l, ticks, Places::AGENT, hook));
    if stops.is_err() {
        ticks.set_patched(true);
    }
    stops.map(Some)
}

/// A SIGTRAP in a stub: the program, whose context this becomes, is stopped at a tick.
pub fn tick(agent: &'static mut Agent, context: &'static mut Context) {
    const SIGTRAP: u64 = 5;
    let Some(count) = agent.host.tick(context) else {
        crate::orders::fault_in_agent(SIGTRAP, context, 0)
    };
    match agent.mode {
        Mode::Record => crate::record::ticks::reached(agent, context, count),
        Mode::Replay => crate::replay::ticks::reached(agent, context, count),
        Mode::Probe | Mode::Off => {}
    }
}

/// A SIGTRAP: true when it was ours.
pub fn trap(agent: &mut Agent, context: &mut Context) -> bool {
    let Some(mut stops) = agent.host.stops else { return false };
    let mut registers = context.registers();
    // SAFETY: see the room's header; `agent` is not used while the hook may claim it.
    match unsafe { stops.as_mut() }.on_trap(&mut context.rip, &mut registers) {
        Trap::Ours => {
            context.set_registers(&registers);
            true
        }
        Trap::Foreign => false,
    }
}

/// Called by [`Stops`] when something asked for has come to pass.
fn hook(stops: &mut Stops, reason: Reason) {
    // SAFETY: the program was interrupted at a stop point, so no other reference to the state is in use.
    let agent = unsafe { state::claim() };
    let outside = agent.host.stops.replace(NonNull::from(stops));
    match reason {
        Reason::Stop { goal, breakpoints, own } => orders::at_stop(agent, goal, &breakpoints, own),
        Reason::MainDone => orders::main_done(agent),
        Reason::Instruction => orders::at_instruction(agent),
    }
    agent.host.stops = outside;
}
