//! The program's memory, seen from the agent.
//!
//! Agent and program share an address space but no object: the program lives below [`crate::layout::PROGRAM_END`], the agent's
//! Rust memory above it. So reading or writing a program address can never break an invariant of Rust code; the worst is a
//! fault, which ends the process with a report. That is why these functions are safe, and why they check the bound.
//!
//! Where a pointer comes straight from the program and no kernel has yet tried it, the `try_` forms are used: a bad one is then
//! the program's `EFAULT`, not the agent's fault.
//!
//! # Safety
//! This room may use `unsafe`: every access goes through `check`, or (for `patch`) through the kernel.
#![allow(unsafe_code)]

pub mod maps;
pub mod placement;
mod protection;

use crate::arch::entry::rdb_copy;
use crate::arch::syscall::syscall;
use crate::layout::PROGRAM_END;
use crate::sys::errno;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

/// Types any bit pattern of which is a value.
///
/// # Safety
/// Implement only for such types, without padding.
pub unsafe trait Plain: Copy {}
// SAFETY: integers have no invalid bit patterns and no padding.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}

#[inline(always)]
fn check(addr: u64, len: u64) {
    // On the host (tests, the dispatch check) there is no agent image to protect and the program is wherever the kernel put it.
    if cfg!(target_os = "none") && addr.saturating_add(len) > PROGRAM_END {
        crate::fatal::foreign_address(addr);
    }
}

/// The value at `addr`.
#[inline(always)]
#[must_use]
pub fn get<T: Plain>(addr: u64) -> T {
    check(addr, size_of::<T>() as u64);
    // SAFETY: a program address (checked), so no Rust object is aliased; any bit pattern is a `T`. An unmapped address faults.
    unsafe { (addr as *const T).read_unaligned() }
}

/// Writes `value` at `addr`.
#[inline(always)]
pub fn put<T: Plain>(addr: u64, value: T) {
    check(addr, size_of::<T>() as u64);
    // SAFETY: a program address (checked), so no Rust object is aliased. An unmapped address faults.
    unsafe { (addr as *mut T).write_unaligned(value) }
}

/// Copies program memory out.
pub fn copy_out(addr: u64, to: &mut [u8]) {
    check(addr, to.len() as u64);
    // SAFETY: as in `get`; `to` is ours and cannot overlap program memory.
    unsafe { core::ptr::copy_nonoverlapping(addr as *const u8, to.as_mut_ptr(), to.len()) }
}

/// Copies into program memory.
pub fn copy_in(addr: u64, from: &[u8]) {
    check(addr, from.len() as u64);
    // SAFETY: as in `put`; `from` is ours and cannot overlap program memory.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), addr as *mut u8, from.len()) }
}

/// Whether the range is the program's.
#[must_use]
pub fn is_program(addr: u64, len: u64) -> bool {
    !cfg!(target_os = "none") || addr.checked_add(len).is_some_and(|end| end <= PROGRAM_END)
}

/// Copies program memory out where a pointer is the program's word only; false when it cannot be read.
#[must_use]
pub fn try_copy_out(addr: u64, to: &mut [u8]) -> bool {
    // SAFETY: as in `copy_out`; a fault leads to the failed exit.
    is_program(addr, to.len() as u64) && unsafe { rdb_copy(to.as_mut_ptr() as u64, addr, to.len() as u64) == 0 }
}

/// Copies into program memory where a pointer is the program's word only; false when it cannot be written.
#[must_use]
pub fn try_copy_in(addr: u64, from: &[u8]) -> bool {
    // SAFETY: as in `copy_in`; a fault leads to the failed exit.
    is_program(addr, from.len() as u64) && unsafe { rdb_copy(addr, from.as_ptr() as u64, from.len() as u64) == 0 }
}

/// The value at an address that may be wrong.
#[must_use]
pub fn try_get<T: Plain + Default>(addr: u64) -> Option<T> {
    let mut value = T::default();
    // SAFETY: `value` is ours; any bit pattern is a `T`; a fault leads to the failed exit.
    let read = is_program(addr, size_of::<T>() as u64) && unsafe { rdb_copy((&raw mut value) as u64, addr, size_of::<T>() as u64) == 0 };
    read.then_some(value)
}

