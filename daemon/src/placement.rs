//! Where checkpoints are dropped and which go when there are too many. Pure.
//!
//! Distances are costs (nanoseconds of replay, see [`crate::costs`]), never counts. Far from the cursor the aim is an even
//! spacing, the *window*; while the end is unknown it doubles as the survey advances, so that any moment's set is even and
//! few forks are wasted. Before the cursor spacing shrinks in proportion to the distance, because that is where one steps.

/// The numbers, in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most checkpoints.
    pub count: usize,
    /// Memory for all of them together in KiB: proportional set sizes and page tables.
    pub memory_kib: u64,
    /// Narrowest even spacing.
    pub spacing: u64,
    /// The same once the whole is known: there is time then.
    pub close: u64,
    /// A seek that costs more leaves checkpoints shortly before its target.
    pub near: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            count: 1024,
            memory_kib: 300 * 1024,
            spacing: 20_000_000,
            close: 4_000_000,
            near: 1_000_000,
        }
    }
}

/// Fewest checkpoints the maximum falls to.
const FEWEST: usize = 3;

/// The nearest checkpoint that a seek leaves before its target is so much nearer than what is a short seek: running there again is then
/// nothing beside the copy.
const NEAREST: u64 = 4;
/// How much farther from the target each further one is.
const NEAR_FACTOR: u64 = 8;
/// And the farthest.
const FARTHEST: u64 = 16;

/// A checkpoint as placement sees it. Lists of them are ascending by cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Cost of getting there from the start.
    pub cost: u64,
    /// What it takes, in KiB: its proportional set size and its page tables.
    pub taken_kib: u64,
    /// Never dropped (the first stop point).
    pub pinned: bool,
}

/// A share of checkpoints and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// So many of [`Share::WHOLE`].
    pub parts: usize,
}

impl Share {
    /// All there is.
    pub(crate) const WHOLE: usize = 1 << 10;

    /// Shares of so many recordings, that used last first. One half is shared out evenly, so that none starves; of the other the last used
    /// has half, the one before a quarter, and so on. Together no more than the whole.
    pub(crate) fn among(recordings: usize) -> impl Iterator<Item = Share> {
        let half = Share::WHOLE / 2;
        let even = half / recordings.max(1);
        (0..recordings).map(move |rank| {
            let own = if recordings == 1 {
                half
            } else {
                half.checked_shr(u32::try_from(rank + 1).unwrap_or(u32::MAX)).unwrap_or(0)
            };
            Share { parts: even + own }
        })
    }

    fn of(self, whole: u64) -> u64 {
        whole * self.parts as u64 / Share::WHOLE as u64
    }
}

/// The policy and what it has learnt.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    limits: Limits,
    /// With so many the system refused another.
    refused: usize,
    /// What one takes, on the average, in KiB.
    size: u64,
}

impl Placement {
    /// Other recordings want some, too: at most this share of checkpoints and memory from now on.
    pub(crate) fn share(&mut self, whole: Limits, share: Share) {
        self.limits.count = usize::try_from(share.of(whole.count as u64)).unwrap_or(whole.count).max(FEWEST);
        self.limits.memory_kib = share.of(whole.memory_kib);
    }

    /// With these numbers.
    pub(crate) fn new(limits: Limits) -> Placement {
        Placement {
            limits,
            refused: usize::MAX,
            size: 0,
        }
    }

    /// What one takes on the average, in KiB; 0 before that is known.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether these take more memory than there is for them.
    pub(crate) fn is_over(&self, spots: &[Spot]) -> bool {
        spots.iter().map(|s| s.taken_kib).sum::<u64>() > self.limits.memory_kib
    }

    /// These are there: what they take on the average says how many there is room for.
    pub(crate) fn learn(&mut self, spots: &[Spot]) {
        self.size = spots.iter().map(|s| s.taken_kib).sum::<u64>() / (spots.len() as u64).max(1);
    }

