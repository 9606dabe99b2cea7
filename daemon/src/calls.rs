//! From when to when a call is there.

use crate::ahead::Ahead;
use crate::behind::Behind;
use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::{FailureCode, Watch};
use rdb_protocol::replay::{Follow, Object, Passing};
use rdb_protocol::{Activation, Frame, Location, StopKind, Time, WatchedCall};

impl Timeline {
    /// The call that executes a frame of the stack at the cursor, which stays there. `body`: its variables are in a dictionary.
    pub(crate) fn call(&mut self, watch: &Watch, frame: Frame, body: bool, task: &mut Task<'_>) -> Result<WatchedCall, Fault> {
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
        let span = self.generator(watch, task).and_then(|generator| {
            let span = self.span(follow, ends_here, generator.is_some(), task)?;
            self.here.clone_from(&here);
            match (generator, span.1) {
                // It may be gone, or closed, without a stop point to say so.
                (Some(generator), None) => {
                    let gone = self.death(generator, task)?;
                    Ok((span.0, self.closing(frame.activation, gone, task)?))
                }
                _ => Ok(span),
            }
        });
        self.marks.put_back(kept);
        self.here = here;
        let (from, until) = span?;
        Ok(WatchedCall {
            activation: frame.activation,
            function: frame.function,
            from,
            until,
            body,
        })
    }

    /// The generator or coroutine that the frame lies in, if it lies in one.
    fn generator(&mut self, watch: &Watch, task: &mut Task<'_>) -> Result<Option<Object>, Fault> {
        let source = "__rdb_generator".to_string();
        let probe = self.at_cursor(task)?.fork()?;
        let value = probe.evaluate(source, watch.frame, Vec::new(), DEADLINE, task.interrupt)?;
        Ok(value.object.filter(|_| value.ok))
    }

    /// The first time at which a generator is over that is there at the cursor, and gone at a later time if that is told.
    fn closing(&mut self, activation: Activation, gone: Option<Time>, task: &mut Task<'_>) -> Result<Option<Time>, Fault> {
        let end = match gone {
            Some(gone) => Time(gone.0 - 1),
            None => self.last(task)?,
        };
        if !self.is_over(activation, end, task)? {
            return Ok(gone);
        }
        // Once over it stays so.
        let (mut before, mut over) = (self.here.time, end);
        while before.0 + 1 < over.0 {
            let middle = Time(before.0 + (over.0 - before.0) / 2);
            match self.is_over(activation, middle, task)? {
                true => over = middle,
                false => before = middle,
            }
        }
        Ok(Some(over))
    }

    fn is_over(&mut self, activation: Activation, time: Time, task: &mut Task<'_>) -> Result<bool, Fault> {
        let process = self.copy_at(time, task)?;
        let scope = (String::new(), Some(activation));
        let observed = process.observe("None".to_string(), scope, Vec::new(), DEADLINE, task.interrupt)?;
        Ok(!observed.ok)
    }

    fn span(&mut self, follow: Follow, ends_here: bool, generator: bool, task: &mut Task<'_>) -> Result<(Time, Option<Time>), Fault> {
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
                Ahead::Lost if generator => break None,
                Ahead::Breakpoint | Ahead::Lost => return Err(unclear()),
            }
        };
        let last = self.last(task)?;
        Ok((from, end.map(|t| Time(t.0 + 1)).filter(|&t| t <= last)))
    }
}
