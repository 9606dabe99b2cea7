//! The address map: where the program is put, and where the agent keeps what the program must not see.
//!
//! All constants are the same in recording and replay. Program addresses lie below [`PROGRAM_END`]; the agent above.

/// Where position-independent executables are put.
pub const EXE_BASE: u64 = 0x1000_0000_0000;
/// Where the program break starts.
pub const BRK_BASE: u64 = 0x1100_0000_0000;
/// Highest address of the break.
pub const BRK_END: u64 = BRK_BASE + (1 << 36);
/// Mappings without a fixed address grow down from here.
pub const MMAP_TOP: u64 = 0x2000_0000_0000;
/// The vDSO, [`VDSO_SIZE`] bytes, beyond what mappings are given.
pub const VDSO: u64 = MMAP_TOP + 0x4_0000;
/// Its size, in bytes.
pub const VDSO_SIZE: u64 = 4096;
/// End of the initial stack.
pub const STACK_TOP: u64 = 0x3000_0000_0000;
/// Size of the initial stack, in bytes.
pub const STACK_SIZE: u64 = 8 << 20;
/// Replay only, in processes that are thrown away: a stack for functions of the program, which is not there while the program runs.
pub const LIFE_STACK: u64 = 0x3F00_0000_0000;
/// Replay only, in processes that are thrown away: where an evaluation that is watched has its stack and its memory.
pub const EVALUATION: u64 = 0x3F10_0000_0000;
/// Size of that, in bytes.
pub const EVALUATION_SIZE: u64 = 256 << 20;
/// End of program addresses.
pub const PROGRAM_END: u64 = 0x4000_0000_0000;

/// Replay only: byte `a` of the program is described by the byte at `SHADOW + a` (stop points). The gs base holds this.
pub const SHADOW: u64 = 0x4000_0000_0000;

/// The agent image.
pub const IMAGE_BASE: u64 = 0x6000_0000_0000;
/// The agent's heap.
pub const HEAP: u64 = 0x6100_0000_0000;
/// Size reserved for it, in bytes.
pub const HEAP_SIZE: u64 = 8 << 30;
/// One slot of agent memory (signal stack) per thread.
pub const SLOTS: u64 = 0x6800_0000_0000;
/// Size of a slot, in bytes.
pub const SLOT_SIZE: u64 = 0x8_0000;
/// Most threads over a process's life.
pub const SLOT_COUNT: u64 = 0x8000;
/// Bounce buffers, [`BOUNCE_SIZE`] a thread.
pub const BOUNCE: u64 = 0x6C00_0000_0000;
/// Size of a thread's bounce buffer, in bytes.
pub const BOUNCE_SIZE: u64 = 1 << 20;
/// The event log.
pub const LOG: u64 = 0x6A00_0000_0000;
/// Emitted stubs and their data, [`STUBS_SIZE`] bytes.
pub const STUBS: u64 = 0x6E00_0000_0000;
/// Size of the stub area, in bytes.
pub const STUBS_SIZE: u64 = 1 << 20;
/// The stack stop handlers run on (replay has one kernel thread, so one is enough), [`STOP_STACK_SIZE`] bytes.
pub const STOP_STACK: u64 = 0x6E10_0000_0000;
/// Its size, in bytes.
pub const STOP_STACK_SIZE: u64 = 1 << 20;
/// What processes that share memory tell each other, a page.
pub const GROUP: u64 = 0x6E20_0000_0000;
/// A word that tells the vDSO's functions where to go on, in a page of its own. Its address is part of traces: the program sees the code
/// that reads it.
pub const VECTOR: u64 = 0x6E30_0000_0000;
/// Replay only: the stack of the vDSO's functions.
pub const CLOCK_STACK: u64 = 0x6E31_0000_0000;
/// Its size, in bytes.
pub const CLOCK_STACK_SIZE: u64 = 1 << 16;
/// End of the agent's addresses.
pub const AGENT_END: u64 = 0x7000_0000_0000;
