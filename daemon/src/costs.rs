//! What replaying up to a given time takes, as measured. Pure.
//!
//! Costs are nanoseconds of replay since the start of the recording; they order places in the recording by what it takes to
//! get there, which times alone do not: a stop point may stand for a nanosecond or for a matrix product.

use rdb_protocol::Time;
use rdb_protocol::client::Range;
use serde::{Deserialize, Serialize};

/// Most points kept; beyond it every other one goes.
const POINTS: usize = 1024;

/// Cost of one stop point before anything was measured, in nanoseconds.
const GUESS: u64 = 100;

/// A piecewise linear map from time to cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Strictly ascending times, ascending costs; the first is time 0.
    points: Vec<(u64, u64)>,
    /// Measured since the last point without a stop point being passed.
    pending: u64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs {
            points: vec![(0, 0)],
            pending: 0,
        }
    }
}

impl Costs {
    /// Whether values read from disk are a map at all.
    pub(crate) fn is_valid(&self) -> bool {
        self.points.first().is_some_and(|p| p.0 == 0) && self.points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1)
    }

    /// The last time measured.
    pub(crate) fn frontier(&self) -> Time {
        Time(self.last().0)
    }

    /// Cost of everything measured.
    pub(crate) fn total(&self) -> u64 {
        self.last().1.saturating_add(self.pending)
    }

    /// Notes that running from the frontier to `time` took `nanoseconds`.
    pub(crate) fn extend(&mut self, time: Time, nanoseconds: u64) {
        self.pending = self.pending.saturating_add(nanoseconds);
        let (last, cost) = self.last();
        if time.0 <= last {
            return;
        }
        self.points.push((time.0, cost.saturating_add(self.pending)));
        self.pending = 0;
        if self.points.len() > POINTS {
            self.thin();
        }
    }

    /// Cost of getting to `time`; beyond the frontier at the mean rate so far.
    pub(crate) fn at(&self, time: Time) -> u64 {
        let after = self.points.partition_point(|p| p.0 <= time.0);
        let Some(&(t0, c0)) = after.checked_sub(1).and_then(|i| self.points.get(i)) else {
            return 0;
        };
        match self.points.get(after) {
            Some(&(t1, c1)) => c0 + scale(c1 - c0, time.0 - t0, t1 - t0),
            None if time.0 == t0 => c0,
            None => self.total().saturating_add(scale(self.rate().1, time.0 - t0, self.rate().0)),
        }
    }

    /// The time reached after `cost`, rounded down; beyond the total at the mean rate so far.
    pub(crate) fn time_at(&self, cost: u64) -> Time {
        let after = self.points.partition_point(|p| p.1 <= cost);
        let Some(&(t0, c0)) = after.checked_sub(1).and_then(|i| self.points.get(i)) else {
            return Time::BEGIN;
        };
        Time(match self.points.get(after) {
            Some(&(t1, c1)) => t0 + scale(t1 - t0, cost - c0, c1 - c0),
            None => t0.saturating_add(scale(self.rate().0, cost.saturating_sub(self.total()), self.rate().1)),
        })
    }

    /// Cost of running from one time to a later one.
    pub(crate) fn between(&self, from: Time, to: Time) -> u64 {
        self.at(to).saturating_sub(self.at(from))
    }

    /// The stop points from the first to `last` in at most `parts` ranges that cost about the same, the start-up left out; ascending, without gaps.
    pub(crate) fn ranges(&self, last: Time, parts: u32) -> Vec<Range> {
        let (begin, end) = (self.at(Time(1)), self.at(last));
        let parts = u64::from(parts.max(1));
        let mut ranges = Vec::new();
        let mut from = Time(1);
        for part in 1..=parts {
            let to = match part == parts {
                true => last,
                false => self.time_at(begin + scale(end.saturating_sub(begin), part, parts)).min(last),
            };
            if to >= from {
                let cost = self.between(from, to);
                ranges.push(Range { from, to, cost });
                from = Time(to.0.saturating_add(1));
            }
        }
        ranges
    }

    /// Stop points and the nanoseconds they took, start-up left out: both above zero.
    fn rate(&self) -> (u64, u64) {
        let first = self.points.get(1).copied().unwrap_or((0, 0));
        let (times, cost) = (self.last().0 - first.0.min(self.last().0), self.total().saturating_sub(first.1));
        if times == 0 || cost == 0 { (1, GUESS) } else { (times, cost) }
    }

    fn last(&self) -> (u64, u64) {
        self.points.last().copied().unwrap_or((0, 0))
    }

    fn thin(&mut self) {
        let last = self.points.len() - 1;
        let mut index = 0;
        self.points.retain(|_| {
            index += 1;
            // The first stop point's cost is the start-up and is looked at often.
            index <= 2 || index % 2 == 0 || index > last
        });
    }
}

