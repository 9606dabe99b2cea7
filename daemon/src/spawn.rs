//! The real host: starts the agent as root of a trace, and takes charge of the copies it makes.

use crate::fault::Fault;
use crate::host::{Body, Host};
use crate::link::Link;
use crate::reaper::Reaper;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rdb_embed::Agent;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Held while a descriptor is open to children, so that no other child inherits it.
static INHERITING: Mutex<()> = Mutex::new(());

/// The replay processes of one trace.
#[derive(Debug)]
pub(crate) struct AgentHost {
    trace: PathBuf,
    reaper: Arc<Reaper>,
    /// Standard error of them all: a memory file, so that nobody has to drain it.
    errors: File,
}

impl AgentHost {
    /// For the trace in this directory.
    pub(crate) fn new(trace: &Path, reaper: Arc<Reaper>) -> Result<AgentHost, Fault> {
        let errors = memfd_create(c"rdb-replay-errors", MFdFlags::MFD_CLOEXEC).map_err(Fault::system("cannot make a memory file"))?;
        Ok(AgentHost {
            trace: trace.to_path_buf(),
            reaper,
            errors: errors.into(),
        })
    }

    fn start(&self, agent: &Agent, theirs: &OwnedFd) -> io::Result<u32> {
        let errors = self.errors.try_clone()?;
        let mut command = Command::new(agent.path());
        command
            .arg0("rdb-agent")
            .arg("replay")
            .arg(&self.trace)
            .arg(theirs.as_raw_fd().to_string());
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let _alone = INHERITING.lock().unwrap_or_else(PoisonError::into_inner);
        fcntl(theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let child = command.spawn();
        fcntl(theirs, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(child?.id())
    }
}

impl Host for AgentHost {
    fn root(&self) -> Result<(Link, Arc<dyn Body>), Fault> {
        let (link, theirs) = Link::pair().map_err(Fault::system("cannot make a socket pair"))?;
        let agent = agent().map_err(Fault::system("cannot prepare the agent"))?;
        let pid = self.start(agent, &theirs).map_err(Fault::system("cannot start the agent"))?;
        let pid = i32::try_from(pid).map_err(|_| Fault::Garbled("process id out of range".to_string()))?;
        Ok((link, self.adopt(pid)?))
    }

    fn adopt(&self, pid: i32) -> Result<Arc<dyn Body>, Fault> {
        Ok(self
            .reaper
            .adopt(pid)
            .map_err(Fault::system("cannot take charge of a replay process"))?)
    }

    fn closing(&self) -> bool {
        self.reaper.closing()
    }

    fn written(&self) -> u64 {
        self.errors.metadata().map_or(0, |m| m.len())
    }

    fn last_words(&self, since: u64) -> Option<String> {
        const TAIL: u64 = 4096;
        let end = self.written();
        let start = since.max(end.saturating_sub(TAIL));
        let mut tail = vec![0; usize::try_from(end.saturating_sub(start)).ok()?];
        self.errors.read_exact_at(&mut tail, start).ok()?;
        let tail = String::from_utf8_lossy(&tail).into_owned();
        tail.lines().map(str::trim).rfind(|l| !l.is_empty()).map(str::to_string)
    }
}

/// The agent's memory file, made once.
fn agent() -> io::Result<&'static Agent> {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    if let Some(agent) = AGENT.get() {
        return Ok(agent);
    }
    let made = Agent::new()?;
    Ok(AGENT.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_line_since_then() {
        let host = AgentHost::new(Path::new("/nowhere"), Reaper::start().unwrap()).unwrap();
        assert_eq!(host.last_words(0), None);
        let mut errors = host.errors.try_clone().unwrap();
        errors.write_all(b"one\ntwo\n\n").unwrap();
        assert_eq!(host.last_words(0).as_deref(), Some("two"));
        let since = host.written();
        assert_eq!(host.last_words(since), None);
        errors.write_all(&[b'x'; 10_000]).unwrap();
        assert_eq!(host.last_words(since).unwrap().len(), 4096);
    }
}
