//! Reaches the daemon; starts it when there is none.

use super::client::{Client, ConnectError};
use super::interrupt::Interrupter;
use super::socket::LinkError;
use crate::Fault;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a daemon may take to open its socket.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// A daemon that refused to start may have lost a race against one that is about to open the socket.
const RACE: Duration = Duration::from_millis(500);
/// Between two attempts to connect.
const POLL: Duration = Duration::from_millis(5);

/// Knows how to reach the daemon.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The socket it listens on.
    pub socket: PathBuf,
    /// The program to start when nobody listens.
    pub program: OsString,
}

impl Launcher {
    /// For `socket`. The daemon is `$RDB_RDBD`, or the `rdbd` beside this program, or the one in PATH.
    #[must_use]
    pub fn from_env(socket: PathBuf) -> Launcher {
        let beside = || {
            Some(std::env::current_exe().ok()?.parent()?.join("rdbd"))
                .filter(|p| p.is_file())
                .map(PathBuf::into_os_string)
        };
        let program = std::env::var_os("RDB_RDBD")
            .filter(|v| !v.is_empty())
            .or_else(beside)
            .unwrap_or_else(|| "rdbd".into());
        Launcher { socket, program }
    }

    /// A connection, to a daemon started for it if need be. Whoever dies may be reached a moment longer: its socket goes last.
    ///
    /// # Errors
    /// [`Fault`], one line.
    pub fn connect(&self, interrupter: &Interrupter) -> Result<Client, Fault> {
        let until = Instant::now() + DEADLINE;
        loop {
            match Client::new(self.reach()?, interrupter.clone()) {
                Ok(client) => {
                    note_replaced(client.daemon());
                    return Ok(client);
                }
                Err(ConnectError::Link(LinkError::Gone(_))) if Instant::now() < until => thread::sleep(POLL),
                Err(ConnectError::Link(e)) => {
                    return Err(Fault::new(format!("rdbd at {} closed the connection: {e}", self.socket.display())));
                }
                Err(e @ ConnectError::Version { .. }) => return Err(Fault::new(e.to_string())),
            }
        }
    }

    fn reach(&self) -> Result<UnixStream, Fault> {
        match UnixStream::connect(&self.socket) {
            Ok(stream) => {
                self.check_owner()?;
                Ok(stream)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => self.start(),
            Err(e) => Err(self.failed("cannot reach rdbd", &e)),
        }
    }

    fn start(&self) -> Result<UnixStream, Fault> {
        let folder = self.socket.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| self.failed("cannot make the folder of the socket", &e))?;
        self.check_owner()?;
        // Not a pipe: the daemon may hold its stderr open, and nobody would read.
        let words = memfd_create(c"rdbd-stderr", MFdFlags::MFD_CLOEXEC)
            .map(File::from)
            .map_err(|e| self.failed("cannot start rdbd", &e.into()))?;
        let theirs = words.try_clone().map_err(|e| self.failed("cannot start rdbd", &e))?;
        let mut child = Command::new(&self.program)
            .arg("--socket")
            .arg(&self.socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(theirs)
            .spawn()
            .map_err(|e| {
                let program = Path::new(&self.program).display();
                Fault::new(format!(
                    "cannot start the daemon {program}: {e}; install rdbd beside rdbctl, or set RDB_RDBD"
                ))
            })?;
        self.wait(&mut child, words)
    }

    fn wait(&self, child: &mut Child, words: File) -> Result<UnixStream, Fault> {
        let mut until = Instant::now() + DEADLINE;
        let mut refused = None;
        loop {
            if let Ok(stream) = UnixStream::connect(&self.socket) {
                return Ok(stream);
            }
            if refused.is_none()
                && let Ok(Some(status)) = child.try_wait()
                && !status.success()
            {
                refused = Some(status);
                until = until.min(Instant::now() + RACE);
            }
            if Instant::now() > until {
                let said = what_it_said(words);
                return Err(Fault::new(match refused {
                    Some(status) => format!("rdbd did not start ({status}){said}"),
                    None => format!(
                        "rdbd opened no socket at {} within {} s{said}",
                        self.socket.display(),
                        DEADLINE.as_secs()
                    ),
                }));
            }
            thread::sleep(POLL);
        }
    }

    /// In `/tmp` another user may have made the folder first, and would see all we ask.
    fn check_owner(&self) -> Result<(), Fault> {
        let folder = self.socket.parent().unwrap_or(Path::new("/"));
        let owner = folder
            .symlink_metadata()
            .map_err(|e| self.failed("cannot look at the folder of the socket", &e))?
            .uid();
        if owner == nix::unistd::geteuid().as_raw() {
            return Ok(());
        }
        Err(Fault::new(format!(
            "{} belongs to another user (uid {owner}); set XDG_RUNTIME_DIR to a folder of your own",
            folder.display()
        )))
    }

    fn failed(&self, what: &str, e: &io::Error) -> Fault {
        Fault::new(format!("{what} ({}): {e}", self.socket.display()))
    }
}

/// A daemon lives on when its program is replaced; its replays are then those of the old one.
fn note_replaced(pid: i32) {
    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
    if program.is_ok_and(|p| p.as_os_str().as_encoded_bytes().ends_with(b" (deleted)")) {
        eprintln!("rdbctl: note: rdbd (process {pid}) is older than the program on disk; `kill {pid}` lets the new one start");
    }
}

/// What the daemon said, in one line after a colon: where it did not like its options the line with the error, which has a usage behind
/// it; else the last one.
fn what_it_said(mut words: File) -> String {
    let mut text = Vec::new();
    // Without its words the message is shorter, no more.
    let _ = words.rewind().and_then(|()| words.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let error = lines.clone().find_map(|l| l.strip_prefix("error: "));
    error.or_else(|| lines.next_back()).map(|l| format!(": {l}")).unwrap_or_default()
}
