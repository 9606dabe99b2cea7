//! Exceptions noted while running: where each began to be raised, and which were left uncaught.
//!
//! `PyTraceBack_Here` is entered for each frame an exception passes through. It begins in that frame where it has no traceback yet,
//! or where a `raise` statement names it; a `raise` without a name, and what `finally` and `with` do at their ends, pass on what began
//! before and do not come here. The line that raises is told by the frame's own last stop point, for which the units of its code
//! object ask the slow path: those of all code objects would cost too much, so the caller says which, after a first run.
//!
//! An exception that leaves a frame without a caller is uncaught; so is one that `threading` gets from a thread's function.
//! Which one it is, is told by the innermost entry of its traceback.

use super::code::Code;
use super::objects::{class_names, type_of};
use super::stops::{Stop, Stops};
use crate::memory::get;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use rdb_protocol::replay::{Entry, Raise, Raises};
use rdb_protocol::{StopKind, Time};

/// The traceback of an exception.
const TRACEBACK: u64 = 40;
/// The next inner entry of a traceback, its frame object, its offset in the code.
const TB_NEXT: u64 = 16;
const TB_FRAME: u64 = 24;
const TB_LASTI: u64 = 32;
/// More entries are not believed.
const LONGEST: usize = 1 << 20;
/// What `threading` runs a thread's function with; it catches what that leaves uncaught.
const THREAD: &str = "Thread._bootstrap_inner";

/// What is noted.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Code objects whose own stop points are noted, ascending.
    tracked: Vec<u64>,
    /// The last stop point of each frame of theirs.
    last: BTreeMap<u64, u64>,
    /// Where raising began, as [`origin`] makes one number of it; and when.
    origins: BTreeMap<u64, u64>,
    names: Vec<Vec<String>>,
    /// When the latest began.
    latest: Option<u64>,
    raised: Vec<Raise>,
    told: Vec<(String, u32)>,
    sites: Vec<(String, u32, String)>,
    uncaught: Vec<Raise>,
    /// Ascending.
    codes: Vec<u64>,
    /// Calls of this function written in C are noted, no exceptions.
    pub(super) calls: Option<Entry>,
}

impl Noted {
    /// What happens now happens in this code.
    pub(super) fn note_code(&mut self, code: u64) {
        if let Err(at) = self.codes.binary_search(&code) {
            self.codes.insert(at, code);
        }
    }

    /// When the last stop point of a frame's own was, if that is followed.
    pub(super) fn last_of(&self, frame: u64) -> Option<u64> {
        self.last.get(&frame).copied()
    }

    /// One of what is noted.
    pub(super) fn note(&mut self, raise: Raise) {
        self.raised.push(raise);
    }

