//! One client's debugging of one trace: at a cursor of its own, or at one it shares.

use crate::audience::Post;
use crate::board::Board;
use crate::bookmarks::{self, NAMES, is_name};
use crate::fault::Fault;
use crate::progress::Task;
use crate::query::UnderWay;
use crate::recording::{Cursor, Recording, Stand};
use crate::turns::Turn;
use crate::work::Work;
use rdb_protocol::client::{Call, FailureCode, Notification, Query, Reply, Stop, StopReason};
use std::sync::Arc;

/// Lines of output that are told when a move has passed them.
const MOST_LINES: usize = 100;

/// A session. The recording ends with the last one on it.
pub(crate) struct Session {
    // First: it must be over before the recording goes.
    /// The query under way, of this client alone; it goes on whatever happens to the cursor.
    query: Option<UnderWay>,
    /// Unlike all others of the daemon.
    number: u64,
    cursor: Arc<Cursor>,
    board: Arc<Board>,
    recording: Arc<Recording>,
    post: Arc<dyn Post>,
}

/// What a request came to. As long as it is there nobody moves the cursor on: the client must hear of its own move before it hears of the
/// next one by another.
pub(crate) struct Answer<'a> {
    /// The reply.
    pub(crate) result: Result<Reply, Fault>,
    _turn: Option<Turn<'a, Stand>>,
}

impl<'a> Answer<'a> {
    /// Of what needed no cursor.
    pub(crate) fn new(result: Result<Reply, Fault>) -> Answer<'a> {
        Answer { result, _turn: None }
    }
}

impl Session {
    /// Opens one at the cursor of this name, or at a new one, which stands at the first stop point. `post` is told what others do.
    pub(crate) fn open(
        recording: Arc<Recording>,
        cursor: Option<&str>,
        post: Arc<dyn Post>,
        task: &mut Task<'_>,
    ) -> Result<(Session, Stop), Fault> {
        if let Some(name) = cursor.filter(|name| !is_name(name)) {
            return Err(Fault::told(FailureCode::Invalid, format!("'{name}' cannot name a cursor: {NAMES}")));
        }
        let cursor = recording.cursor(cursor);
        let board = Arc::new(Board::new());
        let mut stand = cursor.stand.take(task.interrupt)?;
        if !stand.opened {
            Work::new(&mut stand, &recording, &board).open(task)?;
            stand.opened = true;
        }
        let stop = Work::new(&mut stand, &recording, &board).stop(StopReason::Here);
        let number = Recording::number();
        // In one's turn: the next move there is told.
        cursor.audience.join(number, &post);
        recording.audience.join(number, &post);
        drop(stand);
        let session = Session {
            query: None,
            number,
            cursor,
            board,
            recording,
            post,
        };
        Ok((session, stop))
    }

