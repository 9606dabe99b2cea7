//! The directory of a new trace, its name, and the `latest` link.

use crate::Fault;
use crate::paths::{LATEST, Places};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A fresh trace directory.
#[derive(Debug)]
pub(super) struct Place {
    trace: PathBuf,
    latest: PathBuf,
    /// What `latest` pointed to before.
    before: Option<PathBuf>,
}

impl Place {
    /// Makes the directory and points `latest` to it.
    ///
    /// # Errors
    /// When the place is taken or cannot be written.
    pub(super) fn make(places: &Places, wanted: Option<&Path>, program: &Path) -> Result<Place, Fault> {
        make_private(&places.data).map_err(|e| cannot_make(&places.data, &e))?;
        make_private(&places.store()).map_err(|e| cannot_make(&places.store(), &e))?;
        let trace = match wanted {
            Some(at) => take(at)?,
            None => unique(&places.data, &stem(program, SystemTime::now()))?,
        };
        let files = trace.join(rdb_trace::FILES_DIR);
        fs::create_dir(&files).map_err(|e| cannot_make(&files, &e))?;
        let latest = places.data.join(LATEST);
        let place = Place {
            before: fs::read_link(&latest).ok(),
            latest,
            trace,
        };
        place.point(&place.trace)?;
        Ok(place)
    }

    /// The trace directory, absolute.
    pub(super) fn trace(&self) -> &Path {
        &self.trace
    }

    /// Removes the directory again: nothing was recorded. What cannot be removed stays, for it does no harm.
    pub(super) fn withdraw(&self) {
        let _ = fs::remove_dir_all(&self.trace);
        let _ = match &self.before {
            Some(before) => self.point(before),
            None => fs::remove_file(&self.latest).map_err(Fault::from),
        };
    }

    /// Replaces `latest` in one step: whoever reads it finds the old trace or the new one.
    fn point(&self, to: &Path) -> Result<(), Fault> {
        let step = self.latest.with_file_name(format!(".{LATEST}-{}", std::process::id()));
        let _ = fs::remove_file(&step);
        symlink(to, &step)
            .and_then(|()| fs::rename(&step, &self.latest))
            .map_err(|e| cannot_make(&self.latest, &e))
    }
}

/// Uses a directory the user named.
fn take(at: &Path) -> Result<PathBuf, Fault> {
    let taken = |what| Fault::new(format!("{} {what}; choose another place or remove it", at.display()));
    match DirBuilder::new().mode(0o700).create(at) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if !at.is_dir() {
                return Err(taken("exists and is not a directory"));
            }
            let mut entries = fs::read_dir(at).map_err(|e| Fault::new(format!("cannot use {}: {e}", at.display())))?;
            if entries.next().is_some() {
                return Err(taken("is not empty"));
            }
        }
        Err(e) => return Err(cannot_make(at, &e)),
    }
    at.canonicalize().map_err(|e| cannot_make(at, &e))
}

/// The first free name; making the directory is what takes it.
fn unique(data: &Path, stem: &OsString) -> Result<PathBuf, Fault> {
    let mut n = 1_u32;
    loop {
        let mut name = stem.clone();
        name.push(format!("-{n}"));
        let at = data.join(name);
        match DirBuilder::new().mode(0o700).create(&at) {
            Ok(()) => return at.canonicalize().map_err(|e| cannot_make(&at, &e)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(cannot_make(&at, &e)),
        }
    }
}

/// `python3-20261121-101500`, in UTC.
fn stem(program: &Path, now: SystemTime) -> OsString {
    let mut name = program.file_name().map_or_else(|| OsString::from("trace"), OsString::from);
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (y, mo, d, h, mi, s) = crate::show::date::civil(seconds);
    name.push(format!("-{y:04}{mo:02}{d:02}-{h:02}{mi:02}{s:02}"));
    name
}

/// Traces hold whatever the program read; they are their owner's alone.
fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn cannot_make(at: &Path, e: &io::Error) -> Fault {
    Fault::new(format!("cannot make {}: {e}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn places(dir: &Path) -> Places {
        Places {
            data: dir.join("data"),
            socket: PathBuf::new(),
            config: PathBuf::new(),
        }
    }

    #[test]
    fn names_are_unique_and_latest_follows() {
        let dir = tempfile::tempdir().unwrap();
        let p = places(dir.path());
        fs::create_dir_all(&p.data).unwrap();
        let stem = stem(Path::new("/usr/bin/python3"), UNIX_EPOCH + Duration::from_secs(1_795_256_100));
        assert_eq!(stem, "python3-20261121-101500");
        let (one, two) = (unique(&p.data, &stem).unwrap(), unique(&p.data, &stem).unwrap());
        assert!(one.ends_with("python3-20261121-101500-1") && two.ends_with("python3-20261121-101500-2"));

        let first = Place::make(&p, None, Path::new("a")).unwrap();
        assert!(first.trace().join("files").is_dir() && p.store().is_dir());
        let second = Place::make(&p, None, Path::new("b")).unwrap();
        assert_eq!(p.data.join(LATEST).canonicalize().unwrap(), second.trace());
        second.withdraw();
        assert_eq!(p.data.join(LATEST).canonicalize().unwrap(), first.trace());
        assert!(!second.trace().exists());
    }

    #[test]
    fn a_named_place_must_be_free() {
        let dir = tempfile::tempdir().unwrap();
        let p = places(dir.path());
        let make = |at: &Path| Place::make(&p, Some(at), Path::new("x")).map_err(|e| e.to_string());
        let at = dir.path().join("t");
        assert!(make(&at).is_ok());
        assert!(make(&at).unwrap_err().contains("is not empty; choose another place"));
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        assert!(make(&empty).is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make(&file).unwrap_err().contains("not a directory"));
        assert!(make(&dir.path().join("no/such/parent")).unwrap_err().contains("cannot make"));
    }
}
