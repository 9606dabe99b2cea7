//! Where the program's mappings go: addresses of the agent's choice, never given out twice and never on top of what is there.

use crate::layout::PROGRAM_END;
use crate::state::{Agent, page_up};
use crate::sys::{self, errno, map};

/// Lowest address a hint may ask for (`vm.mmap_min_addr`).
const LOWEST: u64 = 0x1_0000;
/// Largest mapping.
const LARGEST: u64 = 1 << 43;
/// The program names the place itself.
const NAMED: u64 = map::FIXED | map::FIXED_NOREPLACE;

/// mmap(2): at the place the program insists on, at its hint where that is free, else where the agent puts it.
pub fn map(agent: &mut Agent, a: &[u64; 6]) -> i64 {
    let len = page_up(a[1]);
    if a[3] & NAMED != 0 {
        agent.sites.forget(a[0], a[1]);
        return match a[0].checked_add(a[1]) {
            Some(end) if end <= PROGRAM_END => sys::mmap(a[0], a[1], a[2], a[3], a[4], a[5]),
            _ => -errno::ENOMEM,
        };
    }
    if a[1] == 0 {
        return -errno::EINVAL;
    }
    if len > LARGEST {
        return -errno::ENOMEM;
    }
    let at = |place: u64| sys::mmap(place, a[1], a[2], a[3] | map::FIXED_NOREPLACE, a[4], a[5]);
    let hint = a[0] & !4095;
    if hint >= LOWEST && hint.checked_add(len).is_some_and(|end| end <= PROGRAM_END) {
        let r = at(hint);
        if r != -errno::EEXIST {
            return r;
        }
    }
    // What the program mapped at places of its own lies in the way now and then.
    let (next, mut skip) = (agent.mmap_next, 0);
    let r = loop {
        let Some(place) = agent.take_addresses(len + skip) else {
            break -errno::ENOMEM;
        };
        let r = at(place);
        if r != -errno::EEXIST {
            break r;
        }
        skip = len.max(skip * 2);
    };
    if r < 0 {
        // Replay, which does not make failed mappings, must not fall behind.
        agent.mmap_next = next;
    }
    r
}

/// Follows a recorded mapping, so that the next choice is the recording's.
pub fn mapped(agent: &mut Agent, a: &[u64; 6], at: u64) {
    if a[3] & NAMED != 0 {
        agent.sites.forget(a[0], a[1]);
    } else if at != a[0] & !4095 {
        agent.mmap_next = agent.mmap_next.min(at);
    }
}
