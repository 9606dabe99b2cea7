//! Frames over a Unix stream socket, both links: sending (with one descriptor if need be) and receiving until a deadline.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rdb_protocol::frame::{self, FrameError, PREFIX};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Why a frame did not come through.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The peer is gone.
    Closed,
    /// Not in time.
    Deadline,
    /// The peer does not speak the protocol.
    Garbled(FrameError),
    /// Anything else.
    Io(io::Error),
}

impl From<io::Error> for LinkError {
    fn from(e: io::Error) -> LinkError {
        match e.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => LinkError::Closed,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => LinkError::Deadline,
            _ => LinkError::Io(e),
        }
    }
}

impl From<FrameError> for LinkError {
    fn from(e: FrameError) -> LinkError {
        LinkError::Garbled(e)
    }
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
}

impl Link {
    /// Over a connected socket.
    pub(crate) fn new(stream: UnixStream) -> Link {
        Link { stream }
    }

    /// A fresh link and its other end (closed on exec).
    pub(crate) fn pair() -> io::Result<(Link, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Link::new(ours), theirs.into()))
    }

    /// Ends the conversation on both sides.
    pub(crate) fn shut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends one value.
    pub(crate) fn send<T: Serialize>(&mut self, value: &T) -> Result<(), LinkError> {
        Ok(self.stream.write_all(&frame::encode(value)?)?)
    }

    /// Sends one value and, with its first byte, a descriptor.
    pub(crate) fn send_with<T: Serialize>(&mut self, value: &T, fd: BorrowedFd<'_>) -> Result<(), LinkError> {
        let bytes = frame::encode(value)?;
        let fds = [fd.as_raw_fd()];
        let sent = loop {
            let rights = [ControlMessage::ScmRights(&fds)];
            match sendmsg::<()>(
                self.stream.as_raw_fd(),
                &[IoSlice::new(&bytes)],
                &rights,
                MsgFlags::MSG_NOSIGNAL,
                None,
            ) {
                Err(Errno::EINTR) => {}
                other => break other.map_err(io::Error::from)?,
            }
        };
        Ok(self.stream.write_all(&bytes[sent..])?)
    }

    /// Receives one value, waiting for ever or until `deadline`.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self, deadline: Option<Instant>) -> Result<T, LinkError> {
        self.receive_short(deadline, frame::LIMIT)
    }

    /// As [`Link::receive`], from a peer that may announce at most `limit` bytes.
    pub(crate) fn receive_short<T: DeserializeOwned>(&mut self, deadline: Option<Instant>, limit: usize) -> Result<T, LinkError> {
        let mut prefix = [0; PREFIX];
        self.fill(&mut prefix, deadline)?;
        let length = frame::length(prefix)?;
        if length > limit {
            return Err(FrameError::TooLong.into());
        }
        let mut body = vec![0; length];
        self.fill(&mut body, deadline)?;
        Ok(frame::decode(&body)?)
    }

    fn fill(&mut self, mut rest: &mut [u8], deadline: Option<Instant>) -> Result<(), LinkError> {
        while !rest.is_empty() {
            if let Some(deadline) = deadline {
                self.wait_until(deadline)?;
            }
            match self.stream.read(rest) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(n) => rest = &mut rest[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn wait_until(&self, deadline: Instant) -> Result<(), LinkError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up: a poll of zero milliseconds before the deadline would spin.
            let timeout = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) if deadline <= Instant::now() => return Err(LinkError::Deadline),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(e) => return Err(LinkError::Io(e.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_pass_and_a_closed_peer_is_an_error() {
        let (mut a, b) = Link::pair().unwrap();
        let mut b = Link::new(UnixStream::from(b));
        a.send(&(7u32, "seven".to_string())).unwrap();
        assert_eq!(b.receive::<(u32, String)>(None).unwrap(), (7, "seven".to_string()));
        drop(a);
        assert!(matches!(b.receive::<u32>(None), Err(LinkError::Closed)));
        assert!(matches!(b.send(&1u32), Err(LinkError::Closed)));
    }

    #[test]
    fn a_silent_peer_meets_the_deadline() {
        let (mut a, _b) = Link::pair().unwrap();
        let deadline = Instant::now() + Duration::from_millis(5);
        assert!(matches!(a.receive::<u32>(Some(deadline)), Err(LinkError::Deadline)));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn a_long_announcement_is_refused_before_it_is_read() {
        let (mut a, b) = Link::pair().unwrap();
        let mut b = UnixStream::from(b);
        b.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(matches!(a.receive::<u32>(None), Err(LinkError::Garbled(FrameError::TooLong))));
        b.write_all(&100u32.to_le_bytes()).unwrap();
        assert!(matches!(
            a.receive_short::<u32>(None, 64),
            Err(LinkError::Garbled(FrameError::TooLong))
        ));
    }
}
