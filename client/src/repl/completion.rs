//! What Tab offers.

use crate::commands::names;
use crate::link::Session;
use rdb_protocol::SourceFile;

/// Files and functions of the program, asked for once.
#[derive(Debug, Default)]
pub(super) struct Names(Option<Vec<String>>);

impl Names {
    /// Places a breakpoint can be at; none while the survey is under way, for which a key press does not wait.
    pub(super) fn places(&mut self, session: &mut Session) -> Vec<String> {
        if self.0.is_none() && session.call(|c| c.trace_info()).is_ok_and(|i| i.surveyed) {
            self.0 = session.call(|c| c.sources()).ok().map(|files| places(&files));
        }
        self.0.clone().unwrap_or_default()
    }
}

fn places(files: &[SourceFile]) -> Vec<String> {
    let base = |f: &SourceFile| f.file.rsplit('/').next().unwrap_or(&f.file).to_owned() + ":";
    let mut all: Vec<String> = files
        .iter()
        .map(base)
        .chain(files.iter().flat_map(|f| f.functions.iter().map(|(n, _)| n.clone())))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Where the word before the cursor starts, and what could stand there.
pub(super) fn complete(before: &str, places: impl FnOnce() -> Vec<String>) -> (usize, Vec<String>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &before[start..];
    let commands = || names::NAMES.iter().map(|n| n.name.to_owned()).collect();
    let mut first = before[..start].split_whitespace();
    let all: Vec<String> = match (first.next().map(|w| names::find(w).map(|n| n.name)), first.next()) {
        (None, _) => commands(),
        (Some(Some("help")), None) => commands(),
        (Some(Some("action" | "break" | "lines" | "list" | "tbreak" | "until")), None) => places(),
        (Some(Some("info")), None) => [
            "breakpoints",
            "checkpoints",
            "functions",
            "line",
            "marks",
            "source",
            "sources",
            "threads",
            "trace",
        ]
        .map(str::to_owned)
        .to_vec(),
        (Some(Some("go")), None) => ["start", "end"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    let (begun, mut rest): (Vec<String>, Vec<String>) = all.into_iter().partition(|c| c.starts_with(word));
    if !begun.is_empty() {
        return (start, begun);
    }
    // A method by its plain name.
    rest.retain(|c| !word.is_empty() && c.rsplit('.').next().is_some_and(|last| last.starts_with(word)));
    (start, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_knows_commands_and_places() {
        let places = || vec!["Ledger.total".to_owned(), "ledger.py:".to_owned(), "main".to_owned()];
        let none = || panic!("not asked for");
        assert_eq!(complete("bc", none), (0, vec!["bcontinue".to_owned()]));
        assert_eq!(complete("help del", none), (5, vec!["delete".to_owned()]));
        assert_eq!(complete("b tot", places), (2, vec!["Ledger.total".to_owned()]));
        assert_eq!(
            complete("b m", || vec!["A.make".to_owned(), "main".to_owned()]),
            (2, vec!["main".to_owned()])
        );
        assert_eq!(complete("break l", places), (6, vec!["ledger.py:".to_owned()]));
        assert_eq!(complete("info c", none), (5, vec!["checkpoints".to_owned()]));
        assert_eq!(complete("print x", none), (6, vec![]));
        assert_eq!(complete("b f x", none), (4, vec![]));
        assert!(complete("", none).1.len() > 10);
    }

    #[test]
    fn places_are_files_and_functions() {
        let file = SourceFile {
            file: "a/x.py".into(),
            lines: vec![1],
            functions: vec![("f".into(), 1), ("f".into(), 9)],
        };
        assert_eq!(places(&[file]), ["f", "x.py:"]);
    }
}
