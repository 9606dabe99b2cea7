//! A child process of the daemon, known by its pidfd.

use crate::host::Body;
use crate::pidfd;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// A child. Killing is for whoever holds it, reaping for [`crate::reaper`] alone.
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    fd: OwnedFd,
    reaped: AtomicBool,
}

impl Child {
    /// Takes charge of a child that nobody has reaped.
    pub(crate) fn open(pid: i32) -> nix::Result<Child> {
        Ok(Child {
            pid,
            fd: pidfd::open(pid)?,
            reaped: AtomicBool::new(false),
        })
    }

    /// Its descriptor, readable once it has exited.
    pub(crate) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reaps it if it has exited; whether it is gone.
    pub(crate) fn reap(&self) -> bool {
        let gone = match waitid(Id::PIDFd(self.fd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
            Ok(WaitStatus::StillAlive) => false,
            // ECHILD: not ours to reap, or reaped already.
            Ok(_) | Err(_) => true,
        };
        if gone {
            self.reaped.store(true, Ordering::Release);
        }
        gone
    }
}

impl Body for Child {
    fn pid(&self) -> i32 {
        self.pid
    }

    fn kill(&self) {
        // ESRCH: it is gone, which is what was wanted.
        let _ = pidfd::kill(self.fd.as_fd());
    }

    fn alive(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !self.reaped.load(Ordering::Acquire) && matches!(waitid(Id::PIDFd(self.fd.as_fd()), flags), Ok(WaitStatus::StillAlive))
    }
}
