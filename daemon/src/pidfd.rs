//! Process descriptors: a name for a child that is never reused.
//!
//! # Safety
//! Two raw system calls without a safe wrapper in `nix`; neither takes a pointer to memory of ours that it could write.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Opens a descriptor for a child of ours that has not been reaped.
pub(crate) fn open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends SIGKILL.
pub(crate) fn kill(fd: BorrowedFd<'_>) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal(2) reads the siginfo only when the pointer is not null; `fd` is open for the whole call.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), libc::SIGKILL, no_info, 0) }).map(drop)
}
