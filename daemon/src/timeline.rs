//! The cursor and the active process: how one place in the recording is reached from another.
//!
//! The cursor is data; the active process is only the means that happens to stand there. A move that fails leaves the
//! cursor, and the next move finds its way again from a checkpoint.

use crate::breakpoints::{Marks, UNTIL};
use crate::conditions::{Verdict, judge};
use crate::fault::{CheckpointId, Fault};
use crate::index::Candidates;
use crate::known::Known;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::references::References;
use crate::replay::Process;
use crate::slice::{Pace, Slicer};
use crate::tree::Tree;
use rdb_protocol::client::{FailureCode, OutputLine, Printed, ValueChange};
use rdb_protocol::replay::{Follow, Hits, Interpreter, Raises, Run, RunEnd, Stopped};
use rdb_protocol::{Location, Position, Time};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// When.
    pub time: Time,
    /// So many instructions later; 0 at the stop point itself.
    pub instruction: u64,
    /// Where; `None` when the recording has no stop point.
    pub location: Option<Location>,
    /// Breakpoints that lie here.
    pub breakpoints: Vec<u32>,
}

impl Place {
    /// Time and instruction: what tells earlier from later.
    pub(crate) fn moment(&self) -> (Time, u64) {
        (self.time, self.instruction)
    }
}

/// What a run looks out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookout {
    /// What becomes of hits.
    pub hits: Hits,
    /// The activation whose own stop points are hits too.
    pub follow: Option<Follow>,
}

impl Lookout {
    /// For nothing.
    pub(crate) const NONE: Lookout = Lookout {
        hits: Hits::Ignore,
        follow: None,
    };
}

/// How a move to a time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    /// There.
    There,
    /// The recording ended before, with this last stop point.
    Past(Time),
}

/// One cursor's way through a recording.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) tree: Arc<Mutex<Tree>>,
    pub(crate) known: Arc<Known>,
    /// A copy for the command under way.
    pub(crate) marks: Marks,
    pub(crate) here: Place,
    pub(crate) active: Option<Process>,
    /// One that stands between stop points, behind the stop point of this time.
    pub(crate) inside: Option<(Time, Process)>,
    pub(crate) pace: Pace,
    /// What there is to say about the last move: conditions that failed.
    pub(crate) notes: Vec<String>,
    /// What the watchpoints that ended the last move have seen.
    pub(crate) changes: Vec<ValueChange>,
    /// What actions came to during the last move.
    pub(crate) printed: Vec<Printed>,
    /// Files in which no step ends.
    pub(crate) skipped: Vec<String>,
    /// The objects that have numbers.
    pub(crate) references: References,
    /// What the program printed, once asked for.
    pub(crate) output: Option<Arc<Vec<OutputLine>>>,
    /// What it raised, once asked for.
    pub(crate) raises: Option<Arc<Raises>>,
}

impl Timeline {
    /// With the cursor before the first stop point.
    pub(crate) fn new(tree: Arc<Mutex<Tree>>, known: Arc<Known>, references: References, pace: Pace) -> Timeline {
        let here = Place {
            time: Time::BEGIN,
            instruction: 0,
            location: None,
            breakpoints: Vec::new(),
        };
        Timeline {
            tree,
            known,
            marks: Marks::default(),
            here,
            active: None,
            inside: None,
            pace,
            notes: Vec::new(),
            changes: Vec::new(),
            skipped: Vec::new(),
            printed: Vec::new(),
            references,
            output: None,
            raises: None,
        }
    }

    /// Goes to the first stop point, or finds that there is none.
    pub(crate) fn open(&mut self, task: &mut Task<'_>) -> Result<(), Fault> {
        if self.known.facts().last == Some(Time::BEGIN) {
            return Ok(());
        }
        let mut process = self.tree().copy_for(FIRST)?;
        if process.stands_at(FIRST) {
            // Another cursor came first, and has left a checkpoint.
            return self.arrive(process, task);
        }
        let mut slicer = Slicer::new(self.pace);
        let mut stopped = self.slice(&mut process, &mut slicer, Some(FIRST), Lookout::NONE, task)?;
        while !process.stands_at(FIRST) && stopped.end != RunEnd::End {
            if matches!(process.interpreter()?, Interpreter::Unsupported { .. }) {
                break;
            }
            task.advance(0, 0)?;
            stopped = self.slice(&mut process, &mut slicer, Some(FIRST), Lookout::NONE, task)?;
        }
        let interpreter = process.interpreter()?;
        self.known.facts().interpreter = interpreter;
        if process.stands_at(FIRST) {
            let cost = self.known.cost(FIRST);
            self.tree().keep(&mut process, cost, true)?;
            self.arrive(process, task)?;
        } else {
            self.known.facts().last = Some(Time::BEGIN);
        }
        Ok(())
    }

