//! The scout: runs through the recording undisturbed, and leaves a copy every so often, at a hit, with what that hit is worth.

use super::Plan;
use super::shared::{End, Shared};
use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::interrupt::Interrupt;
use crate::replay::Process;
use crate::slice::{Pace, Slicer};
use crate::timeline::check_progress;
use crate::tree::Tree;
use rdb_protocol::Time;
use rdb_protocol::replay::{Hits, Run, RunEnd, Stopped};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an interval takes to replay, without what is evaluated in it: long against the copies it needs, short enough that rows come soon
/// and all cores have work.
const INTERVAL: Duration = Duration::from_millis(100);

/// Runs to the end, or until nobody wants more.
pub(super) fn run(shared: &Shared, plan: &Plan, tree: &Mutex<Tree>, interrupt: &Interrupt) {
    let process = tree.lock().unwrap_or_else(PoisonError::into_inner).copy_for(plan.from);
    let done = process.and_then(|process| {
        let mut scout = Scout {
            shared,
            plan,
            tree,
            interrupt,
            process,
            slicer: Slicer::new(Pace::default()),
            main_done: plan.main_done,
        };
        scout.run()
    });
    if let Err(fault) = done {
        shared.fail(fault);
    }
}

/// Where an interval may end.
enum Boundary {
    /// At this hit.
    Hit(Time),
    /// With this stop point: for long there are no hits.
    Empty(Time),
    /// With the query.
    None,
}

struct Scout<'a> {
    shared: &'a Shared,
    plan: &'a Plan,
    tree: &'a Mutex<Tree>,
    interrupt: &'a Interrupt,
    process: Process,
    slicer: Slicer,
    main_done: Option<Time>,
}

impl Scout<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        while !self.process.stands_at(self.plan.from) {
            if self.slice(Some(self.plan.from), Hits::Ignore)?.end == RunEnd::End {
                return Err(Fault::told(
                    rdb_protocol::client::FailureCode::Invalid,
                    format!("the recording ends at time {}", self.process.position().time),
                ));
            }
        }
        // What is stood at may be a hit, unless the interval before has it.
        let mut counted = false;
        loop {
            if !self.jump(counted)? {
                self.shared.complete();
                return Ok(());
            }
            let keeper = self.process.fork()?;
            let end = match self.next_boundary(counted)? {
                Boundary::Hit(time) => End::Hit(time, self.expected()?),
                Boundary::Empty(time) => End::With(time),
                Boundary::None => End::Last,
            };
            counted = matches!(end, End::With(_));
            let begin = keeper.position().time;
            let within = |&m: &Time| match end {
                // What is shown at the hit tells whether all is well.
                End::Hit(..) => false,
                End::With(end) => begin < m && m < end,
                End::Last => begin < m,
            };
            let last = matches!(end, End::Last);
            let main_done = self.main_done.filter(within);
            if !self.shared.add(keeper, end, main_done) || last {
                return Ok(());
            }
        }
    }

    /// Past a long stretch without hits, from the checkpoint that is nearest to its end; false where nothing is left.
    fn jump(&mut self, counted: bool) -> Result<bool, Fault> {
        let here = self.process.position().time;
        let begin = self.plan.candidates.first_after(self.passed(counted)).max(here);
        if begin > here && [self.plan.to, self.plan.last].into_iter().flatten().any(|end| begin >= end) {
            return Ok(false);
        }
        if begin <= here {
            return Ok(true);
        }
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if tree.start_for(begin) > here {
            self.process = tree.copy_for(begin)?;
        }
        drop(tree);
        while !self.process.stands_at(begin) {
            if self.slice(Some(begin), Hits::Ignore)?.end == RunEnd::End {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The last stop point of which all is known.
    fn passed(&self, counted: bool) -> Time {
        Time(self.process.position().time.0 - u64::from(!counted))
    }

    /// Runs on to where the interval ends: at a hit, or where for long there are none.
    fn next_boundary(&mut self, counted: bool) -> Result<Boundary, Fault> {
        if self.plan.to.is_some_and(|to| self.process.position().time >= to) {
            return Ok(Boundary::None);
        }
        let empty = self.plan.candidates.end_of(self.passed(counted));
        if let Some(empty) = empty.filter(|&e| self.process.position().time >= e) {
            return Ok(Boundary::Empty(empty));
        }
        let goal = [empty, self.plan.to].into_iter().flatten().min();
        let began = Instant::now();
        let mut hits = Hits::Ignore;
        self.process.set_breakpoints(Vec::new())?;
        loop {
            if hits == Hits::Ignore && began.elapsed() >= INTERVAL {
                hits = Hits::Stop;
                self.process.set_breakpoints(self.plan.breakpoints.clone())?;
            }
            let before = self.process.position().time;
            let stopped = self.slice(goal, hits)?;
            let time = stopped.position.time;
            if !stopped.breakpoints.is_empty() && time > before && stopped.position.location.is_some() {
                return Ok(match self.plan.to {
                    Some(to) if time > to => Boundary::None,
                    _ => Boundary::Hit(time),
                });
            }
            if self.is_over(&stopped) {
                return Ok(Boundary::None);
            }
            if let Some(empty) = empty.filter(|&e| time >= e) {
                return Ok(Boundary::Empty(empty));
            }
        }
    }

    fn is_over(&self, stopped: &Stopped) -> bool {
        stopped.end == RunEnd::End || self.plan.to.is_some_and(|to| stopped.position.time >= to)
    }

    /// What the hit stood at is worth; `None` where that cannot be had.
    fn expected(&mut self) -> Result<Option<rdb_protocol::rows::Rows>, Fault> {
        let mut probe = self.process.fork()?;
        let row = probe
            .set_inline(self.plan.inline.clone())
            .and_then(|()| probe.row(DEADLINE, self.interrupt));
        match row {
            Ok(row) => Ok(row.ok()),
            Err(fault @ (Fault::Interrupted | Fault::System { .. })) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    fn slice(&mut self, goal: Option<Time>, hits: Hits) -> Result<Stopped, Fault> {
        let before = self.process.position().clone();
        let (until_time, event) = self.slicer.bounds(&before, goal);
        let began = Instant::now();
        let run = Run {
            until_time: Some(until_time),
            until_event: Some(event),
            hits,
        };
        let stopped = self.process.run(run, self.interrupt)?;
        check_progress(&before, &stopped, until_time)?;
        if stopped.end == RunEnd::Goal {
            self.slicer.learn(began.elapsed());
        }
        self.main_done = stopped.main_done.or(self.main_done);
        self.shared.reached(stopped.position.time);
        Ok(stopped)
    }
}
