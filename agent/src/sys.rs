//! The agent's own system calls, typed. Not here: the program's (see `syscalls`, `record`, `replay`).
//!
//! # Safety
//! This room may use `unsafe`: each function makes one system call whose memory effects are its arguments'.
#![allow(unsafe_code)]

use crate::arch::syscall::syscall;

/// System call numbers (asm/unistd_64.h) the agent names.
#[allow(missing_docs)]
pub mod nr {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const OPEN: u64 = 2;
    pub const CLOSE: u64 = 3;
    pub const STAT: u64 = 4;
    pub const FSTAT: u64 = 5;
    pub const POLL: u64 = 7;
    pub const LSEEK: u64 = 8;
    pub const MMAP: u64 = 9;
    pub const MPROTECT: u64 = 10;
    pub const MUNMAP: u64 = 11;
    pub const BRK: u64 = 12;
    pub const RT_SIGACTION: u64 = 13;
    pub const RT_SIGPROCMASK: u64 = 14;
    pub const RT_SIGRETURN: u64 = 15;
    pub const IOCTL: u64 = 16;
    pub const PREAD64: u64 = 17;
    pub const PWRITE64: u64 = 18;
    pub const READV: u64 = 19;
    pub const WRITEV: u64 = 20;
    pub const ACCESS: u64 = 21;
    pub const SCHED_YIELD: u64 = 24;
    pub const MREMAP: u64 = 25;
    pub const MADVISE: u64 = 28;
    pub const DUP: u64 = 32;
    pub const DUP2: u64 = 33;
    pub const NANOSLEEP: u64 = 35;
    pub const GETPID: u64 = 39;
    pub const RECVFROM: u64 = 45;
    pub const SENDMSG: u64 = 46;
    pub const RECVMSG: u64 = 47;
    pub const CLONE: u64 = 56;
    pub const FORK: u64 = 57;
    pub const VFORK: u64 = 58;
    pub const EXECVE: u64 = 59;
    pub const PERSONALITY: u64 = 135;
    pub const EXIT: u64 = 60;
    pub const WAIT4: u64 = 61;
    pub const KILL: u64 = 62;
    pub const FCNTL: u64 = 72;
    pub const FLOCK: u64 = 73;
    pub const FTRUNCATE: u64 = 77;
    pub const GETCWD: u64 = 79;
    pub const RENAME: u64 = 82;
    pub const MKDIR: u64 = 83;
    pub const RMDIR: u64 = 84;
    pub const LINK: u64 = 86;
    pub const UNLINK: u64 = 87;
    pub const READLINK: u64 = 89;
    pub const SIGALTSTACK: u64 = 131;
    pub const PRCTL: u64 = 157;
    pub const ARCH_PRCTL: u64 = 158;
    pub const SEMCTL: u64 = 66;
    pub const GETTIMEOFDAY: u64 = 96;
    pub const GETRLIMIT: u64 = 97;
    pub const SETRLIMIT: u64 = 160;
    pub const GETTID: u64 = 186;
    pub const TKILL: u64 = 200;
    pub const TIME: u64 = 201;
    pub const FUTEX: u64 = 202;
    pub const SET_TID_ADDRESS: u64 = 218;
    pub const GETDENTS64: u64 = 217;
    pub const CLOCK_GETTIME: u64 = 228;
    pub const CLOCK_NANOSLEEP: u64 = 230;
    pub const EXIT_GROUP: u64 = 231;
    pub const WAITID: u64 = 247;
    pub const TGKILL: u64 = 234;
    pub const OPENAT: u64 = 257;
    pub const NEWFSTATAT: u64 = 262;
    pub const READLINKAT: u64 = 267;
    pub const FACCESSAT: u64 = 269;
    pub const FACCESSAT2: u64 = 439;
    pub const STATX: u64 = 332;
    pub const PSELECT6: u64 = 270;
    pub const PPOLL: u64 = 271;
    pub const SET_ROBUST_LIST: u64 = 273;
    pub const EPOLL_PWAIT: u64 = 281;
    pub const SENDFILE: u64 = 40;
    pub const RT_SIGTIMEDWAIT: u64 = 128;
    pub const RT_SIGQUEUEINFO: u64 = 129;
    pub const TIMER_CREATE: u64 = 222;
    pub const TIMER_SETTIME: u64 = 223;
    pub const TIMER_DELETE: u64 = 226;
    pub const RT_TGSIGQUEUEINFO: u64 = 297;
    pub const SPLICE: u64 = 275;
    pub const PWRITEV: u64 = 296;
    pub const PWRITEV2: u64 = 328;
    pub const FALLOCATE: u64 = 285;
    pub const DUP3: u64 = 292;
    pub const PREADV: u64 = 295;
    pub const GETCPU: u64 = 309;
    pub const GETRANDOM: u64 = 318;
    pub const EXECVEAT: u64 = 322;
    pub const RECVMMSG: u64 = 299;
    pub const SENDMMSG: u64 = 307;
    pub const MSGRCV: u64 = 70;
    pub const COPY_FILE_RANGE: u64 = 326;
    pub const PREADV2: u64 = 327;
    pub const CLONE3: u64 = 435;
    pub const EPOLL_PWAIT2: u64 = 441;
    pub const RT_SIGSUSPEND: u64 = 130;
}

