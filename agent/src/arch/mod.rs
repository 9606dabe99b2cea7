//! All assembly of the agent.
//!
//! # Safety
//! This room may use `unsafe`: each wrapper states the contract of the instruction it wraps.
#![allow(unsafe_code)]

pub mod bases;
mod bytes;
pub mod dispatch;
pub mod entry;
pub mod syscall;
pub mod vdso;
pub mod vectors;
