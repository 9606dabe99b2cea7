//! Watchpoints: where the value of an expression changes.
//!
//! The value is evaluated in a probe that also tells which memory it depends on. A process that runs compares that memory at each stop
//! point; only where some of it has changed is the expression evaluated again, and only another value is a hit. Between two stop
//! points t-1 and t the value changes when it differs at the two: a search forward stops at t, the first that sees the new value, and
//! one backward at t-1, the last that sees the old one.

use crate::behind::Behind;
use crate::breakpoints::{Marks, Spent};
use crate::conditions::check;
use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::life::Prepared;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::references::substitute;
use crate::replay::Process;
use crate::slice::Slicer;
use crate::timeline::{Lookout, Timeline};
use rdb_protocol::client::{BreakpointInfo, FailureCode, Past, StopReason, ValueChange, Watch};
use rdb_protocol::replay::{Hits, Observed, RunEnd, Watched};
use rdb_protocol::{Activation, BreakpointPlace, Frame, Time, WatchedCall};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an evaluation may take: it is executed one instruction at a time.
const DEADLINE: Duration = Duration::from_secs(20);

/// A watchpoint as a search knows it.
#[derive(Clone, Debug)]
pub(crate) struct Watching {
    /// The expression, in the words of replay processes.
    pub prepared: Prepared,
    /// The module whose names it sees.
    pub module: String,
    /// The call whose variables it sees, too.
    pub call: Option<WatchedCall>,
    /// What evaluating has cost.
    pub spent: Arc<Spent>,
    /// Values seen already: they stay what they are.
    known: Arc<Mutex<BTreeMap<Time, Observed>>>,
}

/// Asks for the kind of a frame's variables, and for their names. Without an optimised code's slots they are in a dictionary: those there
/// are now, and those the code stores (`STORE_NAME`; of more than 256 names any may be).
const NAMES: &str = "(lambda c, d, g, b, v: 'global' if d is g else ' '.join([\
    'slots' if c.co_flags & 1 else 'body', *c.co_varnames, *c.co_cellvars, *c.co_freevars, *([] if c.co_flags & 1 else [\
    *([k for k in d if k.__class__ is ''.__class__] if b.isinstance(d, b.dict) else []), *(c.co_names if c.co_names[256:] else [\
    c.co_names[a] for o, a in b.zip(c.co_code[::2], c.co_code[1::2]) if o == (90 if v < 13 else 114)])])]))\
    (__rdb_code, __rdb_locals, __rdb_globals, __import__('builtins'), __import__('sys').version_info[1])";

/// The names that a frame's code has for variables of its own.
#[derive(Debug, Default)]
struct LocalNames {
    names: Vec<String>,
    /// They are kept in a dictionary.
    body: bool,
}

/// So many values are kept.
const KEPT: usize = 512;

impl Watching {
    /// The times at which it has to be evaluated anew, ascending: where its objects come and go, and its call begins and is over.
    pub(crate) fn turns(&self) -> Vec<Time> {
        let mut all = self.prepared.turns();
        all.extend(self.call.iter().flat_map(|c| [Some(c.from), c.until]).flatten());
        all.sort_unstable();
        all.dedup();
        all
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Time, Observed>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values that the watchpoints have where a process stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<(u32, Observed, Option<Activation>)>);

impl Values {
    /// Those of all enabled watchpoints; the process compares from now on.
    pub(crate) fn of(process: &mut Process, marks: &Marks, interrupt: &Interrupt) -> Result<Values, Fault> {
        let mut values = Values::default();
        for (id, watching) in marks.watching() {
            let call = watching.call.as_ref().map(|c| c.activation);
            values.0.push((id, observe(process, watching, interrupt)?, call));
        }
        values.arm(process)?;
        Ok(values)
    }

