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
    /// Held while shares are dealt out: who is there must not change between counting and dealing.
    dealing: Mutex<()>,
}

impl Recordings {
    /// None yet; they will go by these numbers.
    pub(crate) fn new(hosts: Arc<Hosts>, numbers: Numbers) -> Recordings {
        Recordings {
            hosts,
            numbers,
            open: Mutex::default(),
            dealing: Mutex::default(),
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
        drop(open);
        self.deal(Some(&recording));
        Ok(recording)
    }

    /// A session has gone, and with it perhaps its recording: those that are left may have more checkpoints.
    pub(crate) fn left(&self) {
        self.deal(None);
    }

    /// Deals out the shares of all checkpoints, the largest to the recording that is about to be used, or else was used last.
    fn deal(&self, next: Option<&Arc<Recording>>) {
        let _alone = self.dealing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Recording>> = self.open().values().filter_map(Weak::upgrade).collect();
        all.sort_by_key(|r| {
            let is_next = next.is_some_and(|n| Arc::ptr_eq(n, r));
            std::cmp::Reverse((is_next, r.known.used()))
        });
        for (one, share) in all.iter().zip(Share::among(all.len())) {
            one.share(self.numbers.limits, share);
        }
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
