//! A set of breakpoints: versioned data, sent to a replay process when it next needs them.

use crate::life::Prepared;
use crate::saved::Saved;
use crate::watching::Watching;
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{BreakpointInfo, Change, Evaluations};
use rdb_protocol::predicate::Predicate;
use rdb_protocol::replay::Breakpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Number of the place that `until` looks for; those of breakpoints begin at 1.
pub(crate) const UNTIL: u32 = 0;

/// A version no set has had: sets are copied and the copies changed, and a process that knows one must not take it for another.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The breakpoint set. Version 0 is the empty set every new process has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    version: u64,
    /// Changes with every change of what is saved.
    edition: u64,
    last_id: u32,
    list: Vec<Mark>,
    until: Option<BreakpointPlace>,
    /// No hit ends a run.
    quiet: bool,
    /// What actions come to is shown no more.
    full: bool,
    /// So many hits that would stop a search are passed.
    passing: u64,
}

#[derive(Clone, Debug)]
struct Mark {
    info: BreakpointInfo,
    /// The place in the words of the replayed program: maybe a long list of times, and sets are copied at each command.
    place: Arc<BreakpointPlace>,
    /// The condition in the words of the replayed program.
    condition: Option<Prepared>,
    /// The same as far as it can be decided by reading.
    test: Option<Predicate>,
    /// For a watchpoint: its expression.
    watching: Option<Watching>,
    /// The action in the words of the replayed program.
    action: Option<Prepared>,
    /// The user knows that the condition fails.
    told: bool,
    /// What evaluating has cost, by all copies of the set: an aborted search has cost it, too.
    spent: Arc<Spent>,
}

/// Evaluations in copies of the program.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    count: AtomicU64,
    microseconds: AtomicU64,
}

impl Spent {
    /// Adds one that took so long.
    pub(crate) fn add(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    fn told(&self) -> Evaluations {
        Evaluations {
            count: self.count.load(Ordering::Relaxed),
            microseconds: self.microseconds.load(Ordering::Relaxed),
        }
    }
}

impl Mark {
    /// Whether reading can tell that a hit is one.
    fn is_certain(&self) -> bool {
        self.watching.is_none() && (self.condition.is_none() || self.test.is_some())
    }
}

impl Marks {
    /// Changes with every change of the places.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Changes with every change of what is saved.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// Whether nothing can be hit.
    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_none() && self.list.iter().all(|m| !m.info.enabled)
    }

    /// Whether a hit may turn out not to be one.
    pub(crate) fn is_picky(&self) -> bool {
        let looked_at = |i: &BreakpointInfo| i.condition.is_some() || i.ignore > 0 || i.action.is_some();
        let picky = |m: &Mark| m.info.enabled && (looked_at(&m.info) || m.watching.is_some());
        self.passing > 0 || self.list.iter().any(picky)
    }

    /// Whether any has an action.
    pub(crate) fn acts(&self) -> bool {
        self.list.iter().any(|m| m.info.enabled && m.action.is_some())
    }

    /// As a replay process wants them.
    pub(crate) fn orders(&self) -> Vec<Breakpoint> {
        let until = self.until.iter().map(|place| Breakpoint {
            id: UNTIL,
            place: place.clone(),
            test: None,
            quiet: self.quiet,
        });
        let enabled = self.list.iter().filter(|m| m.info.enabled).map(|m| Breakpoint {
            id: m.info.id,
            place: BreakpointPlace::clone(&m.place),
            test: m.test.clone().filter(|_| m.watching.is_none()),
            // Once there is nothing to ignore any more, an action is carried out.
            quiet: m.is_certain()
                && (self.quiet
                    || if m.action.is_some() {
                        self.full
                    } else {
                        m.info.ignore > 0 || self.passing > 0
                    }),
        });
        until.chain(enabled).collect()
    }

    /// The same set for a search in which no hit ends a run.
    pub(crate) fn quietly(&self) -> Marks {
        Marks {
            version: fresh(),
            quiet: true,
            ..self.clone()
        }
    }

    /// From now on nothing of what actions come to is shown.
    pub(crate) fn be_full(&mut self) {
        if !self.full {
            (self.full, self.version) = (true, fresh());
        }
    }

    /// Whether nothing of what actions come to is shown any more.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// So many of the hits that would stop a search are passed from now on. How many were still to be passed.
    pub(crate) fn pass(&mut self, count: u64) -> u64 {
        if (count > 0) != (self.passing > 0) {
            self.version = fresh();
        }
        std::mem::replace(&mut self.passing, count)
    }

