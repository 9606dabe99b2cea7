//! Rewrites hot `syscall` sites into jumps to stubs that enter the agent without a signal.
//!
//! In the pattern `mov eax, imm32; syscall` only the `mov` is replaced: the `syscall` stays what it was, so a context stopped at it or just
//! behind it goes on as ever, and Syscall User Dispatch stays the net: an unpatched site is slow, never wrong.
//!
//! In `xor eax, eax; syscall` (read) there is room for a jump only if its last byte is what follows the `syscall`, the REX prefix of the
//! comparison with -4096: the distance is one of 0x48000000 to 0x48ffffff, and behind the `syscall` all is as ever. The `syscall` itself
//! is gone, so it must be proven that nothing leads to it (`proof`), which costs as much as a thousand traps and is done for those who make
//! them; and where a call is to be made again, which puts a context onto it, the patch is taken out for good, see [`Sites::restarting`].
//!
//! The program cannot tell: a stub hands over the very context a trap would have (rcx and r11 are what `syscall` leaves in them), it uses no
//! program stack, and both stubs and sites are taken out while memory is hashed. So a trace does not hang on what was patched.

use super::Trapped;
use crate::arch::entry;
use crate::context::Context;
use crate::layout::{EXE_BASE, MMAP_TOP};
use crate::memory::{self, get};
use crate::state::{Agent, Mode};
use crate::sys::{self, map, nr};
use crate::threads::slot;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// Bytes of one stub area.
const AREA: u64 = 1 << 16;
/// Where stubs can go: near the libraries, near a position-independent executable.
const AREAS: [u64; 2] = [MMAP_TOP + AREA, EXE_BASE - 2 * AREA];
/// Areas for the second pattern lie at multiples of this, so far from what jumps there.
const FAR_STEP: u64 = 8 << 20;
const FAR: u64 = 0x4800_0000;
/// The REX prefix that is the last byte of a jump to a far stub.
const REX_W: u8 = 0x48;
/// So many traps at a site make a proof worth its while.
const HOT: u32 = 1000;
const PAGE: u64 = 4096;
/// Bytes of a stub.
const STUB: u64 = 32;

/// cpuid, rdtsc, the first bytes of rdtscp, and an invalid instruction as long (ud2).
const CPUID: [u8; 2] = [0x0f, 0xa2];
const RDTSC: [u8; 2] = [0x0f, 0x31];
const RDTSCP: [u8; 2] = [0x0f, 0x01];
const UD2: [u8; 2] = [0x0f, 0x0b];

/// Patched sites.
#[derive(Debug, Default)]
pub struct Sites {
    /// Traps at each site, by address.
    seen: Vec<(u64, u32)>,
    patched: Vec<Patch>,
    /// CPUID, RDTSC and RDTSCP instructions made invalid ones, where the CPU cannot or is not to trap them.
    trapping: Vec<(u64, Trapped)>,
    /// Pages of the program's code that are not executable.
    withheld: Vec<u64>,
    /// Areas that are mapped, and the next free stub in each.
    next: Vec<(u64, u64)>,
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
    AREAS.iter().any(|a| (*a..*a + AREA).contains(&addr)) || is_far(addr)
}

/// Whether an address lies where far areas are: `FAR` beyond the libraries and a position-independent executable.
fn is_far(addr: u64) -> bool {
    const NEAREST: u64 = FAR - (128 << 20);
    const FARTHEST: u64 = FAR + (128 << 20);
    let beyond = |base: u64| (base + NEAREST..base + FARTHEST).contains(&addr);
    (beyond(MMAP_TOP) || beyond(EXE_BASE)) && addr % FAR_STEP < AREA
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
    if !ready || !matches!(agent.mode, Mode::Record | Mode::Replay) || excluded(number) {
        return;
    }
    let count = agent.sites.count(site);
    *count = count.saturating_add(1);
    let hot = match *count {
        // What is executed once is not worth a patch, which costs as much as four traps.
        2 => false,
        HOT => true,
        _ => return,
    };
    let entry = if agent.mode == Mode::Record {
        entry::rdb_fast_record as *const ()
    } else {
        entry::rdb_fast_replay as *const ()
    };
    let patch = if hot {
        agent.sites.make_far(site, number, entry as u64)
    } else {
        agent.sites.make(site, number, entry as u64)
    };
    if let Some(patch) = patch
        && memory::patch(patch.at, &patch.jump)
    {
        agent.sites.patched.push(patch);
    }
}

impl Sites {
    /// How often a site has trapped.
    fn count(&mut self, site: u64) -> &mut u32 {
        let i = self.seen.partition_point(|s| s.0 < site);
        if self.seen.get(i).is_none_or(|s| s.0 != site) {
            self.seen.insert(i, (site, 0));
        }
        &mut self.seen[i].1
    }

