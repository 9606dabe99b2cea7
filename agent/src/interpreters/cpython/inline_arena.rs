//! The memory of what is evaluated while the program runs: apart from the program's, given to the interpreter as its allocator for so
//! long as something is evaluated, and used again as soon as all that was taken has been given back.
//!
//! # Safety
//! This room may use `unsafe` for functions that the interpreter calls as its allocator: they follow that interface
//! (`PyMemAllocatorEx`, Doc/c-api/memory.rst).
#![allow(unsafe_code)]

use super::emit::map;
use super::layout::Free;
use crate::layout::{EVALUATION, EVALUATION_SIZE};
use crate::memory::{can_read, get, put};
use core::sync::atomic::{AtomicU64, Ordering};

const STACK_SIZE: u64 = 16 << 20;
/// The stack that is evaluated on.
pub(super) const STACK: u64 = EVALUATION + STACK_SIZE - 64;
/// Where blocks begin.
const BEGIN: u64 = EVALUATION + STACK_SIZE;
const END: u64 = EVALUATION + EVALUATION_SIZE;

/// No more wait to be used again.
const MOST_WAITING: u64 = 1 << 20;

/// Where the next block begins; before each block a word with its size.
static NEXT: AtomicU64 = AtomicU64::new(BEGIN);
/// Blocks taken and not given back.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// How much is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Where the next block begins.
    pub next: u64,
    taken: u64,
}

/// Maps it, once.
pub(super) fn open() -> Result<(), &'static str> {
    NEXT.store(BEGIN, Ordering::Relaxed);
    TAKEN.store(0, Ordering::Relaxed);
    map(EVALUATION, EVALUATION_SIZE, 3)
}

/// As the structure that the interpreter takes: context, malloc, calloc, realloc, free.
pub(super) fn allocator() -> [u64; 5] {
    [
        0,
        allocate as *const () as u64,
        allocate_zeroed as *const () as u64,
        reallocate as *const () as u64,
        release as *const () as u64,
    ]
}

pub(super) fn level() -> Level {
    Level {
        next: NEXT.load(Ordering::Relaxed),
        taken: TAKEN.load(Ordering::Relaxed),
    }
}

/// The same, so many blocks not counted.
pub(super) fn level_without(dead: u64) -> Level {
    let level = level();
    Level {
        taken: level.taken.saturating_sub(dead),
        ..level
    }
}

/// The level after an evaluation that began at `level`: where all that was taken since has been given back, but for `dead` blocks that
/// nobody knows any more, its memory is used again; what was kept stays. `None` where there is not much left.
pub(super) fn fall_to(level: Level, dead: u64) -> Option<Level> {
    TAKEN.fetch_sub(dead, Ordering::Relaxed);
    let taken = TAKEN.load(Ordering::Relaxed);
    let next = if taken <= level.taken {
        level.next
    } else {
        NEXT.load(Ordering::Relaxed)
    };
    NEXT.store(next, Ordering::Relaxed);
    (next < BEGIN + (END - BEGIN) / 2).then_some(Level { next, taken })
}

/// How many of the objects that wait to be used again lie here.
pub(super) fn waiting(lists: &[Free], interpreter: u64) -> u64 {
    let mut all = 0;
    for list in lists {
        match *list {
            Free::Chain { head, next } => {
                let mut object: u64 = get(interpreter + head);
                while object != 0 && all < MOST_WAITING {
                    all += u64::from(is_own(object));
                    object = get(object + next);
                }
            }
            Free::Array { items, count } => {
                let count = u64::from(get::<u32>(interpreter + count)).min(MOST_WAITING);
                all += (0..count).filter(|i| is_own(get(interpreter + items + 8 * i))).count() as u64;
            }
            Free::One { at } => all += u64::from(is_own(get(interpreter + at))),
        }
    }
    all
}

fn is_own(block: u64) -> bool {
    (BEGIN..END).contains(&block)
}

unsafe extern "sysv64" fn allocate(_: u64, size: u64) -> u64 {
    let size = size.max(1).saturating_add(31) & !15;
    let block = NEXT.load(Ordering::Relaxed) + 16;
    if size > EVALUATION_SIZE || block + size > END {
        return 0;
    }
    NEXT.store(block + size - 16, Ordering::Relaxed);
    TAKEN.fetch_add(1, Ordering::Relaxed);
    put(block - 8, size - 16);
    block
}

unsafe extern "sysv64" fn allocate_zeroed(context: u64, count: u64, size: u64) -> u64 {
    let Some(size) = count.checked_mul(size) else { return 0 };
    // SAFETY: as this one.
    let block = unsafe { allocate(context, size) };
    if block != 0 {
        (0..size.div_ceil(8)).for_each(|i| put(block + 8 * i, 0_u64));
    }
    block
}

unsafe extern "sysv64" fn reallocate(context: u64, old: u64, size: u64) -> u64 {
    // SAFETY: as this one.
    let new = unsafe { allocate(context, size) };
    if old == 0 || new == 0 {
        return new;
    }
    // How large a block of the program's is, is not known here: so much of what lies there as can be read.
    let mut rest = if is_own(old) { get::<u64>(old - 8).min(size) } else { size };
    while !is_own(old) && rest > 0 && !can_read(old, rest) {
        rest /= 2;
    }
    (0..rest).for_each(|i| put(new + i, get::<u8>(old + i)));
    // SAFETY: as this one.
    unsafe { release(context, old) };
    new
}

/// What is the program's is left alone: it has only lost it.
unsafe extern "sysv64" fn release(_: u64, block: u64) {
    if is_own(block) {
        TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}
