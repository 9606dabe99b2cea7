//! Calls about files that recording treats by name: mmap, /proc/self/exe, the agent's own descriptors.

use super::{listing, log, sharing};
use crate::context::Context;
use crate::memory::{self, placement};
use crate::state::Agent;
use crate::sys::{self, errno, map, nr};
use crate::syscalls::Span;
use alloc::ffi::CString;
use alloc::format;
use rdb_trace::Tag;
use rdb_trace::event::Fixed;

/// `AT_EMPTY_PATH`: the call is about the descriptor itself.
const EMPTY_PATH: u64 = 0x1000;

/// Most bytes of a mapping that one event holds.
const LARGEST_CONTENT: u64 = 1 << 31;

/// mmap(2): at an address of the agent's choice; what a file mapping shows goes into the trace.
pub fn mmap(agent: &mut Agent, context: &mut Context, mut fix: Fixed, args: &[u64; 6]) {
    let a = args;
    let shared = sharing::before_map(agent, a);
    let ret = placement::map(agent, a);
    fix.ret = ret;
    if ret > 0 {
        agent.recorder().sharing.forget(ret.cast_unsigned(), a[1]);
    }
    let file = ret > 0 && a[3] & map::ANONYMOUS == 0;
    let shared_writable = a[3] & map::SHARED != 0 && a[2] & map::WRITE != 0;
    let snapshot = if file && !shared && !shared_writable && !window(a) {
        agent.recorder().snapshots.index(a[4])
    } else {
        None
    };
    let size = if file { sys::fstat(a[4]).map_or(0, |st| st[6]) } else { 0 };
    let seen = size.saturating_sub(a[5]).min(a[1]);
    if file && snapshot.is_none() && seen > LARGEST_CONTENT {
        crate::diag::say!("recording stopped: a shared mapping of {seen} bytes is too large to record; the program goes on");
        agent.recorder().end(rdb_trace::End::Unsupported(nr::MMAP as u32));
    }
    let aliases = if file && shared {
        sharing::aliases(agent, a)
    } else {
        alloc::vec::Vec::new()
    };
    let mut path = [0u8; 4096];
    let path_len = if file { fd_path(a[4], &mut path) } else { 0 };
    let mut record = agent.recorder().log.event(fix);
    if let Some(i) = snapshot {
        record = record.bytes(Tag::File, &i.to_le_bytes());
    } else if file {
        record = record.program_as(
            Tag::Content,
            Span {
                addr: ret.cast_unsigned(),
                len: seen,
            },
        );
    }
    if !aliases.is_empty() {
        record = record.bytes(Tag::Aliases, &aliases);
    }
    if path_len > 0 {
        record = record.bytes(Tag::Path, &path[..path_len]);
    }
    record.done();
    if shared && ret > 0 {
        sharing::mapped(agent, a, ret.cast_unsigned());
    }
    if snapshot.is_some() && a[5] == 0 {
        agent.host.mapped(ret.cast_unsigned(), "");
    }
    if ret > 0 && a[2] & map::EXEC != 0 && (!file || a[2] & map::WRITE != 0 || a[3] & map::SHARED != 0) {
        super::cpuid::unknown_code(agent);
    }
    if file && a[2] & map::EXEC != 0 {
        super::cpuid::mapped(agent, a[4], a[5], a[1], ret.cast_unsigned());
    }
    context.set_return(ret);
}

/// Whether a small part of a large file is mapped to be read as data: what is seen of it goes into the trace, not the whole file.
/// (Programs and their libraries are mapped privately.)
fn window(a: &[u64; 6]) -> bool {
    const LARGE: u64 = 16 << 20;
    let size = sys::fstat(a[4]).map_or(0, |st| st[6]);
    a[3] & map::SHARED != 0 && size > LARGE && a[1] < size / 4
}

/// The path a descriptor leads to; its length, as far as it fits.
pub(super) fn fd_path(fd: u64, to: &mut [u8]) -> usize {
    let Ok(link) = CString::new(format!("/proc/self/fd/{fd}")) else {
        return 0;
    };
    usize::try_from(sys::readlink(&link, to)).unwrap_or(0)
}

/// Whether the path is this process's `/proc/.../exe`, which leads to the agent.
#[must_use]
pub fn is_own_exe(path: u64) -> bool {
    // Nearly every path ends here.
    let mut head = [0u8; 6];
    if path == 0 || !memory::try_copy_out(path, &mut head) || head != *b"/proc/" {
        return false;
    }
    memory::try_c_string(path, 64, 0)
        .is_ok_and(|p| p == b"/proc/self/exe" || p == b"/proc/thread-self/exe" || p == format!("/proc/{}/exe", sys::pid()).as_bytes())
}

