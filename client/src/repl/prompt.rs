//! What a prompt does with a line, whoever edited it.

use crate::Fault;
use crate::commands::{Debugger, names};
use std::io::Write;

/// The state of a prompt.
#[derive(Debug)]
pub struct Prompt {
    debugger: Debugger,
    last: Option<String>,
}

impl Prompt {
    /// Over `debugger`.
    #[must_use]
    pub fn new(debugger: Debugger) -> Prompt {
        Prompt { debugger, last: None }
    }

    /// The text of the prompt.
    #[must_use]
    pub fn text(&self) -> String {
        if self.debugger.is_collecting() {
            return "> ".into();
        }
        format!("({})$ ", self.debugger.session().moment())
    }

    /// The debugger.
    pub fn debugger(&mut self) -> &mut Debugger {
        &mut self.debugger
    }

    /// What an empty line means: the last command; `list` goes on where it ended.
    fn again(&self) -> String {
        let last = self.last.clone().unwrap_or_default();
        let word = last.split_whitespace().next().unwrap_or_default();
        match names::find(word) {
            Some(name) if name.name == "list" => name.name.to_owned(),
            _ => last,
        }
    }

    /// Carries out a line; an empty one repeats the last. True when the prompt is to be left.
    ///
    /// # Errors
    /// [`Fault`] from writing.
    pub fn line(&mut self, line: &str, out: &mut dyn Write, err: &mut dyn Write) -> Result<bool, Fault> {
        let line = line.trim();
        let command = if line.is_empty() && !self.debugger.is_collecting() {
            self.again()
        } else {
            line.to_owned()
        };
        let outcome = self.debugger.execute(&command);
        self.last = Some(command);
        out.write_all(outcome.news.as_bytes())?;
        out.write_all(outcome.text.as_bytes())?;
        out.flush()?;
        if let Some(refusal) = outcome.error.filter(|_| outcome.stop.is_none()) {
            writeln!(err, "{}", refusal.text)?;
        }
        Ok(outcome.quit)
    }
}
