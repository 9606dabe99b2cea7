//! Exceptions that were raised, with the time at which each began, and calls of functions written in C: found by one run over the
//! recording, or a few.
//!
//! The line that raises, or calls, is known only in code that was followed from the beginning; which code that is, the first run tells.

use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::slice::Slicer;
use crate::timeline::{Timeline, check_progress};
use rdb_protocol::Time;
use rdb_protocol::client::FailureCode;
use rdb_protocol::replay::{Entry, Hits, Raise, Raises, Run, RunEnd};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The first run finds the code that raises, the second the lines. What raises in neither run alike has another one.
const RUNS: u64 = 4;
/// How many class names an error or a note gives.
const SOME: usize = 8;
/// They end a program, and a generator, as asked: nothing is wrong.
const ENDS: [&str; 2] = ["SystemExit", "GeneratorExit"];

/// Where a breakpoint stands, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Ascending, each once.
    pub times: Vec<Time>,
    /// How many exceptions, of which classes.
    pub note: String,
}

impl Timeline {
    /// When exceptions of this class, or of one derived from it, began to be raised.
    pub(crate) fn raises_of(&mut self, class: Option<&str>, task: &mut Task<'_>) -> Result<Found, Fault> {
        let all = self.raises(task)?;
        let wanted = |names: &[String]| class.is_none_or(|asked| names.iter().any(|n| is_called(n, asked)));
        found(&all.raised, &all.classes, wanted).ok_or_else(|| {
            let raised = counted(&all.raised, &all.classes, |_| true);
            invalid(match class {
                Some(class) if !raised.is_empty() => {
                    format!("no exception of class {class} is raised in this recording; raised are {raised}")
                }
                _ => "no exception is raised in this recording".to_string(),
            })
        })
    }

    /// When exceptions began to be raised that nothing caught.
    pub(crate) fn uncaught(&mut self, task: &mut Task<'_>) -> Result<Found, Fault> {
        let all = self.raises(task)?;
        let wanted = |names: &[String]| !names.iter().any(|n| ENDS.contains(&n.as_str()));
        found(&all.uncaught, &all.classes, wanted).ok_or_else(|| {
            invalid("no exception is left uncaught in this recording (SystemExit and GeneratorExit do not count)".to_string())
        })
    }

    /// All exceptions of the recording.
    pub(crate) fn raises(&mut self, task: &mut Task<'_>) -> Result<Arc<Raises>, Fault> {
        self.require_stop_points()?;
        if let Some(known) = &self.raises {
            return Ok(Arc::clone(known));
        }
        let all = self.noted(None, task)?;
        let all = Arc::new(all);
        self.raises = Some(Arc::clone(&all));
        Ok(all)
    }

    /// All exceptions, or all calls of a function written in C.
    fn noted(&mut self, calls: Option<Entry>, task: &mut Task<'_>) -> Result<Raises, Fault> {
        let mut all = self.noted_with(&[], calls, 0, task)?;
        for run in 1..RUNS {
            let tracked = all.codes.clone();
            let before = all.codes.len();
            if before == 0 {
                break;
            }
            all = self.noted_with(&tracked, calls, run, task)?;
            all.codes.extend(tracked);
            all.codes.sort_unstable();
            all.codes.dedup();
            if all.codes.len() == before {
                break;
            }
        }
        Ok(all)
    }

    /// When a function written in C was called: the lines that did.
    pub(crate) fn native_calls(&mut self, name: &str, task: &mut Task<'_>) -> Result<Found, Fault> {
        self.require_stop_points()?;
        let entry = self.entry(name, task)?;
        let mut times: Vec<Time> = self.noted(Some(entry), task)?.raised.iter().map(|r| r.time).collect();
        let note = match times.len() {
            0 => return Err(invalid(format!("{name} is not called in this recording"))),
            1 => "1 call".to_string(),
            n => format!("{n} calls"),
        };
        times.sort_unstable();
        times.dedup();
        Ok(Found { times, note })
    }

    /// Where its code begins, looked up when all modules are there.
    fn entry(&mut self, name: &str, task: &mut Task<'_>) -> Result<Entry, Fault> {
        let last = self.last(task)?;
        let time = self.known.facts().main_done.unwrap_or(last);
        let mut process = self.tree().copy_for(time)?;
        let order = Run {
            until_time: Some(time),
            until_event: None,
            hits: Hits::Ignore,
        };
        process.run(order, task.interrupt)?;
        process.entry(name, DEADLINE, task.interrupt).map_err(|fault| match fault {
            Fault::Refused(why) => invalid(why),
            other => other,
        })
    }

