//! The time-stamp counter while recording. As long as every instruction of the program that reads it is known, and made to trap by
//! rewriting, the counter itself need not be trapped, and the agent reads clocks by the kernel's own vDSO, a tenth of a system call.
//!
//! From the first executable memory on of which that is not known, the counter is trapped in all threads, for good: in the thread that
//! maps it at once, in each other when it next takes the token, which is before it runs program code.
//!
//! # Safety
//! This room may use `unsafe` to read the kernel's vDSO and to call its function, which follows the C ABI and leaves vector registers alone.
#![allow(unsafe_code)]

use crate::load::elf::{u16_at, u32_at, u64_at};
use crate::sys;
use crate::threads::{current_slot, slot};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

/// personality(2): all that can be read can be executed.
pub const READ_IMPLIES_EXEC: u64 = 0x40_0000;
const PR_SET_TSC: u64 = 26;
/// Most bytes the kernel's vDSO may have.
const LARGEST: u64 = 16 << 10;

/// The counter is trapped, or to be.
static TRAPPED: AtomicBool = AtomicBool::new(true);
/// The kernel's vDSO, and its clock_gettime(2).
static VDSO: AtomicU64 = AtomicU64::new(0);
static CLOCK: AtomicU64 = AtomicU64::new(0);

/// Leaves the counter alone, before any program code runs, if there is a vDSO (`AT_SYSINFO_EHDR`) that reads clocks.
pub fn begin(auxv: &[(u64, u64)]) {
    const AT_SYSINFO_EHDR: u64 = 33;
    let Some((_, at)) = auxv.iter().find(|(tag, _)| *tag == AT_SYSINFO_EHDR) else {
        return;
    };
    if is_all_executable() {
        return;
    }
    // SAFETY: the kernel maps its vDSO there, a page at least, for as long as the process lives.
    let first = unsafe { core::slice::from_raw_parts(*at as *const u8, 4096) };
    if let Some(offset) = function(first, *at, b"__vdso_clock_gettime\0") {
        VDSO.store(*at, Relaxed);
        CLOCK.store(*at + offset, Relaxed);
        TRAPPED.store(false, SeqCst);
    }
}

/// Whether what is mapped to be read can be executed, whatever is asked for: execve(2) leaves that as it is.
fn is_all_executable() -> bool {
    sys::raw(sys::nr::PERSONALITY, [0xffff_ffff, 0, 0, 0, 0, 0]).cast_unsigned() & READ_IMPLIES_EXEC != 0
}

/// Offset of a function of the vDSO at `base`, whose headers are `head`.
fn function(head: &[u8], base: u64, name: &[u8]) -> Option<u64> {
    const PT_LOAD: u32 = 1;
    const PT_DYNAMIC: u32 = 2;
    const DT_STRTAB: u64 = 5;
    const DT_SYMTAB: u64 = 6;
    let table = head.get(u64_at(head, 32) as usize..)?;
    let segments = || table.chunks_exact(56).take(usize::from(u16_at(head, 56)));
    let whole = segments().find(|p| u32_at(p, 0) == PT_LOAD)?;
    let size = u64_at(whole, 40).min(LARGEST);
    // SAFETY: the one segment that is loaded, as the vDSO's own headers tell it.
    let image = unsafe { core::slice::from_raw_parts(base as *const u8, size as usize) };
    let dynamic = segments().find(|p| u32_at(p, 0) == PT_DYNAMIC)?;
    let entries = image.get(u64_at(dynamic, 8) as usize..)?.chunks_exact(16);
    let value = |tag: u64| entries.clone().find(|e| u64_at(e, 0) == tag).map(|e| u64_at(e, 8) as usize);
    let (strings, symbols) = (value(DT_STRTAB)?, value(DT_SYMTAB)?);
    let symbol = image
        .get(symbols..strings)?
        .chunks_exact(24)
        .find(|s| image.get(strings + u32_at(s, 0) as usize..).is_some_and(|n| n.starts_with(name)))?;
    Some(u64_at(symbol, 8)).filter(|at| *at != 0 && *at < size)
}

/// Whether the counter is trapped in a thread that runs program code.
#[must_use]
pub fn is_trapped() -> bool {
    TRAPPED.load(SeqCst)
}

/// Traps the counter or not, in this thread.
pub fn apply(on: bool) {
    sys::prctl(PR_SET_TSC, if on { 2 } else { 1 }, 0, 0, 0);
}

/// A thread begins: its slot may have been that of one in which the counter was trapped, before the program that had it was replaced.
pub fn begin_thread(n: usize) {
    slot(n).counter_traps.store(false, SeqCst);
}

/// From now on, in all threads.
pub fn trap() {
    if !TRAPPED.swap(true, SeqCst) {
        apply(true);
    }
}

/// The program's memory is gone, and what was in it: the only thread starts afresh.
pub fn again() {
    if CLOCK.load(Relaxed) != 0 && is_trapped() && !is_all_executable() {
        TRAPPED.store(false, SeqCst);
        slot(current_slot()).counter_traps.store(false, SeqCst);
        apply(false);
    }
}

/// A clock, by the kernel's vDSO; `None` where that is not to be used.
#[must_use]
pub fn clock(id: u64) -> Option<[u64; 2]> {
    if is_trapped() {
        return None;
    }
    let mut time = [0u64; 2];
    // SAFETY: found by `begin` in the kernel's vDSO; it writes two words. The counter is not trapped in this thread: it holds the token.
    let ret = unsafe {
        let read: extern "C" fn(u64, *mut u64) -> i32 = core::mem::transmute(CLOCK.load(Relaxed));
        read(id, time.as_mut_ptr())
    };
    (ret == 0).then_some(time)
}

/// Whether the kernel's vDSO makes a system call behind this address: the clock source is not the counter, or the clock is none that it reads.
#[must_use]
pub fn is_vdso(rip: u64) -> bool {
    let at = VDSO.load(Relaxed);
    at != 0 && (at..at + LARGEST).contains(&rip)
}
