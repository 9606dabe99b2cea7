//! Ticks: dispatches of opcodes that no program runs for long without (entries of functions, jumps backward). They are counted in
//! both modes, so that a thing that happened between two events has an exact place.
//!
//! While recording only these opcodes have stubs: count, look whether somebody wants to interrupt, go on. In replay the count at
//! which the recording was interrupted is the goal. Either way the program is then stopped by an `int3`, at which all of its
//! registers and its stack are as they would be without the stub. One count serves all threads: one of them runs at a time.
//!
//! # Safety
//! This room may use `unsafe` for the counters, which lie in the stub area, at an address that nothing else has: mapped before any
//! [`Ticks`] exists, and never unmapped.
#![allow(unsafe_code)]

use super::emit::{EQUAL, Emitter, NOT_EQUAL, map};
use super::locate::Dispatch;
use crate::interpreters::Registers;
use crate::layout::{STUBS, STUBS_SIZE};
use crate::memory::patch;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What the stubs work with, at [`DATA`].
#[repr(C, align(64))]
struct Data {
    /// Ticks less [`Data::goal`]: zero when it is reached.
    count: u64,
    goal: u64,
    /// Not zero: the next tick is to interrupt.
    wanted: AtomicU32,
    originals: [u64; 256],
    stubs: [u64; 256],
}

const CODE: u64 = STUBS + 0xE_0000;
const DATA: u64 = STUBS + 0xF_0000;
/// No count comes this far.
const NEVER: u64 = 1 << 63;

/// Whether the counters are mapped.
static MAPPED: AtomicBool = AtomicBool::new(false);

/// The emitted stubs.
#[derive(Debug)]
pub struct Ticks {
    table: u64,
    originals: [u64; 256],
    stubs: [u64; 256],
    traps: [u64; 256],
}

/// Has the next tick interrupt, if there are ticks. From any thread, and from signal handlers.
pub fn request() {
    if MAPPED.load(Ordering::SeqCst) {
        // SAFETY: mapped; an atomic.
        unsafe { (*(DATA as *const Data)).wanted.store(1, Ordering::SeqCst) };
    }
}

/// Takes the request back.
pub fn answered() {
    if MAPPED.load(Ordering::SeqCst) {
        // SAFETY: as above.
        unsafe { (*(DATA as *const Data)).wanted.store(0, Ordering::SeqCst) };
    }
}

/// Whether a request has not been answered yet.
#[must_use]
pub fn requested() -> bool {
    // SAFETY: as above.
    MAPPED.load(Ordering::SeqCst) && unsafe { (*(DATA as *const Data)).wanted.load(Ordering::SeqCst) != 0 }
}

/// Whether the next tick could interrupt.
#[must_use]
pub fn counted() -> bool {
    MAPPED.load(Ordering::SeqCst)
}

/// An interpreter is gone, and its ticks with it.
pub(in crate::interpreters) fn forget() {
    MAPPED.store(false, Ordering::SeqCst);
}

/// Whether this address, at which a SIGTRAP was raised, lies in the stub area.
#[must_use]
pub fn is_stub(address: u64) -> bool {
    (STUBS..STUBS + STUBS_SIZE).contains(&address)
}

/// Emits the end of a stub: on to the opcode's own code through the words `stub` and `original`, but for an opcode that is a tick first
/// the count. Returns the address of the trap; 0 where there is none.
pub(super) fn leave(code: &mut Emitter, dispatch: &Dispatch, op: u8, stub: u64, original: u64) -> u64 {
    if !dispatch.layout.opcodes.ticks(op) {
        code.leave(&dispatch.jump_registers, stub, original);
        return 0;
    }
    code.bytes(&[0x48, 0xff, 0x05]); // inc qword [count]
    code.relative(offset(core::mem::offset_of!(Data, count)), 0);
    let reached = code.skip_if(EQUAL);
    code.bytes(&[0x83, 0x3d]); // cmp dword [wanted], 0
    code.relative(offset(core::mem::offset_of!(Data, wanted)), 1);
    code.byte(0);
    let wanted = code.skip_if(NOT_EQUAL);
    code.leave(&dispatch.jump_registers, stub, original);
    code.land(reached);
    code.land(wanted);
    let trap = code.at();
    code.byte(0xcc);
    trap
}

