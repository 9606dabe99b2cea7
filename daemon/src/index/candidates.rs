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

    /// The same, with the stretches between that are `short` added.
    pub(crate) fn without_gaps(self, short: impl Fn(Time, Time) -> bool) -> Candidates {
        let mut ranges: Vec<(Time, Time)> = Vec::new();
        for (begin, end) in self.ranges {
            match ranges.last_mut() {
                Some(before) if begin <= before.1 || short(before.1, begin) => before.1 = end,
                _ => ranges.push((begin, end)),
            }
        }
        if let Some(last) = ranges.last_mut()
            && short(last.1, self.end)
        {
            last.1 = self.end;
        }
        Candidates { ranges, end: self.end }
    }

    /// Where the stretch ends that `time` is in, or at whose beginning it is; `None` where what follows is not known.
    pub(crate) fn end_of(&self, time: Time) -> Option<Time> {
        let after = self.ranges.partition_point(|r| r.1 <= time);
        let end = self.ranges.get(after).map(|r| r.1)?;
        (end < self.end).then_some(end)
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
