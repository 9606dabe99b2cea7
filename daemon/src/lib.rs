//! `rdbd`: keeps a tree of replay processes for each open trace and routes every command to the nearest earlier one.
//!
//! Arrows run one way: [`main`] -> server -> connection -> session -> work (one command) -> timeline -> replay process. What sessions on
//! one trace share is a recording. Beside them, and pure:
//! placement (where checkpoints go), costs (what a stretch of replay takes), slice (how far to run at once), index (where nothing is found).
//!
//! Not here: the replay itself (the agent's), the trace format, anything a user sees.

mod actions;
mod ahead;
mod audience;
mod behind;
mod board;
mod bookmarks;
mod breakpoints;
mod calls;
mod child;
mod cli;
mod conditions;
mod connection;
mod costs;
mod detach;
mod facts;
mod fault;
mod host;
mod index;
mod inspect;
mod instructions;
mod interrupt;
mod known;
mod ladder;
mod life;
mod link;
mod lock;
mod memory;
mod moves;
mod outputs;
mod passed;
mod pidfd;
mod placement;
mod progress;
mod query;
mod raises;
mod reading;
mod reaper;
mod recording;
mod recordings;
mod references;
mod replay;
mod room;
mod saved;
mod server;
mod session;
mod skips;
mod slice;
mod sources;
mod spawn;
mod stepping;
mod streams;
mod survey;
mod survey_file;
mod timeline;
mod tree;
mod trial;
mod turns;
mod watching;
mod work;
mod writer;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod stepping_tests;
#[cfg(test)]
mod travel_tests;

pub use cli::{command, main};