/// Error numbers (asm-generic/errno*.h), positive.
#[allow(missing_docs)]
pub mod errno {
    pub const EPERM: i64 = 1;
    pub const ENOENT: i64 = 2;
    pub const ESRCH: i64 = 3;
    pub const EINTR: i64 = 4;
    pub const ENXIO: i64 = 6;
    pub const ENOEXEC: i64 = 8;
    pub const EBADF: i64 = 9;
    pub const E2BIG: i64 = 7;
    pub const EAGAIN: i64 = 11;
    pub const ENOMEM: i64 = 12;
    pub const EACCES: i64 = 13;
    pub const EFAULT: i64 = 14;
    pub const EEXIST: i64 = 17;
    pub const ENAMETOOLONG: i64 = 36;
    pub const EINVAL: i64 = 22;
    pub const ENOSPC: i64 = 28;
    pub const ENOSYS: i64 = 38;
    pub const ELOOP: i64 = 40;
    pub const ETIMEDOUT: i64 = 110;
    pub const EDQUOT: i64 = 122;
}

/// mmap(2) bits.
#[allow(missing_docs)]
pub mod map {
    pub const READ: u64 = 1;
    pub const WRITE: u64 = 2;
    pub const EXEC: u64 = 4;
    pub const SHARED: u64 = 1;
    pub const PRIVATE: u64 = 2;
    pub const FIXED: u64 = 0x10;
    pub const ANONYMOUS: u64 = 0x20;
    pub const NORESERVE: u64 = 0x4000;
    pub const FIXED_NOREPLACE: u64 = 0x10_0000;
}

const O_CLOEXEC: u64 = 0o2_000_000;
/// No descriptor.
pub const NO_FD: u64 = u64::MAX;

macro_rules! call {
    ($nr:expr) => {
        call!($nr, 0, 0, 0, 0, 0, 0)
    };
    ($nr:expr, $a:expr) => {
        call!($nr, $a, 0, 0, 0, 0, 0)
    };
    ($nr:expr, $a:expr, $b:expr) => {
        call!($nr, $a, $b, 0, 0, 0, 0)
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr) => {
        call!($nr, $a, $b, $c, 0, 0, 0)
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr) => {
        call!($nr, $a, $b, $c, $d, 0, 0)
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
        call!($nr, $a, $b, $c, $d, $e, 0)
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        // SAFETY: see the function this stands in.
        unsafe { syscall($nr, [$a, $b, $c, $d, $e, $f]) }
    };
}

/// open(2) of a NUL-terminated path, close-on-exec.
pub fn open(path: &core::ffi::CStr, flags: u64, mode: u64) -> i64 {
    call!(nr::OPEN, path.as_ptr() as u64, flags | O_CLOEXEC, mode)
}

/// close(2).
pub fn close(fd: u64) {
    call!(nr::CLOSE, fd);
}

