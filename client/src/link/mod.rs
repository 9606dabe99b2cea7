//! The connection to the daemon.
//!
//! [`Client`] is one connection with one method per request. [`Session`] is what a front end holds: it starts the daemon,
//! opens the trace, and brings everything back after the daemon died.

mod client;
mod daemon;
mod interrupt;
mod news;
mod session;
mod socket;

pub use client::{CallError, Client, ConnectError};
pub use daemon::{DEADLINE, Launcher};
pub use interrupt::Interrupter;
pub use news::News;
pub use session::{Session, SessionError};
