//! The survey: one pass over the whole recording in the background, counting stop points and leaving checkpoints.
//!
//! It stands aside while a command runs, except when the command waits for it.

use crate::facts::TraceFacts;
use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::known::{Known, Progress};
use crate::moves::FIRST;
use crate::replay::Process;
use crate::slice::{Pace, Slicer};
use crate::survey_file::{Found, save};
use crate::timeline::check_progress;
use crate::tree::{Gap, Tree};
use rdb_protocol::Time;
use rdb_protocol::replay::{Hits, Run, RunEnd, Stopped};
use rdb_protocol::stretch::Stretch;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// A survey under way; ended and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Survey {
    thread: Option<JoinHandle<()>>,
    interrupt: Arc<Interrupt>,
    known: Arc<Known>,
}

impl Survey {
    /// Starts the pass at the first stop point.
    pub(crate) fn start(tree: Arc<Mutex<Tree>>, known: Arc<Known>, facts: TraceFacts, pace: Pace) -> io::Result<Survey> {
        let interrupt = Arc::new(Interrupt::default());
        let pass = Pass {
            tree,
            known: Arc::clone(&known),
            interrupt: Arc::clone(&interrupt),
            facts,
            pace,
        };
        let thread = std::thread::Builder::new().name("survey".into()).spawn(move || pass.run())?;
        Ok(Survey {
            thread: Some(thread),
            interrupt,
            known,
        })
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        self.known.close();
        self.interrupt.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Pass {
    tree: Arc<Mutex<Tree>>,
    known: Arc<Known>,
    interrupt: Arc<Interrupt>,
    facts: TraceFacts,
    pace: Pace,
}

impl Pass {
    fn run(&self) {
        let mut deaths = 0;
        let mut place = None;
        loop {
            let fault = match self.pass().and_then(|()| self.fill()) {
                Ok(()) | Err(Fault::Interrupted) => return,
                Err(fault) => fault,
            };
            let Fault::Died { origin, ref last_words } = fault else {
                return self.known.fail(fault.into());
            };
            self.tree().recover(origin, last_words);
            let frontier = Some(self.known.facts().costs.frontier());
            deaths = if place == frontier { deaths + 1 } else { 1 };
            place = frontier;
            // Someone may have killed the runner; but what dies twice at one place would die for ever.
            if deaths > 1 {
                // All is known already, and checkpoints are left by commands, too.
                if self.known.facts().survey == Progress::Complete {
                    return;
                }
                self.known.fail(fault.into());
                if !self.known.second_chance() {
                    return;
                }
                deaths = 0;
            }
        }
    }

    /// From the last checkpoint to the end.
    fn pass(&self) -> Result<(), Fault> {
        let complete = self.known.facts().survey == Progress::Complete;
        let frontier = match complete {
            true => FIRST,
            // Commands may have run farther than what is noted of stretches.
            false => {
                let noted = self.known.index().end();
                self.known.facts().costs.frontier().min(noted).max(FIRST)
            }
        };
        let mut runner = self.tree().copy_for(frontier)?;
        if !complete {
            let told = runner.take_stretch()?;
            self.known.index().begin(runner.position().time, told);
        }
        let mut slicer = Slicer::of_stretches(self.pace);
        while self.known.turn() {
            if self.slice(&mut runner, &mut slicer)? {
                return self.finish(&mut runner);
            }
        }
        Ok(())
    }

    /// Checkpoints where they are farther apart than need be, from the first to the last. Where processes die there are none.
    fn fill(&self) -> Result<(), Fault> {
        let mut from = FIRST;
        while self.known.turn() {
            let gap = self.tree().gap(from);
            let Some(gap) = gap else { return Ok(()) };
            from = gap.end;
            match self.fill_gap(gap) {
                Err(Fault::Died { origin, last_words }) => self.tree().recover(origin, &last_words),
                other => other?,
            }
        }
        Ok(())
    }

    fn fill_gap(&self, gap: Gap) -> Result<(), Fault> {
        let mut runner = self.tree().copy_for(gap.begin)?;
        let mut slicer = Slicer::aside(self.pace);
        for time in gap.wanted {
            while runner.position().time < time {
                if !self.known.turn() {
                    return Ok(());
                }
                if self.slice_to(&mut runner, &mut slicer, Some(time))?.0.end != RunEnd::Goal {
                    return Ok(());
                }
            }
            if runner.stands_at(time) {
                let cost = self.known.cost(time);
                self.tree().keep(&mut runner, cost, false)?;
            }
        }
        Ok(())
    }

    /// Whether this was the last.
    fn slice(&self, runner: &mut Process, slicer: &mut Slicer) -> Result<bool, Fault> {
        let (stopped, told) = self.slice_to(runner, slicer, None)?;
        self.known.note(&stopped);
        if let Some(told) = told {
            self.known.index().add(stopped.position.time, told);
        }
        if stopped.end == RunEnd::Goal {
            let cost = self.known.cost(stopped.position.time);
            self.tree().offer(runner, cost)?;
        }
        Ok(stopped.end == RunEnd::End)
    }

    /// Runs one slice, at most to `goal`; and what was passed, as long as that is not known.
    fn slice_to(&self, runner: &mut Process, slicer: &mut Slicer, goal: Option<Time>) -> Result<(Stopped, Option<Stretch>), Fault> {
        let before = runner.position().clone();
        let (time, event) = slicer.bounds(&before, goal);
        let run = Run {
            until_time: Some(time),
            until_event: Some(event),
            hits: Hits::Ignore,
        };
        let began = Instant::now();
        let (stopped, told) = if self.known.facts().survey == Progress::Complete {
            (runner.run(run, &self.interrupt)?, None)
        } else {
            runner.run_and_tell(run, &self.interrupt)?
        };
        let took = began.elapsed();
        check_progress(&before, &stopped, time)?;
        slicer.learn(took);
        self.known.extend(&before, &stopped.position, took);
        Ok((stopped, told))
    }

    fn finish(&self, runner: &mut Process) -> Result<(), Fault> {
        let (sources, interpreter) = (runner.sources()?, runner.interpreter()?);
        let index = self.known.index().clone();
        let found = {
            let facts = self.known.facts();
            Found {
                last: runner.position().time,
                main_done: facts.main_done,
                interpreter,
                sources,
                costs: facts.costs.clone(),
                index,
            }
        };
        if self.known.complete(found.clone()) {
            // A trace that cannot be written to is surveyed at each open.
            let _ = save(&self.facts.path, self.facts.key, &found);
        }
        Ok(())
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
