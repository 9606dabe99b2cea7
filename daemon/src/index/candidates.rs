//! The stretches a search has to look at.

use rdb_protocol::Time;

/// Which stretches may hold what is searched for. Beyond the last one nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// Beginning (exclusive), end (inclusive): ascending, those next to each other made one.
    ranges: Vec<(Time, Time)>,
    /// Where the known ends.
    end: Time,
}

impl Candidates {
    /// The next stretch.
    pub(crate) fn push(&mut self, begin: Time, end: Time, may: bool) {
        self.end = end;
        if may && end > begin {
            self.ranges.push((begin, end));
        }
    }

    /// The last stretch on the way to `edge` that has to be looked at; where there is none, nothing lies there. What happens on the way
    /// from the stop point before to `edge` counts: an activation may begin there.
    pub(crate) fn last_before(&self, edge: Time) -> Option<(Time, Time)> {
        if self.end < edge {
            return Some((self.end, edge));
        }
        let after = self.ranges.partition_point(|r| r.0 < edge);
        after.checked_sub(1).map(|i| (self.ranges[i].0, self.ranges[i].1.min(edge)))
    }

    /// Where the first stretch begins that has to be looked at for stop points behind `time`; not before `time`.
    pub(crate) fn first_after(&self, time: Time) -> Time {
        let after = self.ranges.partition_point(|r| r.1 <= time);
        self.ranges.get(after).map_or(self.end, |r| r.0).max(time)
    }
}
