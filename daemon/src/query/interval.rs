//! One interval's rows: evaluated in a copy that runs through it, and where that has disturbed the program, in a copy each.

use super::Plan;
use super::shared::{End, Interval, Shared};
use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::interrupt::Interrupt;
use crate::replay::Process;
use crate::slice::{Pace, Slicer};
use rdb_protocol::replay::{Hits, Run, RunEnd, Stopped};
use rdb_protocol::rows::{Head, RowKind, Rows};
use rdb_protocol::{Position, Time};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time for a short stretch with its evaluations. Beyond it an expression is taken to hang, and each is given its own time.
const PATIENCE: Duration = Duration::from_secs(20);
/// So often rows are taken.
const BRIEF: Duration = Duration::from_millis(200);
/// So many bytes of rows are shown to be right and given before the interval's end.
const LARGE: usize = 32 << 20;
/// Rows of a chunk of those that are evaluated each on its own.
const CHUNK: usize = 50;

/// Does intervals until there are no more.
pub(super) fn run(shared: &Shared, plan: &Plan, interrupt: &Interrupt) {
    while let Some(mut interval) = shared.next() {
        let rows = Worker { shared, plan, interrupt }.rows(&mut interval);
        shared.finish(interval.index, rows);
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    plan: &'a Plan,
    interrupt: &'a Interrupt,
}

/// What is evaluated in a copy that runs through.
#[derive(Default)]
struct Gathered {
    /// Not given yet.
    all: VecDeque<Rows>,
    /// Up to here all is given.
    given: Option<Time>,
}

impl Worker<'_> {
    fn rows(&self, interval: &mut Interval) -> Result<VecDeque<Rows>, Fault> {
        let mut gathered = Gathered::default();
        // Where there is nothing to run through, there is one hit at most.
        let goal = interval.end.time().or(self.plan.to);
        let runs = goal.is_none_or(|goal| interval.keeper.position().time < goal);
        if runs && !self.shared.is_exact() {
            match self.through(interval, &mut gathered) {
                Ok(Some(rows)) => return Ok(rows),
                Ok(None) => self.shared.be_exact(
                    "an evaluation changes what later ones show: from there on each is made in a copy of its own, which takes longer"
                        .to_string(),
                ),
                Err(fault @ (Fault::Interrupted | Fault::System { .. })) => return Err(fault),
                Err(Fault::Diverged(_)) => self.shared.note(
                    "a copy in which much was evaluated did not stay with the recording; around there each is made in a copy of its own"
                        .to_string(),
                ),
                Err(fault) => self.shared.note(format!(
                    "evaluations have disturbed the program ({fault}); around there each is made in a copy of its own"
                )),
            }
        }
        self.each(interval, gathered.given)
    }

    /// In a copy that runs through; `None` where at the end it shows something else than one that nothing has disturbed.
    fn through(&self, interval: &mut Interval, gathered: &mut Gathered) -> Result<Option<VecDeque<Rows>>, Fault> {
        let mut process = interval.keeper.fork()?;
        process.set_breakpoints(self.plan.breakpoints.clone())?;
        process.set_inline(self.plan.inline.clone())?;
        let until_time = interval.end.time().or(self.plan.to);
        // While the interpreter shuts down, what was evaluated is in its way.
        let main_done = interval.main_done.filter(|&m| until_time.is_none_or(|t| m < t));
        if let Some(main_done) = main_done
            && !self.evaluate_to(&mut process, Some(main_done), interval, gathered)?
        {
            return Ok(None);
        }
        let by_one = match (self.evaluate_to(&mut process, until_time, interval, gathered), main_done) {
            (Err(Fault::Died { .. } | Fault::Diverged(_) | Fault::Refused(_)), Some(main_done)) => Some(main_done),
            (rest, _) => {
                if !rest? {
                    return Ok(None);
                }
                None
            }
        };
        drop(process);
        let all = &mut gathered.all;
        let same = match &interval.end {
            End::Hit(end, Some(expected)) => took_last(all, *end, expected.failed).iter().eq(expected.iter()),
            End::Hit(_, None) => false,
            End::With(_) | End::Last => self.is_last_right(interval, all)?,
        };
        if !same {
            return Ok(None);
        }
        let mut all = std::mem::take(all);
        if let Some(main_done) = by_one {
            let late = |rows: &Rows| rows.heads.first().is_some_and(|h| h.time > main_done);
            while all.back().is_some_and(late) {
                all.pop_back();
            }
            self.give(interval, all)?;
            all = self.each(interval, gathered.given.max(Some(main_done)))?;
        }
        Ok(Some(all))
    }

    fn give(&self, interval: &Interval, all: VecDeque<Rows>) -> Result<(), Fault> {
        let wanted = all.into_iter().all(|rows| self.shared.give(interval.index, rows));
        if wanted { Ok(()) } else { Err(Fault::Interrupted) }
    }

    /// Evaluates at each hit up to a time, or the end; false where that has come to something else than in an undisturbed process.
    fn evaluate_to(
        &self,
        process: &mut Process,
        until_time: Option<Time>,
        interval: &mut Interval,
        gathered: &mut Gathered,
    ) -> Result<bool, Fault> {
        let mut slicer = Slicer::new(Pace::default());
        let mut waiting = Instant::now();
        loop {
            let before = process.position().clone();
            let (time, event) = slicer.bounds(&before, until_time);
            let run = Run {
                until_time: Some(time),
                until_event: Some(event),
                hits: Hits::Evaluate,
            };
            let began = Instant::now();
            let stopped = process.run_within(run, PATIENCE, self.interrupt)?;
            slicer.learn(began.elapsed());
            let over = stopped.end == RunEnd::End || until_time.is_some_and(|t| stopped.position.time >= t);
            if over || stopped.end == RunEnd::Breakpoint || waiting.elapsed() > BRIEF {
                waiting = Instant::now();
                let rows = process.take_rows()?;
                if !rows.is_empty() || rows.failed > 0 {
                    gathered.all.push_back(rows);
                }
            }
            if over {
                return Ok(true);
            }
            if gathered.all.iter().map(Rows::size).sum::<usize>() > LARGE {
                if !self.is_last_right(interval, &gathered.all)? {
                    return Ok(false);
                }
                self.give(interval, std::mem::take(&mut gathered.all))?;
                gathered.given = Some(stopped.position.time);
            }
            moved(&before, &stopped)?;
        }
    }

    /// Whether the last row is what an undisturbed process has.
    fn is_last_right(&self, interval: &mut Interval, all: &VecDeque<Rows>) -> Result<bool, Fault> {
        let Some(last) = all.iter().rev().find_map(|rows| rows.iter().last()) else {
            return Ok(true);
        };
        let time = last.head.time;
        let mut process = interval.keeper.fork()?;
        match self.go(&mut process, time) {
            Err(Fault::Garbled(_)) => return Ok(false),
            there => there?,
        }
        process.set_inline(self.plan.inline.clone())?;
        let exact = process.row(DEADLINE, self.interrupt)?;
        Ok(exact.is_ok_and(|rows| rows.iter().next().is_some_and(|row| row == last)))
    }

    /// Runs on to a stop point, evaluating nothing.
    fn go(&self, process: &mut Process, time: Time) -> Result<(), Fault> {
        while !process.stands_at(time) {
            let before = process.position().clone();
            let run = Run {
                until_time: Some(time),
                until_event: None,
                hits: Hits::Ignore,
            };
            let stopped = process.run(run, self.interrupt)?;
            if stopped.end == RunEnd::End {
                return Err(Fault::Garbled(format!("time {time} was there before and is not now")));
            }
            moved(&before, &stopped)?;
        }
        Ok(())
    }

    /// In a copy each; only those after a time.
    fn each(&self, interval: &mut Interval, after: Option<Time>) -> Result<VecDeque<Rows>, Fault> {
        let mut process = interval.keeper.fork()?;
        if let Some(after) = after {
            self.go(&mut process, after)?;
        }
        process.set_breakpoints(self.plan.breakpoints.clone())?;
        let mut rows = Rows::default();
        let mut hit = after.is_none() && !process.look()?.breakpoints.is_empty();
        loop {
            if hit {
                self.one(&mut process, &mut rows)?;
                if rows.len() >= CHUNK && !self.shared.give(interval.index, std::mem::take(&mut rows)) {
                    return Err(Fault::Interrupted);
                }
            }
            let before = process.position().clone();
            let goal = interval.end.time().or(self.plan.to);
            if goal.is_some_and(|g| process.stands_at(g)) {
                break;
            }
            let run = Run {
                until_time: goal,
                until_event: None,
                hits: Hits::Stop,
            };
            let stopped = process.run(run, self.interrupt)?;
            let time = stopped.position.time;
            if interval.end.excludes(time) || stopped.end == RunEnd::End {
                break;
            }
            moved(&before, &stopped)?;
            hit = time > before.time && stopped.position.location.is_some() && !stopped.breakpoints.is_empty();
        }
        Ok(VecDeque::from([rows]))
    }

    /// The hit stood at.
    fn one(&self, process: &mut Process, rows: &mut Rows) -> Result<(), Fault> {
        let time = process.position().time;
        let thread = process.position().location.as_ref().map_or(0, |l| l.thread);
        let mut probe = process.fork()?;
        let row = probe
            .set_inline(self.plan.inline.clone())
            .and_then(|()| probe.row(DEADLINE, self.interrupt));
        let error = match row {
            Ok(Ok(one)) => {
                one.iter().for_each(|r| rows.push(&r));
                rows.fail(one.failed, one.failure);
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(fault @ (Fault::Interrupted | Fault::System { .. } | Fault::Garbled(_) | Fault::Diverged(_))) => return Err(fault),
            // The copy died of it, or was killed: that is the expression's fault.
            Err(fault) => fault.to_string(),
        };
        if self.plan.inline.condition.is_some() {
            rows.fail(1, Some(error));
            return Ok(());
        }
        if self.plan.inline.calls {
            // What begins or ends here cannot be told without its frame.
            self.shared.note(format!(
                "what a function began or ended with at time {time} cannot be shown ({error}); that call is left out"
            ));
            return Ok(());
        }
        let cells = u32::try_from(self.plan.inline.expressions.len()).unwrap_or(0);
        (0..cells).for_each(|_| rows.cell(false, &error));
        rows.close(Head {
            time,
            thread,
            kind: RowKind::Hit,
            frame: 0,
            depth: 0,
            cells,
        });
        Ok(())
    }
}

/// The row at `end`, which belongs to the next interval, taken away; or what the condition came to there.
fn took_last(all: &mut VecDeque<Rows>, end: Time, failed: u64) -> Rows {
    let mut taken = Rows::default();
    if let Some(last) = all.back_mut() {
        last.failed = last.failed.saturating_sub(failed);
    }
    let Some(last) = all.back_mut().filter(|rows| rows.heads.last().is_some_and(|h| h.time == end)) else {
        return taken;
    };
    let mut rest = Rows::default();
    for row in last.iter() {
        if row.head.time == end { &mut taken } else { &mut rest }.push(&row);
    }
    rest.fail(last.failed, last.failure.take());
    *last = rest;
    taken
}

/// A peer that answers without moving would keep us for ever.
fn moved(before: &Position, stopped: &Stopped) -> Result<(), Fault> {
    let after = &stopped.position;
    if stopped.end == RunEnd::MainDone || after.time > before.time || after.event > before.event {
        return Ok(());
    }
    Err(Fault::Garbled(format!("a run from {} ended there", before.time)))
}
