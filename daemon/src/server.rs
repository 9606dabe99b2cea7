//! Accepts clients, one thread each; ends when idle, or when told by a signal.

use crate::connection;
use crate::recording::Numbers;
use crate::recordings::{Hosts, Recordings};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Uid;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time for connections to wind up once everything has been told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// The listening daemon.
pub(crate) struct Server {
    listener: UnixListener,
    /// The open traces.
    pub(crate) recordings: Arc<Recordings>,
    idle: Duration,
    clients: Arc<Clients>,
    ear: UnixStream,
    terminated: Arc<AtomicBool>,
}

/// Who is connected, and a bell for when that changes.
struct Clients {
    streams: Mutex<HashMap<u64, UnixStream>>,
    changed: Condvar,
    bell: UnixStream,
}

impl Server {
    /// Serves this socket until nobody was there for `idle`. Takes SIGTERM and SIGINT.
    pub(crate) fn new(listener: UnixListener, hosts: Arc<Hosts>, numbers: Numbers, idle: Duration) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let terminated = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // The flag first: whoever hears the bell must see it.
            signal_hook::flag::register(signal, Arc::clone(&terminated))?;
            signal_hook::low_level::pipe::register(signal, bell.try_clone()?)?;
        }
        let clients = Arc::new(Clients {
            streams: Mutex::default(),
            changed: Condvar::new(),
            bell,
        });
        Ok(Server {
            listener,
            recordings: Arc::new(Recordings::new(hosts, numbers)),
            idle,
            clients,
            ear,
            terminated,
        })
    }

    /// The daemon's life. `kill_all` ends every replay process, present and future.
    pub(crate) fn run(&self, kill_all: impl FnOnce()) -> io::Result<()> {
        let ended = self.accept_until_done();
        self.recordings.close();
        // What is being said is said to its end: that is how a client learns why.
        self.clients.shut(Shutdown::Read);
        kill_all();
        self.clients.wait_until_gone(FAREWELL);
        self.clients.shut(Shutdown::Both);
        ended
    }

    fn accept_until_done(&self) -> io::Result<()> {
        let mut idle_since = Instant::now();
        let mut next = 0;
        loop {
            let timeout = if self.clients.streams().is_empty() {
                let left = self.idle.saturating_sub(idle_since.elapsed());
                if left.is_zero() {
                    return Ok(());
                }
                PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
            } else {
                PollTimeout::NONE
            };
            let mut fds = [
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.ear.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            if (&self.ear).read(&mut [0; 64]).is_ok() {
                // A client went: the idle time counts from here.
                idle_since = Instant::now();
            }
            if self.terminated.load(Ordering::Acquire) {
                return Ok(());
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    idle_since = Instant::now();
                    next += 1;
                    self.admit(stream, next)?;
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                // Too many open files: the client sees no answer, those we have are served on.
                Err(e) if !self.clients.streams().is_empty() => {
                    eprintln!("rdbd: cannot accept a client: {e}");
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn admit(&self, stream: UnixStream, number: u64) -> io::Result<()> {
        let peer = getsockopt(&stream, PeerCredentials)?;
        if peer.uid() != Uid::effective().as_raw() {
            eprintln!("rdbd: refused process {} of user {}", peer.pid(), peer.uid());
            return Ok(());
        }
        stream.set_nonblocking(false)?;
        self.clients.streams().insert(number, stream.try_clone()?);
        let present = Present {
            clients: Arc::clone(&self.clients),
            number,
        };
        let recordings = Arc::clone(&self.recordings);
        std::thread::Builder::new().name("client".into()).spawn(move || {
            let _present = present;
            if let Err(e) = connection::serve(stream, &recordings) {
                eprintln!("rdbd: a client was dropped: {e}");
            }
        })?;
        Ok(())
    }
}

impl Clients {
    fn streams(&self) -> MutexGuard<'_, HashMap<u64, UnixStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut(&self, how: Shutdown) {
        self.streams().values().for_each(|s| drop(s.shutdown(how)));
    }

    fn wait_until_gone(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut streams = self.streams();
        while !streams.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            streams = self.changed.wait_timeout(streams, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A client's place in the list, given up however its thread ends.
struct Present {
    clients: Arc<Clients>,
    number: u64,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.clients.streams().remove(&self.number);
        self.clients.changed.notify_all();
        let _ = (&self.clients.bell).write(&[1]);
    }
}
