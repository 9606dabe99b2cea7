//! What a running request needs from its connection: a brake and a mouth.

use crate::fault::Fault;
use crate::interrupt::Interrupt;
use std::time::{Duration, Instant};

/// Least time between two notifications, and before the first.
const PAUSE: Duration = Duration::from_millis(100);

/// One request under way.
pub(crate) struct Task<'a> {
    /// Its brake.
    pub interrupt: &'a Interrupt,
    report: &'a mut dyn FnMut(u64, u64),
    last: Instant,
    highest: u64,
}

impl<'a> Task<'a> {
    /// `report` is told how far the request is, not too often.
    pub(crate) fn new(interrupt: &'a Interrupt, report: &'a mut dyn FnMut(u64, u64)) -> Task<'a> {
        Task {
            interrupt,
            report,
            last: Instant::now(),
            highest: 0,
        }
    }

    /// Notes progress; fails when the request was interrupted.
    pub(crate) fn advance(&mut self, done: u64, total: u64) -> Result<(), Fault> {
        self.interrupt.check()?;
        // A request in two parts (waiting for the survey, then going there) counts the second anew: not shown.
        if done >= self.highest && self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            self.highest = done;
            (self.report)(done.min(total), total);
        }
        Ok(())
    }
}
