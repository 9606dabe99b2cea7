//! Stop points: counting, goals, breakpoints, the slow path of the stubs.
//!
//! # Safety
//! This room may use `unsafe` for one thing: the one `Stops` of the process is reached by its address, from the slow path and
//! through [`Stops::installed`]. Replay has one kernel thread, and the slow path is entered from program code only, never
//! while Rust code holds a `Stops`.
#![allow(unsafe_code)]

use super::breakpoints;
use super::check::CHECKED;
use super::code::Code;
use super::compare::Compared;
use super::decide::Decisions;
use super::follow::Following;
use super::inline::Inline;
use super::life::Life;
use super::locate::Located;
use super::objects::{TP_DEALLOC, type_of};
use super::raises::Noted;
use super::sources::Sources;
use super::stepping::Stepping;
use super::stretch::Passages;
use super::stubs::{DEALLOC, Mark, Stubs};
use super::ticks::{Ticks, words};
use super::traps::Traps;
use super::{Places, Unsupported};
use crate::arch::dispatch::set_gs_base;
use crate::interpreters::Registers;
use crate::memory::{get, patch};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicPtr, Ordering};
use rdb_protocol::StopKind;
use rdb_protocol::replay::Breakpoint;

/// Called when something asked for has come to pass.
pub type Hook = fn(&mut Stops, Reason);

/// Why the hook is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A stop point was reached.
    Stop {
        /// It is the goal.
        goal: bool,
        /// These breakpoints are hit, ascending.
        breakpoints: Vec<u32>,
        /// It is the followed activation's own.
        own: bool,
    },
    /// The main module is done: `Py_FinalizeEx` begins.
    MainDone,
    /// An instruction is reached, by [`Stops::step_instructions`].
    Instruction,
}

/// The stop point stood at.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// What it is.
    pub kind: StopKind,
    /// The current `_PyInterpreterFrame`.
    pub frame: u64,
    /// Its code object.
    pub code: u64,
    /// The unit (of 2 bytes) about to execute.
    pub unit: usize,
    /// The address of that unit. Before inspecting, a throw-away process writes it at `frame + frame_instruction`, lest the frame's line be
    /// stale. `None` at an unwinding, where the frame is right already (and an exception is set).
    pub instruction: Option<u64>,
    /// It is executed along with the instruction before it, which has not been executed either: [`Stops::split`].
    pub second_half: bool,
    /// The program's registers.
    pub registers: Registers,
    /// The thread that stood at the stop point before, where that is another one.
    pub switched_from: Option<u32>,
}

/// Stop points of one interpreter in this process.
pub struct Stops {
    pub(super) located: Located,
    places: Places,
    hook: Hook,
    pub(super) stubs: Stubs,
    /// The dispatch table with ticks alone.
    ticks_only: [u64; 256],
    pub(super) traps: Traps,
    pub(super) dealloc_slot: u64,
    pub(super) dealloc_original: u64,
    pub(super) codes: BTreeMap<u64, Code>,
    pub(super) seen: Sources,
    pub(super) breakpoints: Vec<Breakpoint>,
    pub(super) following: Option<Following>,
    pub(super) life: Option<Life>,
    /// Watchpoints.
    pub(super) watched: Vec<Compared>,
    /// Frames whose variables are among what is watched, and their code.
    pub(super) storing: Vec<(u64, u64)>,
    /// They have more words than the stubs can compare.
    pub(super) slowly: bool,
    pub(super) noted: Option<Noted>,
    /// What the run comes through is noted.
    pub(super) passages: Option<Passages>,
    /// What is evaluated while the program runs.
    pub(super) inline: Option<Box<Inline>>,
    /// It is being evaluated.
    pub(super) evaluating: bool,
    /// The program goes from instruction to instruction.
    pub(super) stepping: Option<Stepping>,
    /// The hook wants to know of each stop point that is the followed activation's own.
    pub(super) stops_at_own: bool,
    /// Conditions are decided where breakpoints are hit.
    pub(super) sifts: bool,
    pub(super) decisions: Decisions,
    /// The thread that runs, and the one that stood at the last stop point.
    pub(super) running: u32,
    pub(super) stood: u32,
    /// Times at which breakpoints stand, ascending.
    pub(super) times: Vec<u64>,
    pub(super) goal: Option<u64>,
    /// What [`Stops::time`] is when `remaining` reaches zero.
    pub(super) limit: u64,
    pub(super) alive: bool,
    starting: bool,
    pub(super) main_done: Option<u64>,
    /// Dispatches yet to be checked.
    pub(super) unchecked: u32,
    pub(super) failure: Option<Unsupported>,
    pub(super) stop: Option<Stop>,
    pub(super) splitting: bool,
    pub(super) patched: bool,
    /// Second halves executed without having been counted: frame, unit, and the unit executed next.
    pub(super) late: Vec<(u64, usize, usize)>,
}

