//! The client link: `rdbctl` (or any front end) to `rdbd`.
//!
//! The first frame of a client is [`Hello`]; the daemon answers with [`Welcome`] and closes the connection when the versions
//! differ. Then the client sends [`Request`]s; each gets exactly one [`Response`] with its id, and
//! [`Notification`]s may come in between. One request runs at a time per connection, except [`Call::Interrupt`], which may be sent
//! while another runs and makes that one end with [`FailureCode::Interrupted`], the cursor where it was.
//!
//! Sessions on the same trace share its replay processes. Each has a cursor of its own, unless it opens one by name; those that keep
//! the trace's breakpoints ([`Call::KeepBreakpoints`]) have them in common. What one does to what others share is told to them
//! ([`Notification`]).

use crate::common::{BreakpointPlace, Direction, Frame, FrameNumber, Limits, Location, Scope, SourceFile, Thread, Time, Variable};
pub use crate::query::{Query, QueryOf, SomeRows};
pub use crate::told::{
    Bookmark, BreakpointInfo, Change, CheckpointInfo, Evaluations, Moment, OutputLine, Past, Printed, Stop, StopReason, TraceInfo, Value,
    ValueChange, Watch,
};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Version of this link. Changed whenever a frame's meaning changes.
pub const VERSION: u32 = 11;

/// First four bytes of [`Hello`]: refuses strangers before any decoding of theirs matters.
pub const MAGIC: [u8; 4] = *b"rdb1";

/// First frame of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`VERSION`] of the client.
    pub version: u32,
}

/// First frame of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`VERSION`] of the daemon. The connection is closed when it differs from the client's.
    pub version: u32,
    /// The daemon's process id.
    pub pid: i32,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client, given back in the response.
    pub id: u64,
    /// What is asked.
    pub call: Call,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// To a stop point.
    Time(Time),
    /// To the instruction of this number behind a stop point, 0 the stop point itself.
    Instruction(Time, u64),
    /// To the first stop point.
    Start,
    /// To the last.
    End,
    /// To where this line was printed, counted from 1.
    Output(u32),
    /// To this part of the whole, in thousandths (`go 50%` is 500).
    Permille(u16),
}

