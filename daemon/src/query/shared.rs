//! What the threads of a query share: intervals to do, intervals done, and a bell.

use crate::fault::Fault;
use crate::replay::Process;
use rdb_protocol::Time;
use rdb_protocol::rows::Rows;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the client's request looks up, to report progress and to notice an interrupt.
const GLANCE: Duration = Duration::from_millis(20);

/// Chunks of rows that wait for the client, of an interval whose rows are given as they come.
const MOST_CHUNKS: usize = 64;
/// Bytes of rows that wait for the client, about; beyond these only the interval that is due goes on.
const MOST_BYTES: usize = 128 << 20;

/// Where an interval ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// Before this hit; and what an undisturbed process has there, where that can be had.
    Hit(Time, Option<Rows>),
    /// With this stop point. Between it and the next interval there is no hit.
    With(Time),
    /// Where the query does.
    Last,
}

impl End {
    /// The stop point there.
    pub(super) fn time(&self) -> Option<Time> {
        match self {
            End::Hit(time, _) | End::With(time) => Some(*time),
            End::Last => None,
        }
    }

    /// Whether this time belongs to the next interval.
    pub(super) fn excludes(&self, time: Time) -> bool {
        matches!(self, End::Hit(end, _) if time >= *end)
    }
}

/// A stretch of the recording.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) index: u64,
    /// Stands at its beginning, and never runs.
    pub(super) keeper: Process,
    pub(super) end: End,
    /// When the main module was done, where that is in it.
    pub(super) main_done: Option<Time>,
}

/// What a client's request finds.
pub(super) enum Taken {
    /// Rows, and up to when.
    Rows(Rows, Time),
    /// Nothing yet; so far the scout is.
    Nothing(Time),
    /// There are no more.
    End,
}

/// What is done of an interval.
#[derive(Debug, Default)]
struct Part {
    chunks: VecDeque<Rows>,
    complete: bool,
    fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct State {
    todo: VecDeque<Interval>,
    done: BTreeMap<u64, Part>,
    /// The interval whose rows are due.
    next: u64,
    /// Bytes of all chunks in `done`.
    held: usize,
    /// Intervals made.
    made: u64,
    reached: Time,
    /// No more intervals come.
    complete: bool,
    closing: bool,
    exact: bool,
    reason: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    bell: Condvar,
    /// Intervals under way.
    most: u64,
}

impl Shared {
    pub(super) fn new(most: usize, exact: bool) -> Shared {
        let state = State { exact, ..State::default() };
        Shared {
            state: Mutex::new(state),
            bell: Condvar::new(),
            most: most as u64,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the scout: how far it is.
    pub(super) fn reached(&self, time: Time) {
        self.state().reached = time;
    }

    /// For the scout: one more interval, once there is room; false when nobody wants it any more.
    pub(super) fn add(&self, keeper: Process, end: End, main_done: Option<Time>) -> bool {
        let mut state = self.state();
        while state.made - state.next >= self.most && !state.closing {
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closing {
            return false;
        }
        let index = state.made;
        state.made += 1;
        state.complete = matches!(end, End::Last);
        state.todo.push_back(Interval {
            index,
            keeper,
            end,
            main_done,
        });
        self.bell.notify_all();
        true
    }

    /// For the scout: there are no more.
    pub(super) fn complete(&self) {
        self.state().complete = true;
        self.bell.notify_all();
    }

    /// For the scout: it can go no further.
    pub(super) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        let index = state.made;
        state.made += 1;
        state.complete = true;
        state.done.entry(index).or_default().fault = Some(fault);
        self.bell.notify_all();
    }

    /// For a worker: the next interval; `None` when there are no more.
    pub(super) fn next(&self) -> Option<Interval> {
        let mut state = self.state();
        loop {
            if state.closing {
                return None;
            }
            // The first one to do is due, or that which is due is under way or done.
            let waits = |i: &Interval| state.held > MOST_BYTES && i.index != state.next;
            if !state.todo.front().is_some_and(waits)
                && let Some(interval) = state.todo.pop_front()
            {
                return Some(interval);
            }
            if state.complete && state.todo.is_empty() {
                return None;
            }
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For a worker: some of an interval's rows, once there is room; false when nobody wants them any more.
    pub(super) fn give(&self, index: u64, rows: Rows) -> bool {
        let mut state = self.state();
        let full = |state: &State| {
            let chunks = state.done.get(&index).map_or(0, |p| p.chunks.len());
            // Who is due and has given nothing is waited for.
            chunks >= MOST_CHUNKS || state.held > MOST_BYTES && (chunks > 0 || index != state.next)
        };
        while full(&state) && !state.closing {
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.held += rows.size();
        state.done.entry(index).or_default().chunks.push_back(rows);
        self.bell.notify_all();
        !state.closing
    }

    /// For a worker: the rest of an interval's rows, or why there are no more.
    pub(super) fn finish(&self, index: u64, rows: Result<VecDeque<Rows>, Fault>) {
        let mut state = self.state();
        state.held += rows.iter().flatten().map(Rows::size).sum::<usize>();
        let part = state.done.entry(index).or_default();
        match rows {
            Ok(rows) => part.chunks.extend(rows),
            Err(fault) => part.fault = Some(fault),
        }
        part.complete = true;
        self.bell.notify_all();
    }

    /// Whether each hit is to be evaluated in a copy of its own.
    pub(super) fn is_exact(&self) -> bool {
        self.state().exact
    }

    /// From now on each hit is, for this reason.
    pub(super) fn be_exact(&self, reason: String) {
        let mut state = self.state();
        state.exact = true;
        state.reason.get_or_insert(reason);
    }

    /// Something to tell the client.
    pub(super) fn note(&self, reason: String) {
        self.state().reason.get_or_insert(reason);
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.state().reason.clone()
    }

    /// For the client: what is due, after a moment.
    pub(super) fn take(&self) -> Result<Taken, Fault> {
        let mut state = self.state();
        let next = state.next;
        let ready = |state: &State| {
            let part = state.done.get(&next);
            part.is_some_and(|p| !p.chunks.is_empty() || p.complete || p.fault.is_some()) || state.complete && next == state.made
        };
        if !ready(&state) {
            let waited = self.bell.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
        let reached = state.reached;
        if state.complete && next == state.made {
            return Ok(Taken::End);
        }
        let Some(part) = state.done.get_mut(&next) else {
            return Ok(Taken::Nothing(reached));
        };
        let taken = part.chunks.pop_front();
        let (complete, fault) = (part.complete, part.fault.take_if(|_| taken.is_none()));
        if let Some(rows) = taken {
            state.held = state.held.saturating_sub(rows.size());
            self.bell.notify_all();
            let at = rows.heads.last().map_or(reached, |h| h.time);
            return Ok(Taken::Rows(rows, at));
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if complete {
            state.done.remove(&next);
            state.next += 1;
            self.bell.notify_all();
        }
        Ok(Taken::Nothing(reached))
    }

    /// Nobody wants anything any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        state.todo.clear();
        self.bell.notify_all();
    }
}
