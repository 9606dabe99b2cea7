//! Reaps every child of the daemon as soon as it exits, and kills all of them at the end.

use crate::child::Child;
use crate::host::Body;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The one place that waits for children. Its thread lives as long as the daemon.
#[derive(Debug)]
pub(crate) struct Reaper {
    state: Mutex<State>,
    empty: Condvar,
    bell: UnixStream,
}

#[derive(Debug, Default)]
struct State {
    closing: bool,
    children: Vec<Arc<Child>>,
}

impl Reaper {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Arc<Reaper>> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let reaper = Arc::new(Reaper {
            state: Mutex::default(),
            empty: Condvar::new(),
            bell,
        });
        let work = Arc::clone(&reaper);
        std::thread::Builder::new().name("reaper".into()).spawn(move || work.serve(&ear))?;
        Ok(reaper)
    }

    /// Takes charge of a child.
    pub(crate) fn adopt(&self, pid: i32) -> io::Result<Arc<Child>> {
        let child = Arc::new(Child::open(pid)?);
        let mut state = self.state();
        if state.closing {
            child.kill();
        }
        state.children.push(Arc::clone(&child));
        drop(state);
        self.ring();
        Ok(child)
    }

    /// Kills all children, present and future, and waits until they are reaped, at most `patience`.
    pub(crate) fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        state.closing = true;
        state.children.iter().for_each(|c| c.kill());
        self.ring();
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

    fn serve(&self, ear: &UnixStream) {
        loop {
            let children = self.state().children.clone();
            let mut fds = vec![PollFd::new(ear.as_fd(), PollFlags::POLLIN)];
            fds.extend(children.iter().map(|c| PollFd::new(c.fd(), PollFlags::POLLIN)));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let _ = (&mut &*ear).read(&mut [0; 64]);
            let mut state = self.state();
            state.children.retain(|c| !c.reap());
            if state.children.is_empty() {
                self.empty.notify_all();
            }
        }
    }

    fn ring(&self) {
        // A full pipe has rung already.
        let _ = (&self.bell).write(&[1]);
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
