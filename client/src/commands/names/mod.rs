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

/// The help: of all commands, or of one.
///
/// # Errors
/// The line for a topic that is no command.
pub fn help(topic: Option<&str>) -> Result<String, String> {
    match topic {
        None => {
            let rows = NAMES.iter().map(|n| {
                let short = n.aliases.first().map(|a| format!(", {a}")).unwrap_or_default();
                format!("  {:<46} {}\n", format!("{}{short} {}", n.name, n.arguments), n.summary)
            });
            Ok(format!(
                "{}An empty line repeats the last command; Ctrl-C stops a search; Ctrl-D leaves.\n",
                rows.collect::<String>()
            ))
        }
        Some(word) => {
            let n = find(word).ok_or_else(|| unknown(word))?;
            let also = if n.aliases.is_empty() {
                String::new()
            } else {
                format!("Also: {}\n", n.aliases.join(", "))
            };
            Ok(format!("{} {}\n{}\n{also}", n.name, n.arguments, n.summary).replace(" \n", "\n") + n.detail + "\n")
        }
    }
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
        assert!(NAMES.iter().all(|n| all.contains(n.summary)));
        assert!(
            help(Some("bc"))
                .unwrap()
                .starts_with("bcontinue\ngo backward to the previous breakpoint hit\nAlso: bc, reverse-continue, rc\n")
        );
        assert_eq!(
            help(Some("breack")).unwrap_err(),
            "unknown command 'breack'; did you mean 'break'? try help"
        );
    }
}
