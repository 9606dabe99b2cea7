//! The search backward: forward from earlier checkpoints, the last hit wins, interval by interval.

use crate::actions::carry_out;
use crate::breakpoints::Marks;
use crate::conditions::{Verdict, judge, judge_changes};
use crate::fault::Fault;
use crate::ladder::Ladder;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::replay::Process;
use crate::slice::Slicer;
use crate::timeline::{Lookout, Timeline};
use crate::watching::Values;
use rdb_protocol::client::StopReason;
use rdb_protocol::replay::{Follow, Hits, RunEnd, Stopped};
use rdb_protocol::{Position, Time};

/// What a search backward came to; the cursor stands there, unless nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Breakpoints, or the place that `until` looks for.
    Breakpoint,
    /// A stop point of the followed activation's own.
    Own,
    /// The activation began, and has no stop point before the cursor; the cursor has not moved. The first stop point behind that.
    Begun(Time),
    /// Nothing from the beginning on; the cursor has not moved.
    Nothing,
}

/// How far the next interval reaches.
#[derive(Clone, Copy, Debug)]
struct Edge {
    time: Time,
    /// Whether a hit at `time` itself counts.
    inclusive: bool,
}

/// What an interval holds.
#[derive(Debug, Default)]
struct Seen {
    /// Breakpoint hits that are hits; all of them where some may have to be ignored, else the last. None from before the followed
    /// activation began.
    hits: Vec<(Time, Verdict)>,
    /// The followed activation's own last stop point.
    own: Option<Time>,
    /// It began here: the first stop point behind that.
    begun: Option<Time>,
}

impl Seen {
    /// Watchpoints have changed on the way to `time`: their hit is the stop point before.
    fn before(&mut self, time: Time, verdict: Verdict) {
        if verdict.ids().is_empty() {
            return;
        }
        let time = Time(time.0 - 1);
        match self.hits.pop() {
            Some((at, other)) if at == time => self.hits.push((at, other.and(verdict))),
            Some(other) => self.hits.extend([other, (time, verdict)]),
            None => self.hits.push((time, verdict)),
        }
    }
}

impl Timeline {
    /// To the last breakpoint hit before the cursor, or to the beginning.
    pub(crate) fn continue_backward(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        match self.behind(None, task)? {
            Behind::Breakpoint | Behind::Own => Ok(StopReason::Breakpoint),
            Behind::Begun(_) | Behind::Nothing => {
                self.land(FIRST, task)?;
                Ok(StopReason::HistoryBegin)
            }
        }
    }

    /// Back to the last hit of breakpoints or of the activation followed.
    pub(crate) fn behind(&mut self, follow: Option<Follow>, task: &mut Task<'_>) -> Result<Behind, Fault> {
        let cursor = self.here.time;
        if self.marks.is_empty() && follow.is_none() {
            return Ok(Behind::Nothing);
        }
        let mut edge = Edge {
            time: cursor,
            // Between stop points the one before lies behind.
            inclusive: self.here.instruction > 0,
        };
        let candidates = self.candidates(follow);
        // Conditions are decided on the way, and the rest, too, is done where the search has got to.
        let quiet = self.marks.is_picky().then(|| self.marks.quietly());
        let mut first = true;
        let mut ladder = Ladder::default();
        while edge.time > FIRST || edge.inclusive {
            let mut floor = FIRST;
            if let Some(known) = &candidates {
                let Some((begin, end)) = known.last_before(edge.time) else { break };
                if end < edge.time {
                    edge = Edge {
                        time: end,
                        inclusive: true,
                    };
                }
                floor = begin.max(FIRST);
            }
            if !ladder.leads_to(edge.time) {
                // A copy that stands at the edge would show the edge alone.
                let process = match edge.inclusive && (candidates.is_none() || edge.time <= FIRST) {
                    true => self.tree().copy_for(edge.time)?,
                    false => self.tree().copy_before(edge.time)?,
                };
                // The first such stretch alone; where that was not enough, as many as there are behind the checkpoint.
                let from = process.position().time;
                let begin = candidates
                    .as_ref()
                    .map(|known| if first { floor } else { known.first_after(from).min(floor) });
                // Behind that, and where the index has led, it is as likely here as there.
                let near = first && follow.is_some() && !edge.inclusive;
                first = false;
                ladder = self.climb(process, (begin, edge.time), near, task)?;
            }
            let (mut process, spare) = self.step_down(&mut ladder)?;
            if self.marks.watching().next().is_some() {
                self.stand(&mut process, edge.time, task)?;
            }
            let start = process.position().clone();
            let begin = match self.marks.acts() && !self.marks.is_full() {
                true => Some(process.fork()?),
                false => None,
            };
            let mut seen = self.scan(&mut process, edge, (cursor, quiet.as_ref()), follow, task)?;
            drop(process);
            if let Some(begin) = begin {
                self.act(begin, &mut seen, task)?;
            }
            while let Some((time, mut verdict)) = seen.hits.pop().filter(|h| seen.own.is_none_or(|own| h.0 >= own)) {
                let stopping = self.meet(&mut verdict);
                if !stopping.is_empty() {
                    self.leave(&mut ladder)?;
                    self.land_from(spare, time, task)?;
                    self.met(&stopping, verdict);
                    return Ok(Behind::Breakpoint);
                }
            }
            if let Some(own) = seen.own {
                self.leave(&mut ladder)?;
                self.land_from(spare, own, task)?;
                return Ok(Behind::Own);
            }
            if let Some(first) = seen.begun {
                // Hits that lie even further back are for the search that follows the caller.
                return Ok(Behind::Begun(first));
            }
            if start.time <= FIRST {
                break;
            }
            // A copy that stood between stop points could not tell whether the one before it is a hit.
            edge = Edge {
                time: start.time,
                inclusive: start.location.is_none(),
            };
        }
        Ok(Behind::Nothing)
    }

