//! CPUs that cannot trap CPUID: the instructions of what is mapped are found, and rewritten to trap.
//!
//! What is found in a file is kept beside its snapshot in the store, for it costs about a millisecond a megabyte. Replay needs no
//! search: the next event tells where the next CPUID is.

use crate::load::cpuid;
use crate::state::Agent;
use alloc::vec::Vec;

/// `len` bytes of the open file `fd`, from `offset`, have been mapped executable at `at`.
pub fn mapped(agent: &mut Agent, fd: u64, offset: u64, len: u64, at: u64) {
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
    if agent.cpu.untrapped {
        for (offset, address, len) in cpuid::executable(fd) {
            mapped(agent, fd, offset, len, bias + address);
        }
    }
}

fn number(b: &[u8]) -> u64 {
    u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}