/// write(2), whole.
pub fn write_all(fd: u64, mut bytes: &[u8]) -> Result<(), i64> {
    while !bytes.is_empty() {
        match call!(nr::WRITE, fd, bytes.as_ptr() as u64, bytes.len() as u64) {
            n if n > 0 => bytes = &bytes[n as usize..],
            e if e == -errno::EINTR => {}
            e => return Err(-e),
        }
    }
    Ok(())
}

/// read(2).
pub fn read(fd: u64, to: &mut [u8]) -> i64 {
    call!(nr::READ, fd, to.as_mut_ptr() as u64, to.len() as u64)
}

/// pread64(2).
pub fn pread(fd: u64, to: &mut [u8], at: u64) -> i64 {
    call!(nr::PREAD64, fd, to.as_mut_ptr() as u64, to.len() as u64, at)
}

/// fstat(2): the words of `struct stat`.
pub fn fstat(fd: u64) -> Result<[u64; 18], i64> {
    let mut st = [0u64; 18];
    match call!(nr::FSTAT, fd, st.as_mut_ptr() as u64) {
        0 => Ok(st),
        e => Err(-e),
    }
}

/// mmap(2) at a fixed place of the agent's (above the program) or, in replay, of the program's.
pub fn mmap(addr: u64, len: u64, prot: u64, flags: u64, fd: u64, offset: u64) -> i64 {
    call!(nr::MMAP, addr, len, prot, flags, fd, offset)
}

/// Anonymous private memory of the agent's at a fixed address, reserved lazily. Exits with a report when the kernel has none.
pub fn reserve(addr: u64, len: u64, prot: u64) {
    let flags = map::PRIVATE | map::ANONYMOUS | map::NORESERVE | map::FIXED_NOREPLACE;
    let r = mmap(addr, len, prot, flags, NO_FD, 0);
    if r.cast_unsigned() != addr {
        crate::diag::say!("cannot reserve {len:#x} bytes at {addr:#x} (error {}); is `ulimit -v` set?", -r);
        exit_group(125);
    }
}

/// munmap(2).
pub fn munmap(addr: u64, len: u64) -> i64 {
    call!(nr::MUNMAP, addr, len)
}

/// A raw system call on the agent's behalf whose arguments point nowhere or to program memory.
///
/// Safe under the rule of `memory`: program memory holds no Rust object. The caller must not pass agent addresses.
pub fn raw(number: u64, args: [u64; 6]) -> i64 {
    // SAFETY: memory the call may write is the program's.
    unsafe { syscall(number, args) }
}

/// exit_group(2).
pub fn exit_group(status: u32) -> ! {
    loop {
        call!(nr::EXIT_GROUP, u64::from(status));
    }
}

/// exit(2) of this thread.
pub fn exit_thread() -> ! {
    loop {
        call!(nr::EXIT, 0);
    }
}

/// Nanoseconds of a clock.
pub fn clock(id: u64) -> u64 {
    let mut ts = [0u64; 2];
    call!(nr::CLOCK_GETTIME, id, ts.as_mut_ptr() as u64);
    ts[0] * 1_000_000_000 + ts[1]
}

/// prctl(2) without pointers.
pub fn prctl(option: u64, a: u64, b: u64, c: u64, d: u64) -> i64 {
    call!(nr::PRCTL, option, a, b, c, d)
}

/// arch_prctl(2) without pointers.
pub fn arch_prctl(code: u64, value: u64) -> i64 {
    call!(nr::ARCH_PRCTL, code, value)
}

/// futex(2) wait: returns when `*word` differs from `value`, or after a wake-up.
pub fn futex_wait(word: &core::sync::atomic::AtomicU32, value: u32) {
    call!(nr::FUTEX, word.as_ptr() as u64, 128, u64::from(value), 0);
}

/// The same for at most so many nanoseconds (below a second). False when they are over.
pub fn futex_wait_for(word: &core::sync::atomic::AtomicU32, value: u32, nanoseconds: u64) -> bool {
    let limit = [0, nanoseconds];
    call!(nr::FUTEX, word.as_ptr() as u64, 128, u64::from(value), limit.as_ptr() as u64) != -errno::ETIMEDOUT
}

