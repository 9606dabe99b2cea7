//! Instructions that are to trap and that the CPU lets pass are found in what is mapped, and rewritten: CPUID where the CPU cannot trap it, and
//! those that read the time-stamp counter ([`tsc`]).
//!
//! What is found in a file is kept beside its snapshot in the store, for it costs about a millisecond a megabyte. Replay needs no
//! search: the next event tells where the next CPUID is.

use crate::intercept::{Trapped, tsc};
use crate::load::cpuid::{self, Counter};
use crate::state::Agent;
use alloc::vec::Vec;

/// `len` bytes of the open file `fd`, from `offset`, have been mapped executable at `at`.
pub fn mapped(agent: &mut Agent, fd: u64, offset: u64, len: u64, at: u64) {
    counter(agent, fd, offset, len, at);
    if !agent.cpu.untrapped {
        return;
    }
    let snapshots = &agent.recorder().snapshots;
    let sites = match snapshots.note(fd, "cpuid") {
        Some(bytes) => bytes.chunks_exact(8).map(number).collect(),
        None => {
            let found = cpuid::find(fd);
            let bytes: Vec<u8> = found.iter().flat_map(|s| s.to_le_bytes()).collect();
            snapshots.take_note(fd, "cpuid", &bytes);
            found
        }
    };
    for site in sites.iter().filter(|s| (offset..offset.saturating_add(len)).contains(*s)) {
        agent.sites.trap_cpuid(at + (site - offset));
    }
}

/// A whole file has been loaded with this bias.
pub fn loaded(agent: &mut Agent, fd: u64, bias: u64) {
    let found = cpuid::executable(fd);
    if found.is_empty() {
        unknown_code(agent);
    }
    for (offset, address, len) in found {
        mapped(agent, fd, offset, len, bias + address);
    }
}

/// The same for instructions that read the time-stamp counter. Where they cannot all be told from other bytes, the pages in doubt are not
/// executable at first: see `Sites::withhold`.
fn counter(agent: &mut Agent, fd: u64, offset: u64, len: u64, at: u64) {
    /// Beside a place in the file: rdtscp, and that it is in doubt. The file is all in doubt at the last place.
    const LONG: u64 = 1 << 63;
    const UNSURE: u64 = 1 << 62;
    const ALL: u64 = UNSURE - 1;
    if tsc::is_trapped() {
        return;
    }
    let snapshots = &agent.recorder().snapshots;
    let sites: Vec<u64> = match snapshots.note(fd, "tsc") {
        // A count comes first: a note that was cut says nothing.
        Some(bytes) if bytes.len() >= 8 && number(&bytes) as usize == bytes.len() / 8 - 1 => {
            bytes[8..].chunks_exact(8).map(number).collect()
        }
        _ => {
            let word = |(at, what): (u64, Counter)| match what {
                Counter::Short => at,
                Counter::Long => at | LONG,
                Counter::Unsure => at | UNSURE,
            };
            let found = match cpuid::counter(fd) {
                Some(sites) => sites.into_iter().map(word).collect(),
                None => alloc::vec![ALL],
            };
            let count = found.len() as u64;
            let bytes: Vec<u8> = core::iter::once(&count).chain(&found).flat_map(|s| s.to_le_bytes()).collect();
            snapshots.take_note(fd, "tsc", &bytes);
            found
        }
    };
    let here = offset..offset.saturating_add(len);
    let known = sites.iter().all(|site| {
        let place = site & ALL;
        if place == ALL {
            return false;
        }
        if !here.contains(&place) {
            return true;
        }
        let address = at + (place - offset);
        match site & !ALL {
            0 => agent.sites.trap(address, Trapped::Tsc),
            LONG => agent.sites.trap(address, Trapped::Tscp),
            _ => agent.sites.withhold(address),
        }
    });
    if !known {
        unknown_code(agent);
    }
}

/// Executable memory appears, or is about to, in which there may be instructions that read the counter: that is trapped from now on.
pub fn unknown_code(agent: &mut Agent) {
    tsc::trap();
    agent.sites.give_back();
}

fn number(b: &[u8]) -> u64 {
    u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}
