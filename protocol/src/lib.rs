//! The two links of rdb as types, and nothing else.
//!
//! * [`client`]: `rdbctl` to `rdbd`: [`client::Request`], [`client::Response`], [`client::Notification`].
//! * [`replay`]: `rdbd` to one replay process: [`replay::Order`], [`replay::Answer`].
//! * [`rows`]: what a query gives, over both.
//! * [`stretch`]: what a part of a run came through.
//! * [`predicate`]: conditions that can be decided by reading.
//! * [`paths`]: how file names are meant.
//! * [`frame`]: how either is put on a stream socket.
//!
//! Not here: sockets, threads, the trace format. The crate is `no_std` because the agent, which has no
//! libc, speaks the replay link too.
#![no_std]

extern crate alloc;

pub mod client;
pub mod common;
pub mod frame;
pub mod paths;
pub mod predicate;
mod query;
pub mod replay;
pub mod rows;
pub mod stretch;
mod told;

pub use common::*;