    /// Root and checkpoints.
    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when there is nowhere to go.
    pub(crate) fn require_stop_points(&self) -> Result<(), Fault> {
        if self.here.location.is_some() {
            return Ok(());
        }
        let text = match &self.known.facts().interpreter {
            Interpreter::Unsupported { reason } => reason.clone(),
            Interpreter::Unknown => "no interpreter with source lines was seen in this recording: there is nowhere to go".to_string(),
            Interpreter::Ready { name } => format!("{name} executed no source line in this recording: there is nowhere to go"),
        };
        Err(Fault::told(FailureCode::NoStopPoints, text))
    }

    /// Moves to stop point `time`. The cursor moves only when the answer is [`Landing::There`].
    pub(crate) fn seek(&mut self, time: Time, task: &mut Task<'_>) -> Result<Landing, Fault> {
        let mut process = self.nearest(time)?;
        let target = self.known.cost(time);
        self.tree().set_cursor(target);
        if process.position().time == Time::BEGIN && time > FIRST {
            // The checkpoint after the start-up was lost.
            if let Landing::Past(last) = self.run_to(&mut process, FIRST, task)? {
                return Ok(Landing::Past(last));
            }
            let cost = self.known.cost(FIRST);
            self.tree().keep(&mut process, cost, true)?;
        }
        for stop in self.stops_before(process.position().time, time) {
            if let Landing::Past(last) = self.run_to(&mut process, stop, task)? {
                return Ok(Landing::Past(last));
            }
            let cost = self.known.cost(stop);
            self.tree().keep(&mut process, cost, false)?;
        }
        let landing = self.run_to(&mut process, time, task)?;
        if landing == Landing::There {
            self.arrive(process, task)?;
        }
        Ok(landing)
    }

    /// The active process, standing at the cursor, or at the stop point before it.
    pub(crate) fn at_cursor(&mut self, task: &mut Task<'_>) -> Result<&mut Process, Fault> {
        let here = self.here.clone();
        let time = here.time;
        if !self.active.as_ref().is_some_and(|a| a.stands_at(time)) && self.seek(time, task)? != Landing::There {
            return Err(Fault::Garbled(format!("time {time} was there before and is not now")));
        }
        if here.instruction > 0 {
            self.here = here;
        }
        self.active.as_mut().ok_or_else(|| Fault::Garbled("no active process".to_string()))
    }

    /// The active process, standing at the cursor, in knowledge of the breakpoints.
    pub(crate) fn active_with_marks(&mut self, task: &mut Task<'_>) -> Result<&mut Process, Fault> {
        self.at_cursor(task)?;
        let process = self
            .active
            .as_mut()
            .ok_or_else(|| Fault::Garbled("no active process".to_string()))?;
        process.learn(&self.marks)?;
        Ok(process)
    }

    /// The cursor is where this process stands.
    pub(crate) fn arrive(&mut self, mut process: Process, task: &Task<'_>) -> Result<(), Fault> {
        let breakpoints = if self.marks.is_empty() {
            Vec::new()
        } else {
            process.learn(&self.marks)?;
            let mut all = process.look()?.breakpoints;
            // Actions belong to moves that come through.
            all.retain(|&id| self.marks.action(id).is_none());
            let mut hit = judge(&mut process, &all, &self.marks, task.interrupt)?.hit;
            hit.retain(|&id| id != UNTIL);
            hit
        };
        let Position { time, location, .. } = process.position().clone();
        self.inside = None;
        self.here = Place {
            time,
            instruction: 0,
            location,
            breakpoints,
        };
        self.active = Some(process);
        Ok(())
    }

    /// A search stops here because of these breakpoints; the conditions of some failed.
    pub(crate) fn met(&mut self, stopping: &[u32], verdict: Verdict) {
        let Verdict { failed, mut changes, .. } = verdict;
        changes.retain(|c| stopping.contains(&c.id));
        self.changes = changes;
        self.here.breakpoints = stopping.iter().copied().filter(|&id| id != UNTIL).collect();
        for (id, error) in failed.into_iter().filter(|f| stopping.contains(&f.0)) {
            self.marks.tell(id);
            self.notes.push(format!(
                "the condition of breakpoint {id} fails: {error}; from now on that counts as no"
            ));
        }
    }

    /// Finds out anew which breakpoints lie at the cursor.
    pub(crate) fn look(&mut self, task: &mut Task<'_>) -> Result<(), Fault> {
        self.here.breakpoints.clear();
        // Breakpoints lie at stop points alone.
        if self.here.instruction == 0 && self.here.location.is_some() && !self.marks.is_empty() {
            self.at_cursor(task)?;
            if let Some(process) = self.active.take() {
                self.arrive(process, task)?;
            }
        }
        Ok(())
    }