    fn class(&mut self, stops: &Stops, class: u64) -> u32 {
        let names = class_names(stops.layout(), class);
        let index = self.names.iter().position(|n| *n == names).unwrap_or_else(|| {
            self.names.push(names);
            self.names.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

impl Stops {
    /// Notes exceptions from now on; the lines that raise are known in the code objects at these addresses.
    pub fn note_raises(&mut self, tracked: &[u64], calls: Option<Entry>) {
        let mut noted = Noted {
            tracked: tracked.to_vec(),
            calls,
            ..Noted::default()
        };
        if let Some(stop) = self.stop.filter(|s| noted.tracked.binary_search(&s.code).is_ok()) {
            noted.last.insert(stop.frame, self.time());
        }
        self.noted = Some(noted);
        for address in tracked {
            let Some(code) = self.codes.get_mut(address) else { continue };
            code.tracked = true;
            self.mark_units(*address);
        }
        self.mark_late();
        if calls.is_some() {
            // Where this fails, so does the run: nothing is counted.
            self.set_patched(true);
            self.trap_calls();
        }
    }

    /// What was noted since the last call.
    pub fn take_raises(&mut self) -> Raises {
        let Some(noted) = &mut self.noted else { return Raises::default() };
        Raises {
            raised: core::mem::take(&mut noted.raised),
            uncaught: core::mem::take(&mut noted.uncaught),
            told: core::mem::take(&mut noted.told),
            sites: noted.sites.clone(),
            classes: noted.names.clone(),
            codes: noted.codes.clone(),
        }
    }

    /// Whether the own stop points of the code object at `address` are noted.
    pub(super) fn tracks(&self, address: u64) -> bool {
        self.noted.as_ref().is_some_and(|n| n.tracked.binary_search(&address).is_ok())
    }

    /// An instruction of a code object whose stop points are noted is about to be executed: at the entry nothing of the frame is known.
    pub(super) fn note_new_frame(&mut self, frame: u64, address: u64, instruction: u64) {
        if let (Some(noted), Some(code)) = (&mut self.noted, self.codes.get(&address))
            && code.tracked
            && code.unit(instruction) == Some(code.entry)
        {
            noted.last.remove(&frame);
        }
    }

    /// A stop point is passed, at `time`.
    pub(super) fn note_passed(&mut self, stop: &Stop, time: u64) {
        let Some(mut noted) = self.noted.take() else { return };
        if noted.tracked.binary_search(&stop.code).is_ok() {
            match stop.kind {
                StopKind::Line | StopKind::Yield => drop(noted.last.insert(stop.frame, time)),
                StopKind::Return | StopKind::Unwind => drop(noted.last.remove(&stop.frame)),
                StopKind::Instruction => {}
            }
        }
        if stop.kind == StopKind::Unwind && self.alive && noted.calls.is_none() && self.leaves_all(stop.frame) {
            self.note_uncaught(&mut noted, stop, time);
        }
        self.noted = Some(noted);
    }

    /// An exception passes through a frame, whose frame object is given: it may have begun there.
    pub(super) fn note_raise(&mut self, frame: u64, frame_object: u64, code: u64, unit: usize) {
        let Some(mut noted) = self.noted.take_if(|n| n.calls.is_none()) else {
            return;
        };
        let at = self.time();
        let pending = self.pending(frame);
        let named = self
            .codes
            .get(&code)
            .is_some_and(|c| c.body.op(unit) == Some(self.located.layout.opcodes.raise_varargs));
        if let Some((class, traceback)) = pending.filter(|p| at > 0 && (named || p.1 == 0)) {
            noted.note_code(code);
            let time = noted.last_of(frame).unwrap_or(at);
            // One that is raised again is known by where it began first.
            if traceback == 0 {
                noted.origins.insert(origin(frame_object, offset(unit)), time);
            }
            noted.latest = Some(time);
            let message = self.message_pending(frame, class);
            let site = self.codes.get(&code).map_or_else(Default::default, |c| {
                let line = c.body.lines.get(unit).copied().flatten().unwrap_or(0);
                (c.file.clone(), line, c.qualname.clone())
            });
            let class = noted.class(self, class);
            noted.raised.push(Raise { time: Time(time), class });
            let index = noted.sites.iter().position(|s| *s == site).unwrap_or_else(|| {
                noted.sites.push(site);
                noted.sites.len() - 1
            });
            noted.told.push((message, u32::try_from(index).unwrap_or(u32::MAX)));
        }
        self.noted = Some(noted);
    }

    /// What the exception says that is pending in the thread that executes `frame`.
    fn message_pending(&self, frame: u64, class: u64) -> String {
        let layout = self.located.layout;
        let Some(thread) = self.thread_executing(frame) else {
            return String::new();
        };
        // Before 3.12 the value lies behind its type.
        let offset = layout.thread_exception + if layout.thread_traceback.is_some() { 8 } else { 0 };
        self.message_of(class, get(thread + offset))
    }

    fn note_uncaught(&mut self, noted: &mut Noted, stop: &Stop, time: u64) {
        let seen = match stop.instruction {
            // Raised again by an instruction, which has it on the stack.
            Some(_) => self.result_of(stop).filter(|&e| e != 0).map(|e| (type_of(e), get(e + TRACEBACK))),
            None => self.pending(stop.frame),
        };
        let Some((class, traceback)) = seen else { return };
        let began = match innermost(traceback) {
            Some(origin) => noted.origins.get(&origin).copied(),
            // It has no traceback yet: it began just now, in this very frame.
            None => noted.latest,
        };
        let class = noted.class(self, class);
        let time = Time(began.unwrap_or(time.saturating_sub(1).max(1)));
        noted.uncaught.push(Raise { time, class });
    }

    /// Class and traceback (0: none yet) of the exception pending in the thread that executes `frame`.
    fn pending(&self, frame: u64) -> Option<(u64, u64)> {
        let layout = self.located.layout;
        let thread = self.thread_executing(frame)?;
        let exception: u64 = get(thread + layout.thread_exception);
        if exception == 0 {
            return None;
        }
        Some(match layout.thread_traceback {
            Some(traceback) => (exception, get(thread + traceback)),
            None => (type_of(exception), get(exception + TRACEBACK)),
        })
    }

    /// Whether what leaves `frame` has left all that could catch it.
    fn leaves_all(&self, frame: u64) -> bool {
        let layout = self.located.layout;
        let mut outer: u64 = get(frame + layout.frame_previous);
        while outer != 0 {
            if let Some(code) = self
                .codes
                .get(&(get::<u64>(outer + layout.frame_code) & !3))
                .filter(|c| self.executes(outer, c))
            {
                return code.qualname == THREAD;
            }
            outer = get(outer + layout.frame_previous);
        }
        true
    }

    /// Whether a frame has begun to execute its code: the interpreter has some of its own that never do.
    pub(super) fn executes(&self, frame: u64, code: &Code) -> bool {
        const OWNED_BY_GENERATOR: u8 = 1;
        let layout = self.located.layout;
        let unit = code.unit(get(frame + layout.frame_instruction));
        unit.is_some_and(|u| u >= code.entry) || get::<u8>(frame + layout.frame_owner) == OWNED_BY_GENERATOR
    }
}

/// `tb_lasti` of a unit.
fn offset(unit: usize) -> u64 {
    2 * unit as u64
}

/// A frame object and an offset in its code as one number: addresses have 47 bits, of which the lowest 4 are 0.
fn origin(frame_object: u64, offset: u64) -> u64 {
    frame_object >> 4 << 21 | offset & 0x1f_ffff
}

/// The origin that the innermost entry of a traceback tells.
fn innermost(traceback: u64) -> Option<u64> {
    let inner = |&entry: &u64| Some(get::<u64>(entry + TB_NEXT)).filter(|&next| next != 0);
    let last = core::iter::successors(Some(traceback).filter(|&t| t != 0), inner)
        .take(LONGEST)
        .last()?;
    Some(origin(get(last + TB_FRAME), get::<u32>(last + TB_LASTI).into()))
}
