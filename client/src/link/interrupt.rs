//! Ctrl-C while a request runs: asks the daemon to abort it, from another thread.

use super::socket::Sender;
use rdb_protocol::client::{Call, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An aborted request is answered well within this; a daemon that is slower hangs.
const PATIENCE: Duration = Duration::from_secs(3);

/// Aborts the running request of a connection, or the next one of the command being carried out; does nothing when there is
/// neither. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Interrupter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// Commands are carried out one after the other: there will be a next request.
    busy: bool,
    /// The interrupt came between requests: the next one gets it.
    pending: bool,
}

#[derive(Debug)]
struct Running {
    sender: Sender,
    ids: Arc<AtomicU64>,
    asked: Option<Instant>,
}

impl Running {
    fn ask(&mut self) {
        self.asked = Some(Instant::now());
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        // A daemon that is gone is noticed by whoever waits for its answer.
        let _ = self.sender.send(&Request { id, call: Call::Interrupt });
    }
}

impl Interrupter {
    /// Aborts what runs. Asked again after `PATIENCE`, it gives up the connection. False when nothing runs.
    pub fn interrupt(&self) -> bool {
        let mut state = self.lock();
        let Some(running) = &mut state.running else {
            state.pending = state.busy;
            return state.busy;
        };
        match running.asked {
            None => running.ask(),
            Some(asked) if asked.elapsed() > PATIENCE => running.sender.close(),
            Some(_) => {}
        }
        true
    }

    /// Says that a new command is on its way: an interrupt of the last one that found no request is forgotten, one that finds
    /// none from now on waits for the next.
    pub fn busy(&self) {
        let mut state = self.lock();
        state.busy = true;
        state.pending = false;
    }

    pub(super) fn begin(&self, sender: &Sender, ids: &Arc<AtomicU64>) {
        let mut running = Running {
            sender: sender.clone(),
            ids: Arc::clone(ids),
            asked: None,
        };
        let mut state = self.lock();
        if std::mem::take(&mut state.pending) {
            running.ask();
        }
        state.running = Some(running);
    }

    pub(super) fn end(&self) {
        self.lock().running = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