    /// After a death: drops what died and what it came from.
    pub(crate) fn recover(&mut self, origin: Option<CheckpointId>, last_words: &str) {
        (self.active, self.inside) = (None, None);
        self.tree().recover(origin, last_words);
    }

    /// Runs one slice, at most to `goal`; notes what it tells and offers a checkpoint at its end.
    pub(crate) fn slice(
        &mut self,
        process: &mut Process,
        slicer: &mut Slicer,
        goal: Option<Time>,
        lookout: Lookout,
        task: &mut Task<'_>,
    ) -> Result<Stopped, Fault> {
        let marks = self.marks.clone();
        self.slice_for(&marks, process, slicer, goal, lookout, task)
    }

    /// The same for other breakpoints.
    pub(crate) fn slice_for(
        &mut self,
        marks: &Marks,
        process: &mut Process,
        slicer: &mut Slicer,
        goal: Option<Time>,
        lookout: Lookout,
        task: &mut Task<'_>,
    ) -> Result<Stopped, Fault> {
        let before = process.position().clone();
        let short = goal.filter(|&g| before.time > Time::BEGIN && self.between(before.time, g) < self.pace.short);
        let (until_time, until_event) = match short {
            Some(goal) => (goal, None),
            None => {
                let (time, event) = slicer.bounds(&before, goal);
                (time, Some(event))
            }
        };
        process.follow(lookout.follow)?;
        match lookout.hits {
            Hits::Ignore => process.watch(Vec::new())?,
            _ => process.learn(marks)?,
        }
        let began = Instant::now();
        let stopped = process.run(
            Run {
                until_time: Some(until_time),
                until_event,
                hits: lookout.hits,
            },
            task.interrupt,
        )?;
        let took = began.elapsed();
        check_progress(&before, &stopped, until_time)?;
        self.known.note(&stopped);
        self.known.extend(&before, &stopped.position, took);
        if short.is_none() {
            slicer.learn(took);
            if stopped.end == RunEnd::Goal && stopped.position.time > Time::BEGIN {
                let cost = self.known.cost(stopped.position.time);
                self.tree().offer(process, cost)?;
            }
        }
        Ok(stopped)
    }

    /// Where a search for the breakpoints and for this activation has to look; `None`: everywhere. What is watched may change anywhere.
    pub(crate) fn candidates(&self, follow: Option<Follow>) -> Option<Candidates> {
        let watching = self.marks.watching().next().is_some();
        (!watching).then(|| self.known.index().candidates(&self.marks.orders(), follow))
    }

    /// Runs a process that can get there to stop point `goal`.
    pub(crate) fn run_to(&mut self, process: &mut Process, goal: Time, task: &mut Task<'_>) -> Result<Landing, Fault> {
        let mut slicer = Slicer::new(self.pace);
        while !process.stands_at(goal) {
            let stopped = self.slice(process, &mut slicer, Some(goal), Lookout::NONE, task)?;
            if stopped.end == RunEnd::End {
                return Ok(Landing::Past(stopped.position.time));
            }
            task.advance(stopped.position.time.0, goal.0)?;
        }
        Ok(Landing::There)
    }

    /// The process from which `time` is reached soonest: the active itself, or a copy.
    fn nearest(&mut self, time: Time) -> Result<Process, Fault> {
        let start = self.tree().start_for(time);
        if let Some(active) = self.active.take_if(|a| a.serves(time)) {
            let from = active.position().time;
            if self.between(from, time) <= self.between(start, time).saturating_add(self.pace.copy) {
                return Ok(active);
            }
        }
        self.tree().copy_for(time)
    }

    /// Stop points at which a seek should leave checkpoints, so that the next step back is short.
    fn stops_before(&self, from: Time, to: Time) -> Vec<Time> {
        let facts = self.known.facts();
        let (start, target) = (facts.costs.at(from), facts.costs.at(to));
        drop(facts);
        let near = self.tree().near(start, target);
        let facts = self.known.facts();
        let mut stops: Vec<Time> = near
            .into_iter()
            .map(|c| facts.costs.time_at(c))
            .filter(|&t| from < t && t < to)
            .collect();
        stops.dedup();
        stops
    }

    pub(crate) fn between(&self, from: Time, to: Time) -> u64 {
        self.known.facts().costs.between(from, to)
    }
}

/// A peer that answers without moving would keep us for ever, one that overshoots would mislead.
pub(crate) fn check_progress(before: &Position, stopped: &Stopped, until: Time) -> Result<(), Fault> {
    let after = &stopped.position;
    let moved = after.time > before.time || after.event > before.event;
    let fine = (moved || stopped.end != RunEnd::Goal) && after.time >= before.time && after.time <= until;
    if fine {
        Ok(())
    } else {
        Err(Fault::Garbled(format!(
            "a run from {} to {until} ended at {}",
            before.time, after.time
        )))
    }
}
