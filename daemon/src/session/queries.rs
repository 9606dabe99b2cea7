//! Queries of a session: one is under way at a time, and gives rows as it is asked.

use super::{Session, retrying};
use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::query::{Query, Raised};
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{FailureCode, Query as Asked, QueryOf, Reply};

/// No value is shown with more characters: a few of that size fit into an answer.
const LONGEST: u32 = 1 << 20;

/// A query that has begun.
#[derive(Debug)]
pub(super) enum UnderWay {
    /// Of hits or calls, which are being found.
    Hits(Query),
    /// Of exceptions, which are known.
    Raised(Raised),
}

impl Session {
    pub(super) fn query(&mut self, mut asked: Asked, task: &mut Task<'_>) -> Result<Reply, Fault> {
        self.query = None;
        self.timeline.require_stop_points()?;
        if asked.limits.size > LONGEST {
            let text = format!("a query shows {LONGEST} characters of a value at most, not {}", asked.limits.size);
            return Err(Fault::told(FailureCode::Invalid, text));
        }
        let from = asked.from.unwrap_or(FIRST).max(FIRST);
        if let Some(to) = asked.to.filter(|&to| to < from) {
            let text = format!("a query from time {from} to time {to} has nothing in between");
            return Err(Fault::told(FailureCode::Invalid, text));
        }
        match &mut asked.of {
            QueryOf::At {
                place,
                condition,
                expressions,
            } => {
                *place = self.resolved(place.clone(), task)?.known;
                let all = condition
                    .iter()
                    .map(|c| ("condition", c))
                    .chain(expressions.iter().map(|e| ("expression", e)));
                for (what, code) in all {
                    retrying(&mut self.timeline, task, |t, task| t.check_query(what, code, task))?;
                }
            }
            QueryOf::Calls { name } => drop(self.resolved(BreakpointPlace::Calls { name: name.clone() }, task)?),
            QueryOf::Raises { class } => {
                let class = class.clone();
                let raised = retrying(&mut self.timeline, task, |t, task| t.raised_rows(class.as_deref(), &asked, task))?;
                self.query = Some(UnderWay::Raised(raised));
                return self.more_rows(task);
            }
        }
        self.query = Some(UnderWay::Hits(Query::start(&self.timeline.tree, &self.known, asked)?));
        self.more_rows(task)
    }

    pub(super) fn more_rows(&mut self, task: &mut Task<'_>) -> Result<Reply, Fault> {
        let more = match &mut self.query {
            None => return Err(Fault::told(FailureCode::Protocol, "no query is under way")),
            Some(UnderWay::Hits(query)) => query.more(task),
            Some(UnderWay::Raised(raised)) => Ok(raised.more()),
        };
        if !matches!(&more, Ok(rows) if !rows.done) {
            self.query = None;
        }
        more.map(Reply::Rows)
    }
}