impl From<Moment> for Target {
    fn from(moment: Moment) -> Target {
        match moment.instruction {
            0 => Target::Time(moment.time),
            number => Target::Instruction(moment.time, number),
        }
    }
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Open a session on a trace (absolute path); must come first, once. A cursor shared with others stays where it is. Reply:
    /// [`Reply::Opened`].
    Open {
        /// Trace directory.
        trace: String,
        /// The cursor to share with all sessions on this trace that name it, as bookmarks are named; `None` for one of its own.
        cursor: Option<String>,
    },
    /// Move by `count` stop points. Reply: [`Reply::Stopped`].
    Step {
        /// How many, at least 1.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// Move by `count` instructions; stop points count as the places they are. Reply: [`Reply::Stopped`].
    StepInstruction {
        /// How many, at least 1.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// Move by `count` stop points of the frame stood in, over the calls it makes; when it has no more, of its caller. Reply:
    /// [`Reply::Stopped`].
    Next {
        /// How many, at least 1.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// Move out of the frame stood in: to where it is left, or back to its call. Reply: [`Reply::Stopped`].
    Finish {
        /// Which way.
        direction: Direction,
    },
    /// Move to a place, but not out of the frame stood in. Reply: [`Reply::Stopped`].
    Until {
        /// Where; an empty file means the current one.
        place: BreakpointPlace,
        /// Which way.
        direction: Direction,
    },
    /// Move to a breakpoint hit that way. Reply: [`Reply::Stopped`].
    Continue {
        /// To which hit, the next one being the first; at least 1.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// Move to where another thread, or this one, runs: forward to the first stop point after a switch, backward to the last before
    /// one. Reply: [`Reply::Stopped`].
    Switch {
        /// Which thread; `None` any other.
        thread: Option<u32>,
        /// Which way.
        direction: Direction,
    },
    /// Jump. Reply: [`Reply::Stopped`].
    Go {
        /// Where.
        to: Target,
    },
    /// Where are we? Reply: [`Reply::Stopped`] with [`StopReason::Here`].
    When,
    /// Set a breakpoint. Reply: [`Reply::Breakpoints`] with the new one alone.
    Break {
        /// Where; an empty file in [`BreakpointPlace::Line`] means the current one.
        place: BreakpointPlace,
        /// An expression that must hold there.
        condition: Option<String>,
        /// Delete it when it stops a move.
        temporary: bool,
        /// An expression that is evaluated at each hit, which does then not stop the move: [`Stop::printed`].
        action: Option<String>,
    },
    /// Set a watchpoint: a breakpoint that is hit where the value of an expression changes. It sees the names of the module of the
    /// frame, and numbered objects. Reply: [`Reply::Breakpoints`] with the new one alone.
    Watch {
        /// What is watched.
        watch: Watch,
        /// Delete it when it stops a move.
        temporary: bool,
    },
    /// Back to the last change of an expression's value: to where the value it has now was about to be given. Reply:
    /// [`Reply::Stopped`].
    Last(Watch),
    /// All values an expression has had. Reply: [`Reply::History`].
    History {
        /// Of what.
        watch: Watch,
        /// At most so many changes, the first ones.
        limit: u32,
    },
    /// Change one breakpoint, or all. Reply: [`Reply::Done`].
    Change {
        /// Its number; `None` changes all.
        id: Option<u32>,
        /// What.
        change: Change,
    },
    /// Delete one breakpoint, or all. Reply: [`Reply::Done`].
    Delete {
        /// Its number; `None` deletes all.
        id: Option<u32>,
    },
    /// From now on moves that step ([`Call::Step`], [`Call::Next`], [`Call::Finish`]) do not stop in these files, but go on that way;
    /// breakpoints there do stop them. Reply: [`Reply::Skipping`].
    Skip {
        /// A file's path or the end of it, with `*` and `?`, or a module's or package's dotted name; replaces those before.
        patterns: Vec<String>,
    },
    /// The stop points between two times, both excluded, the nearest to `to` only if they are more than `limit`; in order of time.
    /// Reply: [`Reply::Passed`].
    Passed {
        /// Where a move began.
        from: Time,
        /// Where it ended.
        to: Time,
        /// Most stop points to give.
        limit: u32,
    },
    /// All breakpoints. Reply: [`Reply::Breakpoints`].
    Breakpoints,
    /// Go on with the breakpoints of the trace: those that are saved with it, and are saved at each change; all sessions that keep them
    /// share them. The session's own so far are added to them, under other numbers where theirs are taken. Reply:
    /// [`Reply::Breakpoints`] with all.
    KeepBreakpoints,
    /// Evaluate in a probe. Reply: [`Reply::Evaluated`].
    Evaluate {
        /// Expression or statement. `$N` in it is the object of that number.
        source: String,
        /// Whether an object of the program's is to be given a number.
        number: bool,
        /// In which frame.
        frame: FrameNumber,
        /// Milliseconds before the probe is killed; 0 for the default (5 s).
        deadline_ms: u32,
    },
    /// The stack. Reply: [`Reply::Frames`].
    Backtrace {
        /// Which thread; `None` the one stood in.
        thread: Option<u32>,
        /// Most frames to give.
        limit: u32,
    },
    /// All threads alive. Reply: [`Reply::Threads`].
    Threads,
    /// Variables. Reply: [`Reply::Locals`].
    Locals {
        /// In which frame.
        frame: FrameNumber,
        /// Which of them.
        scope: Scope,
        /// How much of their values.
        limits: Limits,
    },
    /// The values on the stack of the frame stood in. Reply: [`Reply::ValueStack`].
    ValueStack {
        /// How much of the values.
        limits: Limits,
    },
    /// What the program has printed so far. Reply: [`Reply::Output`].
    Output {
        /// At most so many lines, the last ones.
        limit: u32,
    },
    /// Bookmarks. Reply: [`Reply::Bookmarks`].
    Bookmarks,
    /// Set a bookmark, or remove it; they are kept beside the trace. Reply: [`Reply::Done`].
    Bookmark {
        /// Its name: letters, digits, `_` and `-`, not beginning with a digit.
        name: String,
        /// When; `None` removes it.
        time: Option<Time>,
    },
    /// Checkpoints. Reply: [`Reply::Checkpoints`].
    Checkpoints,
    /// Facts about trace and session. Reply: [`Reply::Trace`].
    TraceInfo,
    /// Evaluate at very many places at once; a query under way is given up. Reply: [`Reply::Rows`], the first ones.
    Query(Query),
    /// The next rows of the query under way; it waits for the client to ask. Reply: [`Reply::Rows`].
    MoreRows,
    /// Source files with breakable lines and functions (waits for the survey). Reply: [`Reply::Sources`].
    Sources,
    /// Abort the running request. Reply: [`Reply::Done`]; the aborted one fails with [`FailureCode::Interrupted`].
    Interrupt,
    /// Ranges of time that take about as long to replay (waits for the survey). Reply: [`Reply::Ranges`].
    Ranges {
        /// So many at most.
        parts: u32,
    },
}

/// Part of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Its first stop point.
    pub from: Time,
    /// Its last one.
    pub to: Time,
    /// What replaying it took when that was measured, in nanoseconds.
    pub cost: u64,
}

/// What is replied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// The session is open, standing at the first stop point, or where the cursor it shares stands.
    Opened(Stop),
    /// The cursor's new place.
    Stopped(Stop),
    /// Breakpoints.
    Breakpoints(Vec<BreakpointInfo>),
    /// The value.
    Evaluated(Value),
    /// Patterns that match no file that the program ran.
    Skipping(Vec<String>),
    /// Stop points.
    Passed(Vec<(Time, Location)>),
    /// The stack.
    Frames(Vec<Frame>),
    /// The threads.
    Threads(Vec<Thread>),
    /// The variables.
    Locals(Vec<Variable>),
    /// The values, the oldest first; `None` for a place that holds none.
    ValueStack(Vec<Option<String>>),
    /// The values, by time; whether there are more.
    History(Vec<Past>, bool),
    /// The lines printed.
    Output(Vec<OutputLine>),
    /// The bookmarks, by time.
    Bookmarks(Vec<Bookmark>),
    /// The checkpoints.
    Checkpoints(Vec<CheckpointInfo>),
    /// The trace.
    Trace(TraceInfo),
    /// The sources.
    Sources(Vec<SourceFile>),
    /// Rows of a query.
    Rows(SomeRows),
    /// The ranges, ascending, without gaps.
    Ranges(Vec<Range>),
}

/// What kind of failure; stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The trace is missing, damaged, or of another version.
    Trace,
    /// No source-level travel for this program.
    NoStopPoints,
    /// Out of range, or not breakable, or no such thing.
    Invalid,
    /// Aborted by [`Call::Interrupt`]; nothing moved.
    Interrupted,
    /// The replay differs from the recording.
    Divergence,
    /// A replay process died; nothing is lost, try again.
    ReplayDied,
    /// A probe exceeded its deadline.
    Deadline,
    /// The request makes no sense now (no session, second open).
    Protocol,
    /// The daemon failed.
    Internal,
}

/// A request that could not be carried out. The cursor has not moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// For people: one line, what is wrong, where, what to do.
    pub text: String,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The request's id.
    pub id: u64,
    /// Its outcome.
    pub result: Result<Reply, Failure>,
}

/// Something the daemon says unasked. News of what others have done may come at any time, not only while a request runs; only the
/// latest of a kind may be told to a client that does not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notification {
    /// A long request is under way: times searched so far, of `total`.
    Progress {
        /// Done so far, in stop points.
        done: u64,
        /// Out of, in stop points.
        total: u64,
    },
    /// Another session has moved the cursor shared with it.
    Stopped(Stop),
    /// Another session has moved the cursor shared with it forward, over these lines that the program printed: told where the lines of the
    /// recording are known ([`Call::Output`]), at most the last ones.
    Output(Vec<OutputLine>),
    /// Another session has changed the breakpoints shared with it: all there are now.
    Breakpoints(Vec<BreakpointInfo>),
    /// Another session has changed the trace's bookmarks: all there are now.
    Bookmarks(Vec<Bookmark>),
    /// The daemon was told to end, and with it all its sessions.
    Closing,
}

/// What the daemon sends after [`Welcome`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromDaemon {
    /// An answer.
    Response(Response),
    /// News.
    Notification(Notification),
}
