//! The agent's end of the replay link: frames on a stream socket, descriptors beside them (unix(7), SCM_RIGHTS).
//!
//! # Safety
//! This room may use `unsafe` for `recvmsg`, whose structures it builds on its own stack.
#![allow(unsafe_code)]

use crate::arch::syscall::syscall;
use crate::sys::{self, errno, nr};
use alloc::vec;
use rdb_protocol::frame;
use rdb_protocol::replay::{Answer, Order};

/// A link.
#[derive(Debug)]
pub struct Link {
    fd: u64,
}

#[repr(C)]
struct MessageHeader {
    name: u64,
    name_len: u64,
    iov: u64,
    iov_len: u64,
    control: u64,
    control_len: u64,
    flags: u64,
}

impl Link {
    /// On an inherited descriptor.
    #[must_use]
    pub fn new(fd: u64) -> Link {
        Link { fd }
    }

    /// Continues on another descriptor; the old one is the original's.
    pub fn replace(&mut self, fd: u64) {
        sys::close(self.fd);
        self.fd = fd;
    }

    /// Sends an answer. A peer that is gone is noticed at the next [`Link::receive`].
    pub fn send(&self, answer: &Answer) {
        let Ok(bytes) = frame::encode(answer) else { return };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            const MSG_NOSIGNAL: u64 = 0x4000;
            let n = sys::raw_agent_pointers(44, [self.fd, rest.as_ptr() as u64, rest.len() as u64, MSG_NOSIGNAL, 0, 0]);
            match n {
                n if n > 0 => rest = &rest[n as usize..],
                e if e == -errno::EINTR => {}
                _ => return,
            }
        }
    }

    /// Waits for an order, and the descriptor sent with it. `None`: the peer is gone or talks nonsense.
    pub fn receive(&self) -> Option<(Order, Option<u64>)> {
        let mut prefix = [0u8; frame::PREFIX];
        let mut fd = None;
        self.fill(&mut prefix, &mut fd)?;
        let mut body = vec![0u8; frame::length(prefix).ok()?];
        self.fill(&mut body, &mut fd)?;
        Some((frame::decode(&body).ok()?, fd))
    }

    fn fill(&self, mut to: &mut [u8], fd: &mut Option<u64>) -> Option<()> {
        while !to.is_empty() {
            let mut control = [0u64; 8];
            let iov = [to.as_mut_ptr() as u64, to.len() as u64];
            let mut message = MessageHeader {
                name: 0,
                name_len: 0,
                iov: iov.as_ptr() as u64,
                iov_len: 1,
                control: control.as_mut_ptr() as u64,
                control_len: size_of_val(&control) as u64,
                flags: 0,
            };
            const MSG_CMSG_CLOEXEC: u64 = 0x4000_0000;
            // SAFETY: all pointers lead to locals that outlive the call.
            let n = unsafe { syscall(nr::RECVMSG, [self.fd, (&raw mut message) as u64, MSG_CMSG_CLOEXEC, 0, 0, 0]) };
            match n {
                n if n > 0 => {
                    // cmsghdr: length, then level SOL_SOCKET (1) and type SCM_RIGHTS (1), then the descriptor.
                    if message.control_len >= 20 && control[1] == 1 | 1 << 32 {
                        *fd = Some(control[2] & 0xffff_ffff);
                    }
                    to = &mut to[n as usize..];
                }
                e if e == -errno::EINTR => {}
                _ => return None,
            }
        }
        Some(())
    }
}
