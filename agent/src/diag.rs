//! What the agent says to people: one line each, on a private copy of standard error.

use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};

static FD: AtomicU64 = AtomicU64::new(2);

/// Where lines go from now on.
pub fn set_fd(fd: u64) {
    FD.store(fd, Ordering::Relaxed);
}

/// The descriptor lines go to.
pub fn fd() -> u64 {
    FD.load(Ordering::Relaxed)
}

/// A line being put together; longer ones are cut.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; 1024],
    len: usize,
}

impl Line {
    /// A line with the program's name in front.
    #[must_use]
    pub fn new() -> Line {
        let mut l = Line { bytes: [0; 1024], len: 0 };
        let _ = l.write_str("rdb: ");
        l
    }

    /// Writes it out.
    pub fn send(mut self) {
        let at = self.len.min(1023);
        self.bytes[at] = b'\n';
        let _ = crate::sys::write_all(fd(), &self.bytes[..=at]);
    }
}

impl Default for Line {
    fn default() -> Self {
        Line::new()
    }
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let n = s.len().min(1023 - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Says one line.
macro_rules! say {
    ($($t:tt)*) => {{
        use core::fmt::Write as _;
        let mut line = $crate::diag::Line::new();
        let _ = write!(line, $($t)*);
        line.send();
    }};
}
pub(crate) use say;
