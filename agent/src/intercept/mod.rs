//! How the program's system calls, CPUID and RDTSC reach the agent: Syscall User Dispatch
//! (Documentation/admin-guide/syscall-user-dispatch.rst), `PR_SET_TSC` and `ARCH_SET_CPUID`.
//!
//! # Safety
//! This room may use `unsafe` to name the linker's symbols for the agent's text.
#![allow(unsafe_code)]

pub mod clock;
pub mod patch;
pub mod proof;
pub mod tsc;

use crate::context::Context;
use crate::state::{Agent, Mode};
use crate::sys;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
const ARCH_SET_CPUID: u64 = 0x1012;

/// Selector byte: always BLOCK. The agent's text is the allowed range, so nothing is ever toggled.
static SELECTOR: u8 = 1;

#[cfg(target_os = "none")]
fn agent_text() -> (u64, u64) {
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    let (a, b) = ((&raw const __executable_start) as u64, (&raw const etext) as u64);
    (a, b - a)
}

#[cfg(not(target_os = "none"))]
fn agent_text() -> (u64, u64) {
    (0, 0)
}

/// Turns interception on for this thread. The kernel clears it in every new thread and process, so this is called again there.
///
/// # Errors
/// The error number; `EINVAL` where the kernel has no Syscall User Dispatch.
pub fn enable() -> Result<(), i64> {
    let (start, len) = agent_text();
    match sys::prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, start, len, (&raw const SELECTOR) as u64) {
        0 => Ok(()),
        e => Err(-e),
    }
}

/// CPUID is trapped in this run: the CPU can, and in replay the recording's could.
static TRAP_CPUID: AtomicBool = AtomicBool::new(true);

/// Has CPUID answer for itself, as it did in the recording.
pub fn leave_cpuid() {
    TRAP_CPUID.store(false, Ordering::Relaxed);
}

/// Turns CPUID and RDTSC trapping on or off for this thread. Where the CPU cannot trap CPUID it answers for itself.
pub fn trap_cpu(on: bool) {
    tsc::apply(on && tsc::is_trapped());
    let trap = on && TRAP_CPUID.load(Ordering::Relaxed);
    sys::arch_prctl(ARCH_SET_CPUID, if trap { 0 } else { 1 });
}

/// This CPU, asked before anything is trapped.
#[must_use]
pub fn cpu_here() -> rdb_trace::Cpu {
    const OSXSAVE: u32 = 1 << 27;
    let ask = crate::arch::bases::cpuid;
    let mut cpu = rdb_trace::Cpu {
        trapped: sys::arch_prctl(ARCH_SET_CPUID, 1) == 0,
        signature: ask(1, 0)[0],
        features: [0; rdb_trace::cpu::WORDS],
    };
    for (word, (leaf, subleaf, register)) in cpu.features.iter_mut().zip(rdb_trace::cpu::SOURCES) {
        // A leaf beyond the last is answered with something else.
        if ask(leaf & 0x8000_0000, 0)[0] >= leaf {
            *word = ask(leaf, subleaf)[register];
        }
    }
    if ask(1, 0)[2] & OSXSAVE != 0 {
        cpu.features[rdb_trace::cpu::WORDS - 1] = crate::arch::bases::xcr0();
    }
    cpu
}

/// An instruction that trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trapped {
    /// rdtsc
    Tsc,
    /// rdtscp
    Tscp,
    /// cpuid
    Cpuid,
}

impl Trapped {
    /// Length of the instruction, in bytes.
    #[must_use]
    pub fn length(self) -> u64 {
        if self == Trapped::Tscp { 3 } else { 2 }
    }
}

fn decode(rip: u64) -> Option<Trapped> {
    let b = |i: u64| crate::memory::try_get::<u8>(rip.wrapping_add(i));
    match (b(0)?, b(1)?) {
        (0x0f, 0x31) => Some(Trapped::Tsc),
        (0x0f, 0xa2) => Some(Trapped::Cpuid),
        (0x0f, 0x01) if b(2) == Some(0xf9) => Some(Trapped::Tscp),
        _ => None,
    }
}

/// What this CPU says of itself. Answers to CPUID given so far: asking again would leave the trap, ask a hypervisor, and enter the trap again.
#[derive(Debug, Default)]
pub struct Cpu {
    known: Vec<([u32; 2], [u32; 4])>,
    /// It cannot trap CPUID (arch_prctl(2): `ENODEV`): the instructions are rewritten where they are found.
    pub untrapped: bool,
}

impl Cpu {
    /// Remembers what the recording was told.
    pub fn note(&mut self, leaf: u32, subleaf: u32, answer: [u32; 4]) {
        let subleaf = if has_subleaves(leaf) { subleaf } else { 0 };
        if !self.known.iter().any(|(asked, _)| *asked == [leaf, subleaf]) {
            self.known.push(([leaf, subleaf], answer));
        }
    }

    /// Asks whether CPUID can be trapped.
    pub fn probe(&mut self) {
        self.untrapped = sys::arch_prctl(ARCH_SET_CPUID, 1) < 0;
    }

    /// What the program sees of this CPU: random numbers and transactions would be different in replay.
    pub fn answer(&mut self, leaf: u32, subleaf: u32) -> [u32; 4] {
        // The others have one answer, whatever the register holds (Intel SDM volume 2, CPUID).
        let subleaf = if has_subleaves(leaf) { subleaf } else { 0 };
        if let Some((_, known)) = self.known.iter().find(|(asked, _)| *asked == [leaf, subleaf]) {
            return *known;
        }
        sys::arch_prctl(ARCH_SET_CPUID, 1);
        if self.known.is_empty() {
            // To let it answer costs more than what it answers.
            self.known.extend(USUAL.iter().map(|asked| (*asked, ask(*asked))));
        }
        let r = ask([leaf, subleaf]);
        sys::arch_prctl(ARCH_SET_CPUID, 0);
        self.note(leaf, subleaf, r);
        r
    }
}

