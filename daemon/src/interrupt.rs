//! Stopping a running request from another thread: kill the disposable process it waits for.

use crate::fault::Fault;
use crate::host::Body;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One request's emergency brake, shared by the thread that runs requests and the one that reads them.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Requests read but not yet answered.
    pending: usize,
    fired: bool,
    /// Nothing runs any more: the client is gone.
    closed: bool,
    victim: Option<Arc<dyn Body>>,
}

impl Interrupt {
    /// A request was read; from now on [`Interrupt::fire`] hits it.
    pub(crate) fn begin(&self) {
        self.state().pending += 1;
    }

    /// A request was answered.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.pending = state.pending.saturating_sub(1);
        state.fired = false;
        state.victim = None;
    }

    /// Aborts the running request, if any.
    pub(crate) fn fire(&self) {
        let mut state = self.state();
        if state.pending > 0 {
            state.fired = true;
            if let Some(victim) = state.victim.take() {
                victim.kill();
            }
        }
    }

    /// Aborts the running request and all later ones.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if let Some(victim) = state.victim.take() {
            victim.kill();
        }
    }

    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let state = self.state();
        if state.fired || state.closed {
            Err(Fault::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Names the process to kill until the guard goes.
    pub(crate) fn arm(&self, body: &Arc<dyn Body>) -> Result<Armed<'_>, Fault> {
        let mut state = self.state();
        if state.fired || state.closed {
            return Err(Fault::Interrupted);
        }
        state.victim = Some(Arc::clone(body));
        Ok(Armed(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, an interrupt kills the named process.
#[derive(Debug)]
pub(crate) struct Armed<'a>(&'a Interrupt);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.state().victim = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Debug, Default)]
    struct Dummy(AtomicBool);

    impl Body for Dummy {
        fn pid(&self) -> i32 {
            0
        }
        fn kill(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn alive(&self) -> bool {
            !self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn hits_the_running_request_only() {
        let interrupt = Interrupt::default();
        interrupt.fire();
        assert!(interrupt.check().is_ok(), "nothing was running");
        interrupt.begin();
        let body: Arc<dyn Body> = Arc::new(Dummy::default());
        let armed = interrupt.arm(&body).unwrap();
        interrupt.fire();
        assert!(!body.alive());
        drop(armed);
        assert!(matches!(interrupt.check(), Err(Fault::Interrupted)));
        interrupt.end();
        assert!(interrupt.check().is_ok(), "the next one is not hit");
    }

    #[test]
    fn a_request_read_but_not_started_is_hit_too() {
        let interrupt = Interrupt::default();
        interrupt.begin();
        interrupt.fire();
        let body: Arc<dyn Body> = Arc::new(Dummy::default());
        assert!(interrupt.arm(&body).is_err());
        assert!(body.alive(), "it was never the victim");
    }

    #[test]
    fn close_is_for_ever() {
        let interrupt = Interrupt::default();
        interrupt.close();
        interrupt.end();
        assert!(interrupt.check().is_err());
    }
}
