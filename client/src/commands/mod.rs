//! The one command language of prompt and batch.
//!
//! * [`grammar`]: a line to a [`Command`].
//! * [`names`]: the names of all commands, with their help.
//! * [`Debugger`]: carries commands out on a session.
//! * [`Outcome`]: what came of one.

mod annotated;
mod debugger;
mod disassembly;
mod facts;
mod frames;
pub mod grammar;
mod listing;
mod lookup;
mod marks;
pub mod names;
mod news;
mod outcome;
mod scripting;
mod values;

pub use debugger::Debugger;
pub use grammar::{Command, FrameChoice, InfoTopic, ListRange, parse};
pub use outcome::{Outcome, Refusal};