    /// Carries out one request, and tells the others what it has changed for them.
    pub(crate) fn call(&mut self, call: Call, task: &mut Task<'_>) -> Answer<'_> {
        let sets = matches!(
            call,
            Call::Break { .. } | Call::Watch { .. } | Call::Change { .. } | Call::Delete { .. }
        );
        let call = match call {
            Call::KeepBreakpoints => return Answer::new(self.keep_breakpoints(task)),
            Call::Query(asked) => return Answer::new(self.query(asked, task)),
            Call::MoreRows => return Answer::new(self.more_rows(task)),
            call => call,
        };
        let (mut answer, met) = match self.at_once(&call) {
            Some(result) => (Answer::new(result), false),
            None => self.at_cursor(call, task),
        };
        if met || sets && answer.result.is_ok() {
            answer.result = self.saved(answer.result);
            self.board.tell(self.number);
        }
        answer
    }

    /// What needs no cursor: it does not wait for the turn of one that is shared.
    fn at_once(&self, call: &Call) -> Option<Result<Reply, Fault>> {
        let trace = &self.recording.facts.path;
        Some(match call {
            Call::Delete { id } => self.board.remove(*id).map(|()| Reply::Done),
            Call::Breakpoints => Ok(Reply::Breakpoints(self.board.infos())),
            Call::Bookmarks => bookmarks::read(trace).map(Reply::Bookmarks),
            Call::Bookmark { name, time } => {
                let tell = |all| {
                    self.recording.audience.tell_others(self.number, || Notification::Bookmarks(all));
                };
                bookmarks::change(trace, name, *time, tell).map(|()| Reply::Done)
            }
            Call::Checkpoints => Ok(Reply::Checkpoints(self.recording.checkpoints())),
            Call::TraceInfo => Ok(Reply::Trace(self.recording.info())),
            Call::Open { .. } => Err(Fault::told(
                FailureCode::Protocol,
                "a trace is open already; use another connection",
            )),
            Call::Interrupt => Ok(Reply::Done),
            _ => return None,
        })
    }

    /// What is done at the cursor; and whether it has changed breakpoints on its way.
    fn at_cursor(&self, call: Call, task: &mut Task<'_>) -> (Answer<'_>, bool) {
        let mut stand = match self.cursor.stand.take(task.interrupt) {
            Ok(stand) => stand,
            Err(fault) => return (Answer::new(Err(fault)), false),
        };
        let from = stand.timeline.here.time;
        let (result, met) = Work::new(&mut stand, &self.recording, &self.board).carry_out(call, task);
        if let Ok(Reply::Stopped(stop)) = &result
            && stop.reason != StopReason::Here
        {
            // Still in one's turn: the others are told of moves in the order in which they were made.
            self.cursor
                .audience
                .tell_others(self.number, || Notification::Stopped(stop.clone()));
            let lines = stand.timeline.output_passed(from, MOST_LINES);
            if !lines.is_empty() {
                self.cursor.audience.tell_others(self.number, || Notification::Output(lines));
            }
        }
        let answer = Answer {
            result,
            _turn: Some(stand),
        };
        (answer, met)
    }

    /// Begins a query. The cursor is needed for that, but not for the rows.
    fn query(&mut self, asked: Query, task: &mut Task<'_>) -> Result<Reply, Fault> {
        self.query = None;
        let mut stand = self.cursor.stand.take(task.interrupt)?;
        let query = Work::new(&mut stand, &self.recording, &self.board).query(asked, task)?;
        drop(stand);
        self.query = Some(query);
        self.more_rows(task)
    }

    fn more_rows(&mut self, task: &mut Task<'_>) -> Result<Reply, Fault> {
        let Some(query) = &mut self.query else {
            return Err(Fault::told(FailureCode::Protocol, "no query is under way"));
        };
        let more = query.more(task);
        if !matches!(&more, Ok(rows) if !rows.done) {
            self.query = None;
        }
        more.map(Reply::Rows)
    }

    /// Saves the breakpoints. Where that cannot be done, the one just set says so.
    fn saved(&self, result: Result<Reply, Fault>) -> Result<Reply, Fault> {
        match (self.board.save(), result) {
            (Err(fault), Ok(Reply::Breakpoints(mut all))) => {
                if let Some(new) = all.last_mut() {
                    new.note = Some(format!("not kept: {fault}"));
                }
                Ok(Reply::Breakpoints(all))
            }
            (_, result) => result,
        }
    }

    /// Goes on with the trace's breakpoints.
    fn keep_breakpoints(&mut self, task: &mut Task<'_>) -> Result<Reply, Fault> {
        let shared = self.recording.board();
        if !Arc::ptr_eq(&shared, &self.board) {
            let mut stand = self.cursor.stand.take(task.interrupt)?;
            let mut restored = shared.restored.take(task.interrupt)?;
            if !*restored {
                Work::new(&mut stand, &self.recording, &shared).restore_breakpoints(task)?;
                shared.save_with(&self.recording.facts.path);
                *restored = true;
            }
            drop((restored, stand));
            shared.audience.join(self.number, &self.post);
            let added = shared.adopt(&self.board);
            self.board = shared;
            if added {
                // The list says itself where it could not be saved.
                let _ = self.board.save();
                self.board.tell(self.number);
            }
        }
        Ok(Reply::Breakpoints(self.board.infos()))
    }
}