    /// Most checkpoints at present.
    pub(crate) fn maximum(&self) -> usize {
        let room = self
            .limits
            .memory_kib
            .checked_div(self.size)
            .map_or(usize::MAX, |r| usize::try_from(r).unwrap_or(usize::MAX));
        self.limits.count.min(self.refused).min(room).max(FEWEST)
    }

    /// The even spacing for a recording whose replay costs `total`: exact when that is known (`complete`), else the doubled
    /// spacing that lies above it.
    pub(crate) fn window(&self, total: u64, complete: bool) -> u64 {
        let spacing = if complete { self.limits.close } else { self.limits.spacing }.max(1);
        // A quarter of the checkpoints is left for the neighbourhood of the cursor.
        let exact = total / (self.maximum() as u64 * 3 / 4).max(1);
        if complete || exact <= spacing {
            return exact.max(spacing);
        }
        let mut window = spacing;
        while window < exact {
            window = window.saturating_mul(2);
        }
        window
    }

    /// Whether a gap is worth filling.
    pub(crate) fn is_wide(&self, gap: u64, window: u64) -> bool {
        gap >= window + window / 2
    }

    /// Costs, ascending, that divide a gap into even parts of about a window.
    pub(crate) fn inside(&self, begin: u64, end: u64, window: u64) -> Vec<u64> {
        let length = end.saturating_sub(begin);
        let parts = (length + window / 2).checked_div(window).unwrap_or(0).min(self.maximum() as u64);
        let part = |n| u128::from(length) * u128::from(n) / u128::from(parts);
        (1..parts).map(|n| begin + u64::try_from(part(n)).unwrap_or(length)).collect()
    }

    /// Whether a runner passing `cost` should leave a checkpoint there.
    pub(crate) fn wants(&self, spots: &[Spot], cost: u64, window: u64) -> bool {
        let after = spots.partition_point(|s| s.cost <= cost);
        let before_far = after
            .checked_sub(1)
            .and_then(|i| spots.get(i))
            .is_none_or(|s| cost - s.cost >= window);
        let after_far = spots.get(after).is_none_or(|s| s.cost - cost >= window / 2);
        before_far && after_far
    }

    /// Costs, ascending, at which a seek from `from` to `target` should leave checkpoints; empty when it is short.
    pub(crate) fn near(&self, from: u64, target: u64) -> Vec<u64> {
        let length = target.saturating_sub(from);
        if length <= self.limits.near {
            return Vec::new();
        }
        let mut places = Vec::new();
        let mut distance = self.limits.near / NEAREST;
        while distance > 0 && distance <= length / 2 && distance <= self.limits.near * FARTHEST {
            places.push(target - distance);
            distance = distance.saturating_mul(NEAR_FACTOR);
        }
        places.reverse();
        places
    }

    /// Indices, ascending, of the checkpoints to drop so that the rest keeps within the limits.
    pub(crate) fn victims(&self, spots: &[Spot], cursor: u64, window: u64, total: u64) -> Vec<usize> {
        let mut kept: Vec<usize> = (0..spots.len()).collect();
        let mut gone = Vec::new();
        while kept.len() > self.maximum() || kept.iter().map(|&i| spots[i].taken_kib).sum::<u64>() > self.limits.memory_kib {
            let Some(place) = self.cheapest(spots, &kept, cursor, window, total) else {
                break;
            };
            gone.push(kept.remove(place));
        }
        gone.sort_unstable();
        gone
    }

    /// The system refused a copy with this many checkpoints alive: fewer from now on, and an eighth is left to others, who were refused, too.
    pub(crate) fn fork_failed(&mut self, alive: usize) {
        let alive = self.maximum().min(alive);
        self.refused = alive.saturating_sub(1 + alive / 8);
    }