    /// As a client wants them.
    pub(crate) fn infos(&self) -> Vec<BreakpointInfo> {
        let info = |m: &Mark| BreakpointInfo {
            evaluations: m.spent.told(),
            ..m.info.clone()
        };
        self.list.iter().map(info).collect()
    }

    /// The condition of this one was evaluated, which took so long.
    pub(crate) fn spend(&self, id: u32, time: Duration) {
        if let Some(mark) = self.list.iter().find(|m| m.info.id == id) {
            mark.spent.add(time);
        }
    }

    /// As they are saved.
    pub(crate) fn saved(&self) -> Vec<Saved> {
        self.list.iter().map(|m| Saved::new(m.info.clone(), &m.place)).collect()
    }

    /// Whether the next hit is passed over.
    pub(crate) fn is_ignored(&self, id: u32) -> bool {
        self.list.iter().any(|m| m.info.id == id && m.info.ignore > 0)
    }

    /// What is evaluated where one of them is hit.
    pub(crate) fn action(&self, id: u32) -> Option<&Prepared> {
        self.list.iter().find(|m| m.info.id == id)?.action.as_ref()
    }

    /// What must hold for one of them to be hit.
    pub(crate) fn condition(&self, id: u32) -> Option<&Prepared> {
        self.list.iter().find(|m| m.info.id == id)?.condition.as_ref()
    }

    /// One of them.
    #[cfg(test)]
    pub(crate) fn info(&self, id: u32) -> Option<&BreakpointInfo> {
        self.list.iter().find(|m| m.info.id == id).map(|m| &m.info)
    }

    /// Adds one: `asked` for people, `place`, `condition` and `action` for replay processes. One that comes without a number gets the next.
    pub(crate) fn add(
        &mut self,
        asked: BreakpointInfo,
        place: BreakpointPlace,
        condition: Option<Prepared>,
        action: Option<Prepared>,
    ) -> BreakpointInfo {
        self.version = fresh();
        self.edition += 1;
        let id = if asked.id == 0 { self.last_id + 1 } else { asked.id };
        self.last_id = self.last_id.max(id);
        let info = BreakpointInfo { id, ..asked };
        self.list.push(Mark {
            info: info.clone(),
            place: Arc::new(place),
            test: condition.as_ref().and_then(Prepared::predicate),
            condition,
            watching: None,
            action,
            told: false,
            spent: Arc::default(),
        });
        self.list.sort_by_key(|m| m.info.id);
        info
    }

    /// Adds a watchpoint. Replay processes know it as the times at which its objects come and go.
    pub(crate) fn add_watch(&mut self, asked: BreakpointInfo, watching: Watching, condition: Option<Prepared>) -> BreakpointInfo {
        let times = watching.turns();
        let info = self.add(asked, BreakpointPlace::Times { times }, condition, None);
        if let Some(mark) = self.list.iter_mut().find(|m| m.info.id == info.id) {
            mark.spent = watching.spent.clone();
            mark.watching = Some(watching);
        }
        info
    }

    /// The enabled watchpoints.
    pub(crate) fn watching(&self) -> impl Iterator<Item = (u32, &Watching)> {
        let enabled = self.list.iter().filter(|m| m.info.enabled);
        enabled.filter_map(|m| Some((m.info.id, m.watching.as_ref()?)))
    }

    /// Whether this is a watchpoint.
    pub(crate) fn is_watch(&self, id: u32) -> bool {
        self.list.iter().any(|m| m.info.id == id && m.watching.is_some())
    }

    /// The expression of a watchpoint, for people.
    pub(crate) fn expression(&self, id: u32) -> String {
        match self.list.iter().find(|m| m.info.id == id).map(|m| &m.info.place) {
            Some(BreakpointPlace::Value { expression, .. }) => expression.clone(),
            _ => String::new(),
        }
    }

    /// Takes all away for a while.
    pub(crate) fn set_aside(&mut self) -> Marks {
        let empty = Marks {
            version: fresh(),
            edition: self.edition,
            last_id: self.last_id,
            list: Vec::new(),
            until: None,
            quiet: false,
            full: false,
            passing: 0,
        };
        std::mem::replace(self, empty)
    }

    /// Puts back what was taken away.
    pub(crate) fn put_back(&mut self, kept: Marks) {
        let version = fresh();
        *self = Marks { version, ..kept };
    }

