//! Searches that may have been for nothing: what they have met and used up is given back.

use crate::ahead::Ahead;
use crate::breakpoints::Marks;
use crate::fault::Fault;
use crate::progress::Task;
use crate::timeline::{Place, Timeline};
use rdb_protocol::client::{Printed, ValueChange};
use rdb_protocol::replay::Follow;

/// Callers looked at.
const MOST_FRAMES: u32 = 1000;

/// What a search changes.
#[derive(Debug)]
pub(crate) struct Before {
    here: Place,
    marks: Marks,
    notes: Vec<String>,
    changes: Vec<ValueChange>,
    printed: Vec<Printed>,
}

impl Timeline {
    /// What a search from here would change.
    pub(crate) fn before(&self) -> Before {
        Before {
            here: self.here.clone(),
            marks: self.marks.clone(),
            notes: self.notes.clone(),
            changes: self.changes.clone(),
            printed: self.printed.clone(),
        }
    }

    /// As if nothing had been searched since.
    pub(crate) fn give_back(&mut self, before: Before) {
        self.here = before.here;
        self.marks.give_back(before.marks);
        (self.notes, self.changes, self.printed) = (before.notes, before.changes, before.printed);
    }

    /// Carries out what changes nothing if it fails.
    pub(crate) fn whole<T>(&mut self, go: impl FnOnce(&mut Timeline) -> Result<T, Fault>) -> Result<T, Fault> {
        let before = self.before();
        let result = go(self);
        if result.is_err() {
            self.give_back(before);
        }
        result
    }

    /// Whether an activation that had a stop point before the breakpoint stood at will have another: what is suspended may never be resumed.
    pub(crate) fn goes_on(&mut self, follow: Follow, task: &mut Task<'_>) -> Result<bool, Fault> {
        // What is on a stack has an end; to look at that is soon done.
        for thread in self.threads(task)? {
            let frames = self.backtrace(Some(thread.number), MOST_FRAMES, task)?;
            if frames.iter().any(|f| f.activation == follow.activation) {
                return Ok(true);
            }
        }
        let before = self.before();
        self.marks.set_aside();
        let found = self.ahead(Some(follow), task);
        self.give_back(before);
        Ok(found? == Ahead::Own)
    }
}
