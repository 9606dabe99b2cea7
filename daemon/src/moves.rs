//! Steps and jumps.

use crate::fault::Fault;
use crate::progress::Task;
use crate::timeline::{Landing, Timeline};
use rdb_protocol::client::{FailureCode, StopReason, Target};
use rdb_protocol::{Direction, Time};

/// The first stop point.
pub(crate) const FIRST: Time = Time(1);

impl Timeline {
    /// `count` stop points that way.
    pub(crate) fn step(&mut self, count: u64, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        let here = self.here.time.0;
        let target = match direction {
            Direction::Forward => Time(here.saturating_add(count)),
            // Between stop points the one before is the first.
            Direction::Backward if self.here.instruction > 0 && count <= here => Time(here + 1 - count),
            Direction::Backward if count < here => Time(here - count),
            Direction::Backward => {
                self.land(FIRST, task)?;
                return Ok(StopReason::HistoryBegin);
            }
        };
        let last = self.known.facts().last;
        if let Some(last) = last.filter(|&l| target > l) {
            self.land(last, task)?;
            return Ok(StopReason::HistoryEnd);
        }
        match self.seek(target, task)? {
            Landing::There => Ok(StopReason::Step),
            Landing::Past(last) => {
                self.land(last, task)?;
                Ok(StopReason::HistoryEnd)
            }
        }
    }

    /// To a place named by the user.
    pub(crate) fn go(&mut self, to: Target, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        let time = match to {
            Target::Start => FIRST,
            Target::End => self.last(task)?,
            Target::Permille(p) if p <= 1000 => {
                let last = self.last(task)?.0;
                let part = u64::try_from(u128::from(last) * u128::from(p) / 1000).unwrap_or(last);
                Time(part.max(FIRST.0))
            }
            Target::Permille(_) => {
                return Err(Fault::told(
                    FailureCode::Invalid,
                    "a part of the recording lies between 0% and 100%",
                ));
            }
            Target::Time(time) => self.in_range(time, task)?,
            Target::Instruction(time, number) => {
                let time = self.in_range(time, task)?;
                self.whole(|t| t.go_to_instruction(time, number, task))?;
                return Ok(StopReason::Go);
            }
            Target::Output(line) => return Err(Fault::Garbled(format!("output line {line} was not looked up"))),
        };
        self.land(time, task)?;
        Ok(StopReason::Go)
    }

    /// To a stop point that is known to be there.
    pub(crate) fn land(&mut self, time: Time, task: &mut Task<'_>) -> Result<(), Fault> {
        match self.seek(time, task)? {
            Landing::There => Ok(()),
            Landing::Past(last) => Err(Fault::Garbled(format!(
                "time {time} was seen, but now the recording ends at {last}"
            ))),
        }
    }

    /// The last stop point, waiting for the survey if need be.
    pub(crate) fn last(&self, task: &mut Task<'_>) -> Result<Time, Fault> {
        self.known.wait(task, |f| f.last)
    }

    fn in_range(&self, time: Time, task: &mut Task<'_>) -> Result<Time, Fault> {
        let within = time >= FIRST;
        let last = self.known.wait(task, |f| match f.last {
            None if within && time <= f.costs.frontier() => Some(time),
            last => last,
        });
        let last = match last {
            // What can be replayed can be gone to, even when the whole cannot be seen: how far, the way there tells.
            Err(Fault::Told(_)) if within => return Ok(time),
            last => last?,
        };
        if within && time <= last {
            return Ok(time);
        }
        Err(Fault::told(
            FailureCode::Invalid,
            format!("time {time} is out of range: this recording has times 1 to {last}"),
        ))
    }
}