/// Whether the descriptor is one of the agent's.
pub(super) fn is_private(agent: &mut Agent, fd: u64) -> bool {
    let fd = fd & 0xffff_ffff;
    let r = agent.recorder();
    r.log.fd() == fd || crate::diag::fd() == fd || r.sharing.fd() == Some(fd)
}

/// Moves the agent's descriptor from a number the program wants.
fn make_way(agent: &mut Agent, fd: u64) {
    let moved = log::private_copy(fd);
    if moved == fd {
        return;
    }
    if crate::diag::fd() == fd {
        crate::diag::set_fd(moved);
    } else {
        agent.recorder().log.set_fd(moved);
    }
}

/// Calls the agent answers itself: reading the link `/proc/self/exe`, listing, closing or replacing its own descriptors.
pub fn intercepted(agent: &mut Agent, number: u64, a: &[u64; 6], fix: &mut Fixed) -> Option<i64> {
    let ret = match number {
        nr::READLINK if is_own_exe(a[0]) => exe_link(agent, a[1], a[2]),
        nr::READLINKAT if is_own_exe(a[1]) => exe_link(agent, a[2], a[3]),
        nr::GETDENTS64 => listing::without_private(agent, a)?,
        nr::CLOSE | nr::FSTAT | nr::FCNTL | nr::DUP | nr::LSEEK if is_private(agent, a[0]) => -errno::EBADF,
        nr::NEWFSTATAT if a[3] & EMPTY_PATH != 0 && is_private(agent, a[0]) => -errno::EBADF,
        nr::STATX if a[2] & EMPTY_PATH != 0 && is_private(agent, a[0]) => -errno::EBADF,
        // Its lock would go with it.
        nr::DUP2 | nr::DUP3 if agent.recorder().sharing.fd() == Some(a[1] & 0xffff_ffff) => -errno::EBADF,
        nr::DUP2 | nr::DUP3 if is_private(agent, a[1]) => {
            // A vfork child replaces a copy of its own.
            if !agent.thread().vfork {
                make_way(agent, a[1] & 0xffff_ffff);
            }
            return None;
        }
        _ => return None,
    };
    fix.ret = ret;
    Some(ret)
}

fn exe_link(agent: &Agent, to: u64, size: u64) -> i64 {
    let size = size as i32;
    if size <= 0 {
        return -errno::EINVAL;
    }
    let n = agent.program.len().min(size.unsigned_abs() as usize);
    if memory::try_copy_in(to, &agent.program[..n]) {
        n as i64
    } else {
        -errno::EFAULT
    }
}

/// What an intercepted call wrote.
#[must_use]
pub fn answered(number: u64, a: &[u64; 6], ret: i64) -> alloc::vec::Vec<Span> {
    let addr = match number {
        nr::READLINK | nr::GETDENTS64 => a[1],
        nr::READLINKAT => a[2],
        _ => return alloc::vec::Vec::new(),
    };
    if ret > 0 {
        alloc::vec![Span {
            addr,
            len: ret.cast_unsigned()
        }]
    } else {
        alloc::vec::Vec::new()
    }
}

/// Arguments with `/proc/self/exe` replaced by the program's path, where a call follows the link.
#[must_use]
pub fn substitute(agent: &Agent, number: u64, mut a: [u64; 6]) -> [u64; 6] {
    const NOFOLLOW: u64 = 0x100;
    let at = match number {
        nr::OPEN | nr::STAT | nr::ACCESS | nr::EXECVE => 0,
        nr::OPENAT | nr::FACCESSAT | nr::FACCESSAT2 => 1,
        nr::NEWFSTATAT if a[3] & NOFOLLOW == 0 => 1,
        nr::STATX if a[2] & NOFOLLOW == 0 => 1,
        _ => return a,
    };
    if is_own_exe(a[at]) {
        a[at] = agent.program_c.as_ptr() as u64;
    }
    a
}

/// close_range(2) around the agent's descriptors.
pub fn close_range(agent: &mut Agent, a: &[u64; 6]) -> i64 {
    let (mut first, last, flags) = (a[0] & 0xffff_ffff, a[1] & 0xffff_ffff, a[2]);
    let shared = agent.recorder().sharing.fd();
    let mut own = [agent.recorder().log.fd(), crate::diag::fd(), shared.unwrap_or(u64::MAX)];
    own.sort_unstable();
    for fd in own {
        if fd >= first && fd <= last {
            if fd > first {
                let r = sys::raw(436, [first, fd - 1, flags, 0, 0, 0]);
                if r < 0 {
                    return r;
                }
            }
            first = fd + 1;
        }
    }
    let r = if first <= last {
        sys::raw(436, [first, last, flags, 0, 0, 0])
    } else {
        0
    };
    if r == 0 && flags & 4 == 0 {
        agent.recorder().outputs.closed(a[0] & 0xffff_ffff, last);
    }
    r
}
