//! How results look.

pub mod count;
pub mod date;
mod highlight;
pub mod json;
pub mod progress;
pub mod source;
pub mod text;
pub mod words;

use std::io::IsTerminal;

/// Whether to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Never.
    Plain,
    /// The terminal's own palette.
    Terminal,
}

impl Colour {
    /// Colour when stdout is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
    #[must_use]
    pub fn of_stdout() -> Colour {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        if std::io::stdout().is_terminal() && !refused {
            Colour::Terminal
        } else {
            Colour::Plain
        }
    }
}
