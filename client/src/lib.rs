//! `rdbctl`: records programs, and travels through recordings with the help of `rdbd`.
//!
//! * [`record`]: runs a program under the agent and reports.
//! * [`link`]: the connection to the daemon: [`link::Client`] has one method per request, [`link::Session`] survives the
//!   daemon's death.
//! * [`commands`]: the one command language of prompt and batch, and its execution.
//! * [`show`]: how results look: text, JSON, source lines.
//! * [`repl`], [`batch`]: the two front ends.
//! * [`query`]: many stop points at once, as rows.
//! * [`output`], [`info`], [`verify`]: what needs no daemon.
//! * [`pack`], [`ls`], [`rm`]: traces as files; `remote`: in object stores.
//!
//! A front end of one's own opens a [`link::Session`] and makes its requests: `examples/walk.rs` is a whole one. The link itself is
//! described in `docs/protocol.md`.
//!
//! Not here: time travel itself (the daemon's), anything inside a recorded process (the agent's).

use std::process::ExitCode;

pub mod batch;
pub mod cli;
pub mod commands;
mod fault;
pub mod info;
pub mod link;
mod log;
pub mod ls;
pub mod output;
pub mod pack;
pub mod paths;
pub mod processes;
pub mod query;
pub mod record;
mod remote;
pub mod repl;
pub mod rm;
pub mod show;
pub mod verify;

pub use fault::Fault;
pub use log::{Log, LogError};

/// Entry of `rdbctl`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match <cli::Cli as clap::Parser>::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that cannot be printed (a closed pipe) is nobody's loss.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(fault::FAULT));
        }
    };
    match dispatch(&cli.command) {
        Ok(status) => ExitCode::from(status),
        Err(fault) => fault.report(),
    }
}

fn dispatch(command: &cli::Subcommand) -> Result<u8, Fault> {
    let places = paths::Places::from_env();
    match command {
        cli::Subcommand::Record(args) => record::run(&places, args),
        cli::Subcommand::Replay(args) => repl::run(&places, args),
        cli::Subcommand::Batch(args) => batch::run(&places, args),
        cli::Subcommand::Query(args) => query::run(&places, args),
        cli::Subcommand::Verify(args) => verify::run(&places, args),
        cli::Subcommand::Output(args) => output::run(&places, args),
        cli::Subcommand::Ps(args) => processes::run(&places, args),
        cli::Subcommand::Info(args) => info::run(&places, args),
        cli::Subcommand::Pack(args) => pack::pack(&places, args),
        cli::Subcommand::Unpack(args) => pack::unpack(args),
        cli::Subcommand::Ls(args) => ls::run(&places, args),
        cli::Subcommand::Rm(args) => rm::run(&places, args),
    }
}