    /// Writes the stub for a site; what to put where.
    fn make(&mut self, site: u64, number: u64, entry: u64) -> Option<Patch> {
        let at = site.checked_sub(5)?;
        let immediate = u32::try_from(number).ok()?.to_le_bytes();
        let [m, a, b, c, d] = core::array::from_fn(|i| get::<u8>(at + i as u64));
        let prefixed = get::<u8>(at - 1) & 0xf0 == 0x40;
        if m != 0xb8 || [a, b, c, d] != immediate || get::<u16>(site) != 0x050f || prefixed {
            return None;
        }
        const REACH: u64 = 0x7fff_0000 - AREA;
        let area = AREAS.into_iter().find(|area| area.abs_diff(at) < REACH)?;
        let stub = self.take(area)?;
        write_stub(stub, &[m, a, b, c, d], site + 2, entry)?;
        let mut jump = [0xe9; 5];
        jump[1..].copy_from_slice(&relative(at + 5, stub)?);
        Some(Patch {
            at,
            original: [m, a, b, c, d],
            jump,
        })
    }

    /// The same for the second pattern.
    fn make_far(&mut self, site: u64, number: u64, entry: u64) -> Option<Patch> {
        let at = site.checked_sub(2)?;
        let original: [u8; 5] = core::array::from_fn(|i| get::<u8>(at + i as u64));
        let prefixed = get::<u8>(at - 1) & 0xf0 == 0x40;
        if number != 0 || original != [0x31, 0xc0, 0x0f, 0x05, REX_W] || prefixed {
            return None;
        }
        let area = (at + 5 + FAR).next_multiple_of(FAR_STEP);
        if !is_far(area) || !super::proof::pair(at) {
            return None;
        }
        let stub = self.take(area)?;
        let distance = relative(at + 5, stub).filter(|d| d[3] == REX_W)?;
        write_stub(stub, &original[..2], site + 2, entry)?;
        let mut jump = [0xe9; 5];
        jump[1..].copy_from_slice(&distance);
        Some(Patch { at, original, jump })
    }

    /// A free stub of an area.
    fn take(&mut self, area: u64) -> Option<u64> {
        let i = match self.next.iter().position(|n| n.0 == area) {
            Some(i) => i,
            None => {
                let flags = map::PRIVATE | map::ANONYMOUS | map::FIXED_NOREPLACE;
                let r = sys::mmap(area, AREA, map::READ | map::EXEC, flags, sys::NO_FD, 0);
                if r.cast_unsigned() != area {
                    return None;
                }
                self.next.push((area, area));
                self.next.len() - 1
            }
        };
        let stub = self.next[i].1;
        if stub + STUB > area + AREA {
            return None;
        }
        self.next[i].1 += STUB;
        Some(stub)
    }

    /// Whether there was a `syscall` here that is gone.
    #[must_use]
    pub fn is_patched_at(&self, site: u64) -> bool {
        self.patched.iter().any(|p| p.at + 2 == site && p.original[0] == 0x31)
    }

    /// A context is about to stand at `site`, to make its call again: there must be a `syscall`, from now on.
    pub fn restarting(&mut self, site: u64) {
        *self.count(site) = HOT;
        self.patched.retain(|p| {
            let here = p.at + 2 == site && p.original[0] == 0x31;
            if here {
                let _ = memory::patch(p.at, &p.original);
            }
            !here
        });
    }

    /// Whether code that is patched, or may be, is at an address or right behind it.
    #[must_use]
    pub fn is_near(&self, at: u64) -> bool {
        self.patched.iter().any(|p| is_beside(p.at, at)) || self.trapping.iter().any(|c| is_beside(c.0, at))
    }

    /// Takes out what is patched at an address or right behind it.
    pub fn clear_near(&mut self, at: u64) {
        self.patched.retain(|p| {
            let near = is_beside(p.at, at);
            if near {
                let _ = memory::patch(p.at, &p.original);
            }
            !near
        });
    }

    /// Takes all patches out, or puts them back.
    pub fn set(&self, on: bool) {
        for p in &self.patched {
            // A site whose memory the program has taken away cannot be written, and need not be.
            let _ = memory::patch(p.at, if on { &p.jump } else { &p.original });
        }
        for (at, what) in &self.trapping {
            let _ = memory::patch(*at, if on { &UD2 } else { bytes_of(*what) });
        }
    }

    /// Makes a CPUID instruction of the program trap.
    pub fn trap_cpuid(&mut self, at: u64) {
        self.trap(at, Trapped::Cpuid);
    }

