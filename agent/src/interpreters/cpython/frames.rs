//! The stack, the place stood at, and where the interpreter keeps what an evaluation needs: all read from memory.

use super::code::Code;
use super::layout::{Breaker, Layout};
use super::objects::type_of;
use super::stops::Stops;
use crate::memory::get;
use alloc::vec::Vec;
use rdb_protocol::{Activation, Frame, Location};

/// More interpreters, threads or frames are not believed.
const MOST: usize = 1 << 20;
/// Of a frame's `owner`.
const OWNED_BY_GENERATOR: u8 = 1;

impl Stops {
    /// Where the program stands; `None` between stop points. The thread is for the caller to fill in.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        let stop = self.stop?;
        let code = self.codes.get(&stop.code)?;
        Some(Location {
            file: code.file.clone(),
            line: code.body.lines.get(stop.unit).copied().flatten().unwrap_or(0),
            function: code.qualname.clone(),
            kind: stop.kind,
            thread: 0,
        })
    }

    /// The stack, innermost frame first, at most `limit` frames; empty between stop points.
    #[must_use]
    pub fn frames(&self, limit: usize) -> Vec<Frame> {
        let Some(stop) = self.stop else { return Vec::new() };
        self.stack(stop.frame, limit)
    }

    /// The stack of the thread with this fs base, at most `limit` frames; empty where it executes no Python code.
    #[must_use]
    pub fn thread_frames(&self, fs: u64, limit: usize) -> Vec<Frame> {
        let Some(thread) = self.thread_with(fs) else { return Vec::new() };
        self.stack(self.innermost(thread), limit)
    }

    fn stack(&self, innermost: u64, limit: usize) -> Vec<Frame> {
        let layout = self.located.layout;
        let mut found = Vec::new();
        let mut frame = innermost;
        for _ in 0..MOST {
            if frame == 0 || found.len() == limit {
                break;
            }
            let unit = self.stop.filter(|stop| stop.frame == frame).map(|stop| stop.unit);
            found.extend(self.describe(frame, unit));
            frame = get(frame + layout.frame_previous);
        }
        found
    }

    /// The activations of a stack, from the outermost on.
    pub(super) fn activations(&self, innermost: u64) -> Vec<Activation> {
        let layout = self.located.layout;
        let is_frame = |&frame: &u64| frame != 0;
        let outward = core::iter::successors(Some(innermost).filter(is_frame), |&frame| {
            Some(get(frame + layout.frame_previous)).filter(is_frame)
        });
        let mut found: Vec<Activation> = outward
            .take(MOST)
            .map(|frame| Activation {
                frame,
                code: get::<u64>(frame + layout.frame_code) & !3,
            })
            .filter(|a| {
                let stood = self.stop.is_some_and(|stop| stop.frame == a.frame);
                self.codes.get(&a.code).is_some_and(|code| stood || self.executes(a.frame, code))
            })
            .collect();
        found.reverse();
        found
    }

    /// The generator or coroutine that this frame lies in, if it lies in one.
    pub(super) fn generator_of(&self, frame: u64) -> Option<u64> {
        const GENERATORS: [&str; 3] = ["PyGen_Type", "PyCoro_Type", "PyAsyncGen_Type"];
        let owner: u8 = get(frame + self.located.layout.frame_owner);
        let generator = frame - self.located.layout.generator_frame;
        let is = |name: &&str| self.symbol(name) == Some(type_of(generator));
        (owner == OWNED_BY_GENERATOR && GENERATORS.iter().any(is)).then_some(generator)
    }

    /// Whether this frame lies in a generator that has left it for good: its state, the last of four bytes in front of the frame, which
    /// begins at a whole word, is above 0.
    pub(super) fn is_generator_over(&self, frame: u64) -> bool {
        self.generator_of(frame).is_some() && get::<u8>(frame - 5).cast_signed() > 0
    }

    /// The innermost frame of a `PyThreadState`; 0 without one.
    pub(super) fn innermost(&self, thread: u64) -> u64 {
        let layout = self.located.layout;
        let holder = layout.thread_cframe.map_or(thread, |offset| get(thread + offset));
        if holder == 0 { 0 } else { get(holder + layout.thread_frame) }
    }

    /// The `PyThreadState` of the thread with this fs base.
    ///
    /// Each thread state holds its thread's `pthread_self()`, which is the fs base. Where it lies is told by that of the thread stood
    /// in.
    #[must_use]
    pub fn thread_with(&self, fs: u64) -> Option<u64> {
        const WORDS: u64 = 64;
        let here = self.thread_state()?;
        let own = crate::arch::bases::fs_base();
        let offset = (0..WORDS).map(|i| 8 * i).find(|i| get::<u64>(here + i) == own)?;
        self.thread_states().into_iter().find(|&t| get::<u64>(t + offset) == fs)
    }

    /// A frame of the stack; `None` for those that do not (or not yet) execute Python code.
    fn describe(&self, frame: u64, unit: Option<usize>) -> Option<Frame> {
        let layout = self.located.layout;
        let address = get::<u64>(frame + layout.frame_code) & !3;
        if address == 0 || type_of(address) != self.located.code_type {
            return None;
        }
        let read;
        let code = match self.codes.get(&address) {
            Some(code) => code,
            None => {
                read = Code::read(layout, address);
                &read
            }
        };
        let unit = unit.or_else(|| code.unit(get(frame + layout.frame_instruction)));
        let begun = unit.is_some_and(|u| u >= code.entry) || get::<u8>(frame + layout.frame_owner) == OWNED_BY_GENERATOR;
        if !begun {
            return None;
        }
        let line = unit.and_then(|u| code.body.lines.get(u).copied().flatten()).unwrap_or(0);
        Some(Frame {
            file: code.file.clone(),
            line,
            function: code.qualname.clone(),
            activation: Activation { frame, code: address },
        })
    }

    /// The address of an exported symbol of the interpreter's object.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.located.elf.symbol(name.as_bytes()).map(|(address, _)| address)
    }

    /// The version's offsets.
    #[must_use]
    pub fn layout(&self) -> &'static Layout {
        self.located.layout
    }

    /// The `PyThreadState` that stands at the stop point.
    #[must_use]
    pub fn thread_state(&self) -> Option<u64> {
        self.thread_executing(self.stop?.frame)
    }

    /// The `PyThreadState` whose innermost frame this is.
    pub(super) fn thread_executing(&self, frame: u64) -> Option<u64> {
        self.thread_states().into_iter().find(|&t| self.innermost(t) == frame)
    }

    pub(super) fn thread_states(&self) -> Vec<u64> {
        let layout = self.located.layout;
        let Some(runtime) = self.symbol("_PyRuntime") else {
            return Vec::new();
        };
        let mut all = Vec::new();
        let chain = |first: u64, next: u64| {
            core::iter::successors(Some(first), move |&x| Some(get(x + next)))
                .take_while(|&x| x != 0)
                .take(MOST)
        };
        for interpreter in chain(get(runtime + layout.runtime_interpreters), layout.interpreter_next) {
            all.extend(chain(get(interpreter + layout.interpreter_threads), layout.thread_next));
        }
        all
    }

    /// The words that ask the evaluation loop to wait for other threads: address, size in bytes, bits. A throw-away process clears
    /// these bits before it evaluates anything.
    #[must_use]
    pub fn breaker_words(&self) -> Vec<(u64, u8, u64)> {
        let Some(thread) = self.thread_state() else { return Vec::new() };
        match self.located.layout.breaker {
            Breaker::Thread { word } => Vec::from([(thread + word, 8, 0xff)]),
            Breaker::Interpreter { breaker, drop_request } => {
                let interpreter: u64 = get(thread + self.located.layout.thread_interpreter);
                [breaker, drop_request].map(|offset| (interpreter + offset, 4, 0xffff_ffff)).into()
            }
        }
    }
}
