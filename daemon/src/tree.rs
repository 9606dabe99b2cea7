//! Root and checkpoints of one recording: the processes that never run, only bear copies.

use crate::fault::{CheckpointId, Fault};
use crate::host::Host;
use crate::known::{Known, Progress};
use crate::memory::{pss_kib, taken_kib};
use crate::placement::{Limits, Placement, Share, Spot};
use crate::replay::Process;
use rdb_protocol::client::CheckpointInfo;
use rdb_protocol::{EventIndex, Position, Time};
use std::sync::Arc;

/// After so many new checkpoints, and as many as there are, the memory of all is measured anew: what they share changes as others come and
/// go. One takes a fifth of a millisecond.
const MEASURE_EVERY: usize = 32;
/// Before one goes for want of memory they are measured, if so large a share of them is new.
const MEASURE_SHARE: usize = 8;
/// At most so many at once.
const MEASURE_MOST: usize = 64;

/// A paused copy.
#[derive(Debug)]
struct Checkpoint {
    id: CheckpointId,
    process: Process,
    cost: u64,
    taken_kib: u64,
    pinned: bool,
}

/// Where checkpoints are missing.
#[derive(Debug)]
pub(crate) struct Gap {
    /// The checkpoint before it.
    pub begin: Time,
    /// The checkpoint behind it, or the end.
    pub end: Time,
    /// Ascending.
    pub wanted: Vec<Time>,
}

/// The tree. Ascending by position.
#[derive(Debug)]
pub(crate) struct Tree {
    host: Arc<dyn Host>,
    known: Arc<Known>,
    root: Option<Process>,
    checkpoints: Vec<Checkpoint>,
    placement: Placement,
    last_id: CheckpointId,
    since_measured: usize,
    measurements: usize,
    cursor: u64,
}

impl Tree {
    /// With no process yet; the root is started when first needed.
    pub(crate) fn new(host: Arc<dyn Host>, known: Arc<Known>, placement: Placement) -> Tree {
        Tree {
            host,
            known,
            root: None,
            checkpoints: Vec::new(),
            placement,
            last_id: 0,
            since_measured: 0,
            measurements: 0,
            cursor: 0,
        }
    }

    /// How much of all checkpoints is this recording's from now on.
    pub(crate) fn share(&mut self, whole: Limits, share: Share) {
        self.placement.share(whole, share);
        self.trim(0);
    }

    /// Most checkpoints it may have.
    #[cfg(test)]
    pub(crate) fn maximum(&self) -> usize {
        self.placement.maximum()
    }

    /// The time from which a copy that can go to stop point `time` would start.
    pub(crate) fn start_for(&self, time: Time) -> Time {
        self.checkpoints
            .iter()
            .rfind(|c| c.process.serves(time))
            .map_or(Time::BEGIN, |c| c.process.position().time)
    }

    /// A copy of the nearest process that can go to stop point `time`.
    pub(crate) fn copy_for(&mut self, time: Time) -> Result<Process, Fault> {
        self.copy(|p| p.serves(time))
    }

    /// A copy of the nearest process that has not passed stop point `time` nor stands there.
    pub(crate) fn copy_before(&mut self, time: Time) -> Result<Process, Fault> {
        self.copy(|p| p.position().time < time)
    }

    fn copy(&mut self, fits: impl Fn(&Process) -> bool) -> Result<Process, Fault> {
        let mut refused = false;
        let mut dead_roots = 0;
        loop {
            match self.try_copy(&fits) {
                Err(Fault::Refused(reason)) if !refused => {
                    refused = true;
                    self.fork_refused(&reason);
                }
                // It ran nothing, so someone killed it: the next one will do.
                Err(Fault::Died {
                    origin: Some(id),
                    last_words,
                }) => {
                    eprintln!("rdbd: checkpoint {id} died while paused: {last_words}");
                    self.checkpoints.retain(|c| c.id != id);
                }
                Err(Fault::Died { origin: None, .. }) if dead_roots < 2 => {
                    dead_roots += 1;
                    self.root = None;
                }
                other => return other,
            }
        }
    }

