//! The agent: records and replays a program from inside its process.
//!
//! A library, so that the host can test it; `image/` makes the freestanding program of it. Everything here runs in the
//! process of the recorded program, without a libc, and must never be noticed by it.
#![no_std]
// x86-64 only: addresses and sizes are 64 bits wide, and the kernel's ABI narrows words (tids, statuses, leaves) as we do.
#![allow(clippy::cast_possible_truncation)]

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the agent is x86-64 only");

extern crate alloc;

pub mod arch;
pub mod context;
pub mod diag;
pub mod fatal;
pub mod heap;
pub mod instructions;
pub mod intercept;
pub mod interpreters;
pub mod layout;
pub mod load;
pub mod memory;
pub mod memory_calls;
pub mod orders;
pub mod preempt;
pub mod record;
pub mod replay;
pub mod sandbox;
pub mod signals;
pub mod sorted;
pub mod start;
pub mod state;
pub mod sys;
pub mod syscalls;
pub mod threads;
pub mod verify;
