//! The way to the edge of a search backward, with copies that wait on it: what lies near the edge is looked through first, and nothing is
//! run through twice.

use crate::fault::Fault;
use crate::progress::Task;
use crate::replay::Process;
use crate::timeline::Timeline;
use rdb_protocol::Time;

/// A followed activation's own stop points ask the slow path, and the last one before the cursor is mostly near: so short a stretch is
/// looked through first, in shares of the first slice.
const NEAR: u64 = 80;
/// Each further stretch is so much longer.
const WIDER: u64 = 32;
/// Running there again from the checkpoint takes such a share of what a copy does before one is made.
const FAR: u64 = 3;

/// Processes that wait on the way, ascending.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    rungs: Vec<Process>,
    /// Where the checkpoint stands that they come from.
    foot: Time,
}

impl Ladder {
    /// Whether one waits before `edge`; those behind it go.
    pub(crate) fn leads_to(&mut self, edge: Time) -> bool {
        self.rungs.retain(|r| r.position().time < edge);
        !self.rungs.is_empty()
    }

    /// One more, where `process` stands; not where the system refuses a copy.
    fn add_copy(&mut self, process: &mut Process) -> Result<bool, Fault> {
        let copy = copy(process)?;
        let made = copy.is_some();
        self.rungs.extend(copy);
        Ok(made)
    }
}

impl Timeline {
    /// Takes `process` up to where a stretch begins; where what is searched for is likely to be near the edge, also on towards that, nearer and
    /// nearer.
    pub(crate) fn climb(
        &mut self,
        mut process: Process,
        (begin, edge): (Option<Time>, Time),
        near: bool,
        task: &mut Task<'_>,
    ) -> Result<Ladder, Fault> {
        let foot = process.position().time;
        let mut ladder = Ladder { rungs: Vec::new(), foot };
        if let Some(begin) = begin.filter(|&b| foot < b && b < edge) {
            self.run_to(&mut process, begin, task)?;
        }
        if near {
            for rung in rungs(process.position().time, edge, self.pace.times / NEAR) {
                // Where the checkpoint stands it waits itself.
                if process.position().time > foot && !ladder.add_copy(&mut process)? {
                    break;
                }
                self.run_to(&mut process, rung, task)?;
            }
        }
        ladder.rungs.push(process);
        Ok(ladder)
    }

    /// The nearest of those that wait, to look through what is behind it; and a copy of it, where it is far from a checkpoint: what is
    /// found is near.
    pub(crate) fn step_down(&self, ladder: &mut Ladder) -> Result<(Process, Option<Process>), Fault> {
        let nearest = ladder.rungs.pop();
        let mut process = nearest.ok_or_else(|| Fault::Garbled("nobody waits on the way".to_string()))?;
        let spare = match self.between(ladder.foot, process.position().time) > self.pace.copy / FAR {
            true => copy(&mut process)?,
            false => None,
        };
        Ok((process, spare))
    }

    /// What was searched for is found: whoever waits nearest to it waits on, as a checkpoint, for the next search that begins there.
    pub(crate) fn leave(&self, ladder: &mut Ladder) -> Result<(), Fault> {
        let Some(nearest) = ladder.rungs.pop() else { return Ok(()) };
        let time = nearest.position().time;
        if self.between(ladder.foot, time) > self.pace.copy / FAR {
            let cost = self.known.cost(time);
            self.tree().adopt(nearest, cost)?;
        }
        Ok(())
    }
}

/// Without a copy it goes, too.
fn copy(process: &mut Process) -> Result<Option<Process>, Fault> {
    match process.fork() {
        Ok(copy) => Ok(Some(copy)),
        Err(Fault::Refused(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Times between `from` and `edge`, ascending, the last one `near` before it.
fn rungs(from: Time, edge: Time, near: u64) -> Vec<Time> {
    let length = edge.0.saturating_sub(from.0);
    let distances = std::iter::successors(Some(near.max(1)), |d| d.checked_mul(WIDER));
    let mut times: Vec<Time> = distances.take_while(|d| *d < length / 2).map(|d| Time(edge.0 - d)).collect();
    times.reverse();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_lie_between_and_draw_near() {
        assert_eq!(rungs(Time(0), Time(100_000), 1000), [Time(68_000), Time(99_000)]);
        assert_eq!(rungs(Time(50), Time(53), 2000), []);
        assert_eq!(rungs(Time(7), Time(7), 0), []);
        let times = rungs(Time(1), Time(u64::MAX), 1);
        assert!(times.windows(2).all(|w| w[0] < w[1]) && times[0] > Time(1));
    }
}
