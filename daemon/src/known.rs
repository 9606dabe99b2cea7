//! What is known of a recording so far: shared by the sessions on it and its survey, which stands aside for them.

use crate::costs::Costs;
use crate::fault::Fault;
use crate::index::Index;
use crate::progress::Task;
use crate::survey_file::Found;
use rdb_protocol::client::{Failure, FailureCode};
use rdb_protocol::replay::{Interpreter, RunEnd, Stopped};
use rdb_protocol::{EventIndex, Position, SourceFile, Time};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting command looks up, to report progress and to notice an interrupt.
const GLANCE: Duration = Duration::from_millis(20);

/// How far the survey is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// On its way.
    Running,
    /// The whole recording was seen, now or at an earlier open.
    Complete,
    /// It cannot get further.
    Failed(Failure),
}

/// The facts themselves.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What replay takes; its frontier is how far anyone has looked.
    pub costs: Costs,
    /// The last stop point.
    pub last: Option<Time>,
    /// When the main module was done.
    pub main_done: Option<Time>,
    /// All source files, once the whole recording was seen.
    pub sources: Option<Arc<Vec<SourceFile>>>,
    /// The interpreter.
    pub interpreter: Interpreter,
    /// How far the survey is.
    pub survey: Progress,
    event: EventIndex,
    commands: usize,
    waiting: usize,
    closing: bool,
}

/// Facts with a lock and a bell.
#[derive(Debug)]
pub(crate) struct Known {
    facts: Mutex<Facts>,
    index: Mutex<Index>,
    changed: Condvar,
    /// Events in the recording.
    events: u64,
    /// When the last command began, in commands of all recordings.
    used: AtomicU64,
}

impl Known {
    /// Nothing but the number of events and, perhaps, what an earlier survey found.
    pub(crate) fn new(events: u64, found: Option<Found>) -> Known {
        let mut facts = Facts {
            costs: Costs::default(),
            last: None,
            main_done: None,
            sources: None,
            interpreter: Interpreter::Unknown,
            survey: Progress::Running,
            event: EventIndex(0),
            commands: 0,
            waiting: 0,
            closing: false,
        };
        let index = found.as_ref().map_or_else(Index::default, |f| f.index.clone());
        if let Some(found) = found {
            facts.complete(found);
        }
        Known {
            facts: Mutex::new(facts),
            index: Mutex::new(index),
            changed: Condvar::new(),
            events,
            used: AtomicU64::new(0),
        }
    }

    /// A look at the facts.
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was passed where.
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cost of getting to `time`.
    pub(crate) fn cost(&self, time: Time) -> u64 {
        self.facts().costs.at(time)
    }

    /// Notes what a run took; of use when it went beyond the frontier and began at or before it.
    pub(crate) fn extend(&self, before: &Position, after: &Position, took: Duration) {
        let mut facts = self.facts();
        let frontier = facts.costs.frontier();
        if facts.survey != Progress::Running || before.time > frontier || after.time < frontier {
            return;
        }
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let (all, new) = (after.time.0 - before.time.0, after.time.0 - frontier.0);
        let share = if all == 0 {
            took
        } else {
            u64::try_from(u128::from(took) * u128::from(new) / u128::from(all)).unwrap_or(took)
        };
        facts.costs.extend(after.time, share);
        facts.event = facts.event.max(after.event);
        self.changed.notify_all();
    }

    /// Notes what the end of any run tells in passing.
    pub(crate) fn note(&self, stopped: &Stopped) {
        let mut facts = self.facts();
        if stopped.end == RunEnd::MainDone {
            facts.main_done = facts.main_done.or(Some(stopped.position.time));
        }
        facts.main_done = facts.main_done.or(stopped.main_done);
        if stopped.end == RunEnd::End {
            facts.last = Some(stopped.position.time);
        }
    }

    /// The whole recording was seen; whether that tells anything new.
    pub(crate) fn complete(&self, found: Found) -> bool {
        let mut facts = self.facts();
        let new = facts.survey != Progress::Complete || facts.last != Some(found.last) || facts.main_done != found.main_done;
        facts.complete(found);
        self.changed.notify_all();
        new
    }