    fn try_copy(&mut self, fits: &impl Fn(&Process) -> bool) -> Result<Process, Fault> {
        if let Some(checkpoint) = self.checkpoints.iter_mut().rfind(|c| fits(&c.process)) {
            checkpoint.process.set_origin(Some(checkpoint.id));
            return checkpoint.process.fork();
        }
        if self.root.is_none() {
            self.root = Some(Process::root(&self.host)?);
        }
        // Just made when it was not there.
        let root = self.root.as_mut().ok_or_else(|| Fault::Garbled("no root".to_string()))?;
        root.fork()
    }

    /// Leaves a checkpoint where `runner` stands, if placement wants one there. A refused fork is no failure.
    pub(crate) fn offer(&mut self, runner: &mut Process, cost: u64) -> Result<(), Fault> {
        if self.placement.wants(&self.spots(), cost, self.window(cost)) {
            self.keep(runner, cost, false)?;
        }
        Ok(())
    }

    /// Leaves a checkpoint where `runner` stands. A refused fork is no failure.
    pub(crate) fn keep(&mut self, runner: &mut Process, cost: u64, pinned: bool) -> Result<(), Fault> {
        let at = order(runner.position());
        let place = self.checkpoints.partition_point(|c| order(c.process.position()) < at);
        if self.checkpoints.get(place).is_some_and(|c| order(c.process.position()) == at) {
            return Ok(());
        }
        let process = match runner.fork() {
            Ok(mut process) => {
                process.watch(Vec::new())?;
                process
            }
            Err(Fault::Refused(reason)) => {
                self.fork_refused(&reason);
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        self.insert(place, process, cost, pinned);
        Ok(())
    }

    /// A process that stands there already becomes a checkpoint.
    pub(crate) fn adopt(&mut self, mut process: Process, cost: u64) -> Result<(), Fault> {
        let at = order(process.position());
        let place = self.checkpoints.partition_point(|c| order(c.process.position()) < at);
        if self.checkpoints.get(place).is_none_or(|c| order(c.process.position()) != at) {
            process.watch(Vec::new())?;
            self.insert(place, process, cost, false);
        }
        Ok(())
    }

    fn insert(&mut self, place: usize, process: Process, cost: u64, pinned: bool) {
        self.last_id += 1;
        // It will share as much as the others do, once the runner has gone on.
        let taken_kib = match self.placement.size() {
            0 => taken_kib(process.body().pid()).unwrap_or(0),
            size => size,
        };
        self.checkpoints.insert(
            place,
            Checkpoint {
                id: self.last_id,
                process,
                cost,
                taken_kib,
                pinned,
            },
        );
        self.since_measured += 1;
        if self.since_measured >= MEASURE_EVERY.max(self.checkpoints.len()) {
            self.measure();
        }
        self.trim(cost);
    }

    /// Costs at which a seek from `from` to `target` should leave checkpoints.
    pub(crate) fn near(&self, from: u64, target: u64) -> Vec<u64> {
        self.placement.near(from, target)
    }

    /// Where the cursor is, of several the one that moved last: checkpoints before it are dear.
    pub(crate) fn set_cursor(&mut self, cost: u64) {
        self.cursor = cost;
    }

    /// The first gap between checkpoints, from `time` on, that is much wider than it need be now that the whole is known: where it begins and
    /// ends, and where checkpoints are wanted in it.
    pub(crate) fn gap(&self, time: Time) -> Option<Gap> {
        let facts = self.known.facts();
        let window = self.placement.window(facts.costs.total(), true);
        let last = facts.last.map(|l| (l, facts.costs.at(l)));
        let places = self.checkpoints.iter().map(|c| c.process.position().time);
        let places: Vec<(Time, u64)> = places.map(|t| (t, facts.costs.at(t))).chain(last).collect();
        let wide = |two: &&[(Time, u64)]| two[0].0 >= time && self.placement.is_wide(two[1].1.saturating_sub(two[0].1), window);
        let two = places.windows(2).find(wide)?;
        let (begin, end) = (two[0].0, two[1].0);
        let costs = self.placement.inside(two[0].1, two[1].1, window);
        let index = self.known.index();
        // What the index leads to is then searched from its beginning on, and nothing else.
        let on_boundary = |cost| {
            let time = facts.costs.time_at(cost);
            let near = |&t: &Time| begin < t && t < end && facts.costs.at(t).abs_diff(cost) <= window / 2;
            index.boundary_near(time).filter(near).unwrap_or(time)
        };
        let mut wanted: Vec<Time> = costs.into_iter().map(on_boundary).collect();
        wanted.dedup();
        Some(Gap { begin, end, wanted })
    }

    /// After a death: drops what died, and the checkpoint the dead one was copied from.
    pub(crate) fn recover(&mut self, origin: Option<CheckpointId>, last_words: &str) {
        eprintln!(
            "rdbd: a replay process died ({last_words}); it came from {}",
            origin.map_or("the root".to_string(), |id| format!("checkpoint {id}"))
        );
        self.checkpoints.retain(|c| c.process.body().alive() && Some(c.id) != origin);
        if origin.is_none() || self.root.as_ref().is_some_and(|r| !r.body().alive()) {
            self.root = None;
        }
    }

    /// As a client wants them, measured now.
    pub(crate) fn list(&self) -> Vec<CheckpointInfo> {
        let root = self.root.iter().map(|r| (r.position(), r.body().pid()));
        let others = self.checkpoints.iter().map(|c| (c.process.position(), c.process.body().pid()));
        root.chain(others)
            .map(|(p, pid)| CheckpointInfo {
                time: p.time,
                event: p.event,
                pid,
                pss_kib: pss_kib(pid),
            })
            .collect()
    }

    /// Commands wait meanwhile: so a part of them is measured, another each time, and stands for all.
    fn measure(&mut self) {
        self.since_measured = 0;
        self.measurements += 1;
        let step = self.checkpoints.len().div_ceil(MEASURE_MOST).max(1);
        let sample = self.checkpoints.iter().skip(self.measurements % step).step_by(step);
        let taken: Vec<u64> = sample.filter_map(|c| taken_kib(c.process.body().pid())).collect();
        if let Some(mean) = taken.iter().sum::<u64>().checked_div(taken.len() as u64) {
            self.checkpoints.iter_mut().for_each(|c| c.taken_kib = mean);
        }
        let spots = self.spots();
        self.placement.learn(&spots);
    }

    fn trim(&mut self, reached: u64) {
        // Not for want of memory that only seems to be taken.
        if self.placement.is_over(&self.spots()) && self.since_measured > self.checkpoints.len() / MEASURE_SHARE {
            self.measure();
        }
        let (window, total) = (self.window(reached), self.known.facts().costs.total().max(reached));
        for victim in self.placement.victims(&self.spots(), self.cursor, window, total).into_iter().rev() {
            self.checkpoints.remove(victim);
        }
    }

    fn fork_refused(&mut self, reason: &str) {
        eprintln!("rdbd: with {} checkpoints: {reason}", self.checkpoints.len());
        self.placement.fork_failed(self.checkpoints.len());
        self.trim(0);
    }

    fn window(&self, reached: u64) -> u64 {
        let facts = self.known.facts();
        self.placement
            .window(facts.costs.total().max(reached), facts.survey == Progress::Complete)
    }

    fn spots(&self) -> Vec<Spot> {
        let mut highest = 0;
        // Costs noted at different moments may contradict the order by a hair.
        let ascending = |c: &Checkpoint| {
            highest = c.cost.max(highest);
            Spot {
                cost: highest,
                taken_kib: c.taken_kib,
                pinned: c.pinned,
            }
        };
        self.checkpoints.iter().map(ascending).collect()
    }
}

/// A process between stop points is after the one it passed.
fn order(position: &Position) -> (Time, bool, EventIndex) {
    (position.time, position.location.is_none(), position.event)
}