impl core::fmt::Debug for Stops {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stops")
            .field("located", &self.located)
            .field("time", &self.time())
            .finish_non_exhaustive()
    }
}

/// No goal is this far away.
const FAR: u64 = u64::MAX >> 2;
static INSTALLED: AtomicPtr<Stops> = AtomicPtr::new(core::ptr::null_mut());

impl Stops {
    /// Puts stop points into the interpreter. Its ticks, which go on being counted, are `ticks`.
    ///
    /// # Errors
    /// Why that cannot be done. The ticks must then be patched in again.
    pub fn install(located: Located, ticks: &Ticks, places: Places, hook: Hook) -> Result<&'static mut Self, Unsupported> {
        let dealloc_slot = located.code_type + TP_DEALLOC;
        let dealloc_original = get(dealloc_slot);
        let traps = Traps::new(&located)?;
        // The stubs need the address of what is being made: reserved first.
        let place = Box::leak(Box::<Self>::new_uninit());
        let context = place.as_mut_ptr() as u64;
        let stubs = Stubs::install(&located, &places, dealloc_original, slow_path, context).map_err(|why| located.refuse(why))?;
        let stops = place.write(Self {
            located,
            places,
            hook,
            stubs,
            ticks_only: *ticks.stubs(),
            traps,
            dealloc_slot,
            dealloc_original,
            codes: BTreeMap::new(),
            seen: Sources::default(),
            breakpoints: Vec::new(),
            following: None,
            life: None,
            watched: Vec::new(),
            storing: Vec::new(),
            slowly: false,
            noted: None,
            passages: None,
            inline: None,
            evaluating: false,
            stepping: None,
            stops_at_own: false,
            sifts: false,
            decisions: Decisions::default(),
            running: 0,
            stood: 0,
            times: Vec::new(),
            goal: None,
            limit: FAR,
            alive: false,
            starting: false,
            main_done: None,
            unchecked: CHECKED,
            failure: None,
            stop: None,
            splitting: false,
            patched: false,
            late: Vec::new(),
        });
        stops.stubs.set_remaining(FAR);
        stops.set_bases();
        if !stops.set_patched(true) {
            stops.set_patched(false);
            return Err(stops.located.refuse("the dispatch table cannot be written"));
        }
        INSTALLED.store(&raw mut *stops, Ordering::Relaxed);
        Ok(stops)
    }

    /// The stop points of this process, if any.
    ///
    /// # Safety
    /// Not while another reference to it is in use: not during the hook, which gets it as an argument, and never two at once.
    #[must_use]
    pub unsafe fn installed() -> Option<&'static mut Self> {
        // SAFETY: null, or what `install` leaked; exclusive by this function's contract.
        unsafe { INSTALLED.load(Ordering::Relaxed).as_mut() }
    }

    /// Points the gs base to the shadow map.
    pub fn set_bases(&self) {
        set_gs_base(self.places.shadow);
    }

    /// Takes all patches out of program memory, or puts them back; where stop points were given up, ticks remain. Returns false where
    /// memory could not be written.
    pub fn set_patched(&mut self, on: bool) -> bool {
        let counting = on && self.failure.is_none();
        let table = match (on, counting, self.unchecked) {
            (false, ..) => self.located.targets,
            (true, false, _) => self.ticks_only,
            (true, true, 0) if self.stepping.is_none() => self.table(),
            (true, true, _) => self.stubs.careful,
        };
        let dealloc = if counting { self.stubs.dealloc } else { self.dealloc_original };
        self.patched = on;
        patch(self.located.table, &words(&table)) & patch(self.dealloc_slot, &dealloc.to_le_bytes()) & self.traps.set(counting)
    }

    /// The dispatch table that counts.
    fn table(&self) -> [u64; 256] {
        let mut table = self.stubs.fast;
        for op in 0..=255 {
            if self.uninlined(op).is_some() {
                table[usize::from(op)] = self.stubs.careful[usize::from(op)];
            }
        }
        table
    }

    /// The opcode whose tick was stopped by the trap at `address`.
    #[must_use]
    pub fn tick(&self, address: u64) -> Option<u8> {
        self.stubs.trapped(address)
    }

    /// Replaces, in registers of an interrupted context, stub addresses by what the unpatched program would hold.
    pub fn clean(&self, registers: &mut Registers) {
        self.stubs.launder(registers);
    }

    /// Name of the interpreter, for instance `CPython 3.11.7`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.located.name()
    }

    /// Why stop points were given up after all: the check of the first dispatches failed. Nothing is counted then.
    #[must_use]
    pub fn failure(&self) -> Option<&Unsupported> {
        self.failure.as_ref()
    }

    /// Stop points passed, the one stood at included.
    #[must_use]
    pub fn time(&self) -> u64 {
        if self.alive { self.limit - self.stubs.remaining() } else { 0 }
    }

    /// The hook is to be called when [`Stops::time`] reaches `goal`. A goal already passed is none.
    pub fn set_goal(&mut self, goal: Option<u64>) {
        self.goal = goal;
        self.rearm(self.time());
    }

    pub(super) fn rearm(&mut self, time: u64) {
        let goal = self.goal.filter(|&goal| self.alive && goal > time);
        // The first stop point after a switch of threads is looked at, and each one where the stubs cannot compare.
        let glance = ((self.running != self.stood || self.slowly) && self.alive).then_some(time + 1);
        let mark = self
            .times
            .get(self.times.partition_point(|&t| t <= time))
            .copied()
            .filter(|_| self.alive);
        self.limit = [goal, glance, mark].into_iter().flatten().min().unwrap_or(time + FAR);
        self.stubs.set_remaining(self.limit - time);
    }

    /// True once the interpreter runs the program.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.alive
    }

    /// [`Stops::time`] when the main module was done.
    #[must_use]
    pub fn main_done(&self) -> Option<u64> {
        self.main_done
    }

    /// The stop point stood at, while the hook runs.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The breakpoints that stand at the stop point stood at, ascending.
    #[must_use]
    pub fn hits_here(&self) -> Vec<u32> {
        self.stop.as_ref().map_or_else(Vec::new, |stop| self.hits(stop))
    }

    /// Code objects known.
    #[must_use]
    pub fn code_objects(&self) -> usize {
        self.codes.len()
    }

    /// Only in a throw-away process, in the hook, at a stop with `second_half`: has the first half run alone, and the hook called
    /// again at the second, where all of the program's state is as its source says.
    pub fn split(&mut self) {
        self.splitting = self.stop.is_some_and(|s| s.second_half);
    }

    /// The interpreter is set up and turns to the program. What it still runs of its own until the program's first code object
    /// (looking for the main module: all of it frozen into the interpreter) is not counted.
    pub(super) fn begin(&mut self) {
        self.starting = !self.alive;
    }

    fn begin_with(&mut self, code: &Code) {
        if self.starting && !code.file.starts_with("<frozen ") {
            self.starting = false;
            self.alive = true;
            self.rearm(0);
        }
    }

    pub(super) fn call_hook(&mut self, reason: Reason) {
        (self.hook)(self, reason);
    }

    /// The stubs' slow path: an opcode is dispatched, or a code object dies. Returns where to go on.
    fn dispatched(&mut self) -> u64 {
        let data = self.stubs.data();
        let (what, mut registers) = (data.opcode, data.registers);
        self.stubs.launder(&mut registers);
        self.stubs.data().registers = registers;
        if what == DEALLOC {
            self.forget(registers[7]);
            return self.dealloc_original;
        }
        if what > DEALLOC {
            return self.life_event(what);
        }
        let op = what.to_le_bytes()[0];
        let onward = self.stubs.onward[usize::from(op)];
        if self.unchecked > 0 && !self.check(op, &registers) {
            return onward;
        }
        let instruction = registers[usize::from(self.located.next_instruction)];
        let frame = registers[usize::from(self.located.frame)];
        let Some(code) = self.register(frame, instruction) else {
            return onward;
        };
        self.note_entry(frame, code, instruction);
        self.note_new_frame(frame, code, instruction);
        self.note_dispatch(op, code, instruction);
        let mut first_alone = self.uninlined(op);
        let events = self.events(op, frame, code, instruction);
        for event in events.into_iter().flatten() {
            // One that is being taken apart is reached by itself.
            if event.second_half && (self.is_stepping() || self.uninlined(op).is_some()) {
                continue;
            }
            let stop = Stop {
                frame,
                code,
                registers,
                ..event
            };
            self.pass(stop);
            if core::mem::take(&mut self.splitting) {
                first_alone = self.located.layout.opcodes.fused(op).map(|f| f.first);
                self.await_second_half(stop);
            }
        }
        if self.is_stepping() {
            let fused = self.located.layout.opcodes.fused(op).filter(|f| !f.guarded);
            first_alone = fused.map(|f| f.first);
            // The first is what was executed without a dispatch of its own, before this instruction; a second half has one yet to come.
            let none = events[1..].iter().flatten().all(|e| e.second_half);
            let at = self.instruction(op, frame, code, instruction).filter(|_| none);
            self.note_instruction(frame, instruction, at.map(|stop| Stop { registers, ..stop }));
        }
        first_alone.map_or(onward, |first| self.located.targets[usize::from(first)])
    }

    /// A stop point is passed: counts it, and calls the hook where it is wanted.
    pub(super) fn pass(&mut self, stop: Stop) {
        let remaining = self.stubs.remaining() - 1;
        self.stubs.set_remaining(remaining);
        let reached = remaining == 0;
        let goal = reached && self.goal == Some(self.limit);
        let switched_from = (self.running != self.stood).then(|| core::mem::replace(&mut self.stood, self.running));
        let stop = Stop { switched_from, ..stop };
        let mut breakpoints = self.hits(&stop);
        self.note_left(&stop);
        let own = self.note_own(&stop, self.time(), !goal);
        self.note_passed(&stop, self.time());
        if reached {
            self.rearm(self.limit);
        }
        let own = own && self.stops_at_own;
        if self.sifts {
            breakpoints = self.decided(&stop, breakpoints, goal || own);
        }
        if self.alive && (goal || own || !breakpoints.is_empty()) {
            self.stop = Some(stop);
            self.call_hook(Reason::Stop { goal, breakpoints, own });
            self.stop = None;
        }
    }

    /// The thread that runs.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Another thread runs from now on.
    pub fn run_thread(&mut self, thread: u32) {
        self.running = thread;
        self.note_thread(thread);
        self.rearm(self.time());
    }

    /// The second half of `stop`, counted already, is to be reached on its own.
    fn await_second_half(&mut self, stop: Stop) {
        let time = self.time() - 1;
        self.goal = Some(time + 1);
        self.rearm(time);
        if let Some(address) = stop.instruction {
            self.stubs.set_mark(address, Mark::Ask);
        }
    }

    /// The address of the code object of `frame`, known from now on; `None` where `instruction` is not in it.
    fn register(&mut self, frame: u64, instruction: u64) -> Option<u64> {
        let address = get::<u64>(frame + self.located.layout.frame_code) & !3;
        if self.stubs.mark(instruction) != Mark::Unknown as u8 {
            return self.codes.contains_key(&address).then_some(address);
        }
        if address == 0 || type_of(address) != self.located.code_type {
            self.stubs.set_mark(instruction, Mark::Nothing);
            return None;
        }
        let mut code = Code::read(self.located.layout, address);
        code.marks = breakpoints::marks(&self.breakpoints, &code);
        code.followed = self.follows(address);
        code.tracked = self.tracks(address);
        code.stores = self.stores(address);
        if self.passages.is_some() {
            code.freshen();
        }
        let inside = code.unit(instruction).is_some();
        self.begin_with(&code);
        self.seen.note(&self.located, &code);
        self.codes.insert(address, code);
        self.mark_units(address);
        if !inside {
            self.stubs.set_mark(instruction, Mark::Nothing);
        }
        inside.then_some(address)
    }
}

/// What the stubs call.
///
/// # Safety
/// `context` is the address of the installed `Stops`, and no reference to it is in use.
unsafe extern "sysv64" fn slow_path(context: u64) -> u64 {
    // SAFETY: by contract.
    unsafe { (*(context as *mut Stops)).dispatched() }
}
