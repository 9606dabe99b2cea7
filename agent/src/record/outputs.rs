//! Which descriptors are standard output and standard error, followed through dup(2) and close(2), so that a trace holds what
//! the program printed.

use crate::sys::nr;
use crate::syscalls::{Span, io_vectors};
use alloc::vec;
use alloc::vec::Vec;
use rdb_trace::Tag;

/// The descriptors that lead to standard output or error.
#[derive(Debug)]
pub struct Outputs {
    streams: Vec<u8>,
}

impl Default for Outputs {
    fn default() -> Self {
        Outputs::new()
    }
}

impl Outputs {
    /// 1 and 2.
    #[must_use]
    pub fn new() -> Outputs {
        Outputs { streams: vec![0, 1, 2] }
    }

    fn get(&self, fd: u64) -> u8 {
        usize::try_from(fd & 0xffff_ffff)
            .ok()
            .and_then(|i| self.streams.get(i))
            .copied()
            .unwrap_or(0)
    }

    fn set(&mut self, fd: u64, stream: u8) {
        let Ok(i) = usize::try_from(fd & 0xffff_ffff) else { return };
        if i >= self.streams.len() {
            if stream == 0 || i > 1 << 20 {
                return;
            }
            self.streams.resize(i + 1, 0);
        }
        self.streams[i] = stream;
    }

    /// Whether the descriptor leads to standard output or error.
    #[must_use]
    pub fn is_output(&self, fd: u64) -> bool {
        self.get(fd) != 0
    }

    /// Follows a call that makes or closes descriptors.
    pub fn track(&mut self, number: u64, args: &[u64; 6], ret: i64) {
        if ret < 0 {
            return;
        }
        let new = ret.cast_unsigned();
        match number {
            nr::CLOSE => self.set(args[0], 0),
            nr::DUP | nr::DUP2 | nr::DUP3 => self.set(new, self.get(args[0])),
            nr::FCNTL if args[1] == 0 || args[1] == 1030 => self.set(new, self.get(args[0])),
            // Calls whose result is a fresh descriptor.
            nr::OPEN | nr::OPENAT | 41 | 43 | 85 | 213 | 253 | 282..=284 | 288..=291 | 294 | 319 | 434 | 437 => self.set(new, 0),
            _ => {}
        }
    }

    /// Forgets a range of closed descriptors.
    pub fn closed(&mut self, first: u64, last: u64) {
        for (i, s) in self.streams.iter_mut().enumerate() {
            if (first..=last).contains(&(i as u64)) {
                *s = 0;
            }
        }
    }

    /// The spans a call wrote to standard output or error.
    #[must_use]
    pub fn written(&self, number: u64, args: &[u64; 6], ret: i64) -> Option<(Tag, Vec<Span>)> {
        if ret <= 0 {
            return None;
        }
        let tag = match self.get(args[0]) {
            1 => Tag::Stdout,
            2 => Tag::Stderr,
            _ => return None,
        };
        let len = ret.cast_unsigned();
        match number {
            nr::WRITE | 18 | 44 => Some((tag, vec![Span { addr: args[1], len }])),
            nr::WRITEV | 296 | 328 => Some((tag, io_vectors(args[1], args[2], len))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_dup_and_close() {
        let mut o = Outputs::new();
        o.track(nr::DUP, &[1, 0, 0, 0, 0, 0], 7);
        o.track(nr::CLOSE, &[1, 0, 0, 0, 0, 0], 0);
        assert!(o.is_output(7) && !o.is_output(1));
        assert_eq!(
            o.written(nr::WRITE, &[7, 0x5000, 9, 0, 0, 0], 4),
            Some((Tag::Stdout, vec![Span { addr: 0x5000, len: 4 }]))
        );
        o.track(nr::OPENAT, &[0; 6], 7);
        assert!(!o.is_output(7));
        assert_eq!(o.written(nr::WRITE, &[2, 0x5000, 9, 0, 0, 0], -4), None);
    }
}
