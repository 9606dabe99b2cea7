//! How file names are meant.

/// True where `path` ends in the components of `suffix`, regardless of case. An empty suffix is none.
#[must_use]
pub fn is_suffix(suffix: &str, path: &str) -> bool {
    let mut path = components(path);
    let mut asked = components(suffix).peekable();
    asked.peek().is_some() && asked.all(|c| path.next().is_some_and(|p| lower(p).eq(lower(c))))
}

/// The last first.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|c| !c.is_empty() && *c != ".")
}

fn lower(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::is_suffix;

    #[test]
    fn suffixes_are_whole_components() {
        assert!(is_suffix("b.py", "/a/b.py") && is_suffix("A/B.py", "/x/a/b.py") && is_suffix("./b.py", "b.py"));
        assert!(!is_suffix("b.py", "/a/ab.py") && !is_suffix("", "/a/b.py") && !is_suffix("/x/a/b.py", "a/b.py"));
    }
}