impl Ticks {
    /// Maps the stub area, emits the stubs and leads the table to them.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn install(dispatch: &Dispatch) -> Result<Self, &'static str> {
        forget();
        map(STUBS, STUBS_SIZE, 7)?;
        let mut code = Emitter::new(CODE, DATA);
        let mut ticks = Self {
            table: dispatch.table,
            originals: dispatch.targets,
            stubs: dispatch.targets,
            traps: [0; 256],
        };
        for &op in dispatch.layout.opcodes.ticks {
            let at = usize::from(op);
            code.align();
            ticks.stubs[at] = code.at();
            let word = |field: usize| offset(field) + 8 * u64::from(op);
            let (stub, original) = (
                word(core::mem::offset_of!(Data, stubs)),
                word(core::mem::offset_of!(Data, originals)),
            );
            ticks.traps[at] = leave(&mut code, dispatch, op, stub, original);
        }
        if code.is_full() {
            return Err("the stub area is too small");
        }
        let stubs = ticks.stubs;
        let data = ticks.data();
        data.count = 0_u64.wrapping_sub(NEVER);
        data.goal = NEVER;
        data.originals = dispatch.targets;
        data.stubs = stubs;
        if !ticks.set_patched(true) {
            ticks.set_patched(false);
            return Err("the dispatch table cannot be written");
        }
        MAPPED.store(true, Ordering::SeqCst);
        Ok(ticks)
    }

    /// The counters.
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut)] // one `Ticks` exists, and lends its counters as itself
    fn data(&mut self) -> &mut Data {
        // SAFETY: mapped before any `Ticks` exists, aligned, any bytes are a `Data`; the borrow of the only `Ticks` keeps it exclusive
        // against Rust code but for the atomic, and stubs do not run while Rust code does.
        unsafe { &mut *(DATA as *mut Data) }
    }

    /// Ticks so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        // SAFETY: as in `data`, for reading.
        let data = unsafe { &*(DATA as *const Data) };
        data.count.wrapping_add(data.goal)
    }

    /// The program is to be stopped at this tick. False where it has been passed.
    pub fn set_goal(&mut self, goal: Option<u64>) -> bool {
        let count = self.count();
        let goal = goal.unwrap_or(NEVER);
        let data = self.data();
        data.goal = goal;
        data.count = count.wrapping_sub(goal);
        goal > count
    }

    /// The table while there are no stop points.
    pub(super) fn stubs(&self) -> &[u64; 256] {
        &self.stubs
    }

    /// The opcode whose tick was stopped by the trap at `address`.
    #[must_use]
    pub fn trapped(&self, address: u64) -> Option<u8> {
        trapped(&self.traps, address)
    }

    /// Where the program goes on at `op`.
    #[must_use]
    pub fn target(&self, op: u8) -> u64 {
        self.originals[usize::from(op)]
    }

    /// Replaces stub addresses in registers by what the unpatched program would hold there.
    pub fn launder(&self, registers: &mut Registers) {
        for register in registers.iter_mut().filter(|r| (CODE..DATA).contains(*r)) {
            if let Some(op) = (0..256).find(|&op| self.stubs[op] == *register) {
                *register = self.originals[op];
            }
        }
    }

    /// Leads the table to the stubs, or to where it led before. False where it cannot be written.
    pub fn set_patched(&self, on: bool) -> bool {
        patch(self.table, &words(if on { &self.stubs } else { &self.originals }))
    }
}

/// The opcode of a trap.
pub(super) fn trapped(traps: &[u64; 256], address: u64) -> Option<u8> {
    (0..=255).find(|&op| traps[usize::from(op)] == address && address != 0)
}

/// A table as bytes.
pub(super) fn words(table: &[u64; 256]) -> [u8; 2048] {
    let mut bytes = [0; 2048];
    for (to, word) in bytes.chunks_exact_mut(8).zip(table) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

const fn offset(offset: usize) -> u64 {
    DATA + offset as u64
}
