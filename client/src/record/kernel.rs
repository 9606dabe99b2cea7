//! Can this kernel record? Asks for Syscall User Dispatch.
//!
//! # Safety
//! One `prctl(2)` with integer arguments; it switches off what is off already.
#![allow(unsafe_code)]

use crate::Fault;

const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;
const PR_SYS_DISPATCH_OFF: libc::c_ulong = 0;

/// Refuses a kernel that cannot record.
///
/// # Errors
/// When it has no Syscall User Dispatch.
pub(super) fn check() -> Result<(), Fault> {
    let none: libc::c_ulong = 0;
    // SAFETY: no pointer is passed, and no dispatch is installed in this process that could be lost.
    let answer = unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, none, none, none) };
    if answer == 0 {
        return Ok(());
    }
    match std::io::Error::last_os_error() {
        e if e.raw_os_error() == Some(libc::EINVAL) => Err(Fault::new(
            "this kernel has no Syscall User Dispatch (Linux 5.11 or later is needed)",
        )),
        e => Err(Fault::new(format!("Syscall User Dispatch is not available here: {e}"))),
    }
}
