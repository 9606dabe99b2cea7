//! Robust futexes (Documentation/locking/robust-futexes.rst): what a thread holds at its end is marked as the owner's death. The
//! kernel would do it after the thread's last event, unseen; so the agent does, under the token.

use crate::memory::{try_copy_in, try_get, try_words};
use crate::state::Agent;
use crate::sys;
use crate::syscalls::Span;
use alloc::vec::Vec;

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3fff_ffff;
/// The kernel's own limit against circular lists.
const LIMIT: usize = 2048;

/// Marks what the running thread holds; the words changed.
pub fn release(agent: &mut Agent) -> Vec<Span> {
    let mut changed = Vec::new();
    let head = agent.thread().robust_list;
    let Some([first, offset, pending]) = try_words::<3>(head).filter(|_| head != 0) else {
        return changed;
    };
    let tid = sys::raw(sys::nr::GETTID, [0; 6]) as u32;
    let mut entry = first;
    for _ in 0..LIMIT {
        // Bit 0 tells a priority-inheriting futex.
        if entry & !1 == head {
            break;
        }
        if entry & !1 != pending & !1 {
            mark((entry & !1).wrapping_add(offset), tid, &mut changed);
        }
        let Some(next) = try_get(entry & !1) else { break };
        entry = next;
    }
    if pending & !1 != 0 {
        mark((pending & !1).wrapping_add(offset), tid, &mut changed);
    }
    changed
}

fn mark(word: u64, tid: u32, changed: &mut Vec<Span>) {
    let Some(value) = try_get::<u32>(word) else { return };
    if value & OWNER == tid && try_copy_in(word, &(value & WAITERS | OWNER_DIED).to_le_bytes()) {
        changed.push(Span { addr: word, len: 4 });
    }
}
