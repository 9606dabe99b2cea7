//! One replay process: what it was told, where it stands, and how to order it about.

use crate::breakpoints::Marks;
use crate::fault::{CheckpointId, Fault};
use crate::host::{Body, Host};
use crate::interrupt::Interrupt;
use crate::link::{Link, LinkError};
use rdb_protocol::client::FailureCode;
use rdb_protocol::replay::{
    Answer, Breakpoint, Entry, Evaluated, Follow, Inline, Interpreter, Object, Observed, Order, Raises, Run, Stopped, Watched,
};
use rdb_protocol::rows::Rows;
use rdb_protocol::stretch::Stretch;
use rdb_protocol::{Activation, EventIndex, Frame, FrameNumber, Limits, Position, SourceFile, Thread, Time, Variable};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for an order that runs nothing of the program. Beyond it the process is taken for dead.
const PATIENCE: Duration = Duration::from_secs(20);

/// A name for an object, in evaluated code: the name, and the address.
pub(crate) type Bound = (String, u64);

/// A live replay process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    link: Link,
    body: Arc<dyn Body>,
    host: Arc<dyn Host>,
    position: Position,
    /// Version of the breakpoint set it has.
    marks: u64,
    /// The activation it follows.
    following: Option<Follow>,
    /// Whether it watches anything.
    watching: bool,
    /// Instructions passed since the stop point, where it goes by them.
    instructions: u64,
    origin: Option<CheckpointId>,
}

