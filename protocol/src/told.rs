//! What requests and replies of clients are about.

use crate::common::{BreakpointPlace, Direction, EventIndex, FrameNumber, Location, Time};
use crate::replay::Interpreter;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An expression to watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The expression. `$N` in it is the object of that number.
    pub expression: String,
    /// The frame whose names are meant.
    pub frame: FrameNumber,
    /// Local variables in it are the objects they are now.
    pub bind: bool,
}

/// A value that an expression has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// From this stop point on.
    pub since: Time,
    /// The value's `repr`, or the error.
    pub text: String,
    /// Where the change was made: the stop point before; `None` for the first value.
    pub made: Option<Location>,
}

/// A watchpoint's change of value between two stop points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueChange {
    /// The watchpoint; 0: what [`Call::Last`](crate::client::Call::Last) looked for.
    pub id: u32,
    /// Its expression.
    pub expression: String,
    /// The value before, in time.
    pub old: String,
    /// The value after.
    pub new: String,
}

/// A change of a breakpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Another condition, or none.
    Condition(Option<String>),
    /// So many hits are passed over from now on, in either direction.
    Ignore(u64),
    /// Whether it takes part.
    Enabled(bool),
    /// Lines that the client carries out when it stops there; for the daemon they mean nothing.
    Commands(Vec<String>),
}

/// A line that the program printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Counted from 1.
    pub number: u32,
    /// The stop point after which it was written.
    pub time: Time,
    /// Whether it was written to standard error.
    pub error: bool,
    /// Its text, without the line break.
    pub text: String,
}

/// A moment with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Its name.
    pub name: String,
    /// When.
    pub time: Time,
}

/// Why the cursor stands where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A breakpoint.
    Breakpoint,
    /// A watchpoint.
    Watchpoint,
    /// The step is done.
    Step,
    /// Another thread runs.
    ThreadSwitch,
    /// The jump is done.
    Go,
    /// Nothing moved: the answer to [`Call::When`](crate::client::Call::When).
    Here,
    /// The main module is done.
    MainDone,
    /// Nothing earlier is recorded.
    HistoryBegin,
    /// Nothing later is recorded.
    HistoryEnd,
}

impl StopReason {
    /// The name used in `--json` output (DESIGN §6, snake case).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StopReason::Breakpoint => "breakpoint",
            StopReason::Watchpoint => "watchpoint",
            StopReason::Step => "step",
            StopReason::ThreadSwitch => "thread_switch",
            StopReason::Go => "go",
            StopReason::Here => "here",
            StopReason::MainDone => "main_done",
            StopReason::HistoryBegin => "history_begin",
            StopReason::HistoryEnd => "history_end",
        }
    }
}

/// A stop as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Why.
    pub reason: StopReason,
    /// When.
    pub time: Time,
    /// So many instructions later; 0 at the stop point itself.
    pub instruction: u64,
    /// Where; `None` when the program has no stop point here (an empty history).
    pub location: Option<Location>,
    /// Breakpoints hit here, ascending (whatever the reason).
    pub breakpoints: Vec<u32>,
    /// Direction of the move that led here.
    pub direction: Direction,
    /// After a move that goes by frames, at a return or an unwinding: the value returned or the exception, where it could be had.
    pub value: Option<String>,
    /// What the watchpoints hit here have seen: the change that led here, or backward the one about to be made.
    pub changes: Vec<ValueChange>,
    /// What else there is to say: conditions that failed.
    pub notes: Vec<String>,
    /// What the actions met on the way came to, in the order in which they were met.
    pub printed: Vec<Printed>,
}

impl Stop {
    /// When, instruction included.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment {
            time: self.time,
            instruction: self.instruction,
        }
    }
}

/// A stop point, or an instruction between it and the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The stop point.
    pub time: Time,
    /// So many instructions later.
    pub instruction: u64,
}

impl core::fmt::Display for Moment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.instruction {
            0 => self.time.fmt(f),
            n => write!(f, "{}+{n}", self.time),
        }
    }
}

/// What an action came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// The number of its breakpoint.
    pub id: u32,
    /// When.
    pub time: Time,
    /// False: the expression raised, or could not be evaluated; `text` says why.
    pub ok: bool,
    /// The value.
    pub text: String,
}

/// Evaluations in copies of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluations {
    /// How many.
    pub count: u64,
    /// The time they took, all together.
    pub microseconds: u64,
}

/// A breakpoint as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakpointInfo {
    /// Its number, from 1.
    pub id: u32,
    /// Where.
    pub place: BreakpointPlace,
    /// Whether anything matches it, as far as is known.
    pub note: Option<String>,
    /// An expression that must hold there.
    pub condition: Option<String>,
    /// Whether it takes part.
    pub enabled: bool,
    /// Whether it is deleted when it stops a move.
    pub temporary: bool,
    /// Searches that came to it, its condition holding.
    pub hits: u64,
    /// What its condition, or the expression watched, has cost where it could not be decided by reading memory.
    #[serde(default)]
    pub evaluations: Evaluations,
    /// So many hits are passed over from now on.
    pub ignore: u64,
    /// An expression that is evaluated at each hit, which does then not stop a move.
    pub action: Option<String>,
    /// Lines that the client carries out when it stops there.
    pub commands: Vec<String>,
}

impl BreakpointInfo {
    /// A plain one, without a number yet.
    #[must_use]
    pub fn new(place: BreakpointPlace) -> BreakpointInfo {
        BreakpointInfo {
            id: 0,
            place,
            note: None,
            condition: None,
            enabled: true,
            temporary: false,
            hits: 0,
            evaluations: Evaluations::default(),
            ignore: 0,
            action: None,
            commands: Vec::new(),
        }
    }
}

/// A checkpoint as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointInfo {
    /// Stop points passed.
    pub time: Time,
    /// Events passed.
    pub event: EventIndex,
    /// Process id.
    pub pid: i32,
    /// Proportional set size in KiB, when it could be read.
    pub pss_kib: Option<u64>,
}

/// Facts about a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceInfo {
    /// Its directory.
    pub path: String,
    /// The recorded command.
    pub command: Vec<String>,
    /// The directory it ran in.
    pub directory: String,
    /// Events recorded.
    pub events: EventIndex,
    /// Bytes of the event log.
    pub bytes: u64,
    /// How the recording ended, one phrase.
    pub ending: String,
    /// Last stop point, once the survey knows.
    pub last: Option<Time>,
    /// Time at which the main module was done, once known.
    pub main_done: Option<Time>,
    /// Whether the survey is complete.
    pub surveyed: bool,
    /// The interpreter.
    pub interpreter: Interpreter,
}

/// An evaluation's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// False: the code raised, was refused or could not be compiled; `text` says so.
    pub ok: bool,
    /// `repr` of the value (empty for a statement), or the error.
    pub text: String,
    /// What the code printed.
    pub output: String,
    /// The `N` of `$N`: the value is an object of the program's, and keeps this number for good.
    pub number: Option<u32>,
}