    /// As they were before a search. Processes that know a later set must not take the earlier one for it.
    pub(crate) fn give_back(&mut self, kept: Marks) {
        let version = if self.version == kept.version { self.version } else { fresh() };
        *self = Marks { version, ..kept };
    }

    /// Removes one, or all; whether there was one to remove.
    pub(crate) fn remove(&mut self, id: Option<u32>) -> bool {
        let before = self.list.len();
        self.list.retain(|m| id.is_some_and(|id| m.info.id != id));
        self.version = fresh();
        self.edition += 1;
        id.is_none() || self.list.len() < before
    }

    /// Changes one, or all; whether there was one to change.
    pub(crate) fn change(&mut self, id: Option<u32>, change: &Change, prepared: Option<Prepared>) -> bool {
        self.version = fresh();
        self.edition += 1;
        let mut any = id.is_none();
        for mark in self.list.iter_mut().filter(|m| id.is_none_or(|id| m.info.id == id)) {
            any = true;
            match change {
                Change::Condition(condition) => {
                    mark.info.condition.clone_from(condition);
                    mark.condition.clone_from(&prepared);
                    mark.test = prepared.as_ref().and_then(Prepared::predicate);
                    mark.told = false;
                    mark.spent = mark.watching.as_ref().map_or_else(Arc::default, |w| w.spent.clone());
                }
                Change::Ignore(count) => mark.info.ignore = *count,
                Change::Enabled(enabled) => mark.info.enabled = *enabled,
                Change::Commands(commands) => mark.info.commands.clone_from(commands),
            }
        }
        any
    }

    /// Whether one of this number was there.
    pub(crate) fn had(&self, id: u32) -> bool {
        (1..=self.last_id).contains(&id)
    }

    /// Adds what a command has met that worked on a copy of this set, `before`, which is `after` now; others may have changed this one in
    /// the meantime. Whether that changes what is saved.
    pub(crate) fn settle(&mut self, before: &Marks, after: &Marks) -> bool {
        let edition = self.edition;
        for was in &before.list {
            let id = was.info.id;
            let Some(now) = after.list.iter().find(|m| m.info.id == id) else {
                // A temporary one, used up.
                let length = self.list.len();
                self.list.retain(|m| m.info.id != id);
                if self.list.len() < length {
                    self.version = fresh();
                    self.edition += 1;
                }
                continue;
            };
            let Some(mark) = self.list.iter_mut().find(|m| m.info.id == id) else {
                continue;
            };
            mark.info.hits += now.info.hits.saturating_sub(was.info.hits);
            mark.told |= now.told;
            let used = was.info.ignore.saturating_sub(now.info.ignore).min(mark.info.ignore);
            if used > 0 {
                mark.info.ignore -= used;
                // Processes know whether there is something to ignore.
                self.version = fresh();
                self.edition += 1;
            }
        }
        self.edition != edition
    }

    /// Adds all of another set; a number that is taken is changed. Whether there were any.
    pub(crate) fn adopt(&mut self, others: Marks) -> bool {
        let any = !others.list.is_empty();
        for mut mark in others.list {
            if self.list.iter().any(|m| m.info.id == mark.info.id) {
                mark.info.id = self.last_id.max(others.last_id) + 1;
            }
            self.last_id = self.last_id.max(mark.info.id);
            self.list.push(mark);
        }
        self.list.sort_by_key(|m| m.info.id);
        if any {
            self.version = fresh();
            self.edition += 1;
        }
        any
    }

    /// Sets or drops the place that `until` looks for.
    pub(crate) fn set_until(&mut self, place: Option<BreakpointPlace>) {
        if self.until != place {
            self.version = fresh();
            self.until = place;
        }
    }

    /// Whether the user was told that the condition of this one fails.
    pub(crate) fn is_told(&self, id: u32) -> bool {
        self.list.iter().any(|m| m.info.id == id && m.told)
    }

    /// The user is told now.
    pub(crate) fn tell(&mut self, id: u32) {
        self.list.iter_mut().filter(|m| m.info.id == id).for_each(|m| m.told = true);
    }

