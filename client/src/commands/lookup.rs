//! `info line`, `info functions`, `info sources`: what the recording knows of its source.

use super::debugger::{Debugger, refused, said};
use super::grammar::{self, ListRange};
use super::listing::ends_in;
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use rdb_protocol::SourceFile;

impl Debugger {
    pub(super) fn functions(&mut self, pattern: &str) -> Result<Outcome, SessionError> {
        let all = self.session.call(|c| c.sources())?;
        let mut text = String::new();
        for file in &all {
            let matching: Vec<&(String, u32)> = file.functions.iter().filter(|f| contains(&f.0, pattern)).collect();
            // Without a pattern, those of the interpreter's own frozen modules are of no interest.
            if matching.is_empty() || pattern.is_empty() && file.file.starts_with('<') {
                continue;
            }
            text.push_str(&format!("{}:\n", self.sources.shown(&file.file)));
            for (name, line) in matching {
                text.push_str(&format!("{line:>7}  {name}\n"));
            }
        }
        Ok(some(text, "function", pattern))
    }

    pub(super) fn source_files(&mut self, pattern: &str) -> Result<Outcome, SessionError> {
        let all = self.session.call(|c| c.sources())?;
        let matching = all.iter().filter(|f| contains(&f.file, pattern));
        let rows: String = matching
            .map(|f| {
                format!(
                    "{}  ({} breakable lines, {} functions)\n",
                    self.sources.shown(&f.file),
                    f.lines.len(),
                    f.functions.len()
                )
            })
            .collect();
        Ok(some(rows, "source file", pattern))
    }

    pub(super) fn line(&mut self, place: &str) -> Result<Outcome, SessionError> {
        let here = self.here.location.clone();
        let (suffix, line) = match grammar::range(place) {
            Ok(ListRange::Around(file, line)) => (file, line),
            Ok(ListRange::Here) => match &here {
                Some(here) => (None, here.line),
                None => return Ok(refused(Refusal::SOURCE, "no source line is stood at".into())),
            },
            _ => {
                return Ok(refused(
                    Refusal::SYNTAX,
                    format!("expected a line or a file and a line, not '{place}'"),
                ));
            }
        };
        let all = self.session.call(|c| c.sources())?;
        let found = match (&suffix, &here) {
            (Some(suffix), _) => all.iter().find(|f| ends_in(&f.file, suffix)),
            (None, Some(here)) => all.iter().find(|f| f.file == here.file),
            (None, None) => None,
        };
        let Some(file) = found else {
            return Ok(refused(Refusal::SOURCE, "the program ran no such file".into()));
        };
        let shown = self.sources.shown(&file.file).to_owned();
        Ok(said(about(file, &shown, line)))
    }
}

fn about(file: &SourceFile, shown: &str, line: u32) -> String {
    let before = file.functions.iter().filter(|f| f.1 <= line).max_by_key(|f| f.1);
    let inside = before.map(|f| format!(", after the beginning of {}", f.0)).unwrap_or_default();
    if file.lines.contains(&line) {
        return format!("line {line} of {shown} is breakable{inside}\n");
    }
    let lower = file.lines.iter().rev().find(|&&l| l < line);
    let higher = file.lines.iter().find(|&&l| l > line);
    let near: Vec<String> = lower.into_iter().chain(higher).map(u32::to_string).collect();
    format!("line {line} of {shown} is not breakable{inside}; nearest: {}\n", near.join(", "))
}

fn contains(name: &str, pattern: &str) -> bool {
    name.to_lowercase().contains(&pattern.to_lowercase())
}

fn some(text: String, what: &str, pattern: &str) -> Outcome {
    if !text.is_empty() {
        return said(text);
    }
    refused(
        Refusal::UNKNOWN,
        if pattern.is_empty() {
            format!("no {what} is known")
        } else {
            format!("no {what} is known with '{pattern}' in its name")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_with_their_neighbours() {
        let file = SourceFile {
            file: "/x/a.py".into(),
            lines: vec![1, 4, 5],
            functions: vec![("f".into(), 3)],
        };
        assert_eq!(about(&file, "a.py", 4), "line 4 of a.py is breakable, after the beginning of f\n");
        assert_eq!(about(&file, "a.py", 2), "line 2 of a.py is not breakable; nearest: 1, 4\n");
        assert!(contains("Ledger.Total", "total") && contains("x", "") && !contains("x", "y"));
    }
}
