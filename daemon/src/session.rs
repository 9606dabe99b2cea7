//! One client's debugging of one trace: requests in, replies out.

mod queries;

use crate::bookmarks;
use crate::conditions;
use crate::costs::Costs;
use crate::facts::TraceFacts;
use crate::fault::Fault;
use crate::host::Host;
use crate::known::{Known, Progress};
use crate::life::Prepared;
use crate::placement::{Limits, Placement};
use crate::progress::Task;
use crate::references::References;
use crate::saved;
use crate::skips::matching;
use crate::slice::Pace;
use crate::sources::resolve;
use crate::survey::Survey;
use crate::survey_file::{self, Found};
use crate::timeline::Timeline;
use crate::tree::Tree;
use queries::UnderWay;
use rdb_protocol::client::{BreakpointInfo, Call, Change, FailureCode, Reply, Stop, StopReason, Target, TraceInfo};
use rdb_protocol::{BreakpointPlace, Direction, EventIndex, SourceFile, Time};
use std::sync::{Arc, Mutex};

/// What a session goes by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    /// For checkpoints.
    pub limits: Limits,
    /// For runs.
    pub pace: Pace,
}

/// An open trace. Dropping it ends all its processes.
#[derive(Debug)]
pub(crate) struct Session {
    // First: it must be over before the rest goes.
    _survey: Option<Survey>,
    timeline: Timeline,
    known: Arc<Known>,
    facts: TraceFacts,
    direction: Direction,
    /// The query under way.
    query: Option<UnderWay>,
    /// The edition of the breakpoints that is saved, where they are to be.
    saved: Option<u64>,
}

impl Session {
    /// Opens a trace and stands at its first stop point.
    pub(crate) fn open(facts: TraceFacts, host: Arc<dyn Host>, numbers: Numbers, task: &mut Task<'_>) -> Result<(Session, Stop), Fault> {
        let found = survey_file::load(&facts.path, facts.key);
        let known = Arc::new(Known::new(facts.events, found));
        let tree = Arc::new(Mutex::new(Tree::new(host, Arc::clone(&known), Placement::new(numbers.limits))));
        let mut timeline = Timeline::new(Arc::clone(&tree), Arc::clone(&known), References::of(&facts.path), numbers.pace);
        retrying(&mut timeline, task, Timeline::open)?;
        let survey = match timeline.here.location {
            Some(_) => {
                Some(Survey::start(tree, Arc::clone(&known), facts.clone(), numbers.pace).map_err(Fault::system("cannot start a thread"))?)
            }
            None => {
                note_empty(&known, &facts);
                None
            }
        };
        let session = Session {
            _survey: survey,
            timeline,
            known,
            facts,
            direction: Direction::Forward,
            query: None,
            saved: None,
        };
        let stop = session.stop(StopReason::Here);
        Ok((session, stop))
    }

    /// Carries out one request.
    pub(crate) fn call(&mut self, call: Call, task: &mut Task<'_>) -> Result<Reply, Fault> {
        let result = self.answer(call, task);
        if self.saved.is_some_and(|edition| edition != self.timeline.marks.edition()) {
            self.save(result)
        } else {
            result
        }
    }

    /// Saves the breakpoints. Where that cannot be done, the one just set says so, and it is not tried again.
    fn save(&mut self, result: Result<Reply, Fault>) -> Result<Reply, Fault> {
        match (saved::write(&self.facts.path, &self.timeline.marks.saved()), result) {
            (Ok(()), result) => {
                self.saved = Some(self.timeline.marks.edition());
                result
            }
            (Err(fault), Ok(Reply::Breakpoints(mut all))) => {
                self.saved = None;
                if let Some(new) = all.last_mut() {
                    new.note = Some(format!("not kept: {fault}"));
                }
                Ok(Reply::Breakpoints(all))
            }
            (Err(_), result) => {
                self.saved = None;
                result
            }
        }
    }

