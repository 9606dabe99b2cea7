//! How file names are meant.

use alloc::string::String;
use alloc::vec::Vec;

/// True where `path` ends in the components of `suffix`, regardless of case. An empty suffix is none.
#[must_use]
pub fn is_suffix(suffix: &str, path: &str) -> bool {
    let components = |s: &str| {
        s.split('/')
            .filter(|c| !c.is_empty() && *c != ".")
            .map(str::to_lowercase)
            .collect::<Vec<String>>()
    };
    let (suffix, path) = (components(suffix), components(path));
    !suffix.is_empty() && path.ends_with(&suffix)
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
