//! `rdbctl verify`: the agent replays the trace and compares; it says the result itself.

use crate::Fault;
use crate::cli::VerifyArgs;
use crate::paths::Places;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs the subcommand; the agent's exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &VerifyArgs) -> Result<u8, Fault> {
    let trace = places.trace(&args.trace)?;
    let agent = crate::record::agent()?;
    let mut command = Command::new(agent.path());
    command.arg0("rdb-agent").arg("verify").arg(&trace);
    if args.stop_points {
        command.arg("stops");
    }
    let status = command.status().map_err(|e| Fault::new(format!("cannot run the agent: {e}")))?;
    match status.code() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(crate::fault::FAULT)),
        None => Err(Fault::new(format!("the replay died: {status}"))),
    }
}
