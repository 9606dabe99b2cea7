//! The search forward: from the cursor on, the first hit that is one.

use crate::conditions::{Verdict, judge, judge_changes};
use crate::fault::Fault;
use crate::progress::Task;
use crate::slice::Slicer;
use crate::timeline::{Lookout, Place, Timeline};
use crate::watching::Values;
use rdb_protocol::client::StopReason;
use rdb_protocol::replay::{Follow, Hits, RunEnd};
use rdb_protocol::{Direction, Time};

/// What a search forward came to; the cursor has moved there for hits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Breakpoints, or the place that `until` looks for.
    Breakpoint,
    /// A stop point of the followed activation's own.
    Own,
    /// Nothing up to the end of the main module, which was at this time.
    MainDone(Time),
    /// Nothing up to the end.
    Nothing,
    /// The activation is over, without a stop point to say so.
    Lost,
}

impl Timeline {
    /// To a breakpoint hit that way, the next one being the first, or to where that way ends.
    pub(crate) fn continue_to(&mut self, count: u64, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.marks.pass(count.saturating_sub(1));
        let result = match direction {
            Direction::Forward => self.continue_forward(task),
            Direction::Backward => self.continue_backward(task),
        };
        let left = self.marks.pass(0);
        if !matches!(result, Ok(StopReason::Breakpoint)) && count > 1 {
            self.notes.push(format!("hits that way: {} of {count}", count - 1 - left));
        }
        result
    }

    /// To the next breakpoint hit, the end of the main module, or the end.
    pub(crate) fn continue_forward(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        match self.ahead(None, task)? {
            Ahead::Breakpoint | Ahead::Own => Ok(StopReason::Breakpoint),
            Ahead::MainDone(time) => self.arrive_at_main_done(time, task),
            Ahead::Nothing | Ahead::Lost => self.arrive_at_end(task),
        }
    }

    /// Runs on to the first hit of breakpoints or of the activation followed.
    pub(crate) fn ahead(&mut self, follow: Option<Follow>, task: &mut Task<'_>) -> Result<Ahead, Fault> {
        let from = self.here.time;
        if self.marks.is_empty() && follow.is_none() {
            self.last(task)?;
            return Ok(self.main_done_after(from));
        }
        self.at_cursor(task)?;
        // Taken: when the search is aborted, the cursor stays and this process goes.
        let mut process = self.active.take().ok_or_else(|| Fault::Garbled("no active process".to_string()))?;
        let mut values = Values::of(&mut process, &self.marks, task.interrupt)?;
        let mut slicer = Slicer::new(self.pace);
        let lookout = Lookout { hits: Hits::Stop, follow };
        let candidates = self.candidates(follow);
        loop {
            let (main_done, last) = self.ends();
            let goal = main_done.filter(|&m| m > from).or(last);
            let at = process.position().time;
            if goal.is_some_and(|g| process.stands_at(g)) {
                return Ok(self.main_done_after(from));
            }
            let next = candidates.as_ref().map_or(at, |c| c.first_after(at));
            if goal.is_some_and(|g| next >= g) {
                return Ok(self.main_done_after(from));
            }
            if next > at {
                if self.tree().start_for(next) > at {
                    process = self.tree().copy_for(next)?;
                }
                self.run_to(&mut process, next, task)?;
                continue;
            }
            let stopped = self.slice(&mut process, &mut slicer, goal, lookout, task)?;
            for (time, mut verdict) in Verdict::certain(&stopped.quiet) {
                let stopping = self.meet(&mut verdict);
                if !stopping.is_empty() {
                    self.land(time, task)?;
                    self.met(&stopping, verdict);
                    return Ok(Ahead::Breakpoint);
                }
            }
            let time = stopped.position.time;
            let there = process.stands_at(time) && time > at;
            if there && (!stopped.breakpoints.is_empty() || stopped.own && !stopped.begun) {
                let changes = values.update(&mut process, &stopped.breakpoints, &self.marks, task.interrupt)?;
                let mut verdict = judge(&mut process, &stopped.breakpoints, &self.marks, task.interrupt)?.and(judge_changes(
                    &mut process,
                    changes,
                    &self.marks,
                    task.interrupt,
                )?);
                let own = stopped.own && !stopped.begun;
                let stopping = self.meet(&mut verdict);
                if own || !stopping.is_empty() {
                    self.here = Place {
                        time,
                        instruction: 0,
                        location: stopped.position.location,
                        breakpoints: Vec::new(),
                    };
                    self.met(&stopping, verdict);
                    (self.active, self.inside) = (Some(process), None);
                    return Ok(if stopping.is_empty() { Ahead::Own } else { Ahead::Breakpoint });
                }
            }
            match stopped.end {
                RunEnd::MainDone if time > from => return Ok(Ahead::MainDone(time)),
                RunEnd::End => return Ok(Ahead::Nothing),
                _ if stopped.begun => return Ok(Ahead::Lost),
                _ => {}
            }
            let total = goal.map_or_else(|| self.known.expected(&stopped.position), |g| g.0);
            task.advance(time.0 - from.0, total.saturating_sub(from.0))?;
        }
    }

    /// The end of the main module, if it lies ahead of `from`.
    fn main_done_after(&self, from: Time) -> Ahead {
        self.ends().0.filter(|&m| m > from).map_or(Ahead::Nothing, Ahead::MainDone)
    }

    pub(crate) fn arrive_at_main_done(&mut self, time: Time, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.land(time, task)?;
        Ok(StopReason::MainDone)
    }

    pub(crate) fn arrive_at_end(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        let last = self.last(task)?;
        self.land(last, task)?;
        Ok(StopReason::HistoryEnd)
    }

    fn ends(&self) -> (Option<Time>, Option<Time>) {
        let facts = self.known.facts();
        (facts.main_done, facts.last)
    }
}
