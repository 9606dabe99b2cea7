//! The open traces of a daemon: one recording for all sessions on the same trace.

use crate::facts::TraceFacts;
use crate::fault::Fault;
use crate::host::Host;
use crate::placement::Share;
use crate::recording::{Numbers, Recording};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Makes the host for a trace.
pub(crate) type Hosts = dyn Fn(&Path) -> Result<Arc<dyn Host>, Fault> + Send + Sync;

/// All of them, by the directory. A recording ends with its last session.
pub(crate) struct Recordings {
    hosts: Arc<Hosts>,
    numbers: Numbers,
    open: Mutex<HashMap<PathBuf, Weak<Recording>>>,
}

impl Recordings {
    /// None yet; they will go by these numbers.
    pub(crate) fn new(hosts: Arc<Hosts>, numbers: Numbers) -> Recordings {
        Recordings {
            hosts,
            numbers,
            open: Mutex::default(),
        }
    }

    /// The recording in this directory.
    pub(crate) fn get(&self, trace: &Path) -> Result<Arc<Recording>, Fault> {
        let facts = TraceFacts::read(trace)?;
        // However it was named.
        let path = trace.canonicalize().unwrap_or_else(|_| trace.to_path_buf());
        let mut open = self.open();
        open.retain(|_, r| r.strong_count() > 0);
        let found = open.get(&path).and_then(Weak::upgrade);
        // Another one may have been recorded there since, or this one gone on.
        if let Some(recording) = found.filter(|r| r.facts.key == facts.key) {
            return Ok(recording);
        }
        let host = (self.hosts)(&facts.path)?;
        let recording = Arc::new(Recording::new(facts, host, self.numbers));
        open.insert(path, Arc::downgrade(&recording));
        let mut others: Vec<Arc<Recording>> = open
            .values()
            .filter_map(Weak::upgrade)
            .filter(|r| !Arc::ptr_eq(r, &recording))
            .collect();
        drop(open);
        // The new one is about to be used.
        others.sort_by_key(|r| std::cmp::Reverse(r.known.used()));
        let shares = Share::among(others.len() + 1);
        for (one, share) in std::iter::once(&recording).chain(&others).zip(shares) {
            one.share(self.numbers.limits, share);
        }
        Ok(recording)
    }

    /// Tells all sessions that the daemon ends.
    pub(crate) fn close(&self) {
        let all: Vec<_> = self.open().values().filter_map(Weak::upgrade).collect();
        all.iter().for_each(|r| r.close());
    }

    fn open(&self) -> MutexGuard<'_, HashMap<PathBuf, Weak<Recording>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
