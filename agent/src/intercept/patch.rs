//! Rewrites hot `syscall` sites into jumps to stubs that enter the agent without a signal.
//!
//! Only the pattern `mov eax, imm32; syscall` is touched, and only its `mov` is replaced: the `syscall` stays what it was, so a context
//! stopped at it or just behind it goes on as ever, and Syscall User Dispatch stays the net: an unpatched site is slow, never wrong.
//!
//! The program cannot tell: a stub hands over the very context a trap would have (rcx and r11 are what `syscall` leaves in them), it uses no
//! program stack, and both stubs and sites are taken out while memory is hashed. So a trace does not hang on what was patched.

use crate::arch::entry;
use crate::context::Context;
use crate::layout::{EXE_BASE, MMAP_TOP};
use crate::memory::{self, get};
use crate::state::{Agent, Mode};
use crate::sys::{self, map, nr};
use crate::threads::slot;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// Bytes of one stub area.
const AREA: u64 = 1 << 16;
/// Where stubs can go: near the libraries, near a position-independent executable.
const AREAS: [u64; 2] = [MMAP_TOP + AREA, EXE_BASE - 2 * AREA];
/// Bytes of a stub.
const STUB: u64 = 32;

/// cpuid, and an invalid instruction as long (ud2).
const CPUID: [u8; 2] = [0x0f, 0xa2];
const UD2: [u8; 2] = [0x0f, 0x0b];

/// Patched sites.
#[derive(Debug, Default)]
pub struct Sites {
    seen: BTreeSet<u64>,
    patched: Vec<Patch>,
    /// CPUID instructions made invalid ones, where the CPU cannot trap them.
    cpuid: BTreeSet<u64>,
    /// Next free stub in each area; 0 while the area is not mapped.
    next: [u64; AREAS.len()],
}

#[derive(Clone, Copy, Debug)]
struct Patch {
    at: u64,
    original: [u8; 5],
    jump: [u8; 5],
}

/// Whether an address lies in a stub area: no memory of the program's.
#[must_use]
pub fn is_stub(addr: u64) -> bool {
    AREAS.iter().any(|a| (*a..*a + AREA).contains(&addr))
}

/// Calls that must come through the kernel's own frame: they replace, duplicate or end what is interrupted.
fn excluded(number: u64) -> bool {
    matches!(
        number,
        nr::RT_SIGRETURN | nr::CLONE..=nr::EXIT | nr::EXIT_GROUP | nr::EXECVEAT | nr::CLONE3
    )
}

/// Patches the site of the system call that has just trapped, if it can be.
pub fn consider(agent: &mut Agent, context: &Context) {
    let (site, number) = (context.rip.wrapping_sub(2), context.rax);
    let ready = slot(agent.current).fast_context.load(Ordering::Relaxed) != 0;
    if !ready || !matches!(agent.mode, Mode::Record | Mode::Replay) || !agent.sites.seen.insert(site) || excluded(number) {
        return;
    }
    let entry = if agent.mode == Mode::Record {
        entry::rdb_fast_record as *const ()
    } else {
        entry::rdb_fast_replay as *const ()
    };
    if let Some(patch) = agent.sites.make(site, number, entry as u64)
        && memory::patch(patch.at, &patch.jump)
    {
        agent.sites.patched.push(patch);
    }
}

impl Sites {
    /// Writes the stub for a site; what to put where.
    fn make(&mut self, site: u64, number: u64, entry: u64) -> Option<Patch> {
        let at = site.checked_sub(5)?;
        let immediate = u32::try_from(number).ok()?.to_le_bytes();
        let [m, a, b, c, d] = core::array::from_fn(|i| get::<u8>(at + i as u64));
        let prefixed = get::<u8>(at - 1) & 0xf0 == 0x40;
        if m != 0xb8 || [a, b, c, d] != immediate || get::<u16>(site) != 0x050f || prefixed {
            return None;
        }
        let stub = self.take(at)?;
        let relative = |from: u64, to: u64| i32::try_from(to.wrapping_sub(from).cast_signed()).ok().map(i32::to_le_bytes);
        let mut code = [0xcc; STUB as usize];
        code[0] = 0xb8; // mov eax, number
        code[1..5].copy_from_slice(&immediate);
        code[5..8].copy_from_slice(&[0x48, 0x8d, 0x0d]); // lea rcx, [rip + to behind the site]
        code[8..12].copy_from_slice(&relative(stub + 12, site + 2)?);
        code[12..14].copy_from_slice(&[0x49, 0xbb]); // movabs r11, entry
        code[14..22].copy_from_slice(&entry.to_le_bytes());
        code[22..25].copy_from_slice(&[0x41, 0xff, 0xe3]); // jmp r11
        if !memory::patch(stub, &code) {
            return None;
        }
        let mut jump = [0xe9; 5];
        jump[1..].copy_from_slice(&relative(at + 5, stub)?);
        Some(Patch {
            at,
            original: [m, a, b, c, d],
            jump,
        })
    }

    /// A free stub within reach of a jump.
    fn take(&mut self, from: u64) -> Option<u64> {
        const REACH: u64 = 0x7fff_0000 - AREA;
        let i = AREAS.iter().position(|a| a.abs_diff(from) < REACH)?;
        if self.next[i] == 0 {
            let flags = map::PRIVATE | map::ANONYMOUS | map::FIXED_NOREPLACE;
            let r = sys::mmap(AREAS[i], AREA, map::READ | map::EXEC, flags, sys::NO_FD, 0);
            if r.cast_unsigned() != AREAS[i] {
                return None;
            }
            self.next[i] = AREAS[i];
        }
        let stub = self.next[i];
        if stub + STUB > AREAS[i] + AREA {
            return None;
        }
        self.next[i] += STUB;
        Some(stub)
    }

    /// Takes all patches out, or puts them back.
    pub fn set(&self, on: bool) {
        for p in &self.patched {
            // A site whose memory the program has taken away cannot be written, and need not be.
            let _ = memory::patch(p.at, if on { &p.jump } else { &p.original });
        }
        for at in &self.cpuid {
            let _ = memory::patch(*at, if on { &UD2 } else { &CPUID });
        }
    }

    /// Makes a CPUID instruction of the program trap.
    pub fn trap_cpuid(&mut self, at: u64) {
        let there = memory::try_get::<u16>(at).map(u16::to_le_bytes);
        if there == Some(CPUID) && memory::patch(at, &UD2) {
            self.cpuid.insert(at);
        }
    }

    /// Whether this is such an instruction.
    #[must_use]
    pub fn is_cpuid(&self, at: u64) -> bool {
        self.cpuid.contains(&at)
    }

    /// The program replaces what is mapped in a range.
    pub fn forget(&mut self, start: u64, len: u64) {
        let gone = start..start.saturating_add(len);
        self.cpuid.retain(|s| !gone.contains(s));
        if !self.seen.is_empty() {
            self.patched.retain(|p| !gone.contains(&p.at));
            self.seen.retain(|s| !gone.contains(s));
        }
    }

    /// All of the program's memory is gone.
    pub fn clear(&mut self) {
        *self = Sites::default();
    }
}
