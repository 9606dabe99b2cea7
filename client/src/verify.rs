//! `rdbctl verify`: the agent replays the trace and compares; it says the result itself.

use crate::cli::VerifyArgs;
use crate::paths::Places;
use crate::processes::{choose, folders};
use crate::{Fault, Log};
use rdb_embed::Agent;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Runs the subcommand; the agent's exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &VerifyArgs) -> Result<u8, Fault> {
    let trace = places.trace(&args.trace)?;
    let agent = crate::record::agent()?;
    if args.pid.is_some() {
        return verify(&agent, &choose(trace, args.pid)?, args.stop_points);
    }
    let further = folders(&trace);
    if further.is_empty() {
        return verify(&agent, &trace, args.stop_points);
    }
    let mut worst = 0;
    for folder in [trace].iter().chain(&further) {
        let log = match Log::open(folder) {
            Ok(log) => log,
            Err(_) if never_started(folder) => {
                eprintln!("rdb: {}: nothing was recorded", folder.display());
                continue;
            }
            Err(e) => {
                eprintln!("rdb: {}: {e}", folder.display());
                worst = worst.max(crate::fault::FAULT);
                continue;
            }
        };
        // Killed before it did anything.
        if log.header().events == 0 {
            continue;
        }
        eprintln!("rdb: process {}:", log.header().origin.pid);
        worst = worst.max(verify(&agent, folder, args.stop_points)?);
    }
    Ok(worst)
}

/// Whether a process was killed before its log had a header.
fn never_started(folder: &Path) -> bool {
    let log = std::fs::File::open(folder.join(rdb_trace::EVENTS_FILE));
    let mut magic = [0; 8];
    log.is_err() || log.is_ok_and(|mut log| std::io::Read::read_exact(&mut log, &mut magic).is_err() || magic == [0; 8])
}

fn verify(agent: &Agent, folder: &Path, stop_points: bool) -> Result<u8, Fault> {
    let mut command = Command::new(agent.path());
    command.arg0("rdb-agent").arg("verify").arg(folder);
    if stop_points {
        command.arg("stops");
    }
    let status = command.status().map_err(|e| Fault::new(format!("cannot run the agent: {e}")))?;
    match status.code() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(crate::fault::FAULT)),
        None => Err(Fault::new(format!("the replay died: {status}"))),
    }
}
