//! What Tab offers.

use crate::commands::grammar::TOPICS;
use crate::commands::{Debugger, names};
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

/// What can be offered only by asking.
pub(super) trait Known {
    /// Places a breakpoint can be at.
    fn places(&self) -> Vec<String>;
    /// Names that begin like this: attributes of the value of `of`, or names the frame looked at sees.
    fn names(&self, of: Option<&str>, begin: &str) -> Vec<String>;
}

/// What asks for the names of [`Known::names`]; `$0` and chains of names alone are evaluated, no calls.
fn question(of: Option<&str>, begin: &str) -> String {
    let all = match of {
        Some(of) => format!("dir({of})"),
        None => "[*dir(), *dir(__import__('builtins')), 'lambda', 'None', 'True', 'False', 'not', 'for', 'if', 'in', 'is']".to_owned(),
    };
    // Those with an underscore are for who has typed one.
    format!("'\\n'.join(sorted({{n for n in {all} if n.startswith('{begin}') and ('{begin}' or n[0] != '_')}}))")
}

/// Asks the debugger for names; none where that takes long.
pub(super) fn names_of(debugger: &mut Debugger, of: Option<&str>, begin: &str) -> Vec<String> {
    const DEADLINE_MS: u32 = 500;
    let frame = debugger.frame_number();
    let asked = question(of, begin);
    let value = debugger.session_mut().call(|c| c.evaluate(&asked, false, frame, DEADLINE_MS));
    let Ok(value) = value else { return Vec::new() };
    let text = value.text.trim_matches('\'');
    let all = text.split("\\n").filter(|n| value.ok && !n.is_empty());
    all.map(str::to_owned).collect()
}

/// Where a name in an expression starts, and what could stand there.
fn in_expression(before: &str, known: &impl Known) -> (usize, Vec<String>) {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let start = before
        .rfind(|c: char| !part(c))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    let is_name = |w: &str| {
        w.strip_prefix('$')
            .map_or(!w.starts_with(|c: char| c.is_ascii_digit()), |n| n.parse::<u32>().is_ok())
    };
    match word.rsplit_once('.') {
        Some((of, begin)) if is_name(of) && of.split('.').all(|c| !c.is_empty()) => {
            let all = known.names(Some(of), begin);
            (start, all.into_iter().map(|n| format!("{of}.{n}")).collect())
        }
        None if is_name(word) && !word.starts_with('$') => (start, known.names(None, word)),
        _ => (start, Vec::new()),
    }
}

/// Where the word before the cursor starts, and what could stand there.
pub(super) fn complete(before: &str, known: &impl Known) -> (usize, Vec<String>) {
    if before.trim_start().starts_with('!') || before.trim_start().starts_with("print(") {
        return in_expression(before, known);
    }
    let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &before[start..];
    let commands = || names::NAMES.iter().map(|n| n.name.to_owned()).collect();
    let mut first = before[..start].split_whitespace();
    let all: Vec<String> = match (first.next().map(|w| names::find(w).map(|n| n.name)), first.next()) {
        (None, _) => commands(),
        (Some(Some("help")), None) => commands(),
        (Some(Some("action" | "break" | "buntil" | "lines" | "list" | "tbreak" | "until")), None) => known.places(),
        (Some(Some("print" | "pp" | "whatis" | "inspect" | "watch" | "last" | "history" | "disassemble")), _) => {
            return in_expression(before, known);
        }
        (Some(Some("break" | "tbreak")), Some("return")) => known.places(),
        (Some(Some("break" | "tbreak" | "condition" | "action")), _) => return in_expression(before, known),
        (Some(Some("info")), None) => TOPICS.iter().map(|t| t.0.to_owned()).collect(),
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

    struct Fixed(&'static [&'static str]);

    impl Known for Fixed {
        fn places(&self) -> Vec<String> {
            self.0.iter().map(|&p| p.to_owned()).collect()
        }

        fn names(&self, of: Option<&str>, begin: &str) -> Vec<String> {
            let of = of.unwrap_or("-");
            vec![format!("<{of}:{begin}>")]
        }
    }

    #[test]
    fn tab_knows_commands_and_places() {
        let places = Fixed(&["Ledger.total", "ledger.py:", "main"]);
        assert_eq!(complete("bc", &places), (0, vec!["bcontinue".to_owned()]));
        assert_eq!(complete("help del", &places), (5, vec!["delete".to_owned()]));
        assert_eq!(complete("b tot", &places), (2, vec!["Ledger.total".to_owned()]));
        assert_eq!(complete("b m", &Fixed(&["A.make", "main"])), (2, vec!["main".to_owned()]));
        assert_eq!(complete("break l", &places), (6, vec!["ledger.py:".to_owned()]));
        assert_eq!(complete("info c", &places), (5, vec!["checkpoints".to_owned()]));
        assert_eq!(complete("info st", &places), (5, vec!["stack".to_owned()]));
        assert!(complete("", &places).1.len() > 10);
    }

    #[test]
    fn tab_knows_names_in_expressions() {
        let known = Fixed(&[]);
        let only = |line: &str| {
            let (start, mut all) = complete(line, &known);
            assert_eq!(all.len(), 1, "{line}");
            (start, all.remove(0))
        };
        assert_eq!(only("print x"), (6, "<-:x>".into()));
        assert_eq!(only("pp a.b.c"), (3, "a.b.<a.b:c>".into()));
        assert_eq!(only("p f($0.it"), (4, "$0.<$0:it>".into()));
        assert_eq!(only("!se"), (1, "<-:se>".into()));
        assert_eq!(only("b f if amo"), (7, "<-:amo>".into()));
        for none in ["p f().x", "p 1.x", "p $", "p .x", "p a..x", "p rows[0].na"] {
            assert_eq!(complete(none, &known).1, Vec::<String>::new(), "{none}");
        }
    }

    #[test]
    fn the_question_is_an_expression_of_names_alone() {
        assert!(question(Some("a.b"), "c").contains("dir(a.b) if n.startswith('c')"));
        assert!(question(None, "").contains("*dir()"));
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
