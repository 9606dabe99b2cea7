//! The stop points that a move has passed, one after the other.

use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::timeline::{Timeline, check_progress};
use rdb_protocol::replay::{Hits, Run, RunEnd};
use rdb_protocol::{Location, Time};

/// No client wants more at once.
const MOST: u32 = 100_000;

impl Timeline {
    /// The stop points between two times, the nearest to `to` where they are too many.
    pub(crate) fn passed(&mut self, from: Time, to: Time, limit: u32, task: &mut Task<'_>) -> Result<Vec<(Time, Location)>, Fault> {
        self.require_stop_points()?;
        let limit = u64::from(limit.min(MOST));
        let end = self.last(task)?.0;
        let (mut first, mut last) = (from.min(to).0.saturating_add(1), from.max(to).0.saturating_sub(1).min(end));
        if from < to {
            first = first.max((last + 1).saturating_sub(limit));
        } else {
            last = last.min((first - 1).saturating_add(limit));
        }
        first = first.max(FIRST.0);
        let mut all = Vec::new();
        if first > last {
            return Ok(all);
        }
        let mut process = self.copy_at(Time(first), task)?;
        loop {
            let position = process.position().clone();
            all.extend(position.location.clone().map(|location| (position.time, location)));
            if position.time.0 >= last {
                return Ok(all);
            }
            let next = Time(position.time.0 + 1);
            let run = Run {
                until_time: Some(next),
                until_event: None,
                hits: Hits::Ignore,
            };
            let stopped = process.run(run, task.interrupt)?;
            check_progress(&position, &stopped, next)?;
            if stopped.end == RunEnd::End {
                return Ok(all);
            }
            task.advance(next.0 - first, last - first)?;
        }
    }
}