/// nanosleep(2), below a second, or until a signal is handled.
pub fn sleep(nanoseconds: u64) {
    let time = [0, nanoseconds];
    call!(nr::NANOSLEEP, time.as_ptr() as u64, 0);
}

/// futex(2) wake-up of all waiters.
pub fn futex_wake(word: &core::sync::atomic::AtomicU32) {
    call!(nr::FUTEX, word.as_ptr() as u64, 129, 0x7fff_ffff);
}

/// fcntl(2) without pointers.
pub fn fcntl(fd: u64, cmd: u64, arg: u64) -> i64 {
    call!(nr::FCNTL, fd, cmd, arg)
}

/// flock(2), exclusive, without waiting: held as long as the file is open in any process.
pub fn lock(fd: u64) -> i64 {
    const LOCK_EX: u64 = 2;
    const LOCK_NB: u64 = 4;
    call!(nr::FLOCK, fd, LOCK_EX | LOCK_NB)
}

/// ftruncate(2).
pub fn ftruncate(fd: u64, len: u64) -> i64 {
    call!(nr::FTRUNCATE, fd, len)
}

/// lseek(2).
pub fn seek(fd: u64, offset: u64, whence: u64) -> i64 {
    call!(nr::LSEEK, fd, offset, whence)
}

/// fallocate(2), mode 0.
pub fn fallocate(fd: u64, offset: u64, len: u64) -> i64 {
    call!(nr::FALLOCATE, fd, 0, offset, len)
}

/// link(2).
pub fn link(from: &core::ffi::CStr, to: &core::ffi::CStr) -> i64 {
    call!(nr::LINK, from.as_ptr() as u64, to.as_ptr() as u64)
}

/// rename(2).
pub fn rename(from: &core::ffi::CStr, to: &core::ffi::CStr) -> i64 {
    call!(nr::RENAME, from.as_ptr() as u64, to.as_ptr() as u64)
}

/// unlink(2).
pub fn unlink(path: &core::ffi::CStr) -> i64 {
    call!(nr::UNLINK, path.as_ptr() as u64)
}

/// readlink(2) into `to`: its length.
pub fn readlink(path: &core::ffi::CStr, to: &mut [u8]) -> i64 {
    call!(nr::READLINK, path.as_ptr() as u64, to.as_mut_ptr() as u64, to.len() as u64)
}

/// getcwd(2) into `to`: its length, NUL included.
pub fn getcwd(to: &mut [u8]) -> i64 {
    call!(nr::GETCWD, to.as_mut_ptr() as u64, to.len() as u64)
}

/// getrandom(2).
pub fn random(to: &mut [u8]) {
    call!(nr::GETRANDOM, to.as_mut_ptr() as u64, to.len() as u64, 0);
}

/// ioctl(2) `FICLONE`: shares the blocks of `from`.
pub fn clone_file(to: u64, from: u64) -> i64 {
    call!(nr::IOCTL, to, 0x4004_9409, from)
}

/// copy_file_range(2) at the files' own offsets.
pub fn copy_file_range(from: u64, to: u64, len: u64) -> i64 {
    call!(nr::COPY_FILE_RANGE, from, 0, to, 0, len, 0)
}

/// The kernel's `struct sigaction`: handler, flags, restorer, mask.
pub type KernelAction = [u64; 4];

/// rt_sigaction(2) for this process.
pub fn set_action(signal: u64, action: &KernelAction) -> i64 {
    call!(nr::RT_SIGACTION, signal, action.as_ptr() as u64, 0, 8)
}

/// sigaltstack(2) for this thread.
pub fn set_signal_stack(base: u64, size: u64) -> i64 {
    let stack = [base, 0, size];
    call!(nr::SIGALTSTACK, stack.as_ptr() as u64, 0)
}

/// rt_sigprocmask(2): sets this thread's mask.
pub fn set_mask(mask: u64) {
    call!(nr::RT_SIGPROCMASK, 2, (&raw const mask) as u64, 0, 8);
}