    /// The process stands where these watchpoints, among other breakpoints, may have changed: those that have.
    pub(crate) fn update(
        &mut self,
        process: &mut Process,
        ids: &[u32],
        marks: &Marks,
        interrupt: &Interrupt,
    ) -> Result<Vec<ValueChange>, Fault> {
        let mut changes = Vec::new();
        let mut any = false;
        for (id, watching) in marks.watching().filter(|w| ids.contains(&w.0)) {
            let Some((_, value, _)) = self.0.iter_mut().find(|v| v.0 == id) else {
                continue;
            };
            any = true;
            let old = std::mem::replace(value, observe(process, watching, interrupt)?);
            if old.text != value.text {
                changes.push(ValueChange {
                    id,
                    expression: marks.expression(id),
                    old: old.text,
                    new: value.text.clone(),
                });
            }
        }
        if any {
            self.arm(process)?;
        }
        Ok(changes)
    }

    fn arm(&self, process: &mut Process) -> Result<(), Fault> {
        let watched = |(id, value, call): &(u32, Observed, Option<Activation>)| Watched {
            id: *id,
            call: call.filter(|_| !value.words.is_empty()),
            words: value.words.clone(),
        };
        process.watch(self.0.iter().map(watched).collect())
    }
}

/// The value where a process stands.
fn observe(process: &mut Process, watching: &Watching, interrupt: &Interrupt) -> Result<Observed, Fault> {
    let failed = |text| Observed {
        ok: false,
        text,
        words: Vec::new(),
        inexact: false,
    };
    let bound = match watching.prepared.bound(process.position().time) {
        Ok(bound) => bound,
        // Where that changes is known.
        Err(text) => return Ok(failed(text)),
    };
    let time = process.position().time;
    if let Some(call) = &watching.call {
        if time < call.from {
            return Ok(failed(format!("not there yet: that {} begins at time {}", call.what(), call.from)));
        }
        if let Some(until) = call.until.filter(|&u| time >= u) {
            return Ok(failed(format!("out of scope: that {} was over at time {until}", call.what())));
        }
    }
    if let Some(observed) = watching.known().get(&time) {
        return Ok(observed.clone());
    }
    let source = watching.prepared.source.clone();
    let scope = (watching.module.clone(), watching.call.as_ref().map(|c| c.activation));
    let begun = Instant::now();
    let observed = process.fork()?.observe(source, scope, bound, DEADLINE, interrupt);
    watching.spent.add(begun.elapsed());
    match observed {
        Ok(observed) => {
            let mut known = watching.known();
            if known.len() >= KEPT {
                known.clear();
            }
            known.insert(time, observed.clone());
            Ok(observed)
        }
        Err(fault @ (Fault::Interrupted | Fault::System { .. } | Fault::Garbled(_) | Fault::Diverged(_))) => Err(fault),
        // Variables that cannot be watched.
        Err(Fault::Refused(reason)) if watching.call.is_some() => Err(Fault::told(FailureCode::Invalid, reason)),
        // The probe died of it, or was killed: that is the expression's fault.
        Err(fault) => Ok(failed(fault.to_string())),
    }
}

impl Timeline {
    /// A watchpoint to be set; its present value is told in the note.
    pub(crate) fn watch(&mut self, watch: &Watch, temporary: bool, task: &mut Task<'_>) -> Result<(BreakpointInfo, Watching), Fault> {
        let (mut asked, watching) = self.watching(watch, task)?;
        asked.temporary = temporary;
        Ok((asked, watching))
    }

    /// The same for one whose names are bound already.
    pub(crate) fn watch_again(&mut self, asked: BreakpointInfo, task: &mut Task<'_>) -> Result<(BreakpointInfo, Watching), Fault> {
        let BreakpointPlace::Value { expression, module, call } = &asked.place else {
            return Err(Fault::Garbled("no watchpoint".to_string()));
        };
        let (note, watching) = self.ready((expression, expression), module, call.clone(), task)?;
        Ok((BreakpointInfo { note: Some(note), ..asked }, watching))
    }

