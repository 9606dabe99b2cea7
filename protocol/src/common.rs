//! Words both links share: time, position, places in source.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Ordinal of a stop point, counted over all threads from 1. Zero is the moment before the first.
///
/// Opaque to clients: it is ordered and printable, no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// The moment before the first stop point.
    pub const BEGIN: Time = Time(0);
}

impl core::fmt::Display for Time {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Ordinal of an event in the trace (a record of the trace, never a user-interface event).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventIndex(pub u64);

impl core::fmt::Display for EventIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Which way to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Towards the end of the recording.
    Forward,
    /// Towards its beginning.
    Backward,
}

/// What a stop point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopKind {
    /// The start of an executed source line, loop re-entry included. Shown `>`.
    Line,
    /// A frame is about to return a value. Shown `<<`.
    Return,
    /// A generator or coroutine is about to yield. Shown `<<`.
    Yield,
    /// An exception is about to leave a frame. Shown `!!`.
    Unwind,
    /// No stop point, but an instruction between two of them. Shown `+`.
    Instruction,
}

/// Where the program stands, as its source names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file name as the program knows it (CPython: `co_filename`); may be relative to the recorded directory.
    pub file: String,
    /// Line, from 1. Zero where the interpreter gives none.
    pub line: u32,
    /// Qualified function name (CPython 3.11+: `co_qualname`).
    pub function: String,
    /// What kind of stop point this is.
    pub kind: StopKind,
    /// The thread that stands here: its ordinal in the recording, the first being 0.
    pub thread: u32,
}

/// A place in the recording: how far a replay process has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Stop points passed, the one stood at included.
    pub time: Time,
    /// Events passed.
    pub event: EventIndex,
    /// The stop point stood at; `None` between stop points (before the first, or stopped at an event).
    pub location: Option<Location>,
}

/// One activation of a function: opaque, and the same in every replay of a recording. Another activation may bear its name after
/// its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activation {
    /// Its frame.
    pub frame: u64,
    /// The code it executes.
    pub code: u64,
}

/// A call in which something is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchedCall {
    /// Which.
    pub activation: Activation,
    /// Qualified name of the function.
    pub function: String,
    /// Its first stop point.
    pub from: Time,
    /// The first stop point at which it is over; `None` where the recording ends before.
    pub until: Option<Time>,
    /// Its variables are kept in a dictionary: the body of a class, or code that `exec` was given one for.
    #[serde(default)]
    pub body: bool,
}

impl WatchedCall {
    /// What it is, for people.
    #[must_use]
    pub fn what(&self) -> String {
        match (self.body, self.function.as_str()) {
            (false, function) => format!("call of {function}"),
            (true, "<module>") => "run of the code executed".into(),
            (true, class) => format!("body of class {class}"),
        }
    }
}

/// One frame of a backtrace, innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// File name as the program knows it.
    pub file: String,
    /// Line, from 1; zero where unknown.
    pub line: u32,
    /// Qualified function name.
    pub function: String,
    /// Which activation of that function.
    pub activation: Activation,
}

/// A frame of a thread's stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameNumber {
    /// The thread; `None` the one that stands at the stop point.
    pub thread: Option<u32>,
    /// Its frame, 0 the innermost.
    pub number: u32,
}

/// A thread that is alive, and what it executes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its ordinal in the recording, the first being 0.
    pub number: u32,
    /// Its innermost frame; `None` where it executes no code of the interpreter.
    pub frame: Option<Frame>,
    /// Whether it stands at the stop point.
    pub current: bool,
}

/// How much of values is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Levels of containers in containers.
    pub depth: u32,
    /// Elements of each container.
    pub elements: u32,
    /// Characters of a value.
    pub size: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 6,
            elements: 100,
            size: 140,
        }
    }
}

/// Which variables of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Those of the function.
    Local,
    /// Those of its module.
    Global,
}

/// A variable as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value as the interpreter represents it, cut to a readable length.
    pub value: String,
    /// Whether it is a parameter of the function.
    pub argument: bool,
}

/// What a breakpoint asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BreakpointPlace {
    /// Each time this line starts, in every file whose path ends in `file` (whole components, case-insensitive).
    Line {
        /// Path suffix.
        file: String,
        /// Line, from 1.
        line: u32,
    },
    /// Each entry of every function of this name, plain or qualified.
    Function {
        /// The name.
        name: String,
    },
    /// Each return from every function of this name, plain or qualified.
    Return {
        /// The name.
        name: String,
    },
    /// Each stop point that prints a line which matches.
    Output {
        /// A regular expression.
        pattern: String,
    },
    /// Each change of an expression's value.
    Value {
        /// The expression.
        expression: String,
        /// The module whose names it sees; empty: builtin names alone.
        module: String,
        /// The call whose variables it sees, too.
        #[serde(default)]
        call: Option<WatchedCall>,
    },
    /// Each stop point at which an exception of this class, or of one that derives from it, begins to be raised.
    Raise {
        /// The end of the class's dotted name; `None` any class.
        class: Option<String>,
    },
    /// Each stop point at which an exception begins to be raised that nothing catches.
    Uncaught,
    /// Each stop point in other files than these.
    Outside {
        /// File names as the program knows them.
        files: Vec<String>,
    },
    /// These stop points.
    Times {
        /// Ascending.
        times: Vec<Time>,
    },
    /// Each first stop point of a thread after another thread's.
    Switch {
        /// The thread that ran before; `None` any.
        from: Option<u32>,
        /// The thread that runs now; `None` any.
        to: Option<u32>,
    },
    /// Each entry of every function of this name, plain or qualified, and each stop point that leaves it, if only for a while.
    Calls {
        /// The name.
        name: String,
    },
    /// Each stop point at which a line begins that calls a function written in C.
    Native {
        /// Its dotted name, from a module or the builtin names on.
        name: String,
    },
}

/// A source file the program ran, as far as a replay has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// File name as the program knows it.
    pub file: String,
    /// Lines a breakpoint can stand on, ascending.
    pub lines: Vec<u32>,
    /// Functions: qualified name and first line.
    pub functions: Vec<(String, u32)>,
}