/// How many of the `len` bytes at an address that may be wrong can be read before a page that cannot.
#[must_use]
pub fn readable(addr: u64, len: u64) -> u64 {
    const PAGE: u64 = 4096;
    let mut read = 0;
    while read < len && try_get::<u8>(addr.wrapping_add(read)).is_some() {
        read += PAGE - (addr.wrapping_add(read) & (PAGE - 1));
    }
    read.min(len)
}

/// Words at an address that may be wrong.
#[must_use]
pub fn try_words<const N: usize>(addr: u64) -> Option<[u64; N]> {
    let mut words = [0u64; N];
    for (i, w) in words.iter_mut().enumerate() {
        *w = try_get(addr.wrapping_add(8 * i as u64))?;
    }
    Some(words)
}

/// Writes words at an address that may be wrong; false when it cannot be written.
#[must_use]
pub fn try_put_words(addr: u64, words: &[u64]) -> bool {
    // SAFETY: as in `try_copy_in`.
    is_program(addr, size_of_val(words) as u64) && unsafe { rdb_copy(addr, words.as_ptr() as u64, size_of_val(words) as u64) == 0 }
}

/// A NUL-terminated string without its NUL, at an address that may be wrong.
///
/// # Errors
/// `EFAULT`, or `too_long` when no NUL comes within `most` bytes.
pub fn try_c_string(addr: u64, most: usize, too_long: i64) -> Result<Vec<u8>, i64> {
    let mut v = Vec::new();
    while v.len() < most {
        match try_get::<u8>(addr.wrapping_add(v.len() as u64)) {
            None => return Err(errno::EFAULT),
            Some(0) => return Ok(v),
            Some(b) => v.push(b),
        }
    }
    Err(too_long)
}

/// A NUL-terminated string of the program's own making, without its NUL.
#[must_use]
pub fn c_string(addr: u64) -> Vec<u8> {
    let mut v = Vec::new();
    loop {
        let b: u8 = get(addr + v.len() as u64);
        if b == 0 {
            return v;
        }
        v.push(b);
    }
}

/// Whether this process may open nothing for writing.
static CONFINED: AtomicBool = AtomicBool::new(false);

/// From now on nothing is opened for writing.
pub fn confine() {
    CONFINED.store(true, Ordering::Relaxed);
}

/// Writes into program memory whatever its protection, without changing protections or mappings: through
/// `/proc/self/mem` (proc(5)), which the kernel lets a process write regardless. Returns false when it would not. A confined process
/// changes the protection for as long as it writes.
///
/// The descriptor is opened anew each time: one kept across a fork would write into the parent.
#[must_use]
pub fn patch(addr: u64, bytes: &[u8]) -> bool {
    check(addr, bytes.len() as u64);
    if CONFINED.load(Ordering::Relaxed) {
        return protection::write(addr, bytes);
    }
    const O_RDWR_CLOEXEC: u64 = 0o2_000_002;
    // SAFETY: open(2), pwrite64(2) and close(2) with memory of ours; the write lands in program memory (checked).
    unsafe {
        let fd = syscall(2, [c"/proc/self/mem".as_ptr() as u64, O_RDWR_CLOEXEC, 0, 0, 0, 0]);
        if fd < 0 {
            return false;
        }
        let n = syscall(18, [fd.cast_unsigned(), bytes.as_ptr() as u64, bytes.len() as u64, addr, 0, 0]);
        syscall(3, [fd.cast_unsigned(), 0, 0, 0, 0, 0]);
        n == bytes.len() as i64
    }
}

/// Whether up to 512 bytes at `addr` can be read, found out without a fault.
#[must_use]
pub fn can_read(addr: u64, len: u64) -> bool {
    const O_CLOEXEC: u64 = 0o2_000_000;
    let mut copy = [0_u8; 512];
    let len = len.min(512);
    // SAFETY: open(2), pread64(2) and close(2) with memory of ours, which the read fills.
    unsafe {
        let fd = syscall(2, [c"/proc/self/mem".as_ptr() as u64, O_CLOEXEC, 0, 0, 0, 0]);
        if fd < 0 {
            return false;
        }
        let n = syscall(17, [fd.cast_unsigned(), copy.as_mut_ptr() as u64, len, addr, 0, 0]);
        syscall(3, [fd.cast_unsigned(), 0, 0, 0, 0, 0]);
        n.cast_unsigned() == len
    }
}
