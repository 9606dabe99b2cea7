//! The replay link: `rdbd` to one replay process.
//!
//! A replay process waits for an [`Order`], carries it out, sends exactly one [`Answer`], and waits again. A process
//! killed or gone closes its socket. There is no cancellation: a runner is disposable and is killed.
//!
//! A new process says nothing by itself: the root, started as `agent replay TRACE FD`, and every copy made by
//! [`Order::Fork`] first wait for an order.

use crate::common::{
    Activation, BreakpointPlace, EventIndex, Frame, FrameNumber, Limits, Position, Scope, SourceFile, Thread, Time, Variable,
};
use crate::predicate::Predicate;
use crate::rows::Rows;
use crate::stretch::Stretch;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the daemon asks of a replay process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Make a copy of yourself, as a child of the daemon (`CLONE_PARENT`). The frame carries one socket (SCM_RIGHTS), the
    /// copy's link. Answer (from the original): [`Answer::Forked`].
    Fork,
    /// Replace the breakpoints. Answer: [`Answer::Done`].
    Breakpoints(Vec<Breakpoint>),
    /// Follow this activation, or none, in later runs. Answer: [`Answer::Done`].
    Follow(Option<Follow>),
    /// Run forward. Answer: [`Answer::Stopped`] or [`Answer::Diverged`].
    Run(Run),
    /// Only in a throw-away copy: run forward to where so many more instructions have been passed, or to the next stop point if that is
    /// sooner. Answer: as to [`Order::Run`].
    Instructions {
        /// How many, at least 1.
        count: u64,
    },
    /// Only in a throw-away copy: the objects on the value stack of the frame stood in, the oldest first. Answer: [`Answer::Stack`].
    Stack {
        /// How much of values.
        limits: Limits,
    },
    /// Where do you stand, and which breakpoints stand there? Answer: [`Answer::Stopped`] with [`RunEnd::Goal`].
    Where,
    /// The stack of a thread, innermost first, at most `limit` frames. Reads only. Answer: [`Answer::Frames`].
    Backtrace {
        /// Which thread; `None` the one stood in.
        thread: Option<u32>,
        /// Most frames to give.
        limit: u32,
    },
    /// All threads alive. Reads only. Answer: [`Answer::Threads`].
    Threads,
    /// All source files seen so far. Answer: [`Answer::Sources`].
    Sources,
    /// Facts about the interpreter. Answer: [`Answer::Interpreter`].
    Interpreter,
    /// Only in a throw-away copy: evaluate in frame `frame` (0 innermost). Answer: [`Answer::Evaluated`]; the process
    /// may only be killed after it. The daemon sets the deadline and kills a process that exceeds it.
    Evaluate {
        /// Expression or statement.
        source: String,
        /// In which frame.
        frame: FrameNumber,
        /// Names for objects that are there: the name, and the address.
        bound: Vec<(String, u64)>,
    },
    /// Only in a throw-away copy: evaluate an expression, telling what memory the value depends on. Answer: [`Answer::Observed`].
    Observe {
        /// The expression.
        source: String,
        /// The module whose names it sees; empty: none but the builtin ones.
        module: String,
        /// An activation that is there: its variables are seen, too, and the global ones of its code instead of a module's.
        activation: Option<Activation>,
        /// Names for objects that are there: the name, and the address.
        bound: Vec<(String, u64)>,
    },
    /// Replace what is watched: from now on a stop point at which one of the words differs is a hit of the watchpoint. Words that
    /// differ already are passed over. Answer: [`Answer::Done`].
    Watch(Vec<Watched>),
    /// Only in a process that is thrown away: from now on note when this object's memory is taken or given up
    /// ([`Stopped::boundaries`]); once in a process. Answer: [`Answer::Done`].
    WatchLife(Object),
    /// Only in a process that is thrown away: from now on note the exceptions that are raised. In functions whose code lies at
    /// these addresses the line that raises is known; in others only the stop point passed last. Answer: [`Answer::Done`].
    NoteRaises {
        /// Addresses of code, ascending.
        tracked: Vec<u64>,
        /// Not exceptions, but calls of a function written in C: its entry. They are told like exceptions, without a class.
        calls: Option<Entry>,
    },
    /// Only in a throw-away copy: where the code of a function written in C begins, which is named by its dotted name. Answer:
    /// [`Answer::Entry`].
    Entry {
        /// The name.
        name: String,
    },
    /// The exceptions noted since the last such order. Answer: [`Answer::Raises`].
    TakeRaises,
    /// Only in a throw-away copy: whether the object watched has been there since the watch began, and is. Answer:
    /// [`Answer::There`].
    IsThere,
    /// Only in a throw-away copy, standing at a return or an unwinding: the value returned, or the exception. Answer:
    /// [`Answer::Evaluated`].
    Result,
    /// Only in a throw-away copy: the variables of a frame. Answer: [`Answer::Locals`].
    Locals {
        /// In which frame.
        frame: FrameNumber,
        /// Which of them.
        scope: Scope,
        /// How much of their values.
        limits: Limits,
        /// Ask no object for its repr that may take long.
        plain: bool,
    },
    /// Only in a process that is thrown away: what is evaluated at each breakpoint hit of a run with [`Hits::Evaluate`], the place stood
    /// in when the run begins included. Answer: [`Answer::Done`].
    Inline(Inline),
    /// The rows evaluated since the last such order. Answer: [`Answer::Rows`].
    TakeRows,
    /// Only in a throw-away copy: evaluate what [`Order::Inline`] has named, here. Answer: [`Answer::Rows`].
    Row,
    /// What was passed since the last such order; from the first on that is noted. Answer: [`Answer::Stretch`].
    Stretch,
    /// As [`Order::Stretch`], where stacks are known: at a stop point or at the end. Elsewhere the answer is [`Answer::Done`], and nothing is
    /// taken. May be sent right behind a run's order: two answers for one round trip.
    StretchHere,
}

