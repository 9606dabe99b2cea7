//! The frame selected: what print, locals, args and list look at.

use super::debugger::{Debugger, MOST_FRAMES, refused, said};
use super::grammar::FrameChoice;
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use crate::show::text;

impl Debugger {
    pub(super) fn backtrace(&mut self) -> Result<Outcome, SessionError> {
        let mut frames = self.session.call(|c| c.backtrace(MOST_FRAMES + 1))?;
        let more = frames.len() > MOST_FRAMES as usize;
        frames.truncate(MOST_FRAMES as usize);
        let kind = self.here.location.as_ref().map(|l| l.kind);
        let text = text::backtrace(&frames, more, kind, &mut self.sources);
        Ok(Outcome {
            frames: Some(frames),
            ..said(text)
        })
    }

    pub(super) fn select(&mut self, choice: FrameChoice) -> Result<Outcome, SessionError> {
        let wanted = match choice {
            FrameChoice::Same => self.selected,
            FrameChoice::Up(n) => self.selected.saturating_add(n),
            FrameChoice::Down(n) if n > self.selected => {
                return Ok(refused(Refusal::UNKNOWN, "this is the innermost frame already".into()));
            }
            FrameChoice::Down(n) => self.selected - n,
            FrameChoice::Number(n) => n,
        };
        let frames = self.session.call(|c| c.backtrace(wanted.saturating_add(1)))?;
        let Some(frame) = frames.get(wanted as usize) else {
            let text = match frames.len() {
                0 => "no frame is stood in".into(),
                n => format!("there is no frame {wanted}: the outermost is frame {}", n - 1),
            };
            return Ok(refused(Refusal::UNKNOWN, text));
        };
        self.selected = wanted;
        let kind = self.here.location.as_ref().map(|l| l.kind).filter(|_| wanted == 0);
        Ok(said(text::frame(wanted, frame, kind, &mut self.sources)))
    }

    pub(super) fn args(&mut self) -> Result<Outcome, SessionError> {
        let frame = self.selected;
        let mut all = self.session.call(|c| c.locals(frame))?;
        all.retain(|v| v.argument);
        Ok(if all.is_empty() {
            said("no parameters\n".into())
        } else {
            said(text::locals(&all))
        })
    }
}