    /// Back to where the value an expression has at the cursor was about to be given.
    pub(crate) fn last_change(&mut self, watch: &Watch, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        let (asked, watching) = self.watching(watch, task)?;
        let found = self.with_watch_alone(asked, watching, |t| t.behind(None, task))?;
        match found {
            Behind::Nothing | Behind::Begun(_) => Err(Fault::told(
                FailureCode::Invalid,
                format!("'{}' has had its present value from the beginning", watch.expression),
            )),
            Behind::Breakpoint | Behind::Own => {
                // The watchpoint was for this search alone.
                self.here.breakpoints.clear();
                self.changes.iter_mut().for_each(|c| c.id = 0);
                Ok(StopReason::Watchpoint)
            }
        }
    }

    /// The values an expression has had, and whether there are more; the cursor stays.
    pub(crate) fn history(&mut self, watch: &Watch, limit: u32, task: &mut Task<'_>) -> Result<(Vec<Past>, bool), Fault> {
        let (asked, watching) = self.watching(watch, task)?;
        let last = self.last(task)?;
        self.with_watch_alone(asked, watching, |t| t.values(limit, last, task))
    }

    fn values(&mut self, limit: u32, last: Time, task: &mut Task<'_>) -> Result<(Vec<Past>, bool), Fault> {
        let mut process = self.copy_at(FIRST, task)?;
        let mut values = Values::of(&mut process, &self.marks, task.interrupt)?;
        let mut past: Vec<Past> = values
            .0
            .iter()
            .map(|(_, v, _)| Past {
                since: FIRST,
                text: v.text.clone(),
                made: None,
            })
            .collect();
        let mut slicer = Slicer::new(self.pace);
        let lookout = Lookout {
            hits: Hits::Stop,
            follow: None,
        };
        while !process.stands_at(last) {
            let stopped = self.slice(&mut process, &mut slicer, Some(last), lookout, task)?;
            let time = stopped.position.time;
            if process.stands_at(time) {
                for change in values.update(&mut process, &stopped.breakpoints, &self.marks, task.interrupt)? {
                    if past.len() > limit as usize {
                        return Ok((past, true));
                    }
                    past.push(Past {
                        since: time,
                        text: change.new,
                        made: None,
                    });
                }
            }
            if stopped.end == RunEnd::End {
                break;
            }
            task.advance(time.0, last.0)?;
        }
        for one in past.iter_mut().skip(1) {
            let mut there = self.copy_at(Time(one.since.0 - 1), task)?;
            one.made = there.look()?.position.location;
        }
        Ok((past, false))
    }

    /// A search that nothing else than this watchpoint can stop.
    fn with_watch_alone<T>(
        &mut self,
        asked: BreakpointInfo,
        watching: Watching,
        search: impl FnOnce(&mut Timeline) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (here, kept) = (self.here.clone(), self.marks.set_aside());
        self.marks.add_watch(asked, watching, None);
        let result = search(self);
        self.marks.put_back(kept);
        if result.is_err() {
            self.here = here;
        }
        result
    }

    fn watching(&mut self, watch: &Watch, task: &mut Task<'_>) -> Result<(BreakpointInfo, Watching), Fault> {
        self.require_stop_points()?;
        let (expression, call, mut notes) = self.bind(watch, task)?;
        let module = self.module(watch, task)?;
        let (note, watching) = self.ready((&watch.expression, &expression), &module, call.clone(), task)?;
        notes.push(note);
        let mut asked = BreakpointInfo::new(BreakpointPlace::Value { expression, module, call });
        asked.note = Some(notes.join("; "));
        Ok((asked, watching))
    }

