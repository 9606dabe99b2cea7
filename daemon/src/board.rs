//! Where breakpoints are kept: a session's own, or those of a trace, which all sessions that keep them share.
//!
//! Each command works on a copy; what it met is added here when it is done. Setting, changing and deleting happen here at once, so that
//! of two sessions that delete one breakpoint the second is told.

use crate::audience::Audience;
use crate::breakpoints::Marks;
use crate::fault::Fault;
use crate::life::Prepared;
use crate::saved;
use crate::turns::Turns;
use crate::watching::Watching;
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{BreakpointInfo, Change, FailureCode, Notification};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A breakpoint to be set.
#[derive(Debug)]
pub(crate) struct New {
    /// For people. A number above zero is kept.
    pub asked: BreakpointInfo,
    /// The place, for replay processes.
    pub known: BreakpointPlace,
    /// The condition, for replay processes.
    pub condition: Option<Prepared>,
    /// The action, for replay processes.
    pub action: Option<Prepared>,
    /// For a watchpoint: its expression; then `known` is of no account.
    pub watching: Option<Watching>,
}

impl New {
    /// Without condition and action.
    pub(crate) fn plain(asked: BreakpointInfo, known: BreakpointPlace) -> New {
        New {
            asked,
            known,
            condition: None,
            action: None,
            watching: None,
        }
    }
}

/// A set of breakpoints in use.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// Whether those saved with the trace are here.
    pub(crate) restored: Turns<bool>,
    /// The sessions that share it.
    pub(crate) audience: Audience,
}

#[derive(Debug, Default)]
struct State {
    marks: Marks,
    /// The trace they are saved with, and the edition saved.
    saved: Option<(PathBuf, u64)>,
}

impl Board {
    /// Without breakpoints.
    pub(crate) fn new() -> Board {
        Board {
            state: Mutex::default(),
            restored: Turns::new(false),
            audience: Audience::default(),
        }
    }

    /// A copy to work on.
    pub(crate) fn marks(&self) -> Marks {
        self.state().marks.clone()
    }

    /// As a client wants them.
    pub(crate) fn infos(&self) -> Vec<BreakpointInfo> {
        self.state().marks.infos()
    }

    /// Sets one.
    pub(crate) fn add(&self, new: New) -> BreakpointInfo {
        let mut state = self.state();
        match new.watching {
            Some(watching) => {
                // The note is for now alone.
                let note = new.asked.note.clone();
                let asked = BreakpointInfo { note: None, ..new.asked };
                let info = state.marks.add_watch(asked, watching, new.condition);
                BreakpointInfo { note, ..info }
            }
            None => state.marks.add(new.asked, new.known, new.condition, new.action),
        }
    }

    /// Changes one, or all.
    pub(crate) fn change(&self, id: Option<u32>, change: &Change, prepared: Option<Prepared>) -> Result<(), Fault> {
        let marks = &mut self.state().marks;
        match (marks.change(id, change, prepared), id) {
            (false, Some(id)) => Err(none(marks, id)),
            _ => Ok(()),
        }
    }

    /// Deletes one, or all.
    pub(crate) fn remove(&self, id: Option<u32>) -> Result<(), Fault> {
        let marks = &mut self.state().marks;
        match (marks.remove(id), id) {
            (false, Some(id)) => Err(none(marks, id)),
            _ => Ok(()),
        }
    }

    /// Adds what a command on a copy has met; whether that changes what is saved.
    pub(crate) fn settle(&self, before: &Marks, after: &Marks) -> bool {
        self.state().marks.settle(before, after)
    }

    /// Takes in those of a session's own; whether there were any.
    pub(crate) fn adopt(&self, own: &Board) -> bool {
        let own = std::mem::take(&mut own.state().marks);
        self.state().marks.adopt(own)
    }

    /// From now on they are saved with this trace; as they are now, they are.
    pub(crate) fn save_with(&self, trace: &Path) {
        let mut state = self.state();
        state.saved = Some((trace.to_path_buf(), state.marks.edition()));
    }

    /// Saves them where they are to be saved and have changed. Where that cannot be done, it is not tried again.
    pub(crate) fn save(&self) -> Result<(), Fault> {
        let mut state = self.state();
        let State { marks, saved } = &mut *state;
        let Some((trace, edition)) = saved.as_mut().filter(|s| s.1 != marks.edition()) else {
            return Ok(());
        };
        *edition = marks.edition();
        let written = saved::write(trace, &marks.saved());
        if written.is_err() {
            *saved = None;
        }
        written
    }

    /// Tells the others that share it what there is now. Nobody changes it meanwhile: an old list must not arrive after a newer one.
    pub(crate) fn tell(&self, session: u64) {
        let state = self.state();
        self.audience
            .tell_others(session, || Notification::Breakpoints(state.marks.infos()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn none(marks: &Marks, id: u32) -> Fault {
    let text = match marks.had(id) {
        true => format!("there is no breakpoint {id} any more: it was deleted before, maybe by another client"),
        false => format!("there is no breakpoint {id}"),
    };
    Fault::told(FailureCode::Invalid, text)
}