    /// Makes an instruction of the program trap; false when that is not what is there.
    pub fn trap(&mut self, at: u64, what: Trapped) -> bool {
        if self.trapping.contains(&(at, what)) {
            return true;
        }
        let there = memory::try_get::<u16>(at).map(u16::to_le_bytes);
        let made = there.as_ref() == Some(bytes_of(what)) && memory::patch(at, &UD2);
        if made {
            self.trapping.push((at, what));
        }
        made
    }

    /// What was made to trap at an address.
    #[must_use]
    pub fn trapping(&self, at: u64) -> Option<Trapped> {
        self.trapping.iter().find(|t| t.0 == at).map(|t| t.1)
    }

    /// Makes pages not executable on which there may be an instruction at an address that must not be executed, or data; false when that
    /// cannot be done.
    pub fn withhold(&mut self, at: u64) -> bool {
        /// Bytes of the longest.
        const LONGEST: u64 = 3;
        [at, at + LONGEST - 1].into_iter().map(page_of).all(|page| {
            if self.withheld.contains(&page) {
                return true;
            }
            self.withheld.push(page);
            sys::raw(nr::MPROTECT, [page, PAGE, map::READ, 0, 0, 0]) == 0
        })
    }

    /// Whether the program, about to execute at `rip`, failed at an address because that is withheld.
    #[must_use]
    pub fn is_withheld(&self, rip: u64, at: u64) -> bool {
        const LONGEST: u64 = 15;
        (rip..rip + LONGEST).contains(&at) && self.withheld.contains(&page_of(at))
    }

    /// Makes all that is withheld executable again.
    pub fn give_back(&mut self) {
        for page in core::mem::take(&mut self.withheld) {
            sys::raw(nr::MPROTECT, [page, PAGE, map::READ | map::EXEC, 0, 0, 0]);
        }
    }

    /// The program gives a range a protection of its own.
    pub fn protected(&mut self, start: u64, len: u64) {
        self.withheld.retain(|page| !(start..start.saturating_add(len)).contains(page));
    }

    /// Whether something was done to code in a range that has to be undone before the program moves it.
    #[must_use]
    pub fn holds(&self, start: u64, len: u64) -> bool {
        let range = start..start.saturating_add(len);
        self.trapping.iter().any(|t| range.contains(&t.0)) || self.withheld.iter().any(|page| range.contains(page))
    }

    /// Takes out what traps in a range.
    pub fn release(&mut self, start: u64, len: u64) {
        let range = start..start.saturating_add(len);
        self.trapping.retain(|(at, what)| {
            let inside = range.contains(at);
            if inside {
                let _ = memory::patch(*at, bytes_of(*what));
            }
            !inside
        });
    }

    /// The program replaces what is mapped in a range.
    pub fn forget(&mut self, start: u64, len: u64) {
        let gone = start..start.saturating_add(len);
        self.protected(start, len);
        self.trapping.retain(|t| !gone.contains(&t.0));
        if !self.seen.is_empty() {
            self.patched.retain(|p| !gone.contains(&p.at));
            self.seen.retain(|s| !gone.contains(&s.0));
        }
    }

    /// All of the program's memory is gone.
    pub fn clear(&mut self) {
        *self = Sites::default();
    }
}

/// The first two bytes of an instruction.
fn bytes_of(what: Trapped) -> &'static [u8; 2] {
    match what {
        Trapped::Cpuid => &CPUID,
        Trapped::Tsc => &RDTSC,
        Trapped::Tscp => &RDTSCP,
    }
}

fn page_of(at: u64) -> u64 {
    at & !(PAGE - 1)
}

/// Whether five bytes at `patch` could lie upon some of twenty at `at`.
fn is_beside(patch: u64, at: u64) -> bool {
    (at.saturating_sub(4)..at + 20).contains(&patch)
}

/// The distance from the end of an instruction.
fn relative(from: u64, to: u64) -> Option<[u8; 4]> {
    i32::try_from(to.wrapping_sub(from).cast_signed()).ok().map(i32::to_le_bytes)
}

/// Writes a stub: what the jump took the place of, then into the agent, with rcx what a `syscall` leaves in it.
fn write_stub(stub: u64, first: &[u8], next: u64, entry: u64) -> Option<()> {
    let mut code = [0xcc; STUB as usize];
    let (head, rest) = code.split_at_mut(first.len());
    head.copy_from_slice(first);
    rest[..3].copy_from_slice(&[0x48, 0x8d, 0x0d]); // lea rcx, [rip + to behind the site]
    rest[3..7].copy_from_slice(&relative(stub + first.len() as u64 + 7, next)?);
    rest[7..9].copy_from_slice(&[0x49, 0xbb]); // movabs r11, entry
    rest[9..17].copy_from_slice(&entry.to_le_bytes());
    rest[17..20].copy_from_slice(&[0x41, 0xff, 0xe3]); // jmp r11
    memory::patch(stub, &code).then_some(())
}