    /// A search has come to hits of these: counts them; those to stop at are the ones not to be ignored, unless the search is to
    /// pass hits. Temporary ones are used up by that. Where a condition has failed, a search does not pass.
    pub(crate) fn meet(&mut self, ids: &[u32], failed: &[(u32, String)]) -> Vec<u32> {
        let mut stopping: Vec<u32> = ids.iter().copied().filter(|&id| id == UNTIL).collect();
        for mark in self.list.iter_mut().filter(|m| ids.contains(&m.info.id)) {
            mark.info.hits += 1;
            if mark.info.ignore > 0 {
                mark.info.ignore -= 1;
                self.edition += 1;
                if mark.info.ignore == 0 {
                    self.version = fresh();
                }
            } else if mark.info.action.is_none() {
                stopping.push(mark.info.id);
            }
        }
        let stops_always = |id: &u32| *id == UNTIL || failed.iter().any(|f| f.0 == *id);
        if self.passing > 0 && !stopping.is_empty() && !stopping.iter().any(stops_always) {
            self.passing -= 1;
            if self.passing == 0 {
                self.version = fresh();
            }
            return Vec::new();
        }
        let before = self.list.len();
        self.list.retain(|m| !m.info.temporary || !stopping.contains(&m.info.id));
        if self.list.len() < before {
            self.version = fresh();
            self.edition += 1;
        }
        stopping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(marks: &mut Marks, temporary: bool) -> u32 {
        let place = BreakpointPlace::Function { name: "f".into() };
        let mut asked = BreakpointInfo::new(place.clone());
        asked.temporary = temporary;
        marks.add(asked, place, None, None).id
    }

    #[test]
    fn numbers_are_not_reused_and_versions_move() {
        let mut marks = Marks::default();
        let a = add(&mut marks, false);
        assert!(marks.remove(Some(a)) && !marks.remove(Some(a)));
        let b = add(&mut marks, false);
        assert_eq!((a, b), (1, 2));
        let version = marks.version();
        assert!(marks.remove(None) && marks.remove(None) && marks.is_empty());
        assert_ne!(marks.version(), version);
    }

    #[test]
    fn what_a_command_met_is_added_to_what_others_changed() {
        let mut shared = Marks::default();
        let ids = [false, true, false, false].map(|temporary| add(&mut shared, temporary));
        let [a, b, c, d] = ids;
        shared.change(Some(a), &Change::Ignore(3), None);
        let (before, mut after) = (shared.clone(), shared.clone());
        assert_eq!(after.meet(&[a], &[]), [0; 0]);
        assert_eq!(after.meet(&[a, b, c, d], &[]), [b, c, d]);
        // In the meantime:
        shared.meet(&[d], &[]);
        shared.remove(Some(c));
        shared.change(Some(a), &Change::Ignore(1), None);
        let e = add(&mut shared, false);
        let version = shared.version();
        assert!(shared.settle(&before, &after) && shared.version() != version);
        let left: Vec<_> = shared.infos().iter().map(|i| (i.id, i.hits, i.ignore)).collect();
        assert_eq!(left, [(a, 2, 0), (d, 2, 0), (e, 0, 0)]);
        let again = shared.clone();
        assert!(!shared.settle(&again, &again), "nothing was met");
    }

    #[test]
    fn those_of_others_are_taken_in_under_free_numbers() {
        let (mut shared, mut own) = (Marks::default(), Marks::default());
        for _ in 0..2 {
            add(&mut shared, false);
        }
        shared.remove(Some(1));
        for _ in 0..3 {
            add(&mut own, false);
        }
        assert!(shared.adopt(own) && !shared.adopt(Marks::default()));
        let ids: Vec<u32> = shared.infos().iter().map(|i| i.id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(shared.had(4) && !shared.had(5) && !shared.had(0));
    }

    #[test]
    fn disabled_ones_are_not_sent_and_ignored_ones_are_counted() {
        let mut marks = Marks::default();
        let (a, b) = (add(&mut marks, false), add(&mut marks, true));
        assert!(marks.change(Some(a), &Change::Ignore(2), None) && marks.is_picky());
        assert_eq!(marks.meet(&[a], &[]), [0; 0]);
        assert_eq!(marks.meet(&[a, b], &[]), [b]);
        assert_eq!(marks.info(b), None, "temporary");
        assert_eq!(marks.meet(&[a], &[]), [a]);
        assert_eq!(marks.info(a).map(|i| (i.hits, i.ignore)), Some((3, 0)));
        assert!(marks.change(None, &Change::Enabled(false), None) && marks.is_empty() && marks.orders().is_empty());
        assert!(!marks.change(Some(b), &Change::Enabled(true), None));
        marks.set_until(Some(BreakpointPlace::Function { name: "g".into() }));
        assert!(!marks.is_empty() && marks.orders()[0].id == UNTIL && marks.meet(&[UNTIL], &[]) == [UNTIL]);
    }
}
