//! What the agent image promises: a fixed address, nothing left to relocate, no interpreter, and a modest size.
#![allow(missing_docs)]

use rdb_embed::IMAGE;

fn u16_at(at: usize) -> u16 {
    u16::from_le_bytes(IMAGE[at..at + 2].try_into().unwrap())
}

fn u32_at(at: usize) -> u32 {
    u32::from_le_bytes(IMAGE[at..at + 4].try_into().unwrap())
}

fn u64_at(at: usize) -> u64 {
    u64::from_le_bytes(IMAGE[at..at + 8].try_into().unwrap())
}

fn program_headers() -> Vec<usize> {
    let (offset, count) = (usize::try_from(u64_at(32)).unwrap(), usize::from(u16_at(56)));
    (0..count).map(|i| offset + 56 * i).collect()
}

const BASE: u64 = 0x6000_0000_0000;

#[test]
fn it_is_an_executable_for_a_fixed_address() {
    assert_eq!(&IMAGE[..5], b"\x7fELF\x02");
    assert_eq!(u16_at(16), 2, "ET_EXEC");
    assert!((BASE..BASE + (1 << 24)).contains(&u64_at(24)), "entry {:#x}", u64_at(24));
    for p in program_headers().into_iter().filter(|p| u32_at(*p) == 1) {
        assert!((BASE..BASE + (1 << 24)).contains(&u64_at(p + 16)), "a segment lies elsewhere");
    }
}

#[test]
fn nothing_is_left_to_relocate_or_to_load() {
    for p in program_headers() {
        assert!(!matches!(u32_at(p), 2 | 3), "a dynamic section or an interpreter");
    }
}

#[test]
fn no_segment_is_writable_and_executable() {
    for p in program_headers().into_iter().filter(|p| u32_at(*p) == 1) {
        assert_ne!(u32_at(p + 4) & 3, 3);
    }
}

#[test]
fn it_is_small() {
    // A sixth of it decodes instructions, for CPUs that cannot trap CPUID, and for watchpoints; what does not run is never read. The bound is there
    // to notice what comes in by accident (a formatter of floats, a second allocator): a room of its own costs 10 to 30 KiB.
    // Copies of up to 128 bytes are single moves, not string instructions: 12 KiB, for a tenth of what a recorded call costs.
    assert!(IMAGE.len() < 848 << 10, "{} bytes", IMAGE.len());
}