    /// Which of the kept is missed least: the smallest merged gap, relative to the gap allowed there.
    fn cheapest(&self, spots: &[Spot], kept: &[usize], cursor: u64, window: u64, total: u64) -> Option<usize> {
        let finest = (self.limits.near / NEAREST).max(1);
        (0..kept.len()).filter(|&k| !spots[kept[k]].pinned).min_by_key(|&k| {
            let cost = spots[kept[k]].cost;
            let before = k.checked_sub(1).map_or(0, |b| spots[kept[b]].cost);
            let after = kept.get(k + 1).map_or(total.max(cost), |&a| spots[a].cost);
            let allowed = if cost <= cursor {
                (cursor - cost).clamp(finest, window.max(finest))
            } else {
                window.max(finest)
            };
            u128::from(after - before) * 1_000_000 / u128::from(allowed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Dice;

    const MS: u64 = 1_000_000;

    fn spot(cost: u64) -> Spot {
        Spot {
            cost,
            taken_kib: 1000,
            pinned: cost == 0,
        }
    }

    /// Surveys a recording of `total`, slice by slice, the way the survey does.
    fn survey(placement: &mut Placement, total: u64, slice: u64) -> (Vec<Spot>, usize) {
        let (mut spots, mut forks) = (vec![spot(0)], 0);
        let mut at = 0;
        while at < total {
            at += slice;
            let window = placement.window(at, false);
            if placement.wants(&spots, at, window) {
                spots.push(spot(at));
                forks += 1;
                placement.learn(&spots);
                for v in placement.victims(&spots, 0, window, at).into_iter().rev() {
                    spots.remove(v);
                }
            }
        }
        (spots, forks)
    }

    #[test]
    fn a_survey_leaves_an_even_set_with_few_forks() {
        let mut placement = Placement::new(Limits::default());
        for total in [50 * MS, 400 * MS, 1200 * MS, 9000 * MS, 600_000 * MS] {
            let (spots, forks) = survey(&mut placement, total, 5 * MS);
            assert!(spots.len() <= placement.maximum());
            let mut costs: Vec<u64> = spots.iter().map(|s| s.cost).collect();
            costs.push(total);
            let widest = costs.windows(2).map(|w| w[1].saturating_sub(w[0])).max().unwrap();
            assert!(widest <= (total / 64).max(25 * MS), "widest gap {widest} of {total}");
            assert!(forks < 6 * placement.maximum(), "{forks} forks");
        }
    }

    #[test]
    fn none_starves_and_the_last_used_has_most() {
        let shares = |n| Share::among(n).map(|s| s.parts).collect::<Vec<_>>();
        assert_eq!(shares(1), [1024]);
        assert_eq!(shares(2), [512, 384]);
        assert_eq!(shares(4), [384, 256, 192, 160]);
        for n in 1..100 {
            assert!(shares(n).iter().sum::<usize>() <= Share::WHOLE, "{n}");
            assert!(shares(n).iter().all(|&s| s >= Share::WHOLE / 2 / n), "{n}");
        }
        let whole = Limits::default();
        let mut placement = Placement::new(whole);
        placement.share(whole, Share { parts: 256 });
        let spots: Vec<Spot> = (0..200).map(|i| spot(i * MS)).collect();
        assert_eq!(placement.victims(&spots, 0, MS, 100 * MS).len(), 200 - 300 * 1024 / 4 / 1000);
        placement.share(whole, Share { parts: Share::WHOLE });
        assert_eq!(placement.maximum(), whole.count);
    }

    #[test]
    fn a_gap_is_divided_evenly() {
        let placement = Placement::new(Limits::default());
        assert_eq!(placement.inside(10, 50, 10), [20, 30, 40]);
        assert!(placement.inside(10, 14, 10).is_empty());
        let mut dice = Dice::new(11);
        for _ in 0..1000 {
            let (begin, window) = (dice.below(1000 * MS), 1 + dice.below(20 * MS));
            let end = begin + dice.below(2000 * MS);
            let costs: Vec<u64> = std::iter::once(begin)
                .chain(placement.inside(begin, end, window))
                .chain([end])
                .collect();
            let gaps: Vec<u64> = costs.windows(2).map(|w| w[1] - w[0]).collect();
            assert!(
                gaps.iter()
                    .all(|&g| !placement.is_wide(g, window) || gaps.len() == placement.maximum())
            );
            assert!(gaps.len() == 1 || gaps.iter().all(|&g| g >= window / 2));
        }
    }

    #[test]
    fn limits_hold_whatever_the_set() {
        let mut dice = Dice::new(7);
        for _ in 0..300 {
            let total = 1 + dice.below(2000 * MS);
            let mut spots: Vec<Spot> = (0..dice.below(80))
                .map(|_| Spot {
                    cost: dice.below(total),
                    taken_kib: dice.below(40_000),
                    pinned: false,
                })
                .collect();
            spots.sort_by_key(|s| s.cost);
            let mut placement = Placement::new(Limits::default());
            if dice.below(2) == 0 {
                placement.fork_failed(usize::try_from(dice.below(40)).unwrap());
            }
            let gone = placement.victims(&spots, dice.below(total), placement.window(total, true), total);
            assert!(gone.windows(2).all(|w| w[0] < w[1]));
            let rest: Vec<&Spot> = spots
                .iter()
                .enumerate()
                .filter(|(i, _)| !gone.contains(i))
                .map(|(_, s)| s)
                .collect();
            assert!(rest.len() <= placement.maximum());
            assert!(rest.iter().map(|s| s.taken_kib).sum::<u64>() <= 300 * 1024);
        }
    }

    #[test]
    fn pinned_ones_stay_even_over_budget() {
        let placement = Placement::new(Limits {
            memory_kib: 10,
            ..Limits::default()
        });
        let spots = [Spot { pinned: true, ..spot(0) }, spot(5), spot(9)];
        assert_eq!(placement.victims(&spots, 9, 1, 9), [1, 2]);
    }

    #[test]
    fn what_lies_before_the_cursor_stays() {
        let placement = Placement::new(Limits {
            count: 10,
            ..Limits::default()
        });
        let mut spots: Vec<Spot> = (0..10).map(|i| spot(i * 100 * MS)).collect();
        let cursor = 555 * MS;
        for near in [1, 6, 24] {
            spots.push(spot(cursor - near * MS));
        }
        spots.sort_by_key(|s| s.cost);
        let gone = placement.victims(&spots, cursor, 100 * MS, 1000 * MS);
        for g in gone {
            assert_eq!(spots[g].cost % (100 * MS), 0, "a near one was dropped");
        }
    }

    #[test]
    fn a_long_seek_leaves_checkpoints_before_its_target() {
        let placement = Placement::new(Limits::default());
        assert!(placement.near(0, MS).is_empty());
        let near = placement.near(0, 3 * MS);
        assert!(
            near.len() == 1 && 3 * MS - near[0] <= MS / 2,
            "a step back costs a copy and little more"
        );
        let near = placement.near(0, 100 * MS);
        assert!(near.windows(2).all(|w| w[0] < w[1]));
        assert!(100 * MS - near.last().unwrap() <= MS / 2);
        assert!(near.first().unwrap() >= &(50 * MS));
        let mut dice = Dice::new(3);
        for _ in 0..1000 {
            let from = dice.below(1000 * MS);
            let target = from + dice.below(500 * MS);
            assert!(placement.near(from, target).iter().all(|&p| p > from && p < target));
        }
    }

    #[test]
    fn window_doubles_while_the_end_is_unknown() {
        let placement = Placement::new(Limits {
            count: 31,
            ..Limits::default()
        });
        let mut last = 0;
        for total in (1..400).map(|i| i * 50 * MS) {
            let window = placement.window(total, false);
            assert!(window >= last && (window / (10 * MS)).is_power_of_two());
            assert!(total / window <= 24);
            last = window;
        }
        assert_eq!(placement.window(2300 * MS, true), 100 * MS);
    }

    #[test]
    fn a_failed_fork_lowers_the_maximum_but_not_to_nothing() {
        let mut placement = Placement::new(Limits::default());
        placement.fork_failed(20);
        assert_eq!(placement.maximum(), 17);
        placement.fork_failed(0);
        assert_eq!(placement.maximum(), FEWEST);
    }
}
