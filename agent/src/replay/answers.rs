//! What the recording knows that evaluated code may ask for: clocks and identities, as last seen.

use crate::memory::get;
use crate::sys::nr;
use alloc::vec::Vec;

/// Last recorded answers.
#[derive(Debug, Default)]
pub struct Answers {
    clocks: [[u64; 2]; 8],
    identities: Vec<(u64, i64)>,
}

impl Answers {
    /// Notes a call of the recording.
    pub fn note(&mut self, number: u64, args: &[u64; 6], ret: i64) {
        match number {
            nr::CLOCK_GETTIME if ret == 0 && args[0] < 8 => self.clocks[args[0] as usize] = [get(args[1]), get(args[1] + 8)],
            // getpid, getuid, getgid, geteuid, getegid, getppid, gettid
            39 | 102 | 104 | 107 | 108 | 110 | 186 => match self.identities.iter_mut().find(|i| i.0 == number) {
                Some(i) => i.1 = ret,
                None => self.identities.push((number, ret)),
            },
            _ => {}
        }
    }

    /// Notes a clock's time.
    pub fn note_clock(&mut self, id: u8, time: [u64; 2]) {
        if let Some(clock) = self.clocks.get_mut(usize::from(id)) {
            *clock = time;
        }
    }

    /// A clock as last read.
    #[must_use]
    pub fn clock(&self, id: u64) -> [u64; 2] {
        self.clocks.get(id as usize).copied().unwrap_or_default()
    }

    /// An identity as last asked for.
    #[must_use]
    pub fn identity(&self, number: u64) -> Option<i64> {
        self.identities.iter().find(|i| i.0 == number).map(|i| i.1)
    }
}
