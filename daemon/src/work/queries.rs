//! How a query begins: what it asks is checked at the cursor, which it needs no more once it is under way.

use super::{Work, retrying};
use crate::breakpoints::Marks;
use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::query::{Query, UnderWay, Used};
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{FailureCode, Query as Asked, QueryOf, Range};

/// No value is shown with more characters: a few of that size fit into an answer.
const LONGEST: u32 = 1 << 20;
/// Numbered objects in the code of a query.
const MOST_OBJECTS: usize = 16;
/// Nobody has more machines.
const MOST_PARTS: u32 = 100_000;

impl Work<'_> {
    /// Begins a query.
    pub(crate) fn query(&mut self, asked: Asked, task: &mut Task<'_>) -> Result<UnderWay, Fault> {
        // A query meets no breakpoints, but what makes its way to the cursor again finds those that lie there.
        self.timeline.marks = self.board.marks();
        let begun = self.begin(asked, task);
        self.timeline.marks = Marks::default();
        begun
    }

    /// The recording in parts.
    pub(super) fn ranges(&mut self, parts: u32, task: &mut Task<'_>) -> Result<Vec<Range>, Fault> {
        self.timeline.require_stop_points()?;
        let last = self.timeline.last(task)?;
        Ok(self.recording.known.facts().costs.ranges(last, parts.min(MOST_PARTS)))
    }

    fn begin(&mut self, mut asked: Asked, task: &mut Task<'_>) -> Result<UnderWay, Fault> {
        let _busy = self.recording.known.command();
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
        let mut used = Used::default();
        match &mut asked.of {
            QueryOf::At {
                place,
                condition,
                expressions,
            } => {
                *place = self.resolved(place.clone(), task)?.known;
                let all = condition
                    .iter_mut()
                    .map(|c| ("condition", c))
                    .chain(expressions.iter_mut().map(|e| ("expression", e)));
                for (what, code) in all {
                    let prepared = retrying(self.timeline, task, |t, task| t.check_query(what, code, task))?;
                    if what == "condition" && !asked.exact {
                        used.test = prepared.predicate();
                    }
                    let new = prepared.objects().filter(|o| !used.objects.contains(o)).collect::<Vec<_>>();
                    used.objects.extend(new);
                    code.clone_from(&prepared.source);
                }
                if used.objects.len() > MOST_OBJECTS {
                    let text = format!("a query uses {MOST_OBJECTS} numbered objects at most, not {}", used.objects.len());
                    return Err(Fault::told(FailureCode::Invalid, text));
                }
            }
            QueryOf::Calls { name } => drop(self.resolved(BreakpointPlace::Calls { name: name.clone() }, task)?),
            QueryOf::Raises { class } => {
                let class = class.clone();
                let raised = retrying(self.timeline, task, |t, task| t.raised_rows(class.as_deref(), &asked, task))?;
                return Ok(UnderWay::Raised(raised));
            }
        }
        Query::start(&self.timeline.tree, &self.recording.known, self.timeline.pace, asked, used).map(UnderWay::Hits)
    }
}
