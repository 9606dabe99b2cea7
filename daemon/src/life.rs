//! Where a numbered object is alive: its memory is watched over the stretch in question, by processes that are thrown away.

use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::reading::Step;
use crate::references::{Presence, Reference, name, rewrite};
use crate::replay::{Bound, Process};
use crate::slice::Slicer;
use crate::timeline::{Landing, Timeline, check_progress};
use rdb_protocol::Time;
use rdb_protocol::client::FailureCode;
use rdb_protocol::predicate::Predicate;
use rdb_protocol::replay::{Boundaries, Hits, NamedObject, Object, Run, RunEnd};
use std::time::Instant;

/// Code that uses numbered objects, in the words of replay processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The code.
    pub source: String,
    /// What it uses.
    uses: Vec<Reference>,
}

impl Prepared {
    /// Names for the objects where all are there at `time`; else what the code would raise.
    pub(crate) fn bound(&self, time: Time) -> Result<Vec<Bound>, String> {
        let bind = |r: &Reference| match r.presence(time).and_then(|p| r.absence(p)) {
            None => Ok((name(r.id), r.object.address)),
            Some(error) => Err(error),
        };
        self.uses.iter().map(bind).collect()
    }
}

impl Prepared {
    /// The code as a condition that can be decided by reading, where it is one.
    pub(crate) fn predicate(&self) -> Option<Predicate> {
        let object = |word: &str| {
            let used = self.uses.iter().find(|r| name(r.id) == word)?;
            Some(Step::Object {
                address: used.object.address,
                from: used.alive.0,
                until: used.dead,
            })
        };
        crate::reading::predicate(&self.source, &object)
    }

    /// The objects used, with what the code raises where they are not there.
    pub(crate) fn objects(&self) -> impl Iterator<Item = NamedObject> {
        let error = |r: &Reference, presence| r.absence(presence).unwrap_or_default();
        self.uses.iter().map(move |r| NamedObject {
            name: name(r.id),
            address: r.object.address,
            from: (r.alive.0, error(r, Presence::Unborn)),
            until: r.dead.map(|dead| (dead, error(r, Presence::Dead(dead)))),
        })
    }