    fn answer(&mut self, call: Call, task: &mut Task<'_>) -> Result<Reply, Fault> {
        let _busy = self.known.command();
        match call {
            Call::Step { count, direction } => self.moved(direction, task, |t, task| {
                t.times(count, direction, task, |t, n, task| t.step(n, direction, task))
            }),
            Call::Next { count, direction } => self.framed(direction, task, |t, task| {
                t.times(count, direction, task, |t, n, task| t.next(n, direction, task))
            }),
            Call::Finish { direction } => self.framed(direction, task, |t, task| {
                t.times(1, direction, task, |t, _, task| t.finish(direction, task))
            }),
            Call::Skip { patterns } => {
                self.timeline.skipped = match patterns.is_empty() {
                    true => Vec::new(),
                    false => matching(&patterns, &self.sources(task)?),
                };
                Ok(Reply::Done)
            }
            Call::Passed { from, to, limit } => {
                retrying(&mut self.timeline, task, |t, task| t.passed(from, to, limit, task)).map(Reply::Passed)
            }
            Call::Until { place, direction } => {
                let known = self.resolved(place, task)?.known;
                self.framed(direction, task, |t, task| t.until(known.clone(), direction, task))
            }
            Call::Continue {
                direction: Direction::Forward,
            } => self.moved(Direction::Forward, task, Timeline::continue_forward),
            Call::Continue {
                direction: Direction::Backward,
            } => self.moved(Direction::Backward, task, Timeline::continue_backward),
            Call::Go { to: Target::Output(line) } => {
                let facts = self.facts.clone();
                let time = retrying(&mut self.timeline, task, |t, task| t.output_time(&facts, line, task))?;
                self.moved(Direction::Forward, task, |t, task| t.go(Target::Time(time), task))
            }
            Call::Output { limit } => {
                let facts = &self.facts;
                retrying(&mut self.timeline, task, |t, task| t.output_so_far(facts, limit, task)).map(Reply::Output)
            }
            Call::Go { to } => self.moved(Direction::Forward, task, |t, task| t.go(to, task)),
            Call::When => {
                retrying(&mut self.timeline, task, Timeline::look)?;
                Ok(Reply::Stopped(self.stop(StopReason::Here)))
            }
            Call::Break {
                place,
                condition,
                temporary,
                action,
            } => {
                let mut asked = BreakpointInfo::new(place);
                (asked.condition, asked.temporary, asked.action) = (condition, temporary, action);
                Ok(Reply::Breakpoints(vec![self.set_breakpoint(asked, task)?]))
            }
            Call::Watch { watch, temporary } => {
                let set = retrying(&mut self.timeline, task, |t, task| t.watch(&watch, temporary, task))?;
                Ok(Reply::Breakpoints(vec![set]))
            }
            Call::Last(watch) => self.moved(Direction::Backward, task, |t, task| t.last_change(&watch, task)),
            Call::History { watch, limit } => {
                let (values, more) = retrying(&mut self.timeline, task, |t, task| t.history(&watch, limit, task))?;
                Ok(Reply::History(values, more))
            }
            Call::Change { id, change } => {
                let prepared = match &change {
                    Change::Condition(Some(condition)) => Some(self.prepare_condition(condition, task)?),
                    _ => None,
                };
                match (self.timeline.marks.change(id, &change, prepared), id) {
                    (false, Some(id)) => Err(no_breakpoint(id)),
                    _ => Ok(Reply::Done),
                }
            }
            Call::Delete { id } => match (self.timeline.marks.remove(id), id) {
                (false, Some(id)) => Err(no_breakpoint(id)),
                _ => Ok(Reply::Done),
            },
            Call::KeepBreakpoints => {
                self.restore_breakpoints(task)?;
                Ok(Reply::Breakpoints(self.timeline.marks.infos()))
            }
            Call::Breakpoints => Ok(Reply::Breakpoints(self.timeline.marks.infos())),
            Call::Evaluate {
                source,
                number,
                frame,
                deadline_ms,
            } => retrying(&mut self.timeline, task, |t, task| {
                t.evaluate(&source, number, frame, deadline_ms, task)
            })
            .map(Reply::Evaluated),
            Call::Backtrace { thread, limit } => {
                retrying(&mut self.timeline, task, |t, task| t.backtrace(thread, limit, task)).map(Reply::Frames)
            }
            Call::Threads => retrying(&mut self.timeline, task, Timeline::threads).map(Reply::Threads),
            Call::Switch { thread, direction } => self.moved(direction, task, |t, task| t.switch(thread, direction, task)),
            Call::Locals { frame, scope, limits } => {
                retrying(&mut self.timeline, task, |t, task| t.variables(frame, scope, limits, task)).map(Reply::Locals)
            }
            Call::Query(asked) => self.query(asked, task),
            Call::MoreRows => self.more_rows(task),
            Call::Bookmarks => bookmarks::read(&self.facts.path).map(Reply::Bookmarks),
            Call::Bookmark { name, time } => bookmarks::change(&self.facts.path, &name, time).map(|()| Reply::Done),
            Call::Checkpoints => Ok(Reply::Checkpoints(self.timeline.tree().list())),
            Call::TraceInfo => Ok(Reply::Trace(self.trace_info())),
            Call::Sources => Ok(Reply::Sources(self.sources(task)?.to_vec())),
            Call::Open { .. } => Err(Fault::told(
                FailureCode::Protocol,
                "a trace is open already; use another connection",
            )),
            Call::Interrupt => Ok(Reply::Done),
        }
    }