/// What is evaluated where breakpoints are hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inline {
    /// Only where this holds.
    pub condition: Option<String>,
    /// What is evaluated.
    pub expressions: Vec<String>,
    /// Objects that have names in these.
    pub objects: Vec<NamedObject>,
    /// Not these, but what begins and ends: arguments, results and exceptions ([`BreakpointPlace::Calls`]).
    pub calls: bool,
    /// How much of values.
    pub limits: Limits,
}

/// An object under a name, and what code that uses it raises where it is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedObject {
    /// The name.
    pub name: String,
    /// Where it is.
    pub address: u64,
    /// The first time it is there, and the error before.
    pub from: (Time, String),
    /// The first time it is not there any more, and the error from then on.
    pub until: Option<(Time, String)>,
}

/// A breakpoint as a replay process knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakpoint {
    /// The user's number.
    pub id: u32,
    /// Where.
    pub place: BreakpointPlace,
    /// In a run with [`Hits::Stop`] or [`Hits::Evaluate`], only where this holds or cannot be told.
    pub test: Option<Predicate>,
    /// Its hits do not end a run with [`Hits::Stop`] where it is certain that they are hits: [`Stopped::quiet`].
    pub quiet: bool,
}

/// Some bytes of the program's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C)]
pub struct Word {
    /// Where: a multiple of 8.
    pub address: u64,
    /// What was there.
    pub value: u64,
    /// The bits that count.
    pub mask: u64,
}

/// A watchpoint as a replay process knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The user's number.
    pub id: u32,
    /// The call whose variables are among it.
    pub call: Option<Activation>,
    /// What its value depends on.
    pub words: Vec<Word>,
}

/// A value, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// False: the code raised, or was refused.
    pub ok: bool,
    /// `repr` of the value, or the error in one line.
    pub text: String,
    /// As long as these stay the same, so does the value.
    pub words: Vec<Word>,
    /// There may be more that it depends on.
    pub inexact: bool,
}

/// An activation to follow: its own stop points count as hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Which.
    pub activation: Activation,
    /// Which of its stop points.
    pub passing: Passing,
}

/// Stop points of a followed activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Passing {
    /// All, but for yields that only hand through what an inner `await` or `yield from` waits for.
    Any,
    /// Its return or unwinding.
    End,
}

/// How far to run. The first goal reached ends the run; the end of the trace always does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Stop at this stop point. A time already passed is answered at once, without running.
    pub until_time: Option<Time>,
    /// Stop before this event if no stop point came first.
    pub until_event: Option<EventIndex>,
    /// What to do with breakpoints on the way.
    pub hits: Hits,
}

/// What to do with breakpoint hits during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hits {
    /// Run through.
    Ignore,
    /// Stop at the first.
    Stop,
    /// Run through, remembering the last one strictly before the goal; it is given in [`Stopped::last_hit`].
    Last,
    /// Run through, evaluating at each what [`Order::Inline`] has named; pause at one where much is waiting to be taken.
    Evaluate,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunEnd {
    /// A goal was reached.
    Goal,
    /// A breakpoint was hit ([`Hits::Stop`]).
    Breakpoint,
    /// A stop point of the followed activation's own ([`Hits::Stop`]); breakpoints may lie there too.
    Own,
    /// The program's main module is done (interpreter shutdown begins); said once, after the last stop point before it, and only
    /// in a run with [`Hits::Stop`].
    MainDone,
    /// The recording ends here: the program exited, was killed, or the trace is cut off.
    End,
}

/// A breakpoint hit on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// When.
    pub time: Time,
    /// Which breakpoints, ascending.
    pub breakpoints: Vec<u32>,
}

/// What identifies an object together with a time at which it is alive: replay is exact, so addresses are the same in every
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Its address.
    pub address: u64,
    /// Where the allocator's block begins that holds it.
    pub block: u64,
    /// The function that ends objects of its type; 0 where the type keeps no free list, and the block tells all.
    pub dealloc: u64,
    /// The first bytes of that function.
    pub dealloc_code: u64,
}

