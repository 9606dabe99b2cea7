//! Ends this process the way the recorded program ended.

use nix::sys::resource::{Resource, setrlimit};
use signal_hook::low_level::emulate_default_handler;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The exit status to give. Does not return when a signal ended the program and the same signal ends this process.
pub(super) fn like(status: ExitStatus) -> u8 {
    if let Some(signal) = status.signal() {
        // The program's core is the one of interest, not ours.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let _ = emulate_default_handler(signal);
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(u8::MAX)
}