    fn moved<F>(&mut self, direction: Direction, task: &mut Task<'_>, mut go: F) -> Result<Reply, Fault>
    where
        F: FnMut(&mut Timeline, &mut Task<'_>) -> Result<StopReason, Fault>,
    {
        let before = self.timeline.here.time;
        self.timeline.notes.clear();
        self.timeline.changes.clear();
        self.timeline.printed.clear();
        let mut reason = retrying(&mut self.timeline, task, |t, task| t.whole(|t| go(t, task)))?;
        let hit = &self.timeline.here.breakpoints;
        if reason == StopReason::Breakpoint && !hit.is_empty() && hit.iter().all(|id| self.timeline.changes.iter().any(|c| c.id == *id)) {
            reason = StopReason::Watchpoint;
        }
        // A jump has no direction but the one it turns out to have.
        self.direction = if reason != StopReason::Go || self.timeline.here.time >= before {
            direction
        } else {
            Direction::Backward
        };
        Ok(Reply::Stopped(self.stop(reason)))
    }

    /// A move that goes by frames: what is returned or raised where it ends is told too.
    fn framed<F>(&mut self, direction: Direction, task: &mut Task<'_>, go: F) -> Result<Reply, Fault>
    where
        F: FnMut(&mut Timeline, &mut Task<'_>) -> Result<StopReason, Fault>,
    {
        let mut reply = self.moved(direction, task, go)?;
        if let Reply::Stopped(stop) = &mut reply {
            stop.value = retrying(&mut self.timeline, task, Timeline::result)?;
        }
        Ok(reply)
    }

    fn stop(&self, reason: StopReason) -> Stop {
        let here = self.timeline.here.clone();
        Stop {
            reason,
            time: here.time,
            location: here.location,
            breakpoints: here.breakpoints,
            direction: self.direction,
            value: None,
            changes: self.timeline.changes.clone(),
            notes: self.timeline.notes.clone(),
            printed: self.timeline.printed.clone(),
        }
    }

    fn set_breakpoint(&mut self, mut asked: BreakpointInfo, task: &mut Task<'_>) -> Result<BreakpointInfo, Fault> {
        let condition = match &asked.condition {
            Some(condition) => Some(self.prepare_condition(condition, task)?),
            None => None,
        };
        if matches!(asked.place, BreakpointPlace::Value { .. }) {
            let again = |t: &mut Timeline, task: &mut Task<'_>| t.watch_again(asked.clone(), condition.clone(), task);
            return retrying(&mut self.timeline, task, again);
        }
        let places = self.resolved(asked.place, task)?;
        let action = match &asked.action {
            Some(action) => Some(retrying(&mut self.timeline, task, |t, task| t.prepare_action(action, task))?),
            None => None,
        };
        (asked.place, asked.note) = (places.asked, places.note);
        Ok(self.timeline.marks.add(asked, places.known, condition, action))
    }

    /// Adds those saved with the trace, and saves all from now on.
    fn restore_breakpoints(&mut self, task: &mut Task<'_>) -> Result<(), Fault> {
        if self.saved.is_some() || self.timeline.here.location.is_none() {
            return Ok(());
        }
        for saved in saved::read(&self.facts.path)? {
            let mut asked = saved.breakpoint;
            let known = match saved.known {
                Some(known) => known,
                None => match self.resolved(asked.place.clone(), task) {
                    Ok(places) => places.known,
                    Err(Fault::Interrupted) => return Err(Fault::Interrupted),
                    Err(_) => continue,
                },
            };
            let mut ready = |code: &Option<String>| {
                let prepare = |code: &String| retrying(&mut self.timeline, task, |t, task| t.prepare(code, task));
                code.as_ref().map(prepare).transpose()
            };
            let prepared = ready(&asked.condition).and_then(|condition| Ok((condition, ready(&asked.action)?)));
            match prepared {
                Ok((condition, _)) if matches!(asked.place, BreakpointPlace::Value { .. }) => {
                    let again = |t: &mut Timeline, task: &mut Task<'_>| t.watch_again(asked.clone(), condition.clone(), task);
                    match retrying(&mut self.timeline, task, again) {
                        Ok(_) => {}
                        Err(Fault::Interrupted) => return Err(Fault::Interrupted),
                        Err(fault) => {
                            (asked.enabled, asked.note) = (false, Some(fault.to_string()));
                            self.timeline.marks.add(asked, known, None, None);
                        }
                    }
                }
                Ok((condition, action)) => drop(self.timeline.marks.add(asked, known, condition, action)),
                Err(Fault::Interrupted) => return Err(Fault::Interrupted),
                // It stays in the list, and says why it does not take part.
                Err(fault) => {
                    (asked.enabled, asked.note) = (false, Some(fault.to_string()));
                    self.timeline.marks.add(asked, known, None, None);
                }
            }
        }
        self.saved = Some(self.timeline.marks.edition());
        Ok(())
    }

    fn prepare_condition(&mut self, condition: &str, task: &mut Task<'_>) -> Result<Prepared, Fault> {
        self.timeline.require_stop_points()?;
        retrying(&mut self.timeline, task, |t, task| {
            let prepared = t.prepare(condition, task)?;
            conditions::check(t.at_cursor(task)?, "condition", condition, &prepared.source, task.interrupt)?;
            Ok(prepared)
        })
    }

    /// A place in full, and in the words of replay processes.
    fn resolved(&mut self, mut asked: BreakpointPlace, task: &mut Task<'_>) -> Result<Places, Fault> {
        self.timeline.require_stop_points()?;
        if let (BreakpointPlace::Line { file, .. }, Some(here)) = (&mut asked, &self.timeline.here.location)
            && file.is_empty()
        {
            file.clone_from(&here.file);
        }
        if let BreakpointPlace::Output { pattern } = &asked {
            let facts = &self.facts;
            let times = retrying(&mut self.timeline, task, |t, task| t.output_matches(facts, pattern, task))?;
            return Ok(Places {
                asked,
                known: BreakpointPlace::Times { times },
                note: None,
            });
        }
        if let BreakpointPlace::Raise { .. } | BreakpointPlace::Uncaught = &asked {
            let found = retrying(&mut self.timeline, task, |t, task| match &asked {
                BreakpointPlace::Raise { class } => t.raises_of(class.as_deref(), task),
                _ => t.uncaught(task),
            })?;
            return Ok(Places {
                asked,
                known: BreakpointPlace::Times { times: found.times },
                note: Some(found.note),
            });
        }
        let (known, note) = match self.sources(task) {
            Ok(sources) => (resolve(&asked, &sources, &self.facts.directory)?, None),
            Err(Fault::Interrupted) => return Err(Fault::Interrupted),
            // What can be replayed can be searched, even when the whole cannot be seen.
            Err(fault) => (asked.clone(), Some(format!("not checked: {fault}"))),
        };
        Ok(Places { asked, known, note })
    }

    fn sources(&self, task: &mut Task<'_>) -> Result<Arc<Vec<SourceFile>>, Fault> {
        self.timeline.require_stop_points()?;
        self.known.wait(task, |f| f.sources.clone())
    }

    fn trace_info(&self) -> TraceInfo {
        let facts = self.known.facts();
        TraceInfo {
            path: self.facts.path.display().to_string(),
            command: self.facts.command.clone(),
            directory: self.facts.directory.clone(),
            events: EventIndex(self.facts.events),
            bytes: self.facts.bytes,
            ending: self.facts.ending.clone(),
            last: facts.last,
            main_done: facts.main_done,
            surveyed: facts.survey == Progress::Complete,
            interpreter: facts.interpreter.clone(),
        }
    }
}

/// A place for a breakpoint.
struct Places {
    /// For people.
    asked: BreakpointPlace,
    /// For replay processes.
    known: BreakpointPlace,
    note: Option<String>,
}

fn no_breakpoint(id: u32) -> Fault {
    Fault::told(FailureCode::Invalid, format!("there is no breakpoint {id}"))
}

/// A recording without stop points needs no survey, now or later.
fn note_empty(known: &Known, facts: &TraceFacts) {
    let interpreter = known.facts().interpreter.clone();
    let found = Found {
        last: Time::BEGIN,
        main_done: None,
        interpreter,
        sources: Vec::new(),
        costs: Costs::default(),
    };
    if known.complete(found.clone()) {
        let _ = survey_file::save(&facts.path, facts.key, &found);
    }
}

/// Tries once more when a replay process died: someone may have killed it, and the next one need not die.
fn retrying<T, F>(timeline: &mut Timeline, task: &mut Task<'_>, mut go: F) -> Result<T, Fault>
where
    F: FnMut(&mut Timeline, &mut Task<'_>) -> Result<T, Fault>,
{
    match go(timeline, task) {
        Err(Fault::Died { origin, last_words }) => {
            timeline.recover(origin, &last_words);
            go(timeline, task)
        }
        other => other,
    }
}
