//! Reaps every child of the daemon as soon as it exits, and kills all of them at the end.

use crate::child::Child;
use crate::host::Body;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Exits told of at once.
const AT_ONCE: usize = 64;

/// The one place that waits for children. Its thread lives as long as the daemon.
#[derive(Debug)]
pub(crate) struct Reaper {
    state: Mutex<State>,
    empty: Condvar,
    /// Knows the descriptors of all children, by number: there may be a thousand, of which two exit.
    exits: Epoll,
}

#[derive(Debug, Default)]
struct State {
    closing: bool,
    children: HashMap<u64, Arc<Child>>,
    last: u64,
}

impl Reaper {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Arc<Reaper>> {
        let reaper = Arc::new(Reaper {
            state: Mutex::default(),
            empty: Condvar::new(),
            exits: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        });
        let work = Arc::clone(&reaper);
        std::thread::Builder::new().name("reaper".into()).spawn(move || work.serve())?;
        Ok(reaper)
    }

    /// Takes charge of a child.
    pub(crate) fn adopt(&self, pid: i32) -> io::Result<Arc<Child>> {
        let child = Arc::new(Child::open(pid)?);
        let mut state = self.state();
        if state.closing {
            child.kill();
        }
        state.last += 1;
        let number = state.last;
        self.exits.add(child.fd(), EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        state.children.insert(number, Arc::clone(&child));
        Ok(child)
    }

    /// Kills all children, present and future, and waits until they are reaped, at most `patience`.
    pub(crate) fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        state.closing = true;
        state.children.values().for_each(|c| c.kill());
        while !state.children.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.empty.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether all children are being killed.
    pub(crate) fn closing(&self) -> bool {
        self.state().closing
    }

    /// Children not yet reaped.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.state().children.len()
    }

    fn serve(&self) {
        let mut events = [EpollEvent::empty(); AT_ONCE];
        loop {
            let count = match self.exits.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(_) => return,
            };
            let mut state = self.state();
            for number in events[..count].iter().map(EpollEvent::data) {
                if let Some(child) = state.children.get(&number).filter(|c| c.reap()) {
                    // Others may hold it, and its descriptor stays readable.
                    let _ = self.exits.delete(child.fd());
                    state.children.remove(&number);
                }
            }
            if state.children.is_empty() {
                self.empty.notify_all();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn children_are_reaped_when_they_exit_and_killed_at_the_end() {
        let reaper = Reaper::start().unwrap();
        let spawn = |seconds: &str| i32::try_from(Command::new("sleep").arg(seconds).spawn().unwrap().id()).unwrap();
        let short = reaper.adopt(spawn("0")).unwrap();
        let long = reaper.adopt(spawn("1000")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while reaper.count() > 1 {
            assert!(Instant::now() < deadline, "the short one was not reaped");
            std::thread::yield_now();
        }
        assert!(!short.alive() && long.alive());
        reaper.close(Duration::from_secs(10));
        assert_eq!(reaper.count(), 0);
        assert!(!long.alive());
        let late = reaper.adopt(spawn("1000")).unwrap();
        reaper.close(Duration::from_secs(10));
        assert!(!late.alive(), "one that came after the end was killed too");
    }
}
