//! Where things are: traces, the socket, and what a TRACE argument means.

use crate::Fault;
use nix::unistd::{User, getuid};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Name of the link to the newest trace in the data directory.
pub const LATEST: &str = "latest";

/// The directories of one user.
#[derive(Clone, Debug)]
pub struct Places {
    /// Traces, their store, the history of the prompt.
    pub data: PathBuf,
    /// The daemon's socket.
    pub socket: PathBuf,
    /// What the user has set.
    pub config: PathBuf,
}

impl Places {
    /// As the environment has them.
    #[must_use]
    pub fn from_env() -> Places {
        let home = || env::var_os("HOME").or_else(|| Some(User::from_uid(getuid()).ok()??.dir.into_os_string()));
        Places::from_parts(
            env::var_os("XDG_DATA_HOME"),
            env::var_os("XDG_CONFIG_HOME"),
            home,
            env::var_os("XDG_RUNTIME_DIR"),
            getuid().as_raw(),
        )
    }

    /// A variable that is empty or relative counts as unset (XDG base directory specification).
    fn from_parts(
        data_home: Option<OsString>,
        config_home: Option<OsString>,
        home: impl Fn() -> Option<OsString>,
        runtime: Option<OsString>,
        uid: u32,
    ) -> Places {
        let absolute = |v: OsString| Some(PathBuf::from(v)).filter(|p| p.is_absolute());
        let own = PathBuf::from(format!("/tmp/rdb-{uid}"));
        let place = |set: Option<OsString>, in_home: &str, in_own: &str| match set.and_then(absolute) {
            Some(d) => d.join("rdb"),
            None => home().and_then(absolute).map_or_else(|| own.join(in_own), |h| h.join(in_home)),
        };
        let data = place(data_home, ".local/share/rdb", "data");
        let config = place(config_home, ".config/rdb", "config");
        let socket = runtime
            .and_then(absolute)
            .map_or_else(|| own.clone(), |r| r.join("rdb"))
            .join("rdbd.sock");
        Places { data, socket, config }
    }

    /// The file whose lines a prompt begins with.
    #[must_use]
    pub fn rc(&self) -> PathBuf {
        self.config.join("rdbrc")
    }

    /// The store of file contents shared by all traces.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    /// The file with the prompt's history.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.data.join("history")
    }

    /// The trace directory a TRACE argument means, absolute. A packed trace is unpacked into the cache, one in an
    /// object store brought there first.
    ///
    /// # Errors
    /// When there is none, or it is no trace.
    pub fn trace(&self, named: &Path) -> Result<PathBuf, Fault> {
        if crate::remote::is_url(named) {
            return crate::pack::opened(&crate::remote::fetched(named)?);
        }
        let found = self.find(named)?;
        if found.is_file() {
            return crate::pack::opened(&found);
        }
        check(found)
    }

    /// The same, for what is done to the directory itself.
    ///
    /// # Errors
    /// When there is none, or it is no trace directory.
    pub fn directory(&self, named: &Path) -> Result<PathBuf, Fault> {
        check(self.find(named)?)
    }

    fn find(&self, named: &Path) -> Result<PathBuf, Fault> {
        Ok(if named.as_os_str() == LATEST {
            let link = self.data.join(LATEST);
            link.canonicalize()
                .map_err(|_| Fault::new("no latest trace: record one first, for instance `rdbctl record python3 app.py`"))?
        } else {
            let bare = named.components().count() == 1;
            let beside = named
                .canonicalize()
                .ok()
                .filter(|p| !bare || p.join(rdb_trace::EVENTS_FILE).exists() || p.is_file());
            let under = || if bare { self.data.join(named).canonicalize().ok() } else { None };
            beside.or_else(under).or_else(|| named.canonicalize().ok()).ok_or_else(|| {
                let also = if bare {
                    format!(" nor in {}", self.data.display())
                } else {
                    String::new()
                };
                Fault::new(format!("no trace '{}' here{also}", named.display()))
            })?
        })
    }
}

/// A trace has an event log.
fn check(found: PathBuf) -> Result<PathBuf, Fault> {
    let log = found.join(rdb_trace::EVENTS_FILE);
    match log.symlink_metadata() {
        Ok(_) => Ok(found),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Err(Fault::new(format!(
            "{} is not a trace (it has no '{}' in it)",
            found.display(),
            rdb_trace::EVENTS_FILE
        ))),
        Err(e) => Err(Fault::new(format!("cannot open {}: {e}", log.display()))),
    }
}

/// A path as the daemon link carries it.
///
/// # Errors
/// When it is not UTF-8.
pub fn as_text(path: &Path) -> Result<String, Fault> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Fault::new(format!("the path {} is not UTF-8; rename it", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn parts(data: &str, home: &str, run: &str) -> (String, String) {
        let var = |v: &str| Some(OsString::from(v)).filter(|v| !v.is_empty());
        let p = Places::from_parts(var(data), None, || var(home), var(run), 7);
        (p.data.display().to_string(), p.socket.display().to_string())
    }

    #[test]
    fn defaults_follow_xdg() {
        assert_eq!(parts("/d", "/h", "/r"), ("/d/rdb".into(), "/r/rdb/rdbd.sock".into()));
        assert_eq!(
            parts("relative", "/h", "relative"),
            ("/h/.local/share/rdb".into(), "/tmp/rdb-7/rdbd.sock".into())
        );
        assert_eq!(parts("", "", ""), ("/tmp/rdb-7/data".into(), "/tmp/rdb-7/rdbd.sock".into()));
    }

    fn trace(at: &Path) -> PathBuf {
        fs::create_dir_all(at).unwrap();
        fs::write(at.join("events"), "").unwrap();
        at.canonicalize().unwrap()
    }

    #[test]
    fn a_trace_is_a_path_a_name_or_latest() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            data: dir.path().join("data"),
            socket: PathBuf::new(),
            config: PathBuf::new(),
        };
        let named = trace(&places.data.join("py-1"));
        let elsewhere = trace(&dir.path().join("here/t"));
        assert_eq!(places.trace(Path::new("py-1")).unwrap(), named);
        assert_eq!(places.trace(&dir.path().join("here/t")).unwrap(), elsewhere);
        assert!(
            places
                .trace(Path::new(LATEST))
                .unwrap_err()
                .to_string()
                .starts_with("no latest trace")
        );
        symlink("py-1", places.data.join(LATEST)).unwrap();
        assert_eq!(places.trace(Path::new(LATEST)).unwrap(), named);
        assert!(
            places
                .trace(Path::new("absent"))
                .unwrap_err()
                .to_string()
                .contains("no trace 'absent' here nor in ")
        );
        assert!(places.trace(dir.path()).unwrap_err().to_string().contains("is not a trace"));
    }
}