    /// The survey cannot get further.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut facts = self.facts();
        if facts.survey == Progress::Running {
            facts.survey = Progress::Failed(failure);
        }
        self.changed.notify_all();
    }

    /// The session ends.
    pub(crate) fn close(&self) {
        self.facts().closing = true;
        self.changed.notify_all();
    }

    /// A command begins: the survey stands aside until the guard goes, except while the command waits for it.
    pub(crate) fn command(self: &Arc<Known>) -> Busy {
        static COMMANDS: AtomicU64 = AtomicU64::new(0);
        self.used.store(COMMANDS.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.facts().commands += 1;
        Busy(Arc::clone(self))
    }

    /// The later the last command began, the more.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// For the survey: waits for its turn; false when the session ends.
    pub(crate) fn turn(&self) -> bool {
        let mut facts = self.facts();
        while facts.commands > 0 && facts.waiting == 0 && !facts.closing {
            facts = self.changed.wait(facts).unwrap_or_else(PoisonError::into_inner);
        }
        !facts.closing
    }

    /// For a survey whose processes died: waits until a command needs it again; false when the session ends.
    pub(crate) fn second_chance(&self) -> bool {
        let mut facts = self.facts();
        while matches!(facts.survey, Progress::Failed(_)) && !facts.closing {
            facts = self.changed.wait(facts).unwrap_or_else(PoisonError::into_inner);
        }
        !facts.closing
    }

    /// For a command: lets the survey run until it has an answer.
    pub(crate) fn wait<T>(&self, task: &mut Task<'_>, ready: impl Fn(&Facts) -> Option<T>) -> Result<T, Fault> {
        let mut asked_again = false;
        loop {
            let mut facts = self.facts();
            if let Some(value) = ready(&facts) {
                return Ok(value);
            }
            if let Progress::Failed(failure) = facts.survey.clone() {
                if failure.code != FailureCode::ReplayDied || asked_again {
                    return Err(Fault::Told(failure));
                }
                asked_again = true;
                facts.survey = Progress::Running;
            }
            facts.waiting += 1;
            self.changed.notify_all();
            let (mut facts, _) = self.changed.wait_timeout(facts, GLANCE).unwrap_or_else(PoisonError::into_inner);
            facts.waiting -= 1;
            let reached = Position {
                time: facts.costs.frontier(),
                event: facts.event,
                location: None,
            };
            drop(facts);
            task.advance(reached.time.0, self.expected(&reached))?;
        }
    }

    /// The last time that can be expected by someone who has come this far.
    pub(crate) fn expected(&self, reached: &Position) -> u64 {
        let (done, event) = (reached.time.0, reached.event.0);
        let total = u128::from(done) * u128::from(self.events.max(event)) / u128::from(event.max(1));
        u64::try_from(total).unwrap_or(u64::MAX).max(done)
    }
}

impl Facts {
    fn complete(&mut self, found: Found) {
        self.last = Some(found.last);
        self.main_done = found.main_done;
        self.interpreter = found.interpreter;
        self.sources = Some(Arc::new(found.sources));
        self.costs = found.costs;
        self.survey = Progress::Complete;
    }
}

/// A command under way.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Known>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.facts().commands -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;

    #[test]
    fn a_waiting_command_lets_the_survey_run() {
        let known = Arc::new(Known::new(100, None));
        let survey = std::thread::spawn({
            let known = Arc::clone(&known);
            move || {
                let at = |time| Position {
                    time: Time(time),
                    event: EventIndex(time),
                    location: None,
                };
                for time in 1.. {
                    if !known.turn() {
                        return time;
                    }
                    known.extend(&at(time - 1), &at(time), Duration::from_nanos(1));
                    std::thread::yield_now();
                }
                0
            }
        });
        let interrupt = Interrupt::default();
        let mut said = |_, _| ();
        let _busy = known.command();
        let reached = known.wait(&mut Task::new(&interrupt, &mut said), |f| {
            (f.costs.frontier() >= Time(500)).then_some(f.costs.frontier())
        });
        assert!(reached.unwrap() >= Time(500));
        interrupt.close();
        let aborted = known.wait(&mut Task::new(&interrupt, &mut said), |f| {
            (f.costs.frontier() == Time(u64::MAX)).then_some(())
        });
        assert!(matches!(aborted, Err(Fault::Interrupted)));
        known.close();
        assert!(survey.join().unwrap() >= 500);
    }
}
