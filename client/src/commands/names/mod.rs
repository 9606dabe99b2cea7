//! The names of all commands, their aliases and their help: one table for grammar, help, completion and the manual.

mod table;

pub use table::NAMES;

/// One command as the user knows it.
#[derive(Debug)]
pub struct Name {
    /// Its name.
    pub name: &'static str,
    /// Other names: short ones, and gdb's.
    pub aliases: &'static [&'static str],
    /// What follows the name.
    pub arguments: &'static str,
    /// What it does, one line.
    pub summary: &'static str,
    /// More, and an example.
    pub detail: &'static str,
}

/// The command called `word`, by its name or an alias.
#[must_use]
pub fn find(word: &str) -> Option<&'static Name> {
    NAMES.iter().find(|n| n.name == word || n.aliases.contains(&word))
}

/// Every name and alias.
pub fn words() -> impl Iterator<Item = &'static str> {
    NAMES.iter().flat_map(|n| std::iter::once(n.name).chain(n.aliases.iter().copied()))
}

/// Where a part of the table begins, with its heading in the help.
const PARTS: [(&str, &str); 5] = [
    ("step", "Moving, in both directions"),
    ("break", "Stopping"),
    ("action", "Doing something on the way, and lines of commands"),
    ("print", "Looking"),
    ("help", "The rest"),
];

/// The line for a word that is no command, with the names that come close.
#[must_use]
pub fn unknown(word: &str) -> String {
    let lower = word.to_lowercase();
    let distance = |n: &Name| {
        let close = |w: &str| Some(strsim::damerau_levenshtein(w, &lower)).filter(|d| w.len() > 2 && *d <= 1 + w.len() / 5);
        let begun = (lower.len() > 1 && n.name.starts_with(&lower)).then_some(0);
        begun.or_else(|| std::iter::once(n.name).chain(n.aliases.iter().copied()).filter_map(close).min())
    };
    let least = NAMES.iter().filter_map(distance).min();
    let near = NAMES.iter().filter(|n| least.is_some() && distance(n) == least);
    let near: Vec<String> = near.map(|n| format!("'{}'", n.name)).collect();
    if near.is_empty() {
        format!("unknown command '{word}'; try help")
    } else {
        format!("unknown command '{word}'; did you mean {}? try help", near.join(" or "))
    }
}

/// The line for a line that is none, with what was probably meant.
#[must_use]
pub fn unknown_line(word: &str, line: &str) -> String {
    /// A longer line is not repeated.
    const LONG: usize = 60;
    let said = unknown(word);
    let is_value = word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '(' | '[' | '{' | '"' | '\''));
    if said.contains("did you mean") || !is_value {
        return said;
    }
    let shown = if line.len() > LONG { "print ..." } else { &format!("print {line}") };
    format!("{said}, or '{shown}' to evaluate it")
}

/// The help: of all commands, or of one.
///
/// # Errors
/// The line for a topic that is no command.
pub fn help(topic: Option<&str>) -> Result<String, String> {
    match topic {
        None => {
            let mut text = String::new();
            for n in NAMES {
                if let Some((_, heading)) = PARTS.iter().find(|p| p.0 == n.name) {
                    text.push_str(&format!("{heading}:\n"));
                }
                let short = n.aliases.first().map(|a| format!(", {a}")).unwrap_or_default();
                wrap(
                    &mut text,
                    &format!("  {:<INDENT$}", n.name.to_owned() + &short),
                    INDENT + 2,
                    n.summary,
                );
            }
            text.push_str("`help COMMAND` tells how each is written, with an example.\n");
            text.push_str("An empty line repeats the last command; Ctrl-C stops a search; Ctrl-D leaves.\n");
            Ok(text)
        }
        Some(word) => {
            let n = find(word).ok_or_else(|| unknown(word))?;
            let also = if n.aliases.is_empty() {
                String::new()
            } else {
                format!("Also: {}\n", n.aliases.join(", "))
            };
            let mut text = format!("{} {}\n{}\n{also}", n.name, n.arguments, n.summary).replace(" \n", "\n");
            let (told, example) = n.detail.split_once("Example: ").unwrap_or((n.detail, ""));
            // The table's lines are broken for the table.
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            if !told.is_empty() {
                wrap(&mut text, "", 0, &told);
            }
            text.push_str(&format!("Example: {example}\n"));
            Ok(text)
        }
    }
}

/// Columns of a terminal that is not wide.
const COLUMNS: usize = 80;
/// Of the summaries.
const INDENT: usize = 16;

/// Adds words in lines, the first one behind `begin`, the others behind `indent` spaces.
fn wrap(text: &mut String, begin: &str, indent: usize, words: &str) {
    let mut line = begin.to_owned();
    let mut empty = true;
    for word in words.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            text.push_str(&line);
            text.push('\n');
            (line, empty) = (" ".repeat(indent), true);
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_have_examples() {
        let mut all: Vec<_> = words().collect();
        all.sort_unstable();
        let n = all.len();
        all.dedup();
        assert_eq!(all.len(), n);
        for name in NAMES {
            let example = name.detail.rsplit("Example: ").next().unwrap();
            assert!(matches!(crate::commands::parse(example), Ok(Some(_))), "{}: {example}", name.name);
        }
    }

    #[test]
    fn close_names_are_offered() {
        assert_eq!(unknown("x"), "unknown command 'x'; try help");
        assert_eq!(unknown("stpe"), "unknown command 'stpe'; did you mean 'step'? try help");
        assert_eq!(unknown("cont"), "unknown command 'cont'; did you mean 'continue'? try help");
        assert_eq!(
            unknown("reverse-contineu"),
            "unknown command 'reverse-contineu'; did you mean 'bcontinue'? try help"
        );
    }

    #[test]
    fn help_names_everything() {
        let all = help(None).unwrap();
        let one_line = all.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(NAMES.iter().all(|n| one_line.contains(n.summary)));
        assert!(PARTS.iter().all(|(first, heading)| find(first).is_some() && all.contains(heading)));
        assert!(all.lines().all(|l| l.len() <= COLUMNS), "{all}");
        let told = help(Some("break")).unwrap();
        assert!(told.lines().skip(1).all(|l| l.len() <= COLUMNS + 5), "{told}");
        assert!(told.ends_with("\nExample: break ledger.py:24 if amount < 0\n"), "{told}");
        assert!(
            help(Some("bc"))
                .unwrap()
                .starts_with("bcontinue [N]\ngo backward to the previous breakpoint hit, or the Nth\nAlso: bc, reverse-continue, rc\n")
        );
        assert_eq!(
            help(Some("breack")).unwrap_err(),
            "unknown command 'breack'; did you mean 'break'? try help"
        );
    }
}