/// `value * part / whole` without overflow; `whole` is above zero wherever `part` is.
fn scale(value: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_and_cost_the_same() {
        let mut costs = Costs::default();
        // A start-up, a cheap half, a dear half.
        costs.extend(Time(1), 5_000_000);
        costs.extend(Time(1000), 1_000_000);
        costs.extend(Time(2000), 9_000_000);
        let ranges = costs.ranges(Time(2000), 5);
        assert_eq!(ranges.len(), 5);
        assert_eq!((ranges[0].from, ranges[4].to), (Time(1), Time(2000)));
        assert!(ranges.windows(2).all(|w| w[1].from.0 == w[0].to.0 + 1));
        assert!(ranges.iter().all(|r| r.cost.abs_diff(2_000_000) < 20_000), "{ranges:?}");
        // More parts than stop points.
        assert_eq!(costs.ranges(Time(3), 10).iter().map(|r| r.to.0 - r.from.0 + 1).sum::<u64>(), 3);
        assert_eq!(costs.ranges(Time(1), 4).len(), 1);
    }

    #[test]
    fn interpolates_and_extrapolates() {
        let mut c = Costs::default();
        c.extend(Time(1), 5000);
        c.extend(Time(101), 1000);
        assert_eq!(c.at(Time(1)), 5000);
        assert_eq!(c.at(Time(51)), 5500);
        assert_eq!(c.at(Time(201)), 7000, "start-up does not count in the rate");
        assert_eq!(c.time_at(5500), Time(51));
        assert_eq!(c.time_at(7000), Time(201));
        assert_eq!(c.frontier(), Time(101));
    }

    #[test]
    fn time_without_stop_points_belongs_to_the_next() {
        let mut c = Costs::default();
        c.extend(Time(0), 70);
        assert_eq!((c.at(Time(0)), c.total()), (0, 70));
        c.extend(Time(1), 30);
        assert_eq!(c.at(Time(1)), 100);
        c.extend(Time(1), 50);
        assert_eq!((c.at(Time(1)), c.total()), (100, 150));
        c.extend(Time(2), 1);
        assert_eq!(c.at(Time(2)), 151);
    }

    #[test]
    fn stays_small_ordered_and_nearly_right() {
        let mut c = Costs::default();
        for t in 1..=20_000 {
            c.extend(Time(t * 7), 700);
        }
        assert!(c.points.len() <= POINTS && c.is_valid());
        assert_eq!(c.total(), 14_000_000);
        for t in [7, 5003, 70_001, 139_999] {
            assert!(c.at(Time(t)).abs_diff(t * 100) <= 700, "{t}: {}", c.at(Time(t)));
            assert!(c.time_at(c.at(Time(t))).0.abs_diff(t) <= 7);
        }
    }

    #[test]
    fn an_unmeasured_map_answers() {
        let c = Costs::default();
        assert_eq!(c.at(Time(10)), 1000);
        assert_eq!(c.time_at(1000), Time(10));
        assert!(c.is_valid());
        assert!(
            !Costs {
                points: vec![],
                pending: 0
            }
            .is_valid()
        );
        assert_eq!(
            Costs {
                points: vec![],
                pending: 0
            }
            .at(Time(3)),
            0
        );
    }
}