    /// To a stop point found, from the process that waits before it.
    fn land_from(&mut self, spare: Option<Process>, time: Time, task: &mut Task<'_>) -> Result<(), Fault> {
        if let Some(spare) = spare.filter(|s| s.serves(time)) {
            self.active = Some(spare);
        }
        self.land(time, task)
    }

    /// Values can be had at stop points alone: the stretch begins at one, before the edge.
    fn stand(&mut self, process: &mut Process, edge: Time, task: &mut Task<'_>) -> Result<(), Fault> {
        let Position { time, location, .. } = process.position().clone();
        if location.is_some() {
            return Ok(());
        }
        if time.0 + 1 >= edge.0 && time > Time::BEGIN {
            *process = self.tree().copy_before(time)?;
        }
        if process.position().location.is_none() {
            let first = Time(process.position().time.0 + 1);
            self.run_to(process, first, task)?;
        }
        Ok(())
    }

    /// What lies from the process's own place to the edge.
    fn scan(
        &mut self,
        process: &mut Process,
        edge: Edge,
        (cursor, quiet): (Time, Option<&Marks>),
        follow: Option<Follow>,
        task: &mut Task<'_>,
    ) -> Result<Seen, Fault> {
        let start = process.position().time;
        let mut seen = Seen::default();
        // Conditions are evaluated where they are met: on the way.
        let hits = if self.marks.is_picky() { Hits::Stop } else { Hits::Last };
        let lookout = Lookout { hits, follow };
        let marks = quiet.unwrap_or(&self.marks).clone();
        process.learn(&marks)?;
        process.follow(follow)?;
        let mut values = Values::of(process, &self.marks, task.interrupt)?;
        if process.stands_at(start) {
            let here = process.look()?;
            self.note(&mut seen, process, &here, task)?;
        }
        let mut slicer = Slicer::new(self.pace);
        while !process.stands_at(edge.time) {
            let stopped = self.slice_for(&marks, process, &mut slicer, Some(edge.time), lookout, task)?;
            let time = stopped.position.time;
            let mut certain = &stopped.quiet[..];
            if stopped.begun {
                (seen.begun, seen.own) = (Some(stopped.begun_at.unwrap_or(time)), None);
                seen.hits.clear();
                certain = certain.get(stopped.quiet_before as usize..).unwrap_or_default();
            }
            seen.hits.extend(Verdict::certain(certain));
            seen.own = stopped.last_own.or(seen.own);
            if let Some(hit) = &stopped.last_hit {
                let verdict = Verdict {
                    hit: hit.breakpoints.clone(),
                    ..Verdict::default()
                };
                seen.hits.push((hit.time, verdict));
            }
            if process.stands_at(time) {
                let changes = values.update(process, &stopped.breakpoints, &self.marks, task.interrupt)?;
                let verdict = judge_changes(process, changes, &self.marks, task.interrupt)?;
                seen.before(time, verdict);
            }
            let counts = time < edge.time || edge.inclusive;
            if counts && process.stands_at(time) {
                self.note(&mut seen, process, &stopped, task)?;
            }
            if stopped.end == RunEnd::End {
                break;
            }
            task.advance(cursor.0.saturating_sub(edge.time.0) + (time.0 - start.0), cursor.0)?;
        }
        Ok(seen)
    }

    /// Carries out the actions of the hits that the search will come to, from the last one on: `process` stands before them all.
    fn act(&mut self, mut process: Process, seen: &mut Seen, task: &mut Task<'_>) -> Result<(), Fault> {
        let (mut left, mut marks, mut wanted) = (self.room(), self.marks.clone(), Vec::new());
        let own = seen.own;
        let behind = |hit: &&mut (Time, Verdict)| own.is_none_or(|own| hit.0 >= own);
        for (time, verdict) in seen.hits.iter_mut().rev().take_while(behind) {
            let mut ids = verdict.hit.clone();
            ids.retain(|&id| marks.action(id).is_some() && !marks.is_ignored(id) && !verdict.printed.iter().any(|p| p.id == id));
            if !ids.is_empty() && left > 0 {
                left -= 1;
                wanted.push((*time, ids, &mut verdict.printed));
            }
            let mut met = verdict.hit.clone();
            met.extend(verdict.failed.iter().map(|f| f.0));
            if left == 0 || !marks.meet(&met, &verdict.failed).is_empty() {
                break;
            }
        }
        for (time, ids, printed) in wanted.into_iter().rev() {
            self.run_to(&mut process, time, task)?;
            for id in ids {
                if let Some(action) = self.marks.action(id) {
                    printed.push(carry_out(id, action, &mut process, task.interrupt)?);
                }
            }
        }
        Ok(())
    }

    /// What lies at the very stop point a process stands at.
    fn note(&self, seen: &mut Seen, process: &mut Process, stopped: &Stopped, task: &Task<'_>) -> Result<(), Fault> {
        let time = stopped.position.time;
        if stopped.own {
            seen.own = Some(time);
        }
        let verdict = judge(process, &stopped.breakpoints, &self.marks, task.interrupt)?;
        if !verdict.ids().is_empty() {
            seen.hits.push((time, verdict));
        }
        Ok(())
    }
}
