//! Syntax colour, in the sixteen colours of the terminal's own palette.

use std::ops::Range;
use syntect::easy::ScopeRegionIterator;
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

/// Lines parsed before the first one shown, so that a string or comment begun earlier is usually known.
const CONTEXT: usize = 200;

/// Scopes and their SGR colour; the innermost scope that has one wins.
const COLOURS: [(&str, &str); 8] = [
    ("comment", "90"),
    ("string", "32"),
    ("constant", "36"),
    ("keyword", "35"),
    ("storage", "35"),
    ("entity.name", "34"),
    ("support.function", "34"),
    ("variable.language", "36"),
];

/// Colours lines; loads its grammars when first used.
#[derive(Debug, Default)]
pub(super) struct Highlighter {
    loaded: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    syntaxes: SyntaxSet,
    colours: Vec<(Scope, &'static str)>,
}

impl Highlighter {
    /// The lines of `range`, coloured; as they are where the file's language is not known.
    pub(super) fn lines(&mut self, file: &str, lines: &[String], range: Range<usize>) -> Vec<String> {
        let loaded = self.loaded.get_or_insert_with(|| Loaded {
            syntaxes: SyntaxSet::load_defaults_newlines(),
            colours: COLOURS
                .iter()
                .filter_map(|(name, sgr)| Some((Scope::new(name).ok()?, *sgr)))
                .collect(),
        });
        let extension = file.rsplit_once('.').map_or("py", |(_, e)| e);
        let Some(syntax) = loaded.syntaxes.find_syntax_by_extension(extension) else {
            return lines[range].to_vec();
        };
        let mut state = ParseState::new(syntax);
        let mut stack = ScopeStack::new();
        let mut out = Vec::with_capacity(range.len());
        let begin = range.start.saturating_sub(CONTEXT);
        for (at, line) in lines.iter().enumerate().take(range.end).skip(begin) {
            let coloured = loaded.line(line, &mut state, &mut stack);
            if at >= range.start {
                out.push(coloured.unwrap_or_else(|| line.clone()));
            }
        }
        out
    }
}

impl Loaded {
    fn line(&self, line: &str, state: &mut ParseState, stack: &mut ScopeStack) -> Option<String> {
        let ended = format!("{line}\n");
        let ops = state.parse_line(&ended, &self.syntaxes).ok()?;
        let mut out = String::new();
        for (text, op) in ScopeRegionIterator::new(&ops, &ended) {
            stack.apply(op).ok()?;
            let text = text.trim_end_matches('\n');
            match self.colour(stack) {
                Some(sgr) if !text.is_empty() => out.push_str(&format!("\x1b[{sgr}m{text}\x1b[0m")),
                _ => out.push_str(text),
            }
        }
        Some(out)
    }

    fn colour(&self, stack: &ScopeStack) -> Option<&'static str> {
        stack
            .as_slice()
            .iter()
            .rev()
            .find_map(|s| self.colours.iter().find(|(prefix, _)| prefix.is_prefix_of(*s)).map(|c| c.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_changes_nothing_but_colour() {
        let lines: Vec<String> = ["def f(x):", "    \"\"\"Doc", "    more\"\"\"", "    return x + 1  # one"]
            .map(str::to_owned)
            .to_vec();
        let got = Highlighter::default().lines("x.py", &lines, 2..4);
        assert!(got[0].contains("\x1b["), "inside a string begun earlier: {got:?}");
        assert!(got[1].contains("\x1b[35mreturn\x1b[0m"), "{got:?}");
        let plain: Vec<String> = got
            .iter()
            .map(|l| {
                l.split('\x1b')
                    .enumerate()
                    .map(|(i, p)| if i == 0 { p } else { p.split_once('m').unwrap().1 })
                    .collect()
            })
            .collect();
        assert_eq!(plain, lines[2..]);
        assert_eq!(Highlighter::default().lines("x.unknown", &lines, 0..1), lines[..1]);
    }
}
