//! Looking at values: variables within limits, types, attributes, values over several lines.
//!
//! What Python has to do for that is a function in `values.py`, which comes with the expression; it needs no module the program has
//! not imported, and no name the program could have given another meaning.

use super::debugger::{Debugger, refused, said};
use super::grammar::Setting;
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use crate::show::text;
use rdb_protocol::Scope;

const FUNCTIONS: &str = include_str!("values.py");

impl Debugger {
    /// Variables whose names contain `pattern`.
    pub(super) fn variables(&mut self, scope: Scope, arguments: bool, pattern: &str) -> Result<Outcome, SessionError> {
        let (frame, limits) = (self.frame_number(), self.limits);
        let mut all = self.session.call(|c| c.variables(frame, scope, limits))?;
        let special = |name: &str| name.starts_with("__") && name.ends_with("__");
        let pattern = pattern.to_lowercase();
        all.retain(|v| (!arguments || v.argument) && v.name.to_lowercase().contains(&pattern));
        all.retain(|v| scope == Scope::Local || !pattern.is_empty() || !special(&v.name));
        let what = match (scope, arguments) {
            (Scope::Global, _) => "global variables",
            (Scope::Local, true) => "parameters",
            (Scope::Local, false) => "local variables",
        };
        Ok(said(match (all.is_empty(), pattern.is_empty()) {
            (true, true) => format!("no {what}\n"),
            (true, false) => format!("no {what} with '{pattern}' in their names\n"),
            (false, _) => text::variables(&all, self.limits.size as usize),
        }))
    }

    /// The values on the stack of the frame stood in, the newest first.
    pub(super) fn value_stack(&mut self) -> Result<Outcome, SessionError> {
        if self.selected > 0 || self.looked_at.is_some() {
            let why = "only the innermost frame of the thread stood in has a stack that is known";
            return Ok(refused(Refusal::UNKNOWN, why.into()));
        }
        let limits = self.limits;
        let values = self.session.call(|c| c.value_stack(limits))?;
        let row = |(number, value): (usize, &Option<String>)| {
            let value = value.as_deref().unwrap_or("(NULL)");
            format!("{number:>4}  {value}\n")
        };
        Ok(said(match values.is_empty() {
            true => "nothing is on the stack of this frame\n".into(),
            false => values.iter().rev().enumerate().map(row).collect(),
        }))
    }

    /// What one of the functions of `values.py` says of a value.
    pub(super) fn told(&mut self, function: &str, expression: &str) -> Result<Outcome, SessionError> {
        let limits = self.limits;
        // The line break ends a comment.
        let source = format!(
            "(lambda b, n: (b.exec({}, n), n[{function:?}])[1])(__import__('builtins'), {{}})(({expression}\n), {}, {}, {})",
            python_string(FUNCTIONS),
            limits.depth,
            limits.elements,
            limits.size
        );
        self.evaluated(&source, expression)
    }

    /// What `source` comes to, which has `expression` of the user's in it.
    pub(super) fn evaluated(&mut self, source: &str, expression: &str) -> Result<Outcome, SessionError> {
        let frame = self.frame_number();
        let value = self.session.call(|c| c.evaluate(source, false, frame, 0))?;
        let mut text = value.output;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if value.ok {
            return Ok(said(text + &value.text + "\n"));
        }
        // A traceback would show what the expression was put into.
        let error = match value.text.lines().find(|l| l.starts_with("SyntaxError:")) {
            Some(_) => format!("'{expression}' is no expression"),
            None => value.text,
        };
        Ok(Outcome {
            text,
            ..refused(Refusal::EVALUATION, error)
        })
    }

    /// Shows the limits, or sets one.
    pub(super) fn set(&mut self, setting: Option<(Setting, u32)>) -> Outcome {
        match setting {
            None => {
                let l = self.limits;
                return said(format!("depth {}\nelements {}\nsize {}\n", l.depth, l.elements, l.size));
            }
            Some((Setting::Depth, n)) => self.limits.depth = n,
            Some((Setting::Elements, n)) => self.limits.elements = n,
            Some((Setting::Size, n)) => self.limits.size = n,
        }
        Outcome::default()
    }
}

pub(super) fn python_string(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_string() {
        assert_eq!(python_string("a\n'\\n'"), "'a\\n\\'\\\\n\\''");
        assert!(FUNCTIONS.is_ascii() && !FUNCTIONS.contains('$'));
    }
}