impl Process {
    /// A new root, paused at the start.
    pub(crate) fn root(host: &Arc<dyn Host>) -> Result<Process, Fault> {
        let (link, body) = host.root()?;
        let position = Position {
            time: Time::BEGIN,
            event: EventIndex(0),
            location: None,
        };
        let mut root = Process {
            link,
            body,
            host: Arc::clone(host),
            position,
            marks: 0,
            following: None,
            watching: false,
            instructions: 0,
            origin: None,
        };
        // What it cannot read of the trace at its start, it says at the first order.
        root.look().map_err(blame_trace)?;
        Ok(root)
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Whether it stands exactly at stop point `time` (and not somewhere after it).
    pub(crate) fn stands_at(&self, time: Time) -> bool {
        self.position.time == time && self.position.location.is_some()
    }

    /// Whether running it forward can lead to stop point `time`, or it stands there.
    pub(crate) fn serves(&self, time: Time) -> bool {
        self.position.time < time || self.stands_at(time)
    }

    /// The process itself.
    pub(crate) fn body(&self) -> &Arc<dyn Body> {
        &self.body
    }

    /// Notes which checkpoint this is a copy of.
    pub(crate) fn set_origin(&mut self, origin: Option<CheckpointId>) {
        self.origin = origin;
    }

    /// A copy that stands where this one stands.
    pub(crate) fn fork(&mut self) -> Result<Process, Fault> {
        let (link, theirs) = Link::pair().map_err(Fault::system("cannot make a socket pair"))?;
        let since = self.host.written();
        let deadline = Instant::now() + PATIENCE;
        let answer = self
            .link
            .send_with(&Order::Fork, std::os::fd::AsFd::as_fd(&theirs))
            .and_then(|()| self.link.receive(Some(deadline)));
        drop(theirs);
        let pid = match self.judge(answer, since, PATIENCE).map_err(|f| self.hung(f))? {
            Answer::Forked { pid } => pid,
            other => return Err(unexpected("Fork", &other)),
        };
        let body = self.host.adopt(pid)?;
        Ok(Process {
            link,
            body,
            host: Arc::clone(&self.host),
            position: self.position.clone(),
            marks: self.marks,
            following: self.following,
            watching: self.watching,
            instructions: self.instructions,
            origin: self.origin,
        })
    }

    /// Runs forward.
    pub(crate) fn run(&mut self, run: Run, interrupt: &Interrupt) -> Result<Stopped, Fault> {
        match self.ask(&Order::Run(run), None, Some(interrupt)).map_err(blame_trace)? {
            Answer::Stopped(stopped) => {
                self.position = stopped.position.clone();
                Ok(stopped)
            }
            other => Err(unexpected("Run", &other)),
        }
    }

    /// Runs forward, and tells what was passed since it was last asked, where stacks are known.
    pub(crate) fn run_and_tell(&mut self, run: Run, interrupt: &Interrupt) -> Result<(Stopped, Option<Stretch>), Fault> {
        let _armed = interrupt.arm(&self.body)?;
        let since = self.host.written();
        let answer = self
            .link
            .send(&Order::Run(run))
            .and_then(|()| self.link.send(&Order::StretchHere))
            .and_then(|()| self.link.receive(None));
        interrupt.check()?;
        let stopped = match self.judge(answer, since, Duration::ZERO).map_err(blame_trace)? {
            Answer::Stopped(stopped) => stopped,
            other => return Err(unexpected("Run", &other)),
        };
        self.position = stopped.position.clone();
        let answer = self.link.receive(Some(Instant::now() + PATIENCE));
        interrupt.check()?;
        match self.judge(answer, since, PATIENCE).map_err(|f| self.hung(f))? {
            Answer::Stretch(stretch) => Ok((stopped, Some(stretch))),
            Answer::Done => Ok((stopped, None)),
            other => Err(unexpected("StretchHere", &other)),
        }
    }

    /// Runs to where so many more instructions have been passed, or to the next stop point. The process must not become a checkpoint.
    pub(crate) fn step_instructions(&mut self, count: u64, interrupt: &Interrupt) -> Result<Stopped, Fault> {
        match self
            .ask(&Order::Instructions { count }, None, Some(interrupt))
            .map_err(blame_trace)?
        {
            Answer::Stopped(stopped) => {
                self.position = stopped.position.clone();
                self.instructions = stopped.instructions;
                Ok(stopped)
            }
            other => Err(unexpected("Instructions", &other)),
        }
    }

    /// Instructions passed since the stop point, where it goes by them.
    pub(crate) fn instructions(&self) -> u64 {
        self.instructions
    }

    /// Makes sure it knows this breakpoint set.
    pub(crate) fn learn(&mut self, marks: &Marks) -> Result<(), Fault> {
        if self.marks == marks.version() {
            return Ok(());
        }
        match self.ask_paused(&Order::Breakpoints(marks.orders()))? {
            Answer::Done => {
                self.marks = marks.version();
                Ok(())
            }
            other => Err(unexpected("Breakpoints", &other)),
        }
    }

    /// Replaces its breakpoints by some that are no session's.
    pub(crate) fn set_breakpoints(&mut self, list: Vec<Breakpoint>) -> Result<(), Fault> {
        self.marks = u64::MAX;
        self.done(Order::Breakpoints(list), "Breakpoints")
    }

    /// From now on evaluates this at each hit of a run that evaluates. The process must not become a checkpoint.
    pub(crate) fn set_inline(&mut self, inline: Inline) -> Result<(), Fault> {
        self.done(Order::Inline(inline), "Inline")
    }

    /// The rows evaluated since the last question.
    pub(crate) fn take_rows(&mut self) -> Result<Rows, Fault> {
        match self.ask_paused(&Order::TakeRows)? {
            Answer::Rows(rows) => Ok(rows),
            other => Err(unexpected("TakeRows", &other)),
        }
    }

    /// What [`Process::set_inline`] has named is evaluated here, spending the process. Code that tries to end it says so.
    pub(crate) fn row(mut self, deadline: Duration, interrupt: &Interrupt) -> Result<Result<Rows, String>, Fault> {
        match self.ask(&Order::Row, Some(deadline), Some(interrupt))? {
            Answer::Rows(rows) => Ok(Ok(rows)),
            Answer::Evaluated(ended) => Ok(Err(ended.text)),
            other => Err(unexpected("Row", &other)),
        }
    }

    /// Runs forward, within a time.
    pub(crate) fn run_within(&mut self, run: Run, deadline: Duration, interrupt: &Interrupt) -> Result<Stopped, Fault> {
        match self.ask(&Order::Run(run), Some(deadline), Some(interrupt))? {
            Answer::Stopped(stopped) => {
                self.position = stopped.position.clone();
                Ok(stopped)
            }
            other => Err(unexpected("Run", &other)),
        }
    }

    fn done(&mut self, order: Order, name: &'static str) -> Result<(), Fault> {
        match self.ask_paused(&order)? {
            Answer::Done => Ok(()),
            other => Err(unexpected(name, &other)),
        }
    }

    /// Makes sure it follows this activation, or none.
    pub(crate) fn follow(&mut self, follow: Option<Follow>) -> Result<(), Fault> {
        if self.following == follow {
            return Ok(());
        }
        match self.ask_paused(&Order::Follow(follow))? {
            Answer::Done => {
                self.following = follow;
                Ok(())
            }
            other => Err(unexpected("Follow", &other)),
        }
    }

    /// Makes sure it watches this, or nothing.
    pub(crate) fn watch(&mut self, list: Vec<Watched>) -> Result<(), Fault> {
        if list.is_empty() && !self.watching {
            return Ok(());
        }
        let watching = !list.is_empty();
        match self.ask_paused(&Order::Watch(list))? {
            Answer::Done => {
                self.watching = watching;
                Ok(())
            }
            other => Err(unexpected("Watch", &other)),
        }
    }

    /// The present place again, with the breakpoints that lie there.
    pub(crate) fn look(&mut self) -> Result<Stopped, Fault> {
        match self.ask_paused(&Order::Where)? {
            Answer::Stopped(stopped) => Ok(stopped),
            other => Err(unexpected("Where", &other)),
        }
    }

    /// The stack.
    pub(crate) fn backtrace(&mut self, thread: Option<u32>, limit: u32) -> Result<Vec<Frame>, Fault> {
        match self.ask_paused(&Order::Backtrace { thread, limit })? {
            Answer::Frames(frames) => Ok(frames),
            other => Err(unexpected("Backtrace", &other)),
        }
    }

    /// The threads alive.
    pub(crate) fn threads(&mut self) -> Result<Vec<Thread>, Fault> {
        match self.ask_paused(&Order::Threads)? {
            Answer::Threads(threads) => Ok(threads),
            other => Err(unexpected("Threads", &other)),
        }
    }

    /// The source files seen so far.
    pub(crate) fn sources(&mut self) -> Result<Vec<SourceFile>, Fault> {
        match self.ask_paused(&Order::Sources)? {
            Answer::Sources(sources) => Ok(sources),
            other => Err(unexpected("Sources", &other)),
        }
    }

    /// The interpreter found so far.
    pub(crate) fn interpreter(&mut self) -> Result<Interpreter, Fault> {
        match self.ask_paused(&Order::Interpreter)? {
            Answer::Interpreter(interpreter) => Ok(interpreter),
            other => Err(unexpected("Interpreter", &other)),
        }
    }

    /// Evaluates with names for objects, spending the process.
    pub(crate) fn evaluate(
        mut self,
        source: String,
        frame: FrameNumber,
        bound: Vec<Bound>,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Evaluated, Fault> {
        match self.ask(&Order::Evaluate { source, frame, bound }, Some(deadline), Some(interrupt))? {
            Answer::Evaluated(evaluated) => Ok(evaluated),
            other => Err(unexpected("Evaluate", &other)),
        }
    }

    /// Evaluates an expression and tells what its value depends on, spending the process.
    pub(crate) fn observe(
        mut self,
        source: String,
        (module, activation): (String, Option<Activation>),
        bound: Vec<Bound>,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Observed, Fault> {
        let order = Order::Observe {
            source,
            module,
            activation,
            bound,
        };
        match self.ask(&order, Some(deadline), Some(interrupt))? {
            Answer::Observed(observed) => Ok(observed),
            other => Err(unexpected("Observe", &other)),
        }
    }

    /// The value about to be returned, or the exception that unwinds, spending the process.
    pub(crate) fn result(mut self, deadline: Duration, interrupt: &Interrupt) -> Result<Evaluated, Fault> {
        match self.ask(&Order::Result, Some(deadline), Some(interrupt))? {
            Answer::Evaluated(evaluated) => Ok(evaluated),
            other => Err(unexpected("Result", &other)),
        }
    }

    /// Where the code of a function written in C begins, spending the process.
    pub(crate) fn entry(mut self, name: &str, deadline: Duration, interrupt: &Interrupt) -> Result<Entry, Fault> {
        let order = Order::Entry { name: name.to_string() };
        match self.ask(&order, Some(deadline), Some(interrupt))? {
            Answer::Entry(entry) => Ok(entry),
            other => Err(unexpected("Entry", &other)),
        }
    }

    /// Variables, as an [`Order::Locals`] asks for them, spending the process.
    pub(crate) fn variables(mut self, order: Order, deadline: Duration, interrupt: &Interrupt) -> Result<Vec<Variable>, Fault> {
        match self.ask(&order, Some(deadline), Some(interrupt))? {
            Answer::Locals(variables) => Ok(variables),
            other => Err(unexpected("Locals", &other)),
        }
    }

    /// The values on the stack of the frame stood in, spending the process.
    pub(crate) fn value_stack(mut self, limits: Limits, deadline: Duration, interrupt: &Interrupt) -> Result<Vec<Option<String>>, Fault> {
        match self.ask(&Order::Stack { limits }, Some(deadline), Some(interrupt))? {
            Answer::Stack(values) => Ok(values),
            other => Err(unexpected("Stack", &other)),
        }
    }

    /// From now on notes when this object's memory is taken or given up. The process must not become a checkpoint.
    pub(crate) fn watch_life(&mut self, object: Object) -> Result<(), Fault> {
        match self.ask_paused(&Order::WatchLife(object))? {
            Answer::Done => Ok(()),
            other => Err(unexpected("WatchLife", &other)),
        }
    }

    /// From now on notes exceptions; in code at these addresses with their lines. The process must not become a checkpoint.
    pub(crate) fn note_raises(&mut self, tracked: Vec<u64>, calls: Option<Entry>) -> Result<(), Fault> {
        match self.ask_paused(&Order::NoteRaises { tracked, calls })? {
            Answer::Done => Ok(()),
            other => Err(unexpected("NoteRaises", &other)),
        }
    }

    /// The exceptions noted since the last question.
    pub(crate) fn take_raises(&mut self) -> Result<Raises, Fault> {
        match self.ask_paused(&Order::TakeRaises)? {
            Answer::Raises(raises) => Ok(raises),
            other => Err(unexpected("TakeRaises", &other)),
        }
    }

    /// What it has passed since the last question, from the first on.
    pub(crate) fn take_stretch(&mut self) -> Result<Stretch, Fault> {
        match self.ask_paused(&Order::Stretch)? {
            Answer::Stretch(stretch) => Ok(stretch),
            other => Err(unexpected("Stretch", &other)),
        }
    }

    /// Whether the object watched has been there since and is, spending the process.
    pub(crate) fn find(mut self) -> Result<bool, Fault> {
        match self.ask_paused(&Order::IsThere)? {
            Answer::There(there) => Ok(there),
            other => Err(unexpected("IsThere", &other)),
        }
    }

    /// An order that runs nothing of the program.
    fn ask_paused(&mut self, order: &Order) -> Result<Answer, Fault> {
        self.ask(order, Some(PATIENCE), None).map_err(|f| self.hung(f))
    }

    /// A process that does not even answer a question is as good as dead.
    fn hung(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Deadline(patience) => Fault::Died {
                last_words: format!("no answer within {patience:?}"),
                origin: self.origin,
            },
            other => other,
        }
    }

    fn ask(&mut self, order: &Order, patience: Option<Duration>, interrupt: Option<&Interrupt>) -> Result<Answer, Fault> {
        let _armed = interrupt.map(|i| i.arm(&self.body)).transpose()?;
        let since = self.host.written();
        let deadline = patience.map(|p| Instant::now() + p);
        let answer = self.link.send(order).and_then(|()| self.link.receive(deadline));
        // An interrupt that came too late to stop the answer has killed the process all the same.
        interrupt.map(Interrupt::check).transpose()?;
        self.judge(answer, since, patience.unwrap_or_default())
    }

    fn judge(&self, answer: Result<Answer, LinkError>, since: u64, patience: Duration) -> Result<Answer, Fault> {
        match answer {
            Ok(Answer::Diverged(divergence)) => Err(Fault::Diverged(divergence)),
            Ok(Answer::Failed { reason }) => Err(Fault::Refused(reason)),
            Ok(answer) => Ok(answer),
            Err(LinkError::Closed) if self.host.closing() => Err(Fault::Interrupted),
            Err(LinkError::Closed) => {
                let last_words = self.host.last_words(since).unwrap_or_else(|| "it said nothing".to_string());
                Err(Fault::Died {
                    last_words,
                    origin: self.origin,
                })
            }
            Err(LinkError::Deadline) => Err(Fault::Deadline(patience)),
            Err(LinkError::Garbled(e)) => Err(Fault::Garbled(e.to_string())),
            Err(LinkError::Io(source)) => Err(Fault::System {
                doing: "link to a replay process",
                source,
            }),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.body.kill();
    }
}

/// A replay that refuses to start or to run on found something wrong with the trace.
fn blame_trace(fault: Fault) -> Fault {
    match fault {
        Fault::Refused(reason) => Fault::told(FailureCode::Trace, reason),
        other => other,
    }
}

/// An answer that does not belong to the order.
fn unexpected(order: &'static str, answer: &Answer) -> Fault {
    let text: String = format!("{answer:?}").chars().take(80).collect();
    Fault::Garbled(format!("{order} was answered with {text}"))
}
