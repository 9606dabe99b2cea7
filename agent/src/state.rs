//! The one object that is the agent's state.
//!
//! # Safety
//! This room may use `unsafe` for the global: see [`claim`].
#![allow(unsafe_code)]

use crate::interpreters::Host;
use crate::layout::{BRK_BASE, BRK_END, MMAP_TOP};
use crate::record::Recorder;
use crate::replay::Replay;
use crate::sys::KernelAction;
use crate::threads::Thread;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::addr_of_mut;

/// What this process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Recording.
    Record,
    /// A forked child of a recorded process: on its own.
    Off,
    /// Replaying.
    Replay,
    /// A throw-away copy that evaluates.
    Probe,
}

/// The agent's state.
#[derive(Debug)]
pub struct Agent {
    /// What this process is doing.
    pub mode: Mode,
    /// Threads by ordinal.
    pub threads: Vec<Thread>,
    /// How many of them are live.
    pub live: usize,
    /// The thread that runs (replay) or holds the token (recording).
    pub current: usize,
    /// Next mapping ends here; addresses are never given out twice.
    pub mmap_next: u64,
    /// The program break.
    pub brk: u64,
    /// End of the pages mapped for it.
    pub brk_mapped: u64,
    /// The program's signal dispositions.
    pub actions: [KernelAction; 65],
    /// Absolute path of the executed program.
    pub program: Vec<u8>,
    /// The same, NUL-terminated.
    pub program_c: alloc::ffi::CString,
    /// The auxiliary vector the kernel gave the agent.
    pub auxv: Vec<(u64, u64)>,
    /// Its interpreter.
    pub host: Host,
    /// What this CPU said of itself.
    pub cpu: crate::intercept::Cpu,
    /// Which registers signal frames show; those of this CPU where it is not known.
    pub layout: Option<crate::signals::extended::Layout>,
    /// Patched system call sites.
    pub sites: crate::intercept::patch::Sites,
    /// Recording.
    pub recorder: Option<Box<Recorder>>,
    /// Replaying.
    pub replay: Option<Box<Replay>>,
}

static mut AGENT: Option<Agent> = None;

/// Sets the state up. Once, before any handler is installed.
pub fn init(mode: Mode) -> &'static mut Agent {
    let agent = Agent {
        mode,
        threads: Vec::new(),
        live: 1,
        current: 0,
        mmap_next: MMAP_TOP,
        brk: BRK_BASE,
        brk_mapped: BRK_BASE,
        actions: [[0; 4]; 65],
        program: Vec::new(),
        program_c: alloc::ffi::CString::default(),
        auxv: Vec::new(),
        host: Host::new(),
        cpu: crate::intercept::Cpu::default(),
        layout: None,
        sites: crate::intercept::patch::Sites::default(),
        recorder: None,
        replay: None,
    };
    // SAFETY: single thread, no handler yet, so nobody else holds a reference.
    unsafe { (*addr_of_mut!(AGENT)).insert(agent) }
}

/// The state, for a handler that interrupted program code.
///
/// # Safety
/// The caller runs in a synchronous handler (or start-up) of a thread that holds the token. Program code runs only under the
/// token, and agent code never triggers these handlers itself, so no other reference is live. A reference obtained before
/// giving the token up must not be used after: see [`released`].
pub unsafe fn claim() -> &'static mut Agent {
    // SAFETY: exclusive by the contract above.
    match unsafe { (*addr_of_mut!(AGENT)).as_mut() } {
        Some(a) => a,
        None => crate::sys::exit_group(125),
    }
}

/// Gives the token up while `wait` runs, consuming the reference, and takes it again.
pub fn released<R>(agent: &'static mut Agent, wait: impl FnOnce() -> R) -> (&'static mut Agent, R) {
    let me = agent.current;
    crate::record::sharing::left(agent);
    crate::threads::token::release();
    let r = wait();
    crate::threads::token::acquire(me);
    // SAFETY: we hold the token again and the old reference was moved in here.
    let agent = unsafe { claim() };
    agent.current = me;
    crate::record::sharing::entered(agent);
    crate::record::preempt::unsettle(agent);
    (agent, r)
}

impl Agent {
    /// Reserves addresses for a mapping of `len` bytes; `None` when they are used up.
    pub fn take_addresses(&mut self, len: u64) -> Option<u64> {
        let next = self.mmap_next.checked_sub(page_up(len)).filter(|at| *at >= BRK_END)?;
        self.mmap_next = next;
        Some(next)
    }

    /// Does something else from now on; what it did before. For who then calls the program, whose system calls look at the mode by
    /// another way, of which the compiler does not know.
    pub fn set_mode(&mut self, mode: Mode) -> Mode {
        let place = &raw mut self.mode;
        // SAFETY: a field of ours, by a pointer made from it.
        unsafe {
            let before = place.read_volatile();
            place.write_volatile(mode);
            before
        }
    }

    /// The running thread.
    pub fn thread(&mut self) -> &mut Thread {
        &mut self.threads[self.current]
    }

    /// The recorder; only in recording.
    pub fn recorder(&mut self) -> &mut Recorder {
        match &mut self.recorder {
            Some(r) => r,
            None => crate::sys::exit_group(125),
        }
    }

    /// The replay; only in replay and probes.
    pub fn replay(&mut self) -> &mut Replay {
        match &mut self.replay {
            Some(r) => r,
            None => crate::sys::exit_group(125),
        }
    }
}

/// Rounds up to whole pages.
#[must_use]
pub fn page_up(v: u64) -> u64 {
    v.saturating_add(4095) & !4095
}
