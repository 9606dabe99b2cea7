//! An open trace: what all sessions on it share.
//!
//! One tree of replay processes, one survey, the trace's breakpoints, the cursors with names. A cursor is a timeline, which has an active
//! process of its own: commands on different cursors run side by side, those on one cursor one after the other.

use crate::audience::Audience;
use crate::board::Board;
use crate::costs::Costs;
use crate::facts::TraceFacts;
use crate::fault::Fault;
use crate::host::Host;
use crate::index::Index;
use crate::known::{Known, Progress};
use crate::placement::{Limits, Placement, Share};
use crate::references::References;
use crate::slice::Pace;
use crate::survey::Survey;
use crate::survey_file::{self, Found};
use crate::timeline::Timeline;
use crate::tree::Tree;
use crate::turns::Turns;
use rdb_protocol::client::{CheckpointInfo, Notification, TraceInfo};
use rdb_protocol::{Direction, EventIndex, Time};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What a recording goes by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    /// For checkpoints.
    pub limits: Limits,
    /// For runs.
    pub pace: Pace,
}

/// An open trace. Dropping it ends all its processes.
#[derive(Debug)]
pub(crate) struct Recording {
    // First: it must be over before the rest goes.
    survey: Mutex<Option<Survey>>,
    tree: Arc<Mutex<Tree>>,
    pub(crate) known: Arc<Known>,
    pub(crate) facts: TraceFacts,
    pace: Pace,
    /// The trace's breakpoints, as long as somebody keeps them.
    board: Mutex<Weak<Board>>,
    cursors: Mutex<HashMap<String, Weak<Cursor>>>,
    /// All sessions on it.
    pub(crate) audience: Audience,
}

/// A place in the recording, and the sessions that share it.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Where it stands; whoever has the turn moves it.
    pub(crate) stand: Turns<Stand>,
    pub(crate) audience: Audience,
}

/// Where a cursor stands.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) timeline: Timeline,
    /// Of the last move.
    pub(crate) direction: Direction,
    /// Whether it stands anywhere yet.
    pub(crate) opened: bool,
}

impl Recording {
    /// With no process yet.
    pub(crate) fn new(facts: TraceFacts, host: Arc<dyn Host>, numbers: Numbers) -> Recording {
        let found = survey_file::load(&facts.path, facts.key);
        let known = Arc::new(Known::new(facts.events, found));
        let tree = Tree::new(host, Arc::clone(&known), Placement::new(numbers.limits));
        Recording {
            survey: Mutex::default(),
            tree: Arc::new(Mutex::new(tree)),
            known,
            facts,
            pace: numbers.pace,
            board: Mutex::default(),
            cursors: Mutex::default(),
            audience: Audience::default(),
        }
    }

    /// A number for a new session, unlike all others.
    pub(crate) fn number() -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        LAST.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The cursor of this name, made where there is none, or a nameless one.
    pub(crate) fn cursor(&self, name: Option<&str>) -> Arc<Cursor> {
        let new = || {
            let references = References::of(&self.facts.path);
            let timeline = Timeline::new(Arc::clone(&self.tree), Arc::clone(&self.known), references, self.pace);
            Arc::new(Cursor {
                stand: Turns::new(Stand {
                    timeline,
                    direction: Direction::Forward,
                    opened: false,
                }),
                audience: Audience::default(),
            })
        };
        let Some(name) = name else { return new() };
        let mut cursors = lock(&self.cursors);
        cursors.retain(|_, c| c.strong_count() > 0);
        if let Some(cursor) = cursors.get(name).and_then(Weak::upgrade) {
            return cursor;
        }
        let cursor = new();
        cursors.insert(name.to_string(), Arc::downgrade(&cursor));
        cursor
    }

    /// The trace's breakpoints.
    pub(crate) fn board(&self) -> Arc<Board> {
        let mut board = lock(&self.board);
        board.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Board::new());
            *board = Arc::downgrade(&new);
            new
        })
    }

    /// A first stop point is there: what comes after it is to be seen, if nobody has begun to look.
    pub(crate) fn survey(&self) -> Result<(), Fault> {
        let mut survey = lock(&self.survey);
        if survey.is_none() {
            let (tree, known) = (Arc::clone(&self.tree), Arc::clone(&self.known));
            let started = Survey::start(tree, known, self.facts.clone(), self.pace);
            *survey = Some(started.map_err(Fault::system("cannot start a thread"))?);
        }
        Ok(())
    }

    /// A recording without stop points needs no survey, now or later.
    pub(crate) fn note_empty(&self) {
        let interpreter = self.known.facts().interpreter.clone();
        let found = Found {
            last: Time::BEGIN,
            main_done: None,
            interpreter,
            sources: Vec::new(),
            costs: Costs::default(),
            index: Index::default(),
        };
        if self.known.complete(found.clone()) {
            let _ = survey_file::save(&self.facts.path, self.facts.key, &found);
        }
    }

    /// Facts about it.
    pub(crate) fn info(&self) -> TraceInfo {
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

    /// How much of all checkpoints is its own from now on.
    pub(crate) fn share(&self, whole: Limits, share: Share) {
        lock(&self.tree).share(whole, share);
    }

    /// Most checkpoints it may have.
    #[cfg(test)]
    pub(crate) fn maximum(&self) -> usize {
        lock(&self.tree).maximum()
    }

    /// The checkpoints.
    pub(crate) fn checkpoints(&self) -> Vec<CheckpointInfo> {
        lock(&self.tree).list()
    }

    /// Tells all its sessions that the daemon ends.
    pub(crate) fn close(&self) {
        self.audience.tell_others(0, || Notification::Closing);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
