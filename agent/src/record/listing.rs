//! A program that lists its descriptors (`/proc/self/fd`) does not see the agent's among them: many close, or count, what they find.

use super::files;
use crate::memory::try_copy_in;
use crate::state::Agent;
use crate::sys::{self, errno, nr};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// Offsets in a `struct linux_dirent64` (getdents64(2)): its length, its name.
const LENGTH: usize = 16;
const NAME: usize = 19;

/// Largest part of a list that is asked for at once, in bytes.
const LARGEST: u64 = 1 << 20;

/// Makes a getdents64(2) of the program's descriptors; its result. `None` for other directories.
pub fn without_private(agent: &mut Agent, args: &[u64; 6]) -> Option<i64> {
    if !lists_descriptors(args[0]) {
        return None;
    }
    // Into memory of our own: what the program is not to see must not lie behind what it sees either.
    let mut bytes = vec![0u8; (args[2] & 0xffff_ffff).min(LARGEST) as usize];
    loop {
        let ret = sys::raw_agent_pointers(nr::GETDENTS64, [args[0], bytes.as_mut_ptr() as u64, bytes.len() as u64, 0, 0, 0]);
        let Ok(len @ 1..) = usize::try_from(ret) else { return Some(ret) };
        let kept = without(&bytes[..len], |fd| files::is_private(agent, fd));
        // A part that names nobody else's is not the end of the list.
        if !kept.is_empty() {
            let written = try_copy_in(args[1], &kept);
            return Some(if written { kept.len() as i64 } else { -errno::EFAULT });
        }
    }
}

fn lists_descriptors(fd: u64) -> bool {
    let mut path = [0u8; 64];
    let len = files::fd_path(fd, &mut path);
    let own = format!("/proc/{}/", sys::pid());
    let Some(rest) = path[..len].strip_prefix(own.as_bytes()) else {
        return false;
    };
    matches!(rest.rsplit(|b| *b == b'/').next(), Some(b"fd" | b"fdinfo"))
}

/// The entries whose names are not numbers of hidden descriptors.
fn without(mut entries: &[u8], mut hidden: impl FnMut(u64) -> bool) -> Vec<u8> {
    let mut kept = Vec::new();
    while entries.len() > NAME {
        let len = usize::from(u16::from_le_bytes([entries[LENGTH], entries[LENGTH + 1]]));
        if len <= NAME || len > entries.len() {
            break;
        }
        let (entry, rest) = entries.split_at(len);
        let name = entry[NAME..].split(|b| *b == 0).next().unwrap_or_default();
        let number = core::str::from_utf8(name).ok().and_then(|n| n.parse().ok());
        if !number.is_some_and(&mut hidden) {
            kept.extend_from_slice(entry);
        }
        entries = rest;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_out_whole() {
        let entry = |name: &str| {
            let mut e = vec![7u8; NAME];
            e.extend(name.bytes());
            e.push(0);
            e.resize(e.len().next_multiple_of(8), 0);
            let len = (e.len() as u16).to_le_bytes();
            e[LENGTH..LENGTH + 2].copy_from_slice(&len);
            e
        };
        let all = [entry("."), entry("0"), entry("900"), entry("15")].concat();
        assert_eq!(without(&all, |n| n == 900), [entry("."), entry("0"), entry("15")].concat());
        assert_eq!(without(&all, |_| true), entry("."));
        assert!(without(&all[..10], |_| false).is_empty());
    }
}
