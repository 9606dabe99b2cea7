//! Runs the recorded program as a child that shares our terminal, and passes signals on to it.
//!
//! The terminal sends SIGINT and SIGQUIT to the child as well, so ours are dropped, by a handler and not by SIG_IGN, which
//! the child would inherit. What is sent to us alone is forwarded. A signal that was ignored when we were started
//! (`nohup`) is left alone, so the child finds it ignored too; all but SIGCHLD, which tells of the child's end.

use crate::Fault;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::fs;
use std::io;
use std::process::{Command, ExitStatus};

const DROPPED: [i32; 2] = [SIGINT, SIGQUIT];
const FORWARDED: [i32; 4] = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];

/// Runs `command` to its end.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn run(mut command: Command) -> Result<ExitStatus, Fault> {
    let failed = |e: io::Error| Fault::with_status(125, format!("cannot run the agent: {e}"));
    let ignored = ignored_at_start();
    let watched = DROPPED.into_iter().chain(FORWARDED).filter(|s| ignored & (1 << (s - 1)) == 0);
    let mut signals = Signals::new(watched.chain([SIGCHLD])).map_err(failed)?;
    let mut child = command.spawn().map_err(failed)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // It is reaped behind the loop alone: until then its number is nobody else's.
    for number in signals.forever() {
        if number == SIGCHLD {
            let end = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG);
            if !matches!(end, Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)) {
                break;
            }
        } else if FORWARDED.contains(&number)
            && let Ok(signal) = Signal::try_from(number)
        {
            // A child that is just gone needs no signal.
            let _ = kill(pid, signal);
        }
    }
    child.wait().map_err(failed)
}

/// The signals this process ignored when it was started, one bit each. Nothing, where /proc does not tell.
fn ignored_at_start() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).unwrap_or(0)
}
