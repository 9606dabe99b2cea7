//! One connection, one method per request.

use super::interrupt::Interrupter;
use super::socket::{self, LinkError, Receiver, Sender};
use crate::show::progress::Progress;
use rdb_protocol::client::{
    Bookmark, BreakpointInfo, Call, Change, CheckpointInfo, Failure, FromDaemon, Hello, MAGIC, Notification, OutputLine, Past, Query,
    Range, Reply, Request, SomeRows, Stop, Target, TraceInfo, VERSION, Value, Watch, Welcome,
};
use rdb_protocol::{BreakpointPlace, Direction, Frame, FrameNumber, Limits, Location, Scope, SourceFile, Thread, Time, Variable};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers, or not in our language.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// A daemon of another version.
    #[error(
        "the running rdbd (process {pid}) speaks version {theirs} and this rdbctl version {VERSION}: end it with `kill {pid}`, then try again"
    )]
    Version {
        /// The daemon's version of the link.
        theirs: u32,
        /// Its process id.
        pid: i32,
    },
}

/// Why a request has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The daemon said no; nothing moved.
    #[error("{}", .0.text)]
    Refused(Failure),
    /// The connection is of no further use.
    #[error("{0}")]
    Gone(#[from] LinkError),
    /// The daemon answered something else than was asked.
    #[error("the daemon gave an answer that does not fit the question")]
    Mismatch,
}

/// A connection to the daemon. Dropping it closes the session.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    receiver: Receiver,
    ids: Arc<AtomicU64>,
    interrupter: Interrupter,
    progress: bool,
    daemon: i32,
    /// Heard and not yet asked for.
    news: Vec<Notification>,
}

