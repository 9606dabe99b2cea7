//! Leaving the terminal: the parent goes, the child lives on in a session of its own.
//!
//! # Safety
//! One `fork(2)`, while the process has one thread, so the child may go on as usual.
#![allow(unsafe_code)]

use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};
use std::fs::OpenOptions;
use std::io;

/// Which side of the fork we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one the user started; it should exit.
    Parent,
    /// The daemon.
    Daemon,
}

/// Goes into the background. The socket must be listening already, so that whoever waits for the parent can connect.
pub(crate) fn detach() -> io::Result<Side> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: called from the main thread before any other is started, so no lock is held by a thread the child lacks.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Parent),
        ForkResult::Child => {
            setsid()?;
            std::env::set_current_dir("/")?;
            dup2_stdin(&null)?;
            dup2_stdout(&null)?;
            dup2_stderr(&null)?;
            Ok(Side::Daemon)
        }
    }
}
