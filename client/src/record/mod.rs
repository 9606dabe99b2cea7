//! `rdbctl record`: checks the command, makes the trace directory, runs the agent, reports.

mod child;
mod end;
mod kernel;
mod place;
mod program;
mod report;

use crate::Fault;
use crate::cli::RecordArgs;
use crate::paths::Places;
use rdb_embed::Agent;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::Command;

/// Exit status of the agent when it could not even start the program; it has said why.
const NOT_STARTED: i32 = 125;

/// Runs the subcommand; the exit status, unless a signal ends the process as it ended the program.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &RecordArgs) -> Result<u8, Fault> {
    let Some(name) = args.command.first() else {
        return Err(Fault::new("no command given"));
    };
    let program = program::resolve(name, std::env::var_os("PATH").as_deref())?;
    kernel::check()?;
    let chaos = args.chaos.map_or(0, seed);
    let place = place::Place::make(places, args.output.as_deref(), &program)?;
    let agent = Agent::kept_in(&places.data).map_err(no_agent)?;
    let mut command = Command::new(agent.path());
    std::os::unix::process::CommandExt::arg0(&mut command, "rdb-agent");
    command
        .arg("record")
        .arg(place.trace())
        .arg(places.store())
        .arg(args.verify_every.to_string())
        .arg(args.max_size.unwrap_or(0).to_string())
        .args(["0", "0", if args.no_follow { "alone" } else { "follow" }])
        .args([&chaos.to_string(), "--"]);
    command.arg(&program).args(&args.command);
    if chaos != 0 && !args.quiet {
        eprintln!("rdb: chaos: the schedule is drawn from seed {chaos}; --chaos={chaos} draws alike");
    }
    let status = child::run(command)?;
    // What cannot be written now (a full disk) is no reason to lose the program's own exit status.
    let _ = report::close(place.trace(), status);
    match report::summary(place.trace(), status) {
        Some(line) if !args.quiet => eprintln!("rdb: {line}"),
        Some(_) => {}
        None => {
            place.withdraw();
            if status.code() != Some(NOT_STARTED) {
                eprintln!("rdb: nothing was recorded");
            }
        }
    }
    Ok(end::like(status))
}

/// The seed of chaos: the one given, or a random one. Never 0, which is no chaos; small enough to be typed again.
fn seed(given: Option<u64>) -> u64 {
    let random = || RandomState::new().build_hasher().finish() % 1_000_000_000;
    given.unwrap_or_else(random).max(1)
}

/// The agent, ready to be executed.
///
/// # Errors
/// When the kernel gives no memory file.
pub(crate) fn agent() -> Result<Agent, Fault> {
    Agent::new().map_err(no_agent)
}

fn no_agent(e: std::io::Error) -> Fault {
    Fault::new(format!("cannot make a memory file for the agent: {e}"))
}
