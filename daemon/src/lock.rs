//! One daemon per socket: a lock file decides who it is, however many start at once.

use crate::link::Link;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rdb_protocol::client::{Hello, MAGIC, VERSION, Welcome};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long another daemon that holds the lock may take to answer or to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(20);

/// Held as long as the daemon lives; the kernel gives it back whatever happens to us.
pub(crate) type Lock = Flock<File>;

/// Who is the daemon for this socket.
#[derive(Debug)]
pub(crate) enum Office {
    /// We are.
    Ours(Lock),
    /// Another one, which answers.
    Taken,
}

/// Takes the lock beside the socket, or finds that a live daemon has it.
pub(crate) fn acquire(socket: &Path) -> io::Result<Office> {
    let path = socket.with_extension("lock");
    let deadline = Instant::now() + PATIENCE;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Office::Ours(lock)),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) => file = back,
            Err((_, e)) => return Err(e.into()),
        }
        if answers(socket) {
            return Ok(Office::Taken);
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("another rdbd holds {} but does not answer", path.display()),
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a daemon, of whatever version, answers there.
fn answers(socket: &Path) -> bool {
    let Ok(stream) = UnixStream::connect(socket) else { return false };
    let mut link = Link::new(stream);
    let hello = Hello {
        magic: MAGIC,
        version: VERSION,
    };
    link.send(&hello).is_ok()
        && link
            .receive_short::<Welcome>(Some(Instant::now() + Duration::from_secs(1)), 64)
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn one_gets_it_and_the_other_finds_it_taken() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s.sock");
        let Office::Ours(lock) = acquire(&socket).unwrap() else {
            panic!("nobody has it")
        };
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = std::thread::spawn(move || {
            let mut link = Link::new(listener.accept().unwrap().0);
            let _hello: Hello = link.receive(None).unwrap();
            link.send(&Welcome { version: 9, pid: 1 }).unwrap();
        });
        assert!(matches!(acquire(&socket).unwrap(), Office::Taken));
        answering.join().unwrap();
        drop(lock);
        assert!(
            matches!(acquire(&socket).unwrap(), Office::Ours(_)),
            "the socket file of a dead one does not count"
        );
    }
}
