//! From when to when a call is there.

use crate::ahead::Ahead;
use crate::behind::Behind;
use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::{FailureCode, Watch};
use rdb_protocol::replay::{Follow, Passing};
use rdb_protocol::{Frame, Location, StopKind, Time, WatchedCall};

impl Timeline {
    /// The call that executes a frame of the stack at the cursor, which stays there.
    pub(crate) fn call(&mut self, watch: &Watch, frame: Frame, task: &mut Task<'_>) -> Result<WatchedCall, Fault> {
        if self.here.instruction > 0 {
            return Err(Fault::told(
                FailureCode::Invalid,
                "local variables can be watched from a stop point, not between two of them; bstep goes to the one before",
            ));
        }
        let leaves = |l: &Location| matches!(l.kind, StopKind::Return | StopKind::Unwind);
        let stood_in = |l: &Location| watch.frame.number == 0 && watch.frame.thread.is_none_or(|t| t == l.thread);
        let ends_here = self.here.location.as_ref().is_some_and(|l| leaves(l) && stood_in(l));
        let (here, kept) = (self.here.clone(), self.marks.set_aside());
        let follow = Follow {
            activation: frame.activation,
            passing: Passing::End,
        };
        let span = self.span(follow, ends_here, task);
        self.marks.put_back(kept);
        self.here = here;
        let (from, until) = span?;
        Ok(WatchedCall {
            activation: frame.activation,
            function: frame.function,
            from,
            until,
        })
    }

    fn span(&mut self, follow: Follow, ends_here: bool, task: &mut Task<'_>) -> Result<(Time, Option<Time>), Fault> {
        let unclear = || {
            Fault::told(
                FailureCode::Invalid,
                "where this call begins and ends cannot be told: 'watch -l' means objects",
            )
        };
        let here = self.here.clone();
        let from = match self.behind(Some(follow), task)? {
            Behind::Begun(from) => from,
            Behind::Nothing => FIRST,
            Behind::Breakpoint | Behind::Own => return Err(unclear()),
        };
        self.here = here;
        let end = loop {
            if ends_here {
                break Some(self.here.time);
            }
            match self.ahead(Some(follow), task)? {
                Ahead::Own => break Some(self.here.time),
                Ahead::MainDone(time) => self.land(time, task)?,
                Ahead::Nothing => break None,
                Ahead::Breakpoint | Ahead::Lost => return Err(unclear()),
            }
        };
        let last = self.last(task)?;
        Ok((from, end.map(|t| Time(t.0 + 1)).filter(|&t| t <= last)))
    }
}