impl Client {
    /// Shakes hands over a connected socket. `interrupter` will abort this connection's requests.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn new(stream: UnixStream, interrupter: Interrupter) -> Result<Client, ConnectError> {
        let (sender, mut receiver) = socket::halves(stream).map_err(LinkError::Gone)?;
        sender.send(&Hello {
            magic: MAGIC,
            version: VERSION,
        })?;
        let welcome: Welcome = receiver.receive()?;
        if welcome.version != VERSION {
            return Err(ConnectError::Version {
                theirs: welcome.version,
                pid: welcome.pid,
            });
        }
        Ok(Client {
            sender,
            receiver,
            ids: Arc::new(AtomicU64::new(1)),
            interrupter,
            progress: false,
            daemon: welcome.pid,
            news: Vec::new(),
        })
    }

    /// The daemon's process id.
    #[must_use]
    pub fn daemon(&self) -> i32 {
        self.daemon
    }

    /// Shows a line about the progress of long requests on stderr, when that is a terminal.
    pub fn show_progress(&mut self, show: bool) {
        self.progress = show;
    }

    /// What other clients have done to what is shared with them, as far as it has come; waits for nothing.
    pub fn news(&mut self) -> Vec<Notification> {
        while self.receiver.is_ready() {
            match self.receiver.receive() {
                Ok(FromDaemon::Notification(news)) => self.hear(news),
                // The answer to an interrupt that came too late.
                Ok(FromDaemon::Response(_)) => {}
                // Whoever makes the next request is told.
                Err(_) => break,
            }
        }
        std::mem::take(&mut self.news)
    }

    /// The connection, to wait on until there is news.
    pub(super) fn socket(&self) -> std::io::Result<std::os::fd::OwnedFd> {
        self.receiver.socket()
    }

    /// What came with the last answers; unlike [`Client::news`] it does not look for more.
    pub(super) fn heard(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.news)
    }

    fn hear(&mut self, news: Notification) {
        if !matches!(news, Notification::Progress { .. }) {
            self.news.push(news);
        }
    }

    /// Opens a session on a trace (absolute path). Once per connection, first.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn open(&mut self, trace: &str) -> Result<Stop, CallError> {
        self.open_at(trace, None)
    }

    /// The same at a cursor shared with all clients that name it.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn open_at(&mut self, trace: &str, cursor: Option<&str>) -> Result<Stop, CallError> {
        let open = Call::Open {
            trace: trace.to_owned(),
            cursor: cursor.map(str::to_owned),
        };
        match self.call(open)? {
            Reply::Opened(stop) => Ok(stop),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Moves by `count` stop points.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn step(&mut self, count: u64, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::Step { count, direction })
    }

    /// Moves by `count` instructions; stop points count as places on the way.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn step_instruction(&mut self, count: u64, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::StepInstruction { count, direction })
    }

    /// The values on the stack of the frame stood in, the oldest first; `None` for a place that holds none.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn value_stack(&mut self, limits: Limits) -> Result<Vec<Option<String>>, CallError> {
        match self.call(Call::ValueStack { limits })? {
            Reply::ValueStack(values) => Ok(values),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Moves by `count` stop points of the frame stood in, or of its callers.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn next(&mut self, count: u64, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::Next { count, direction })
    }

    /// Moves to where the frame stood in is left, or to before its call.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn finish(&mut self, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::Finish { direction })
    }

    /// Moves to a place, but not out of the frame stood in.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn until(&mut self, place: BreakpointPlace, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::Until { place, direction })
    }

    /// Moves to a breakpoint hit that way: the next one is the first.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn continue_(&mut self, count: u64, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::Continue { count, direction })
    }

    /// Jumps.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn go(&mut self, to: Target) -> Result<Stop, CallError> {
        self.movement(Call::Go { to })
    }

    /// Where the cursor stands.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn when(&mut self) -> Result<Stop, CallError> {
        self.movement(Call::When)
    }

    /// Sets a breakpoint; an empty file means the one stood in.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn break_(&mut self, place: BreakpointPlace, condition: Option<String>, temporary: bool) -> Result<BreakpointInfo, CallError> {
        self.set(Call::Break {
            place,
            condition,
            temporary,
            action: None,
        })
    }

    /// Sets an action: `expression` is evaluated wherever a move comes to `place`, which does not stop it.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn action(&mut self, place: BreakpointPlace, condition: Option<String>, expression: String) -> Result<BreakpointInfo, CallError> {
        self.set(Call::Break {
            place,
            condition,
            temporary: false,
            action: Some(expression),
        })
    }

    /// Files in which no step is to end, by patterns. Those that match no file are returned.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn skip(&mut self, patterns: &[String]) -> Result<Vec<String>, CallError> {
        let patterns = patterns.to_vec();
        match self.call(Call::Skip { patterns })? {
            Reply::Skipping(useless) => Ok(useless),
            _ => Err(CallError::Mismatch),
        }
    }

    /// The stop points between two times, at most `limit` of them, nearest to `to`.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn passed(&mut self, from: Time, to: Time, limit: u32) -> Result<Vec<(Time, Location)>, CallError> {
        match self.call(Call::Passed { from, to, limit })? {
            Reply::Passed(all) => Ok(all),
            _ => Err(CallError::Mismatch),
        }
    }

    fn set(&mut self, call: Call) -> Result<BreakpointInfo, CallError> {
        match self.call(call)? {
            Reply::Breakpoints(mut new) if new.len() == 1 => new.pop().ok_or(CallError::Mismatch),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Adds the breakpoints saved with the trace, and saves them all at each change from now on.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn keep_breakpoints(&mut self) -> Result<Vec<BreakpointInfo>, CallError> {
        match self.call(Call::KeepBreakpoints)? {
            Reply::Breakpoints(all) => Ok(all),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Changes one breakpoint, or all.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn change(&mut self, id: Option<u32>, change: Change) -> Result<(), CallError> {
        self.done(Call::Change { id, change })
    }

    /// Deletes one breakpoint, or all.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn delete(&mut self, id: Option<u32>) -> Result<(), CallError> {
        self.done(Call::Delete { id })
    }

    /// All breakpoints.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn breakpoints(&mut self) -> Result<Vec<BreakpointInfo>, CallError> {
        match self.call(Call::Breakpoints)? {
            Reply::Breakpoints(all) => Ok(all),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Evaluates code in a throw-away copy of the program; with `number` an object of the program's gets one. `deadline_ms` 0 is the daemon's default.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn evaluate(&mut self, source: &str, number: bool, frame: FrameNumber, deadline_ms: u32) -> Result<Value, CallError> {
        match self.call(Call::Evaluate {
            source: source.to_owned(),
            number,
            frame,
            deadline_ms,
        })? {
            Reply::Evaluated(value) => Ok(value),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Moves to where a thread, or any other than the one stood in, runs.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn switch(&mut self, thread: Option<u32>, direction: Direction) -> Result<Stop, CallError> {
        self.movement(Call::Switch { thread, direction })
    }

    /// Sets a watchpoint.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn watch(&mut self, watch: Watch, temporary: bool) -> Result<BreakpointInfo, CallError> {
        match self.call(Call::Watch { watch, temporary })? {
            Reply::Breakpoints(mut one) if one.len() == 1 => Ok(one.remove(0)),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Back to the last change of a value.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn last(&mut self, watch: Watch) -> Result<Stop, CallError> {
        self.movement(Call::Last(watch))
    }

    /// The values an expression has had, at most `limit` changes, and whether there are more.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn history(&mut self, watch: Watch, limit: u32) -> Result<(Vec<Past>, bool), CallError> {
        match self.call(Call::History { watch, limit })? {
            Reply::History(values, more) => Ok((values, more)),
            _ => Err(CallError::Mismatch),
        }
    }

    /// The threads alive.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn threads(&mut self) -> Result<Vec<Thread>, CallError> {
        match self.call(Call::Threads)? {
            Reply::Threads(threads) => Ok(threads),
            _ => Err(CallError::Mismatch),
        }
    }

    /// The stack of a thread (`None` the one stood in), innermost frame first.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn backtrace(&mut self, thread: Option<u32>, limit: u32) -> Result<Vec<Frame>, CallError> {
        match self.call(Call::Backtrace { thread, limit })? {
            Reply::Frames(frames) => Ok(frames),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Variables of a frame, or of its module.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn variables(&mut self, frame: FrameNumber, scope: Scope, limits: Limits) -> Result<Vec<Variable>, CallError> {
        match self.call(Call::Locals { frame, scope, limits })? {
            Reply::Locals(variables) => Ok(variables),
            _ => Err(CallError::Mismatch),
        }
    }

    /// What the program has printed before the time stood at, at most the last `limit` lines.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn output(&mut self, limit: u32) -> Result<Vec<OutputLine>, CallError> {
        match self.call(Call::Output { limit })? {
            Reply::Output(lines) => Ok(lines),
            _ => Err(CallError::Mismatch),
        }
    }

    /// The bookmarks, by time.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn bookmarks(&mut self) -> Result<Vec<Bookmark>, CallError> {
        match self.call(Call::Bookmarks)? {
            Reply::Bookmarks(all) => Ok(all),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Sets a bookmark, or removes it.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn bookmark(&mut self, name: &str, time: Option<Time>) -> Result<(), CallError> {
        self.done(Call::Bookmark {
            name: name.to_owned(),
            time,
        })
    }

    /// The checkpoints.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn checkpoints(&mut self) -> Result<Vec<CheckpointInfo>, CallError> {
        match self.call(Call::Checkpoints)? {
            Reply::Checkpoints(all) => Ok(all),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Facts about trace and session.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn trace_info(&mut self) -> Result<TraceInfo, CallError> {
        match self.call(Call::TraceInfo)? {
            Reply::Trace(info) => Ok(info),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Source files with breakable lines and functions. Waits for the survey.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn sources(&mut self) -> Result<Vec<SourceFile>, CallError> {
        match self.call(Call::Sources)? {
            Reply::Sources(files) => Ok(files),
            _ => Err(CallError::Mismatch),
        }
    }

    /// Asks about many stop points; the first rows.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn query(&mut self, query: Query) -> Result<SomeRows, CallError> {
        self.rows(Call::Query(query))
    }

    /// Ranges of time that take about as long to replay, `parts` at most. Waits for the survey.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn ranges(&mut self, parts: u32) -> Result<Vec<Range>, CallError> {
        match self.call(Call::Ranges { parts })? {
            Reply::Ranges(ranges) => Ok(ranges),
            _ => Err(CallError::Mismatch),
        }
    }

    /// The next rows of the query under way.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn more_rows(&mut self) -> Result<SomeRows, CallError> {
        self.rows(Call::MoreRows)
    }

    fn rows(&mut self, call: Call) -> Result<SomeRows, CallError> {
        match self.call(call)? {
            Reply::Rows(some) => Ok(some),
            _ => Err(CallError::Mismatch),
        }
    }

    fn movement(&mut self, call: Call) -> Result<Stop, CallError> {
        match self.call(call)? {
            Reply::Stopped(stop) => Ok(stop),
            _ => Err(CallError::Mismatch),
        }
    }

    fn done(&mut self, call: Call) -> Result<(), CallError> {
        match self.call(call)? {
            Reply::Done => Ok(()),
            _ => Err(CallError::Mismatch),
        }
    }

    fn call(&mut self, call: Call) -> Result<Reply, CallError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        if let Err(gone) = self.sender.send(&Request { id, call }) {
            // It may have said why.
            self.news = self.news();
            return Err(gone.into());
        }
        self.interrupter.begin(&self.sender, &self.ids);
        let reply = self.answer(id);
        self.interrupter.end();
        reply
    }

    fn answer(&mut self, id: u64) -> Result<Reply, CallError> {
        let mut progress = Progress::new(self.progress);
        loop {
            match self.receiver.receive()? {
                FromDaemon::Notification(Notification::Progress { done, total }) => progress.at(done, total),
                FromDaemon::Notification(news) => self.hear(news),
                FromDaemon::Response(response) if response.id == id => return response.result.map_err(CallError::Refused),
                // The answer to an interrupt: it may come before or after that of the request it aborted.
                FromDaemon::Response(_) => {}
            }
        }
    }
}
