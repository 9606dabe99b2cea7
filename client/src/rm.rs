//! `rdbctl rm`: deletes traces, and from the store what no trace needs any more.
//!
//! A trace has a hard link to each content it needs, so the file system counts who needs what: a content in the store with
//! one link is nobody's. A recorder at work is not disturbed when such a content is taken away: what it has linked stays, and where it comes
//! too late to link, it copies (`record/snapshot.rs` of the agent).

use crate::cli::RmArgs;
use crate::log::is_being_written;
use crate::paths::{LATEST, Places};
use crate::processes::folders;
use crate::{Fault, ls};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`], after which the traces named before are gone.
pub fn run(places: &Places, args: &RmArgs) -> Result<u8, Fault> {
    // All or nothing, as far as can be seen beforehand.
    let mut traces = Vec::new();
    for named in &args.traces {
        let trace = places.directory(named)?;
        if recording(&trace) {
            return Err(Fault::new(format!("{} is being recorded; end the program first", trace.display())));
        }
        traces.push(trace);
    }
    traces.sort();
    traces.dedup();
    let removed = traces.iter().try_for_each(|t| remove(t));
    point_latest(places);
    collect(&places.store());
    removed.map(|()| 0)
}

/// Whether one of its processes still runs.
fn recording(trace: &Path) -> bool {
    [trace.to_owned()].iter().chain(&folders(trace)).any(|f| is_being_written(f))
}

/// Removes a trace: in one step for whoever looks for it, then for good.
fn remove(trace: &Path) -> Result<(), Fault> {
    let failed = |e: io::Error| Fault::new(format!("cannot remove {}: {e}", trace.display()));
    let name = trace.file_name().unwrap_or_default().to_string_lossy();
    let step = trace.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::rename(trace, &step).map_err(failed)?;
    fs::remove_dir_all(&step).map_err(failed)
}

/// Points `latest` to the newest trace that is left, when its own is gone.
fn point_latest(places: &Places) {
    let latest = places.data.join(LATEST);
    if latest.symlink_metadata().is_err() || latest.exists() {
        return;
    }
    // Whoever records meanwhile sets it anew: nothing is lost when this fails.
    let _ = fs::remove_file(&latest);
    if let Some((newest, _)) = ls::all(&places.data).unwrap_or_default().pop() {
        let _ = symlink(newest, &latest);
    }
}

/// Removes the contents that have no link but the store's, and then the notes on contents that are not there. What cannot be removed
/// now can be later.
fn collect(store: &Path) {
    let all: Vec<PathBuf> = fs::read_dir(store).into_iter().flatten().flatten().map(|e| e.path()).collect();
    // A note has its content's name and an extension (`record/snapshot.rs`); so has a copy being made.
    let content = |path: &Path| path.with_extension("");
    let (notes, contents): (Vec<_>, Vec<_>) = all.iter().partition(|p| p.extension().is_some() && all.contains(&content(p)));
    let unused = |path: &Path| path.symlink_metadata().is_ok_and(|m| m.is_file() && m.nlink() == 1);
    for path in contents.into_iter().filter(|p| unused(p)) {
        let _ = fs::remove_file(path);
    }
    for note in notes.into_iter().filter(|n| !content(n).exists()) {
        let _ = fs::remove_file(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{Flock, FlockArg};
    use rdb_trace::End;
    use std::fs::File;

    fn trace(places: &Places, name: &str, started: u64, content: &str) -> PathBuf {
        let at = places.data.join(name);
        fs::create_dir_all(at.join("files")).unwrap();
        fs::write(at.join("events"), rdb_trace::memory::log(started, End::Exited(0), &[])).unwrap();
        let stored = places.store().join(content);
        if !stored.exists() {
            fs::write(&stored, content).unwrap();
        }
        fs::hard_link(stored, at.join("files/0")).unwrap();
        let latest = places.data.join(LATEST);
        let _ = fs::remove_file(&latest);
        symlink(&at, latest).unwrap();
        at
    }

    fn rm(places: &Places, names: &[&str]) -> Result<u8, Fault> {
        let traces = names.iter().map(PathBuf::from).collect();
        run(places, &RmArgs { traces })
    }

    #[test]
    fn what_others_need_stays() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            data: dir.path().join("data"),
            socket: PathBuf::new(),
            config: PathBuf::new(),
        };
        fs::create_dir_all(places.store()).unwrap();
        let second = 1_000_000_000;
        let a = trace(&places, "a", second, "shared");
        let b = trace(&places, "b", 2 * second, "shared");
        let c = trace(&places, "c", 3 * second, "own");
        for note in ["shared.cpuid", "own.cpuid"] {
            fs::write(places.store().join(note), "note").unwrap();
        }
        let names: Vec<_> = ls::all(&places.data).unwrap().into_iter().map(|t| t.0).collect();
        assert_eq!(names, [a.clone(), b.clone(), c.clone()]);

        assert!(rm(&places, &["a", "absent"]).is_err());
        assert!(a.exists(), "nothing is removed when one is not there");
        rm(&places, &["c", "latest"]).unwrap();
        assert!(!c.exists() && !places.store().join("own").exists());
        assert!(!places.store().join("own.cpuid").exists() && places.store().join("shared.cpuid").exists());
        assert_eq!(fs::read_link(places.data.join(LATEST)).unwrap(), b);
        rm(&places, &["a"]).unwrap();
        assert!(places.store().join("shared").exists());
        rm(&places, &["b"]).unwrap();
        assert_eq!(fs::read_dir(places.store()).unwrap().count(), 0);
        assert!(places.data.join(LATEST).symlink_metadata().is_err());
        assert!(rm(&places, &["latest"]).unwrap_err().to_string().starts_with("no latest trace"));
    }

    #[test]
    fn a_recording_under_way_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            data: dir.path().join("data"),
            socket: PathBuf::new(),
            config: PathBuf::new(),
        };
        fs::create_dir_all(places.store()).unwrap();
        let a = trace(&places, "a", 1, "x");
        let lock = Flock::lock(File::open(a.join("events")).unwrap(), FlockArg::LockExclusive).map_err(|e| e.1);
        let lock = lock.unwrap();
        assert!(rm(&places, &["a"]).unwrap_err().to_string().contains("is being recorded"));
        drop(lock);
        rm(&places, &["a"]).unwrap();
        assert!(!a.exists());
    }
}