/// When the memory of an object watched was taken or given up. Each happened after that stop point, before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries {
    /// The first time since the watch began.
    pub first: Option<Time>,
    /// The last time.
    pub last: Option<Time>,
    /// The program has interfered with the watch: there may have been others.
    pub lost: bool,
}

/// Where the code of a function written in C begins: its object may be mapped later, and lies there in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its address.
    pub address: u64,
    /// Its first bytes.
    pub code: u64,
}

/// An exception that was raised: where it began, not where it passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// The stop point at which the line that raises began; the last one passed where that is not known.
    pub time: Time,
    /// Index of its class in [`Raises::classes`].
    pub class: u32,
}

/// Exceptions noted during a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raises {
    /// Those raised since the last question, in the order of the run.
    pub raised: Vec<Raise>,
    /// Those that have left the outermost frame of a thread since: where they had begun.
    pub uncaught: Vec<Raise>,
    /// Of each in [`Raises::raised`], what it says and where: index in [`Raises::sites`].
    pub told: Vec<(String, u32)>,
    /// Where exceptions were raised so far: file, line, function.
    pub sites: Vec<(String, u32, String)>,
    /// All classes seen so far: the dotted name of each, and those of the classes it derives from.
    pub classes: Vec<Vec<String>>,
    /// The code that has raised any so far, ascending.
    pub codes: Vec<u64>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Why.
    pub end: RunEnd,
    /// Where.
    pub position: Position,
    /// Breakpoints hit at this very stop point, ascending.
    pub breakpoints: Vec<u32>,
    /// Hits of quiet breakpoints on the way, where no other was hit: when, and the breakpoint's number.
    pub quiet: Vec<(Time, u32)>,
    /// So many of these were before the followed activation began, if it has.
    pub quiet_before: u32,
    /// Whether this very stop point is the followed activation's own.
    pub own: bool,
    /// With [`Hits::Last`]: the last hit strictly before the position; after the followed activation has begun, if it has.
    pub last_hit: Option<Hit>,
    /// The last stop point of the followed activation's own, strictly before the position; after it has begun, if it has.
    pub last_own: Option<Time>,
    /// An activation of that name has begun during this run.
    pub begun: bool,
    /// The first stop point behind the last such beginning.
    pub begun_at: Option<Time>,
    /// Time at which the main module was done, once known.
    pub main_done: Option<Time>,
    /// With [`Order::WatchLife`]: what was seen of the object.
    pub boundaries: Option<Boundaries>,
    /// With [`Order::Instructions`]: so many were passed since the stop point at which the first such order came.
    pub instructions: u64,
}

/// A replay that no longer follows the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// At which event.
    pub event: EventIndex,
    /// After this stop point; [`Time::BEGIN`] before the first.
    pub time: Time,
    /// In which thread.
    pub thread: u32,
    /// What the trace says.
    pub expected: String,
    /// What the replay did.
    pub actual: String,
}

/// What stop points the recorded program has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interpreter {
    /// None seen yet.
    Unknown,
    /// Stop points work.
    Ready {
        /// For instance `CPython 3.11`.
        name: String,
    },
    /// An interpreter was found but source-level travel is not available for it.
    Unsupported {
        /// One line: name, version, build id, and why.
        reason: String,
    },
}

/// An evaluation's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluated {
    /// False: the code raised, was refused or could not be compiled; `text` says so.
    pub ok: bool,
    /// `repr` of the value (empty for a statement), or the error.
    pub text: String,
    /// What the code printed.
    pub output: String,
    /// The value's identity, where it is more than its repr.
    pub object: Option<Object>,
    /// The value is the object watched ([`Order::WatchLife`]), which was there before the evaluation.
    pub same: bool,
}

/// What a replay process answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Carried out.
    Done,
    /// The copy's process id.
    Forked {
        /// Process id, in the daemon's namespace.
        pid: i32,
    },
    /// A run's end, or the present position.
    Stopped(Stopped),
    /// The replay differs from the recording; this process is of no further use.
    Diverged(Divergence),
    /// The stack.
    Frames(Vec<Frame>),
    /// The threads.
    Threads(Vec<Thread>),
    /// The sources.
    Sources(Vec<SourceFile>),
    /// The interpreter.
    Interpreter(Interpreter),
    /// The value.
    Evaluated(Evaluated),
    /// The value watched.
    Observed(Observed),
    /// The variables.
    Locals(Vec<Variable>),
    /// The values, the oldest first; `None` for a place that holds none.
    Stack(Vec<Option<String>>),
    /// Whether the object watched is there.
    There(bool),
    /// The exceptions.
    Raises(Raises),
    /// The entry.
    Entry(Entry),
    /// What was evaluated.
    Rows(Rows),
    /// What was passed.
    Stretch(Stretch),
    /// The order could not be carried out; one line.
    Failed {
        /// What is wrong and what to do.
        reason: String,
    },
}
