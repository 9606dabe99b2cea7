//! How far to run at once, so that a long run can be watched, interrupted and checkpointed on its way. Pure.

use rdb_protocol::{EventIndex, Position, Time};
use std::time::Duration;

/// What a slice should take: short enough to notice an interrupt, long enough that the round trip does not count.
const GOAL: Duration = Duration::from_millis(20);
/// And one of the survey: it is what a search looks through at once, where the index says that something may be.
const STRETCH: Duration = Duration::from_millis(5);
/// And one of a run that nobody waits for: a command that comes meanwhile is to have the processor.
const ASIDE: Duration = Duration::from_millis(3);

/// The numbers a run goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// A run that is expected to take less, in nanoseconds, is not cut into slices.
    pub short: u64,
    /// What making a copy costs, in nanoseconds of replay: a nearer process must save as much to be preferred.
    pub copy: u64,
    /// Stop points in the first slice.
    pub times: u64,
    /// Events in the first slice.
    pub events: u64,
    /// A query runs through a stretch without hits that takes less, in nanoseconds: to go on behind it takes three copies.
    pub gap: u64,
    /// Stop points in each slice of the survey, whatever that takes; for tests.
    pub stretch: Option<u64>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            short: 40_000_000,
            copy: 1_500_000,
            times: 20_000,
            events: 2_000,
            gap: 50_000_000,
            stretch: None,
        }
    }
}

/// Times and events a slice runs at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slicer {
    times: u64,
    events: u64,
    goal: Duration,
    fixed: bool,
}

impl Slicer {
    /// For a new run.
    pub(crate) fn new(pace: Pace) -> Slicer {
        Slicer {
            times: pace.times,
            events: pace.events,
            goal: GOAL,
            fixed: false,
        }
    }

    /// For the survey.
    pub(crate) fn of_stretches(pace: Pace) -> Slicer {
        Slicer {
            times: pace.stretch.unwrap_or(pace.times),
            goal: STRETCH,
            fixed: pace.stretch.is_some(),
            ..Slicer::new(pace)
        }
    }

    /// For a run that nobody waits for.
    pub(crate) fn aside(pace: Pace) -> Slicer {
        Slicer {
            goal: ASIDE,
            ..Slicer::new(pace)
        }
    }

    /// Where the next slice ends, from `here`: before or at `goal` when there is one.
    pub(crate) fn bounds(&self, here: &Position, goal: Option<Time>) -> (Time, EventIndex) {
        let until = Time(here.time.0.saturating_add(self.times));
        (
            goal.map_or(until, |g| g.min(until)),
            EventIndex(here.event.0.saturating_add(self.events)),
        )
    }

    /// Learns from a slice that took `took`; grows or shrinks at most by half and twice.
    pub(crate) fn learn(&mut self, took: Duration) {
        if self.fixed {
            return;
        }
        if took < self.goal / 2 {
            self.times = self.times.saturating_mul(2).min(1 << 40);
            self.events = self.events.saturating_mul(2).min(1 << 30);
        } else if took > self.goal * 2 {
            self.times = (self.times / 2).max(100);
            self.events = (self.events / 2).max(100);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapts_to_either_side_and_never_to_nothing() {
        let mut s = Slicer::new(Pace::default());
        for _ in 0..100 {
            s.learn(Duration::from_secs(1));
        }
        assert_eq!((s.times, s.events), (100, 100));
        for _ in 0..100 {
            s.learn(Duration::ZERO);
        }
        assert!(s.times > 1 << 30);
        let here = Position {
            time: Time(u64::MAX - 5),
            event: EventIndex(7),
            location: None,
        };
        assert_eq!(s.bounds(&here, None).0, Time(u64::MAX));
        assert_eq!(s.bounds(&here, Some(Time(9))).0, Time(9));
    }
}
