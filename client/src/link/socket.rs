//! Frames on a stream socket.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rdb_protocol::frame::{self, FrameError, PREFIX};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a frame could not be sent or received. Either way the connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side is gone.
    #[error("{0}")]
    Gone(#[from] io::Error),
    /// The other side does not speak our language.
    #[error("{0}")]
    Frame(#[from] FrameError),
}

/// The writing half; clones write whole frames to the same socket.
#[derive(Clone, Debug)]
pub(super) struct Sender(Arc<Mutex<UnixStream>>);

/// The reading half.
#[derive(Debug)]
pub(super) struct Receiver(BufReader<UnixStream>);

/// Both halves of a connected socket.
pub(super) fn halves(stream: UnixStream) -> io::Result<(Sender, Receiver)> {
    let reading = stream.try_clone()?;
    Ok((Sender(Arc::new(Mutex::new(stream))), Receiver(BufReader::new(reading))))
}

impl Sender {
    /// Sends one frame.
    pub(super) fn send<T: Serialize>(&self, value: &T) -> Result<(), LinkError> {
        let frame = frame::encode(value)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&frame)?;
        Ok(())
    }

    /// Closes the connection, whoever waits on it.
    pub(super) fn close(&self) {
        // A closed socket cannot be closed better.
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .shutdown(std::net::Shutdown::Both);
    }
}

impl Receiver {
    /// The socket once more, to wait on.
    pub(super) fn socket(&self) -> io::Result<OwnedFd> {
        self.0.get_ref().as_fd().try_clone_to_owned()
    }

    /// Whether a frame, or the end, is there or on its way.
    pub(super) fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::POLLIN)];
        !self.0.buffer().is_empty() || poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }

    /// The next frame.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        let mut prefix = [0; PREFIX];
        self.0.read_exact(&mut prefix)?;
        let mut body = vec![0; frame::length(prefix)?];
        self.0.read_exact(&mut body)?;
        Ok(frame::decode(&body)?)
    }
}
