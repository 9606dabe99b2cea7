//! The agent image as bytes, and the way to run it.
//!
//! Both programs need it: `rdbctl` to record, `rdbd` to replay. It runs from a sealed memory file or from one that was made of it, so a user
//! installs two programs and nothing is searched for.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The agent: a static ELF executable for a fixed address.
pub static IMAGE: &[u8] = include_bytes!(env!("RDB_AGENT_IMAGE"));

mod kept;

/// A file with the agent in it, closed on exec: a sealed memory file, or one that is kept.
#[derive(Debug)]
pub struct Agent {
    fd: OwnedFd,
}

impl Agent {
    /// Makes the memory file.
    ///
    /// # Errors
    /// What the kernel says (`memfd_create(2)`, `write(2)`).
    pub fn new() -> io::Result<Agent> {
        let fd = memfd_create(c"rdb-agent", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(fd);
        file.write_all(IMAGE)?;
        seal(&file)?;
        Ok(Agent { fd: file.into() })
    }

    /// The file that is kept in a directory of the user's own, which is made when it is not there; where it cannot be, a memory file. To fill one
    /// takes half a millisecond, which a recording would begin with.
    ///
    /// # Errors
    /// As [`Agent::new`].
    pub fn kept_in(directory: &Path) -> io::Result<Agent> {
        match kept::file(directory, IMAGE, env!("RDB_AGENT_HASH")) {
            Some(file) => Ok(Agent { fd: file.into() }),
            None => Agent::new(),
        }
    }

    /// The path to execute (`std::process::Command::new`); valid while `self` lives, in this process and its children.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }
}

/// Nobody changes the file any more.
fn seal(file: &File) -> nix::Result<()> {
    /// On a busy machine the kernel may hold pages just written for longer than the 150 ms it waits by itself (mm/memfd.c).
    const TRIES: u32 = 20;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    let mut tries = 0;
    loop {
        tries += 1;
        match fcntl(file, FcntlArg::F_ADD_SEALS(seals)) {
            Err(Errno::EBUSY) if tries < TRIES => {}
            done => return done.map(drop),
        }
    }
}
