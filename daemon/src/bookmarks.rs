//! Moments with names, kept beside the trace: one line each, the time and the name.

use crate::fault::Fault;
use rdb_protocol::Time;
use rdb_protocol::client::{Bookmark, FailureCode};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Name of the file.
const FILE: &str = "bookmarks";
/// Longest name.
const LONGEST: usize = 64;
/// What names are.
pub(crate) const NAMES: &str = "letters, digits, _ and -, not a digit first, at most 64";
/// Sessions change them one after the other.
static CHANGING: Mutex<()> = Mutex::new(());

/// All of them, by time. Lines that are none are passed over.
pub(crate) fn read(trace: &Path) -> Result<Vec<Bookmark>, Fault> {
    let text = match fs::read_to_string(trace.join(FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Fault::system("cannot read the bookmarks")(e)),
    };
    let parse = |line: &str| {
        let (time, name) = line.split_once(' ')?;
        is_name(name).then_some(Bookmark {
            name: name.to_string(),
            time: Time(time.parse().ok()?),
        })
    };
    let mut all: Vec<Bookmark> = text.lines().filter_map(parse).collect();
    all.sort_by_key(|b| b.time);
    Ok(all)
}

/// Sets one, or removes it. `then` gets all there are afterwards, before anybody changes them again.
pub(crate) fn change(trace: &Path, name: &str, time: Option<Time>, then: impl FnOnce(Vec<Bookmark>)) -> Result<(), Fault> {
    if !is_name(name) {
        return Err(Fault::told(
            FailureCode::Invalid,
            format!("'{name}' cannot name a bookmark: {NAMES}"),
        ));
    }
    let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = read(trace)?;
    let before = all.len();
    all.retain(|b| b.name != name);
    if time.is_none() && all.len() == before {
        return Err(Fault::told(FailureCode::Invalid, format!("there is no bookmark {name}")));
    }
    all.extend(time.map(|time| Bookmark {
        name: name.to_string(),
        time,
    }));
    let text: String = all.iter().map(|b| format!("{} {}\n", b.time, b.name)).collect();
    let new = trace.join(format!("{FILE}.{}.new", std::process::id()));
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, trace.join(FILE)));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map_err(Fault::system("cannot write the bookmarks beside the trace"))?;
    all.sort_by_key(|b| b.time);
    then(all);
    Ok(())
}

/// Whether this can be the name of a bookmark, or of a cursor.
pub(crate) fn is_name(name: &str) -> bool {
    let usual = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    name.len() <= LONGEST && name.chars().all(usual) && name.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_kept_replaced_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path();
        assert_eq!(read(trace).unwrap(), []);
        for (name, time) in [("late", 9), ("a-b_1", 7), ("late", 5)] {
            change(trace, name, Some(Time(time)), |_| ()).unwrap();
        }
        let names = |all: Vec<Bookmark>| all.into_iter().map(|b| (b.time.0, b.name)).collect::<Vec<_>>();
        assert_eq!(names(read(trace).unwrap()), [(5, "late".into()), (7, "a-b_1".into())]);
        change(trace, "late", None, |all| assert_eq!(names(all), [(7, "a-b_1".into())])).unwrap();
        assert!(
            change(trace, "late", None, |_| ())
                .unwrap_err()
                .to_string()
                .contains("no bookmark late")
        );
        for bad in ["", "1", "a b", "a\n", &"x".repeat(65)] {
            assert!(change(trace, bad, Some(Time(1)), |_| ()).is_err(), "{bad:?}");
        }
        fs::write(trace.join(FILE), "rubbish\nx y\n3 ok\n").unwrap();
        assert_eq!(names(read(trace).unwrap()), [(3, "ok".into())]);
    }
}