/// What a C library asks when it starts: leaf and subleaf.
const USUAL: [[u32; 2]; 22] = [
    [0, 0],
    [1, 0],
    [2, 0],
    [4, 0],
    [4, 1],
    [4, 2],
    [4, 3],
    [7, 0],
    [7, 1],
    [0xd, 0],
    [0xd, 1],
    [0xd, 2],
    [0xd, 5],
    [0xd, 6],
    [0xd, 7],
    [0x14, 0],
    [0x19, 0],
    [0x8000_0000, 0],
    [0x8000_0001, 0],
    [0x8000_0006, 0],
    [0x8000_0007, 0],
    [0x8000_0008, 0],
];

/// What this CPU answers, trapping none, less what would not be the same in replay.
fn ask([leaf, subleaf]: [u32; 2]) -> [u32; 4] {
    let mut r = crate::arch::bases::cpuid(leaf, subleaf);
    if leaf == 1 {
        r[2] &= !(1 << 30); // RDRAND
    }
    if leaf == 7 && subleaf == 0 {
        r[1] &= !(1 << 18 | 1 << 11 | 1 << 4); // RDSEED, RTM, HLE
        r[3] &= !(1 << 11 | 1 << 13 | 1 << 16); // RTM_ALWAYS_ABORT, TSX_FORCE_ABORT, TSXLDTRK
    }
    r
}

/// Whether the answer hangs on the subleaf as well, or may on a CPU to come.
fn has_subleaves(leaf: u32) -> bool {
    !matches!(leaf, 0..=3 | 5 | 6 | 9 | 10 | 0x16 | 0x8000_0000..=0x8000_0008)
}

/// Makes the program see a trapped instruction's result and go on behind it.
pub fn finish(context: &mut Context, what: Trapped, values: [u64; 4]) {
    match what {
        Trapped::Cpuid => [context.rax, context.rbx, context.rcx, context.rdx] = values,
        Trapped::Tsc | Trapped::Tscp => {
            context.rax = values[0] & 0xffff_ffff;
            context.rdx = values[0] >> 32;
            if what == Trapped::Tscp {
                context.rcx = 0;
            }
        }
    }
    context.rip += what.length();
}

/// A fault the CPU raised in program code.
pub fn fault(agent: &'static mut Agent, context: &'static mut Context, signal: u64, info: &[u8; 128], code: i32) {
    const SI_KERNEL: i32 = 0x80;
    const SEGV_ACCERR: i32 = 2;
    if signal == 11 && code == SEGV_ACCERR {
        let at = u64::from_le_bytes([info[16], info[17], info[18], info[19], info[20], info[21], info[22], info[23]]);
        if agent.sites.is_withheld(context.rip, at) {
            return crate::record::cpuid::unknown_code(agent);
        }
    }
    if signal == 5 && agent.mode != Mode::Record && crate::replay::trap(agent, context) {
        return;
    }
    let trapped = if signal == 11 && code == SI_KERNEL {
        decode(context.rip)
    } else if signal == 4 {
        agent.sites.trapping(context.rip)
    } else {
        None
    };
    match (trapped, agent.mode) {
        (Some(what), Mode::Record) => return crate::record::trapped(agent, context, what),
        (Some(what), Mode::Replay) => return crate::replay::trapped(agent, context, what),
        (Some(what), Mode::Probe) => {
            let v = match what {
                Trapped::Cpuid => agent.cpu.answer(context.rax as u32, context.rcx as u32).map(u64::from),
                _ => [0; 4],
            };
            return finish(context, what, v);
        }
        _ => {}
    }
    // A fault that is blocked kills, whatever handler there is (force_sig of the kernel).
    let mask = crate::signals::mask(agent);
    if agent.actions[signal as usize][0] > 1 && mask >> (signal - 1) & 1 == 0 {
        if !crate::signals::frame::push(agent, context, signal, info, mask) {
            no_frame(agent, context);
        }
        return;
    }
    // No handler: the program dies of it.
    match agent.mode {
        Mode::Record => {
            let r = agent.recorder();
            r.end(rdb_trace::End::Signalled(signal as u32));
        }
        Mode::Replay => crate::replay::died(agent, context, signal, info),
        Mode::Probe => crate::orders::probe::died(agent, signal),
        Mode::Off => {}
    }
    default_action(signal);
}

fn default_action(signal: u64) {
    sys::set_action(
        signal,
        &[0, crate::signals::flag::RESTORER, crate::signals::handlers::restorer(), 0],
    );
}

/// The program dies of SIGSEGV because there is no room for a signal frame, or none to return through.
pub fn no_frame(agent: &mut Agent, context: &Context) {
    const SIGSEGV: u64 = 11;
    match agent.mode {
        Mode::Record => agent.recorder().end(rdb_trace::End::Signalled(SIGSEGV as u32)),
        Mode::Replay => crate::replay::died(agent, context, SIGSEGV, &[0; 128]),
        Mode::Probe => crate::orders::probe::died(agent, SIGSEGV),
        Mode::Off => {}
    }
    default_action(SIGSEGV);
    sys::tgkill(sys::pid(), sys::raw(sys::nr::GETTID, [0; 6]).cast_unsigned(), SIGSEGV);
}