    /// The same of one run; their lines where code is tracked.
    fn noted_with(&mut self, tracked: &[u64], calls: Option<Entry>, run: u64, task: &mut Task<'_>) -> Result<Raises, Fault> {
        let last = self.last(task)?;
        let mut process = self.tree().copy_for(FIRST)?;
        process.note_raises(tracked.to_vec(), calls)?;
        let mut slicer = Slicer::new(self.pace);
        let mut all = Raises::default();
        loop {
            let before = process.position().clone();
            // Not with `slice`: a process that notes must not become a checkpoint.
            let (until_time, event) = slicer.bounds(&before, None);
            let began = Instant::now();
            let order = Run {
                until_time: Some(until_time),
                until_event: Some(event),
                hits: Hits::Ignore,
            };
            let stopped = process.run(order, task.interrupt)?;
            check_progress(&before, &stopped, until_time)?;
            slicer.learn(began.elapsed());
            let new = process.take_raises()?;
            all.raised.extend(new.raised);
            all.uncaught.extend(new.uncaught);
            all.told.extend(new.told);
            (all.classes, all.codes, all.sites) = (new.classes, new.codes, new.sites);
            if stopped.end == RunEnd::End {
                return Ok(all);
            }
            task.advance(run.min(1) * last.0 + stopped.position.time.0, 2 * last.0)?;
        }
    }
}

/// Those of the classes wanted; `None` where there are none.
fn found(all: &[Raise], classes: &[Vec<String>], wanted: impl Fn(&[String]) -> bool) -> Option<Found> {
    let of_class = |r: &&Raise| classes.get(r.class as usize).is_some_and(|names| wanted(names));
    let mut times: Vec<Time> = all.iter().filter(of_class).map(|r| r.time).collect();
    times.sort_unstable();
    times.dedup();
    let note = format!("raised: {}", counted(all, classes, &wanted));
    (!times.is_empty()).then_some(Found { times, note })
}

/// `KeyError (2), ValueError (1)`: the most frequent first.
fn counted(all: &[Raise], classes: &[Vec<String>], wanted: impl Fn(&[String]) -> bool) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for raise in all {
        if let Some(names) = classes.get(raise.class as usize).filter(|names| wanted(names))
            && let Some(name) = names.first()
        {
            *counts.entry(name).or_default() += 1;
        }
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|c| std::cmp::Reverse(c.1));
    let more = if counts.len() > SOME { ", ..." } else { "" };
    let shown = counts.into_iter().take(SOME).map(|(name, n)| format!("{name} ({n})"));
    shown.collect::<Vec<_>>().join(", ") + more
}

/// Whether a class of this full name may be called `asked`: by whole components, from the end.
pub(crate) fn is_called(full: &str, asked: &str) -> bool {
    let asked = asked.strip_prefix("builtins.").filter(|_| !full.contains('.')).unwrap_or(asked);
    full.strip_suffix(asked)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        && !asked.is_empty()
}

fn invalid(text: String) -> Fault {
    Fault::told(FailureCode::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_called_by_the_end_of_their_names() {
        assert!(is_called("ValueError", "ValueError") && is_called("ValueError", "builtins.ValueError"));
        assert!(is_called("json.decoder.JSONDecodeError", "JSONDecodeError") && is_called("a.B.C", "B.C") && is_called("a.B.C", "a.B.C"));
        assert!(!is_called("ValueError", "Error") && !is_called("a.ValueError", "builtins.ValueError") && !is_called("a.B", ""));
    }

    #[test]
    fn those_of_a_class_are_found_and_counted() {
        let names = |all: &[&str]| all.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let classes = [
            names(&["KeyError", "LookupError", "Exception"]),
            names(&["m.Odd", "Exception"]),
            names(&["SystemExit"]),
        ];
        let raise = |time, class| Raise { time: Time(time), class };
        let all = [raise(7, 1), raise(3, 0), raise(3, 0), raise(9, 2)];
        let lookup = found(&all, &classes, |n| n.iter().any(|n| is_called(n, "LookupError"))).unwrap();
        assert_eq!((lookup.times, lookup.note.as_str()), (vec![Time(3)], "raised: KeyError (2)"));
        let any = found(&all, &classes, |_| true).unwrap();
        assert_eq!(any.times, [3, 7, 9].map(Time));
        assert_eq!(any.note, "raised: KeyError (2), SystemExit (1), m.Odd (1)");
        assert_eq!(found(&all, &classes, |n| n[0] == "OSError"), None);
    }
}