/// The same; the mask before.
#[must_use]
pub fn swap_mask(mask: u64) -> u64 {
    let mut old = 0u64;
    call!(nr::RT_SIGPROCMASK, 2, (&raw const mask) as u64, (&raw mut old) as u64, 8);
    old
}

/// Blocks a signal for this thread (rt_sigprocmask(2)), and takes all that wait already (rt_sigtimedwait(2)).
pub fn hold_signal(signal: u64) {
    let (set, now) = (1u64 << (signal - 1), [0u64; 2]);
    call!(nr::RT_SIGPROCMASK, 0, (&raw const set) as u64, 0, 8);
    while call!(nr::RT_SIGTIMEDWAIT, (&raw const set) as u64, 0, now.as_ptr() as u64, 8) > 0 {}
}

/// tgkill(2).
pub fn tgkill(pid: u64, tid: u64, signal: u64) -> i64 {
    call!(nr::TGKILL, pid, tid, signal)
}

/// rt_tgsigqueueinfo(2), to a thread of this process.
pub fn queue_signal(tid: u64, signal: u64, info: &[u8; 128]) -> i64 {
    call!(nr::RT_TGSIGQUEUEINFO, pid(), tid, signal, info.as_ptr() as u64)
}

/// timer_create(2) of a monotonic clock that sends a thread a signal with a value (`SIGEV_THREAD_ID`). Its number.
pub fn make_timer(tid: u64, signal: u64, value: u64) -> Option<u64> {
    // struct sigevent: value, signal, notification, thread.
    let event = [value, signal | 4 << 32, tid, 0, 0, 0, 0, 0];
    let mut id = 0u32;
    let r = call!(nr::TIMER_CREATE, 1, event.as_ptr() as u64, (&raw mut id) as u64);
    (r == 0).then_some(u64::from(id))
}

/// timer_settime(2): once, after so many nanoseconds (below a second).
pub fn set_timer(id: u64, nanoseconds: u64) {
    let when = [0, 0, 0, nanoseconds];
    call!(nr::TIMER_SETTIME, id, 0, when.as_ptr() as u64, 0);
}

/// timer_delete(2).
pub fn delete_timer(id: u64) {
    call!(nr::TIMER_DELETE, id);
}

/// getpid(2).
pub fn pid() -> u64 {
    call!(nr::GETPID).cast_unsigned()
}

/// A copy of this process that is a child of `CLONE_PARENT`'s parent (0x8000) or ours (0): 0 in the copy.
pub fn fork(flags: u64) -> i64 {
    // SIGCHLD as exit signal is inherited from the calling process under CLONE_PARENT.
    call!(nr::CLONE, flags | 17, 0, 0, 0, 0)
}

/// setrlimit(2): resource, soft, hard.
pub fn set_limit(resource: u64, soft: u64, hard: u64) -> i64 {
    let lim = [soft, hard];
    call!(nr::SETRLIMIT, resource, lim.as_ptr() as u64)
}

/// getrlimit(2): soft, hard.
pub fn limit(resource: u64) -> (u64, u64) {
    let mut lim = [0u64; 2];
    call!(nr::GETRLIMIT, resource, lim.as_mut_ptr() as u64);
    (lim[0], lim[1])
}

/// prctl(2) `PR_SET_NAME`: what ps shows.
pub fn name_process(name: &[u8]) {
    let mut n = [0u8; 16];
    let l = name.len().min(15);
    n[..l].copy_from_slice(&name[..l]);
    call!(nr::PRCTL, 15, n.as_ptr() as u64);
}

/// A system call that a signal noted in `wanted` interrupts, even between the check and the kernel's entry.
pub fn interruptible(number: u64, args: &[u64; 6], wanted: &core::sync::atomic::AtomicU64) -> i64 {
    // SAFETY: as `raw`; both pointers are valid for reading during the call.
    unsafe { crate::arch::entry::rdb_blocking(number, args.as_ptr(), wanted.as_ptr()) }
}

/// A raw system call with pointers to the agent's own memory.
pub fn raw_agent_pointers(number: u64, args: [u64; 6]) -> i64 {
    // SAFETY: the caller passes pointers to live memory of its own, large enough for what the call writes.
    unsafe { syscall(number, args) }
}
