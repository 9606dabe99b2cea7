//! Ctrl-C while a request runs: asks the daemon to abort it, from another thread.

use super::socket::Sender;
use rdb_protocol::client::{Call, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An aborted request is answered well within this; a daemon that is slower hangs.
const PATIENCE: Duration = Duration::from_secs(3);

/// Aborts the running request of a connection; does nothing when none runs. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Interrupter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    sender: Sender,
    ids: Arc<AtomicU64>,
    asked: Option<Instant>,
}

impl Interrupter {
    /// Aborts what runs. Asked again after `PATIENCE`, it gives up the connection. False when nothing runs.
    pub fn interrupt(&self) -> bool {
        let mut state = self.lock();
        let Some(running) = &mut state.running else { return false };
        match running.asked {
            None => {
                running.asked = Some(Instant::now());
                let id = running.ids.fetch_add(1, Ordering::Relaxed);
                // A daemon that is gone is noticed by whoever waits for its answer.
                let _ = running.sender.send(&Request { id, call: Call::Interrupt });
            }
            Some(asked) if asked.elapsed() > PATIENCE => running.sender.close(),
            Some(_) => {}
        }
        true
    }

    pub(super) fn begin(&self, sender: &Sender, ids: &Arc<AtomicU64>) {
        self.lock().running = Some(Running {
            sender: sender.clone(),
            ids: Arc::clone(ids),
            asked: None,
        });
    }

    pub(super) fn end(&self) {
        self.lock().running = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
