//! The scout: runs through the recording undisturbed, and leaves a copy every so often, at a hit, with what that hit is worth.

use super::Plan;
use super::shared::Shared;
use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::interrupt::Interrupt;
use crate::replay::Process;
use crate::slice::{Pace, Slicer};
use crate::timeline::check_progress;
use crate::tree::Tree;
use rdb_protocol::Time;
use rdb_protocol::replay::{Hits, Run, RunEnd, Stopped};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an interval takes to replay, without what is evaluated in it: long against the copies it needs, short enough that rows come soon
/// and all cores have work.
const INTERVAL: Duration = Duration::from_millis(100);

/// Runs to the end, or until nobody wants more.
pub(super) fn run(shared: &Shared, plan: &Plan, tree: &Arc<Mutex<Tree>>, interrupt: &Interrupt) {
    let process = tree.lock().unwrap_or_else(PoisonError::into_inner).copy_for(plan.from);
    let done = process.and_then(|process| {
        let mut scout = Scout {
            shared,
            plan,
            interrupt,
            process,
            slicer: Slicer::new(Pace::default()),
            main_done: None,
        };
        scout.run()
    });
    if let Err(fault) = done {
        shared.fail(fault);
    }
}

struct Scout<'a> {
    shared: &'a Shared,
    plan: &'a Plan,
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
        loop {
            let keeper = self.process.fork()?;
            let end = self.next_boundary()?;
            let expected = match end {
                Some(_) => self.expected()?,
                None => None,
            };
            let main_done = self.main_done.filter(|&m| end.is_none() && m > keeper.position().time);
            if !self.shared.add(keeper, end, expected, main_done) || end.is_none() {
                return Ok(());
            }
        }
    }

    /// Runs on to the hit at which the next interval begins; `None` where there is none.
    fn next_boundary(&mut self) -> Result<Option<Time>, Fault> {
        if self.plan.to.is_some_and(|to| self.process.position().time >= to) {
            return Ok(None);
        }
        let began = Instant::now();
        self.process.set_breakpoints(Vec::new())?;
        while began.elapsed() < INTERVAL {
            let stopped = self.slice_to_end(Hits::Ignore)?;
            if self.is_over(&stopped) {
                return Ok(None);
            }
        }
        self.process.set_breakpoints(self.plan.breakpoints.clone())?;
        loop {
            let before = self.process.position().time;
            let stopped = self.slice_to_end(Hits::Stop)?;
            if !stopped.breakpoints.is_empty() && stopped.position.time > before && stopped.position.location.is_some() {
                return Ok(Some(stopped.position.time).filter(|&t| self.plan.to.is_none_or(|to| t <= to)));
            }
            if self.is_over(&stopped) {
                return Ok(None);
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

    fn slice_to_end(&mut self, hits: Hits) -> Result<Stopped, Fault> {
        self.slice(self.plan.to, hits)
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
