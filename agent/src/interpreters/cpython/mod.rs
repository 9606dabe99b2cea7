//! CPython 3.11, 3.12 and 3.13: ticks in both modes, stop points in replay.
//!
//! The evaluation loop finds the code of an opcode through a table of 256 addresses. In replay these are replaced by the addresses
//! of stubs that count stop points and then go on to where the table led before. Program memory proper is not touched, but for
//! the table, the `tp_dealloc` slot of code objects, and a few `int3` at function entries; all that is taken out while memory
//! is hashed ([`Stops::set_patched`]). While recording only the table is replaced, and only for the few opcodes that are
//! [`ticks`].
//!
//! # For the engine
//! 1. When the relocations of a mapped object have been applied ([`relocated`]), [`recognise`] it. `None`: no interpreter.
//! 2. [`Ticks::install`], in both modes; a SIGTRAP in a stub ([`ticks::is_stub`]) is a tick that was stopped.
//! 3. For stop points [`Stops::install`] once per process, with a [`Hook`]. `Stops` is then found again through
//!    [`Stops::installed`]; the hook gets it as an argument. On any other SIGTRAP call [`Stops::on_trap`]. After a fork nothing needs to be done but to set the gs base ([`Stops::set_bases`]) where
//!    the kernel has not kept it.
//! 4. [`Stops::set_goal`], [`Stops::set_breakpoints`], and at a stop [`Stops::location`], [`Stops::frames`], [`Stops::sources`],
//!    [`Stops::stop`].
//!
//! The hook runs on the stop stack, the program standing before the stop point; it may take its time, fork, or not return.
//!
//! # Not here
//! Other interpreters, 3.8 to 3.10, 3.14.

mod breakpoints;
mod check;
mod code;
pub mod compare;
mod decide;
mod elf;
mod emit;
pub mod evaluate;
mod events;
mod exception_text;
mod follow;
mod frames;
mod hits;
pub mod inline;
mod inline_arena;
mod inline_calls;
mod inline_names;
mod inline_quiet;
mod layout;
mod life;
mod lines;
mod locate;
mod lookup;
mod marking;
mod native_calls;
mod objects;
pub mod observe;
mod raises;
mod result;
mod rules;
mod sources;
mod stepping;
mod stops;
mod stretch;
mod stubs;
pub mod ticks;
mod traps;
mod v311;
mod v312;
mod v313;

pub use follow::Followed;
pub use layout::Breaker;
pub use life::Boundaries;
pub use locate::{Dispatch, Located, recognise, relocated};
pub use stops::{Hook, Reason, Stop, Stops};
pub use ticks::Ticks;
pub use traps::Trap;

use alloc::format;
use alloc::string::String;

/// An interpreter that stop points cannot be put into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// One line: name, version, build id, and why.
    pub reason: String,
}

impl Unsupported {
    fn new(name: &str, build_id: &str, why: &str) -> Self {
        Self {
            reason: format!("{name} (build id {build_id}): {why}"),
        }
    }
}

/// Where things are.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Byte `a` of the program is described by the byte at `shadow + a` (wrapping).
    pub shadow: u64,
    /// Ranges of program addresses that may hold code objects.
    pub code: &'static [(u64, u64)],
}

impl Places {
    /// Those of a program that the agent has loaded.
    pub const AGENT: Self = Self {
        shadow: crate::layout::SHADOW,
        code: &[(0, 1 << 32), (crate::layout::EXE_BASE, crate::layout::MMAP_TOP)],
    };
}