    /// An expression, `asked` for people, made ready; and what there is to say of its value.
    fn ready(
        &mut self,
        (asked, expression): (&str, &str),
        module: &str,
        call: Option<WatchedCall>,
        task: &mut Task<'_>,
    ) -> Result<(String, Watching), Fault> {
        self.require_stop_points()?;
        let watching = Watching {
            prepared: self.prepare(expression, task)?,
            module: module.to_string(),
            call,
            spent: Arc::default(),
            known: Arc::default(),
        };
        let process = self.at_cursor(task)?;
        check(process, "expression", asked, &watching.prepared.source, task.interrupt)?;
        let value = observe(process, &watching, task.interrupt)?;
        let mut note = format!("its value is {}", value.text);
        if value.inexact {
            note.push_str("; it reads more than can be compared: some changes may be missed");
        }
        Ok((note, watching))
    }

    /// The names of the variables of a frame's code, whether they have values or not; `None` where these are the global ones.
    fn local_names(&mut self, watch: &Watch, frame: &Frame, task: &mut Task<'_>) -> Result<Option<LocalNames>, Fault> {
        let process = self.at_cursor(task)?;
        let bound = vec![("__rdb_code".to_string(), frame.activation.code)];
        let value = process
            .fork()?
            .evaluate(NAMES.to_string(), watch.frame, bound, DEADLINE, task.interrupt)?;
        let mut words = value.text.trim_matches(['\'', '"']).split(' ').map(str::to_string);
        Ok(match words.next().filter(|_| value.ok).as_deref() {
            Some("global") => None,
            kind => Some(LocalNames {
                body: kind == Some("body"),
                names: words.collect(),
            }),
        })
    }

    /// The module whose names the frame's code sees; empty where its globals are no module's.
    fn module(&mut self, watch: &Watch, task: &mut Task<'_>) -> Result<String, Fault> {
        const ASK: &str = "(lambda g: (lambda m: m if getattr(__import__('sys').modules.get(m), '__dict__', None) is g else '')\
            (g.get('__name__')))(__rdb_globals)";
        let value = self.evaluate(ASK, false, watch.frame, 0, task)?;
        let name = value.text.trim_matches(['\'', '"']).to_string();
        Ok(if value.ok { name } else { String::new() })
    }

    /// The expression with its local variables bound to what they are now, if that is wanted; if not, and it has any, the call they
    /// belong to; and what there is to say of that.
    fn bind(&mut self, watch: &Watch, task: &mut Task<'_>) -> Result<(String, Option<WatchedCall>, Vec<String>), Fault> {
        let mut notes = Vec::new();
        let frames = self.backtrace(watch.frame.thread, watch.frame.number + 1, task)?;
        let local = match frames.last() {
            Some(frame) => self.local_names(watch, frame, task)?,
            None => None,
        };
        let LocalNames { names, body } = match local {
            None if !watch.bind => return Ok((watch.expression.clone(), None, notes)),
            local => local.unwrap_or_default(),
        };
        let used = substitute(&watch.expression, &|name| names.iter().any(|n| n == name).then(|| name.to_string())).1;
        if !watch.bind {
            let call = match frames.into_iter().last() {
                Some(frame) if !used.is_empty() => {
                    let call = self.call(watch, frame, body, task)?;
                    let until = call
                        .until
                        .map_or("not over when the recording ends".to_string(), |u| format!("over at time {u}"));
                    notes.push(format!("in the {} that begins at time {} and is {until}", call.what(), call.from));
                    Some(call)
                }
                _ => None,
            };
            return Ok((watch.expression.clone(), call, notes));
        }
        let mut bound = Vec::new();
        for name in used {
            let value = self.evaluate(&name, true, watch.frame, 0, task)?;
            let stands_for = match value.number {
                _ if !value.ok => return Err(Fault::told(FailureCode::Invalid, format!("'{name}' has no value here"))),
                Some(number) => format!("${number}"),
                None => format!("({})", value.text),
            };
            let note = if value.number.is_none() { ", which never changes" } else { "" };
            notes.push(format!("{name} is {stands_for}{note}"));
            bound.push((name, stands_for));
        }
        let (text, _) = substitute(&watch.expression, &|name| bound.iter().find(|b| b.0 == name).map(|b| b.1.clone()));
        Ok((text, None, notes))
    }
}