    /// The times at which the objects used come or go, ascending.
    pub(crate) fn turns(&self) -> Vec<Time> {
        let mut all: Vec<Time> = self.uses.iter().flat_map(|r| [Some(r.alive.0), r.dead]).flatten().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Timeline {
    /// Makes code ready to be evaluated at any time.
    pub(crate) fn prepare(&mut self, source: &str, task: &mut Task<'_>) -> Result<Prepared, Fault> {
        let (source, ids) = rewrite(source);
        let uses = ids.into_iter().map(|id| self.whole_life(id, task)).collect::<Result<_, _>>()?;
        Ok(Prepared { source, uses })
    }

    /// Makes code ready to be evaluated where the cursor stands.
    pub(crate) fn prepare_here(&mut self, source: &str, task: &mut Task<'_>) -> Result<Prepared, Fault> {
        let (source, ids) = rewrite(source);
        let mut uses = Vec::new();
        for id in ids {
            let known = self.references.get(id)?;
            uses.push(self.presence(known, self.here.time, task)?.0);
        }
        Ok(Prepared { source, uses })
    }

    /// Makes code ready to be evaluated between stop points, where what becomes of an object is not known.
    #[allow(clippy::unused_self)] // as its brothers
    pub(crate) fn prepare_between(&self, source: &str) -> Result<Prepared, Fault> {
        let (source, ids) = rewrite(source);
        match ids.first() {
            None => Ok(Prepared { source, uses: Vec::new() }),
            Some(id) => Err(Fault::told(
                FailureCode::Invalid,
                format!("${id} can be used at stop points, not between them; bstep goes to the one before"),
            )),
        }
    }

    /// The number of an object that is alive at the cursor.
    pub(crate) fn number(&mut self, object: Object, task: &mut Task<'_>) -> Result<u32, Fault> {
        let here = self.here.time;
        for known in self.references.all()?.into_iter().filter(|r| r.object.address == object.address) {
            if self.presence(known, here, task)?.1 == Presence::Alive {
                return Ok(known.id);
            }
        }
        Ok(self.references.give(object, here)?.id)
    }

    /// What is known of an object once it is known whether it is there at `time`.
    fn presence(&mut self, mut known: Reference, time: Time, task: &mut Task<'_>) -> Result<(Reference, Presence), Fault> {
        if known.presence(time).is_none() {
            if time < known.alive.0 {
                self.explore_before(&mut known, time, task)?;
            } else {
                self.explore_after(&mut known, time, task)?;
            }
            self.references.learn(known)?;
        }
        let presence = known.presence(time);
        let presence = presence.ok_or_else(|| Fault::Garbled(format!("the life of ${} at time {time} stays unknown", known.id)))?;
        Ok((known, presence))
    }

    /// All there is to know of an object's life.
    fn whole_life(&mut self, id: u32, task: &mut Task<'_>) -> Result<Reference, Fault> {
        let mut known = self.references.get(id)?;
        if known.unborn == Time::BEGIN && known.alive.0 > FIRST {
            self.explore_before(&mut known, FIRST, task)?;
        }
        // Most are there at the first stop point after their memory was taken; those from a free list are looked for by halves.
        let mut next = Time(known.unborn.0 + 1);
        while next < known.alive.0 {
            self.explore_before(&mut known, next, task)?;
            next = Time(known.unborn.0 + (known.alive.0.0 - known.unborn.0).div_ceil(2));
        }
        let end = match known.dead {
            Some(dead) => Time(dead.0 - 1),
            None => self.last(task)?,
        };
        if known.alive.1 < end {
            self.explore_after(&mut known, end, task)?;
        }
        self.references.learn(known)?;
        Ok(known)
    }

    /// The first time at which an object that is alive at the cursor is not there any more, if there is one.
    pub(crate) fn death(&mut self, object: Object, task: &mut Task<'_>) -> Result<Option<Time>, Fault> {
        let here = self.here.time;
        let mut known = Reference {
            id: 0,
            object,
            alive: (here, here),
            unborn: Time::BEGIN,
            dead: None,
        };
        let last = self.last(task)?;
        self.explore_after(&mut known, last, task)?;
        Ok(known.dead)
    }

    /// Learns whether it is there at `time`, before it is known to be.
    fn explore_before(&mut self, known: &mut Reference, time: Time, task: &mut Task<'_>) -> Result<(), Fault> {
        let seen = self.watch_life(known, time, known.alive.0, task)?;
        match seen.last {
            Some(boundary) => known.unborn = known.unborn.max(boundary),
            None if self.is_there(known.object, time, task)? => known.alive.0 = time,
            None => known.unborn = known.unborn.max(time),
        }
        Ok(())
    }

    /// Learns whether it is there at `time`, after it is known to be.
    fn explore_after(&mut self, known: &mut Reference, time: Time, task: &mut Task<'_>) -> Result<(), Fault> {
        let seen = self.watch_life(known, known.alive.1, time, task)?;
        let last = seen.first.map_or(time, |first| first.min(time));
        // What the first half of a fused pair of instructions does comes after the stop point in the count, and before it in a probe.
        if last == known.alive.1 || self.is_there(known.object, last, task)? {
            known.alive.1 = last;
            known.dead = seen.first.map(|first| Time(first.0 + 1)).or(known.dead);
        } else {
            known.alive.1 = Time(last.0 - 1);
            known.dead = Some(last);
        }
        Ok(())
    }

    /// What happens to the object's memory from one time to another.
    fn watch_life(&mut self, known: &Reference, from: Time, to: Time, task: &mut Task<'_>) -> Result<Boundaries, Fault> {
        let mut process = self.copy_at(from, task)?;
        process.watch_life(known.object)?;
        let mut slicer = Slicer::new(self.pace);
        loop {
            let before = process.position().clone();
            // Not with `slice`: what is watched must not become a checkpoint.
            let (until_time, event) = slicer.bounds(&before, Some(to));
            let began = Instant::now();
            let run = Run {
                until_time: Some(until_time),
                until_event: Some(event),
                hits: Hits::Ignore,
            };
            let stopped = process.run(run, task.interrupt)?;
            check_progress(&before, &stopped, until_time)?;
            slicer.learn(began.elapsed());
            let seen = stopped.boundaries.filter(|seen| !seen.lost);
            let seen = seen.ok_or_else(|| {
                let text = format!("an object cannot be followed from time {from} to {to}");
                Fault::told(
                    FailureCode::Invalid,
                    text + ": the program replaces its memory allocators on the way",
                )
            })?;
            if process.stands_at(to) || stopped.end == RunEnd::End {
                return Ok(seen);
            }
            task.advance(stopped.position.time.0.saturating_sub(from.0), to.0.saturating_sub(from.0))?;
        }
    }

    fn is_there(&mut self, object: Object, time: Time, task: &mut Task<'_>) -> Result<bool, Fault> {
        let mut process = self.copy_at(time, task)?;
        process.watch_life(object)?;
        process.find()
    }

    /// A process of its own that stands at `time`.
    pub(crate) fn copy_at(&mut self, time: Time, task: &mut Task<'_>) -> Result<Process, Fault> {
        if let Some(active) = self.active.as_mut().filter(|a| a.stands_at(time)) {
            return active.fork();
        }
        let mut process = self.tree().copy_for(time)?;
        match self.run_to(&mut process, time, task)? {
            Landing::There => Ok(process),
            Landing::Past(last) => Err(Fault::Garbled(format!(
                "time {time} was seen, but now the recording ends at {last}"
            ))),
        }
    }
}
