//! Breakpoints and bookmarks.

use super::debugger::{Debugger, refused, said};
use super::grammar;
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use crate::show::text;
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{Target, Watch};

/// Changes of a value shown.
const PAST: u32 = 200;

impl Debugger {
    pub(super) fn set_breakpoint(
        &mut self,
        place: BreakpointPlace,
        condition: Option<String>,
        temporary: bool,
    ) -> Result<Outcome, SessionError> {
        let odd = grammar::odd(&place);
        let here = self.here.location.as_ref().map(|l| l.file.clone());
        let info = self.session.set(here.as_deref(), |c| c.break_(place, condition, temporary))?;
        let kind = if info.temporary { "Temporary breakpoint" } else { "Breakpoint" };
        let condition = info.condition.map(|c| format!(" if {c}")).unwrap_or_default();
        let mut text = format!("{kind} {} {}{condition}\n", info.id, text::place(&info.place, &self.sources));
        for note in odd.into_iter().chain(info.note) {
            text.push_str(&format!("note: {note}\n"));
        }
        Ok(said(text))
    }

    /// An expression in the frame selected.
    pub(super) fn watch(&self, expression: String, bind: bool) -> Watch {
        Watch {
            expression,
            frame: self.frame_number(),
            bind,
        }
    }

    pub(super) fn set_watchpoint(&mut self, expression: String, bind: bool) -> Result<Outcome, SessionError> {
        let watch = self.watch(expression, bind);
        let info = self.session.watch(&watch, false)?;
        let mut text = format!("Watchpoint {} {}\n", info.id, text::place(&info.place, &self.sources));
        if let Some(note) = &info.note {
            text.push_str(&format!("note: {note}\n"));
        }
        Ok(said(text))
    }

    pub(super) fn history(&mut self, expression: String, bind: bool) -> Result<Outcome, SessionError> {
        let watch = self.watch(expression, bind);
        let (values, more) = self.session.call(|c| c.history(watch.clone(), PAST))?;
        let mut text = String::new();
        for value in &values {
            let made = value
                .made
                .as_ref()
                .map(|l| format!("  made at {}:{}", self.sources.shown(&l.file), l.line));
            text.push_str(&format!(
                "{:>10}  {}{}\n",
                value.since,
                text::cut(&value.text),
                made.unwrap_or_default()
            ));
        }
        if more {
            text.push_str(&format!("note: there are more; these are the first {}\n", values.len()));
        }
        Ok(said(text))
    }

    pub(super) fn set_action(&mut self, place: BreakpointPlace, expression: String) -> Result<Outcome, SessionError> {
        let here = self.here.location.as_ref().map(|l| l.file.clone());
        let info = self.session.set(here.as_deref(), |c| c.action(place, None, expression.clone()))?;
        let mut text = format!(
            "Action {} {} print {expression}\n",
            info.id,
            text::place(&info.place, &self.sources)
        );
        text.extend(info.note.map(|note| format!("note: {note}\n")));
        Ok(said(text))
    }

    pub(super) fn set_bookmark(&mut self, name: &str) -> Result<Outcome, SessionError> {
        let time = self.here.time;
        self.session.call(|c| c.bookmark(name, Some(time)))?;
        let note = match self.here.instruction {
            0 => "",
            _ => "note: bookmarks are at stop points; this is the one before the instruction stood at\n",
        };
        Ok(said(format!("{name} is time {time}\n{note}")))
    }

    pub(super) fn bookmarks(&mut self) -> Result<Outcome, SessionError> {
        let all = self.session.call(|c| c.bookmarks())?;
        if all.is_empty() {
            return Ok(said("no bookmarks\n".into()));
        }
        let row = |b: &rdb_protocol::client::Bookmark| format!("{:>14}  {}\n", b.time.to_string(), b.name);
        Ok(said(all.iter().map(row).collect()))
    }

    pub(super) fn go_to_bookmark(&mut self, name: &str) -> Result<Outcome, SessionError> {
        let all = self.session.call(|c| c.bookmarks())?;
        match all.iter().find(|b| b.name == name) {
            Some(found) => self.moved(|s| s.travel(|c| c.go(Target::Time(found.time)))),
            None => Ok(refused(
                Refusal::UNKNOWN,
                format!("there is no bookmark '{name}'; expected a time, start, end, a percentage or a bookmark"),
            )),
        }
    }

    /// To where we stood before the last move.
    pub(super) fn undo(&mut self) -> Result<Outcome, SessionError> {
        let Some(&moment) = self.trail.last() else {
            return Ok(refused(Refusal::UNKNOWN, "there is no move to undo".into()));
        };
        let outcome = self.moved(|s| s.travel(|c| c.go(Target::from(moment))))?;
        // The undoing itself, and what it undid.
        let left = self.trail.iter().rposition(|&m| m == moment).unwrap_or(0);
        self.trail.truncate(left);
        Ok(outcome)
    }
}
