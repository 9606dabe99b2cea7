//! The command line, and the order in which the daemon comes up.

use crate::detach::{Side, detach};
use crate::host::Host;
use crate::lock::{Office, acquire};
use crate::reaper::Reaper;
use crate::recording::Numbers;
use crate::room;
use crate::server::Server;
use crate::spawn::AgentHost;
use clap::{CommandFactory, Parser};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Keeps the replay processes of open traces; started by rdbctl when needed.
///
/// rdbd serves one user through a Unix socket. It keeps, for each open trace, a tree of paused replay processes, and exits by
/// itself when nobody has used it for a while. A second rdbd on the same socket exits at once with status 0.
#[derive(Debug, Parser)]
#[command(name = "rdbd", version, after_help = "Example:\n  rdbd --foreground --idle-seconds 60")]
struct Args {
    /// Stay in the terminal and say there what happens
    #[arg(long)]
    foreground: bool,
    /// Socket to serve; its directory must be yours alone [default: $XDG_RUNTIME_DIR/rdb/rdbd.sock or /tmp/rdb-UID/rdbd.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Exit after so many seconds without a client
    #[arg(long, value_name = "N", default_value_t = 300)]
    idle_seconds: u64,
    /// Memory for all checkpoints, in MiB, beyond what they share; fewer make moves slower
    #[arg(long, value_name = "N", env = "RDBD_MEMORY", default_value_t = 300)]
    memory: u64,
    /// Have the survey tell what it comes through every N stop points, however long that takes
    #[arg(long, value_name = "N", env = "RDBD_STRETCH", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    stretch: Option<u64>,
}

impl Args {
    fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::default();
        numbers.limits.memory_kib = self.memory.saturating_mul(1024);
        if self.stretch.is_some() {
            (numbers.pace.stretch, numbers.pace.gap) = (self.stretch, 0);
        }
        numbers
    }
}

/// The command line as clap knows it, for the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// The program: status 0 when it served, or when another one already does; 2 when it could not.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rdbd: {e}");
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let numbers = args.numbers();
    let socket = args
        .socket
        .map(std::path::absolute)
        .transpose()?
        .unwrap_or_else(room::default_socket);
    room::prepare(&socket)?;
    let Office::Ours(lock) = acquire(&socket)? else { return Ok(()) };
    let listener = listen(&socket).map_err(|e| format!("{}: {e}", socket.display()))?;
    if !args.foreground && detach()? == Side::Parent {
        // The child has the same lock; dropped here, it would be given up for both.
        std::mem::forget(lock);
        return Ok(());
    }
    raise_descriptor_limit();
    let reaper = Reaper::start()?;
    let hosts = {
        let reaper = Arc::clone(&reaper);
        move |trace: &Path| Ok(Arc::new(AgentHost::new(trace, Arc::clone(&reaper))?) as Arc<dyn Host>)
    };
    let server = Server::new(listener, Arc::new(hosts), numbers, Duration::from_secs(args.idle_seconds))?;
    if args.foreground {
        eprintln!("rdbd: serving {}", socket.display());
    }
    let served = server.run(|| reaper.close(Duration::from_secs(10)));
    // Still under the lock: no other daemon's socket can lie there.
    let _ = std::fs::remove_file(&socket);
    drop(lock);
    Ok(served?)
}

/// Each replay process takes two descriptors; the usual soft limit is for programs that use select(2).
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Listens, in place of a daemon that died.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => UnixListener::bind(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
        let args = Args::parse_from(["rdbd"]);
        assert_eq!((args.foreground, args.idle_seconds), (false, 300));
    }
}
