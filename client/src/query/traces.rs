//! Which recordings a query means.

use crate::Fault;
use std::path::{Path, PathBuf};

/// Whether an argument names any number of traces.
pub(super) fn is_pattern(named: &Path) -> bool {
    named.to_str().is_some_and(|n| n.contains(['*', '?', '['])) && !named.exists()
}

/// The arguments, those that are patterns replaced by what matches them, in order of names.
///
/// # Errors
/// A pattern that matches nothing, or is none.
pub(super) fn expand(named: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    let mut all = Vec::new();
    for one in named {
        let Some(pattern) = one.to_str().filter(|_| is_pattern(one)) else {
            all.push(one.clone());
            continue;
        };
        let found = glob::glob(pattern).map_err(|e| Fault::new(format!("'{pattern}' is no pattern: {e}")))?;
        let before = all.len();
        all.extend(found.flatten());
        if all.len() == before {
            return Err(Fault::new(format!("no trace matches '{pattern}'")));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_replaced_by_what_matches() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.rdb", "a.rdb", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = expand(&[PathBuf::from("latest"), dir.path().join("*.rdb")]).unwrap();
        assert_eq!(found, [PathBuf::from("latest"), dir.path().join("a.rdb"), dir.path().join("b.rdb")]);
        assert!(expand(&[dir.path().join("*.none")]).is_err());
    }
}
