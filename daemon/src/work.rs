//! One command: the request in, the reply out, while its session has the turn of the cursor.

mod queries;

use crate::board::{Board, New};
use crate::breakpoints::Marks;
use crate::conditions;
use crate::fault::Fault;
use crate::life::Prepared;
use crate::progress::Task;
use crate::recording::{Recording, Stand};
use crate::saved::{self, Saved};
use crate::skips::matching;
use crate::sources::resolve;
use crate::streams::last_thread;
use crate::timeline::Timeline;
use rdb_protocol::client::{BreakpointInfo, Call, Change, FailureCode, Reply, Stop, StopReason, Target};
use rdb_protocol::{BreakpointPlace, Direction, SourceFile};
use std::sync::Arc;

/// A command under way.
pub(crate) struct Work<'a> {
    timeline: &'a mut Timeline,
    direction: &'a mut Direction,
    recording: &'a Recording,
    board: &'a Board,
}

impl<'a> Work<'a> {
    /// At this cursor, with these breakpoints.
    pub(crate) fn new(stand: &'a mut Stand, recording: &'a Recording, board: &'a Board) -> Work<'a> {
        Work {
            timeline: &mut stand.timeline,
            direction: &mut stand.direction,
            recording,
            board,
        }
    }

    /// Goes to the first stop point of a recording just opened.
    pub(crate) fn open(&mut self, task: &mut Task<'_>) -> Result<(), Fault> {
        retrying(self.timeline, task, Timeline::open)?;
        match self.timeline.here.location {
            Some(_) => self.recording.survey(),
            None => {
                self.recording.note_empty();
                Ok(())
            }
        }
    }

    /// Carries out one request; and whether what it met changes breakpoints.
    pub(crate) fn carry_out(&mut self, call: Call, task: &mut Task<'_>) -> (Result<Reply, Fault>, bool) {
        let before = self.board.marks();
        self.timeline.marks.clone_from(&before);
        let result = self.answer(call, task);
        // What fails has met nothing.
        let met = result.is_ok() && self.board.settle(&before, &self.timeline.marks);
        self.timeline.marks = Marks::default();
        (result, met)
    }

    fn answer(&mut self, call: Call, task: &mut Task<'_>) -> Result<Reply, Fault> {
        let _busy = self.recording.known.command();
        match call {
            Call::Step { count, direction } => self.moved(direction, task, |t, task| {
                t.times(count, direction, task, |t, n, task| t.step(n, direction, task))
            }),
            Call::StepInstruction { count, direction } => {
                self.moved(direction, task, |t, task| t.step_instructions(count, direction, task))
            }
            Call::Next { count, direction } => self.framed(direction, task, |t, task| {
                t.times(count, direction, task, |t, n, task| t.next(n, direction, task))
            }),
            Call::Finish { direction } => self.framed(direction, task, |t, task| {
                t.times(1, direction, task, |t, _, task| t.finish(direction, task))
            }),
            Call::Skip { patterns } => {
                if patterns.is_empty() {
                    self.timeline.skipped.clear();
                    return Ok(Reply::Skipping(patterns));
                }
                let sources = self.sources(task)?;
                self.timeline.skipped = matching(&patterns, &sources);
                let useless = |p: &String| matching(std::slice::from_ref(p), &sources).is_empty();
                Ok(Reply::Skipping(patterns.into_iter().filter(useless).collect()))
            }
            Call::Passed { from, to, limit } => retrying(self.timeline, task, |t, task| t.passed(from, to, limit, task)).map(Reply::Passed),
            Call::Until { place, direction } => {
                let known = self.resolved(place, task)?.known;
                self.framed(direction, task, |t, task| t.until(known.clone(), direction, task))
            }
            Call::Continue { count, direction } => self.moved(direction, task, |t, task| t.continue_to(count, direction, task)),
            Call::Go { to: Target::Output(line) } => {
                let facts = self.recording.facts.clone();
                let time = retrying(self.timeline, task, |t, task| t.output_time(&facts, line, task))?;
                self.moved(Direction::Forward, task, |t, task| t.go(Target::Time(time), task))
            }
            Call::Output { limit } => {
                let facts = &self.recording.facts;
                retrying(self.timeline, task, |t, task| t.output_so_far(facts, limit, task)).map(Reply::Output)
            }
            Call::Go { to } => self.moved(Direction::Forward, task, |t, task| t.go(to, task)),
            Call::When => {
                retrying(self.timeline, task, Timeline::look)?;
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
                let (asked, watching) = retrying(self.timeline, task, |t, task| t.watch(&watch, temporary, task))?;
                let place = asked.place.clone();
                let set = self.board.add(New {
                    watching: Some(watching),
                    ..New::plain(asked, place)
                });
                Ok(Reply::Breakpoints(vec![set]))
            }
            Call::Last(watch) => self.moved(Direction::Backward, task, |t, task| t.last_change(&watch, task)),
            Call::History { watch, limit } => {
                let (values, more) = retrying(self.timeline, task, |t, task| t.history(&watch, limit, task))?;
                Ok(Reply::History(values, more))
            }
            Call::Change { id, change } => {
                let prepared = match &change {
                    Change::Condition(Some(condition)) => Some(self.prepare_condition(condition, task)?),
                    _ => None,
                };
                self.board.change(id, &change, prepared).map(|()| Reply::Done)
            }
            Call::Evaluate {
                source,
                number,
                frame,
                deadline_ms,
            } => retrying(self.timeline, task, |t, task| t.evaluate(&source, number, frame, deadline_ms, task)).map(Reply::Evaluated),
            Call::Backtrace { thread, limit } => {
                retrying(self.timeline, task, |t, task| t.backtrace(thread, limit, task)).map(Reply::Frames)
            }
            Call::Threads => retrying(self.timeline, task, Timeline::threads).map(Reply::Threads),
            Call::Switch { thread, direction } => {
                if let Some(thread) = thread {
                    self.require_thread(thread, task)?;
                }
                self.moved(direction, task, |t, task| t.switch(thread, direction, task))
            }
            Call::Locals { frame, scope, limits } => {
                retrying(self.timeline, task, |t, task| t.variables(frame, scope, limits, task)).map(Reply::Locals)
            }
            Call::ValueStack { limits } => retrying(self.timeline, task, |t, task| t.value_stack(limits, task)).map(Reply::ValueStack),
            Call::Ranges { parts } => self.ranges(parts, task).map(Reply::Ranges),
            Call::Sources => Ok(Reply::Sources(self.sources(task)?.to_vec())),
            Call::Interrupt
            | Call::Open { .. }
            | Call::Delete { .. }
            | Call::Breakpoints
            | Call::KeepBreakpoints
            | Call::Query(_)
            | Call::MoreRows
            | Call::Bookmarks
            | Call::Bookmark { .. }
            | Call::Checkpoints
            | Call::TraceInfo => Err(Fault::Garbled("this is done without a cursor".to_string())),
        }
    }

    fn moved<F>(&mut self, direction: Direction, task: &mut Task<'_>, mut go: F) -> Result<Reply, Fault>
    where
        F: FnMut(&mut Timeline, &mut Task<'_>) -> Result<StopReason, Fault>,
    {
        let before = self.timeline.here.moment();
        self.timeline.notes.clear();
        self.timeline.changes.clear();
        self.timeline.printed.clear();
        let mut reason = retrying(self.timeline, task, |t, task| t.whole(|t| go(t, task)))?;
        let hit = &self.timeline.here.breakpoints;
        if reason == StopReason::Breakpoint && !hit.is_empty() && hit.iter().all(|id| self.timeline.changes.iter().any(|c| c.id == *id)) {
            reason = StopReason::Watchpoint;
        }
        // A jump has no direction but the one it turns out to have.
        *self.direction = if reason != StopReason::Go || self.timeline.here.moment() >= before {
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
            stop.value = retrying(self.timeline, task, Timeline::result)?;
        }
        Ok(reply)
    }

    /// Where it stands.
    pub(crate) fn stop(&self, reason: StopReason) -> Stop {
        let here = self.timeline.here.clone();
        Stop {
            reason,
            time: here.time,
            instruction: here.instruction,
            location: here.location,
            breakpoints: here.breakpoints,
            direction: *self.direction,
            value: None,
            changes: self.timeline.changes.clone(),
            notes: self.timeline.notes.clone(),
            printed: self.timeline.printed.clone(),
        }
    }

    /// Refuses the number of a thread that there never is: a search for it would only find that out at the end.
    fn require_thread(&mut self, thread: u32, task: &mut Task<'_>) -> Result<(), Fault> {
        let here = retrying(self.timeline, task, Timeline::threads)?;
        if here.iter().any(|t| t.number == thread) {
            return Ok(());
        }
        let last = last_thread(&self.recording.facts.path)?;
        if thread <= last {
            return Ok(());
        }
        let known = match last {
            0 => "its only thread is 0".to_string(),
            last => format!("its threads are 0 to {last}"),
        };
        let text = format!("there is no thread {thread} in this recording: {known}");
        Err(Fault::told(FailureCode::Invalid, text))
    }

    fn set_breakpoint(&mut self, mut asked: BreakpointInfo, task: &mut Task<'_>) -> Result<BreakpointInfo, Fault> {
        let condition = match &asked.condition {
            Some(condition) => Some(self.prepare_condition(condition, task)?),
            None => None,
        };
        let places = self.resolved(asked.place, task)?;
        let action = match &asked.action {
            Some(action) => Some(retrying(self.timeline, task, |t, task| t.prepare_action(action, task))?),
            None => None,
        };
        (asked.place, asked.note) = (places.asked, places.note);
        Ok(self.board.add(New {
            condition,
            action,
            ..New::plain(asked, places.known)
        }))
    }

    /// Adds those saved with the trace.
    pub(crate) fn restore_breakpoints(&mut self, task: &mut Task<'_>) -> Result<(), Fault> {
        let mut all = Vec::new();
        if self.timeline.here.location.is_some() {
            for saved in saved::read(&self.recording.facts.path)? {
                all.extend(self.restored(saved, task)?);
            }
        }
        all.into_iter().for_each(|new| drop(self.board.add(new)));
        Ok(())
    }

    /// One that was saved; `None` where its place is found no more.
    fn restored(&mut self, saved: Saved, task: &mut Task<'_>) -> Result<Option<New>, Fault> {
        let mut asked = saved.breakpoint;
        let known = match saved.known {
            Some(known) => known,
            None => match self.resolved(asked.place.clone(), task) {
                Ok(places) => places.known,
                Err(Fault::Interrupted) => return Err(Fault::Interrupted),
                Err(_) => return Ok(None),
            },
        };
        let mut ready = |code: &Option<String>| {
            let prepare = |code: &String| retrying(self.timeline, task, |t, task| t.prepare(code, task));
            code.as_ref().map(prepare).transpose()
        };
        let prepared = ready(&asked.condition).and_then(|condition| Ok((condition, ready(&asked.action)?)));
        let ready = prepared.and_then(|(condition, action)| {
            let (asked, watching) = match asked.place {
                BreakpointPlace::Value { .. } => {
                    let again = |t: &mut Timeline, task: &mut Task<'_>| t.watch_again(asked.clone(), task);
                    let (asked, watching) = retrying(self.timeline, task, again)?;
                    (asked, Some(watching))
                }
                _ => (asked.clone(), None),
            };
            Ok(New {
                asked,
                known: known.clone(),
                condition,
                action,
                watching,
            })
        });
        match ready {
            Ok(new) => Ok(Some(new)),
            Err(Fault::Interrupted) => Err(Fault::Interrupted),
            // It stays in the list, and says why it does not take part.
            Err(fault) => {
                (asked.enabled, asked.note) = (false, Some(fault.to_string()));
                Ok(Some(New::plain(asked, known)))
            }
        }
    }

    fn prepare_condition(&mut self, condition: &str, task: &mut Task<'_>) -> Result<Prepared, Fault> {
        self.timeline.require_stop_points()?;
        retrying(self.timeline, task, |t, task| {
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
            let facts = &self.recording.facts;
            let times = retrying(self.timeline, task, |t, task| t.output_matches(facts, pattern, task))?;
            return Ok(Places {
                asked,
                known: BreakpointPlace::Times { times },
                note: None,
            });
        }
        if let BreakpointPlace::Raise { .. } | BreakpointPlace::Uncaught | BreakpointPlace::Native { .. } = &asked {
            let found = retrying(self.timeline, task, |t, task| match &asked {
                BreakpointPlace::Raise { class } => t.raises_of(class.as_deref(), task),
                BreakpointPlace::Native { name } => t.native_calls(name, task),
                _ => t.uncaught(task),
            })?;
            return Ok(Places {
                asked,
                known: BreakpointPlace::Times { times: found.times },
                note: Some(found.note),
            });
        }
        let (known, note) = match self.sources(task) {
            Ok(sources) => (resolve(&asked, &sources, &self.recording.facts.directory)?, None),
            Err(Fault::Interrupted) => return Err(Fault::Interrupted),
            // What can be replayed can be searched, even when the whole cannot be seen.
            Err(fault) => (asked.clone(), Some(format!("not checked: {fault}"))),
        };
        Ok(Places { asked, known, note })
    }

    fn sources(&self, task: &mut Task<'_>) -> Result<Arc<Vec<SourceFile>>, Fault> {
        self.timeline.require_stop_points()?;
        self.recording.known.wait(task, |f| f.sources.clone())
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
