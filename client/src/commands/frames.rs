//! The frame selected: what print, locals, args and list look at.

use super::debugger::{Debugger, MOST_FRAMES, refused, said};
use super::grammar::FrameChoice;
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use crate::show::text;
use rdb_protocol::FrameNumber;

impl Debugger {
    /// The frame that is looked at.
    pub(crate) fn frame_number(&self) -> FrameNumber {
        FrameNumber {
            thread: self.looked_at,
            number: self.selected,
        }
    }

    /// All threads alive, the one stood in marked.
    pub(super) fn threads(&mut self) -> Result<Outcome, SessionError> {
        let all = self.session.call(|c| c.threads())?;
        let mut text = String::new();
        for thread in &all {
            let mark = if thread.current { "*" } else { " " };
            text.push_str(&format!("{mark} thread {:<4}", thread.number));
            text.push_str(&match &thread.frame {
                Some(f) => format!("{} ({}:{})\n", f.function, self.sources.shown(&f.file), f.line),
                None => "executes no code of the interpreter\n".into(),
            });
        }
        Ok(said(text))
    }

    /// Looks at a thread, or says which one is looked at.
    pub(super) fn look_at(&mut self, thread: Option<u32>) -> Result<Outcome, SessionError> {
        let standing = self.here.location.as_ref().map(|l| l.thread);
        let thread = thread.or(self.looked_at).or(standing);
        let other = thread.filter(|_| thread != standing);
        let frames = self.session.call(|c| c.backtrace(other, 1))?;
        let Some(number) = thread.filter(|_| !frames.is_empty()) else {
            let text = thread.map_or("no thread is stood in".into(), |n| {
                format!("thread {n} executes no code of the interpreter")
            });
            return Ok(refused(Refusal::UNKNOWN, text));
        };
        (self.looked_at, self.selected) = (other, 0);
        let kind = self.here.location.as_ref().map(|l| l.kind).filter(|_| other.is_none());
        let shown = text::frame(0, &frames[0], kind, &mut self.sources);
        Ok(said(format!("---------- thread {number} ----------\n{shown}")))
    }

    pub(super) fn backtrace(&mut self, most: Option<u32>) -> Result<Outcome, SessionError> {
        let (thread, most) = (self.looked_at, most.map_or(MOST_FRAMES, |n| n.min(MOST_FRAMES)));
        let mut frames = self.session.call(|c| c.backtrace(thread, most + 1))?;
        let more = frames.len() > most as usize;
        frames.truncate(most as usize);
        let kind = self.here.location.as_ref().map(|l| l.kind).filter(|_| thread.is_none());
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
        let thread = self.looked_at;
        let frames = self.session.call(|c| c.backtrace(thread, wanted.saturating_add(1)))?;
        let Some(frame) = frames.get(wanted as usize) else {
            let text = match frames.len() {
                0 => "no frame is stood in".into(),
                n => format!("there is no frame {wanted}: the outermost is frame {}", n - 1),
            };
            return Ok(refused(Refusal::UNKNOWN, text));
        };
        self.selected = wanted;
        let kind = self
            .here
            .location
            .as_ref()
            .map(|l| l.kind)
            .filter(|_| wanted == 0 && thread.is_none());
        Ok(said(text::frame(wanted, frame, kind, &mut self.sources)))
    }
}
