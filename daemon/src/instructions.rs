//! Between two stop points: steps by instructions, and what stands there.
//!
//! The active process stays at the stop point. A copy of it that is thrown away goes on from there by instructions, so an instruction has
//! the number that counts from the stop point, however it was come to.

use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::replay::Process;
use crate::timeline::{Landing, Place, Timeline};
use rdb_protocol::client::{FailureCode, StopReason};
use rdb_protocol::replay::{RunEnd, Stopped};
use rdb_protocol::{Direction, Time};

/// As many as can be asked for: a stretch without a stop point ends sooner.
const ALL: u64 = u64::MAX >> 1;

impl Timeline {
    /// `count` instructions that way, stop points counting as what they are: places on the way.
    pub(crate) fn step_instructions(&mut self, count: u64, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        self.whole(|t| match direction {
            Direction::Forward => t.instructions_ahead(count, task),
            Direction::Backward => t.instructions_behind(count, task),
        })
    }

    /// To the instruction of this number behind a stop point, 0 the stop point itself.
    pub(crate) fn go_to_instruction(&mut self, time: Time, number: u64, task: &mut Task<'_>) -> Result<(), Fault> {
        self.land(time, task)?;
        if number == 0 {
            return Ok(());
        }
        let (process, stopped) = self.run_instructions(number, task)?;
        if stopped.instructions == number && is_inside(&stopped, time) {
            self.stand_inside(process, &stopped);
            return Ok(());
        }
        let text = match stopped.instructions {
            0 => format!("no instruction lies between time {time} and the next stop point"),
            n => format!("there is no {time}+{number}: the last instruction before the next stop point is {time}+{n}"),
        };
        Err(Fault::told(FailureCode::Invalid, text))
    }

    /// The process to look at where the cursor stands; it is only to be looked at.
    pub(crate) fn stood_at(&mut self, task: &mut Task<'_>) -> Result<&mut Process, Fault> {
        let Place { time, instruction, .. } = self.here;
        if instruction == 0 {
            return self.at_cursor(task);
        }
        let there = |(at, process): &(Time, Process)| *at == time && process.instructions() == instruction;
        if !self.inside.as_ref().is_some_and(there) {
            self.at_cursor(task)?;
            let (process, stopped) = self.run_instructions(instruction, task)?;
            if stopped.instructions != instruction || !is_inside(&stopped, time) {
                return Err(Fault::Garbled(format!("{time}+{instruction} was there before and is not now")));
            }
            self.inside = Some((time, process));
        }
        let inside = self.inside.as_mut().map(|i| &mut i.1);
        inside.ok_or_else(|| Fault::Garbled("no process stands at this instruction".to_string()))
    }

    fn instructions_ahead(&mut self, count: u64, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        let mut left = count;
        while left > 0 {
            let Place { time, instruction, .. } = self.here;
            let (process, stopped) = self.run_instructions(instruction.saturating_add(left), task)?;
            let passed = stopped.instructions.saturating_sub(instruction);
            if is_inside(&stopped, time) {
                self.stand_inside(process, &stopped);
                return Ok(StopReason::Step);
            }
            if stopped.end == RunEnd::End {
                if stopped.instructions > instruction {
                    self.go_to_instruction(time, stopped.instructions, task)?;
                }
                return Ok(StopReason::HistoryEnd);
            }
            // The next stop point is one more place.
            left = left.saturating_sub(passed + 1);
            drop(process);
            match self.seek(Time(time.0 + 1), task)? {
                Landing::There => {}
                Landing::Past(_) => return Err(Fault::Garbled(format!("the stop point behind {time} was there and is not now"))),
            }
            task.advance(count - left, count)?;
        }
        Ok(StopReason::Step)
    }

    fn instructions_behind(&mut self, count: u64, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        let mut left = count;
        loop {
            let Place { time, instruction, .. } = self.here;
            if left <= instruction {
                self.go_to_instruction(time, instruction - left, task)?;
                return Ok(StopReason::Step);
            }
            if time <= FIRST {
                self.land(FIRST, task)?;
                return Ok(StopReason::HistoryBegin);
            }
            // To the stop point, and from there to the last instruction behind the one before.
            left -= instruction + 1;
            self.land(Time(time.0 - 1), task)?;
            let (_, stopped) = self.run_instructions(ALL, task)?;
            self.here.instruction = stopped.instructions;
            task.advance(count - left, count)?;
            if left == 0 {
                self.go_to_instruction(Time(time.0 - 1), stopped.instructions, task)?;
                return Ok(StopReason::Step);
            }
        }
    }

    /// A copy of the active process, run to where so many instructions have been passed, or to the next stop point.
    fn run_instructions(&mut self, number: u64, task: &mut Task<'_>) -> Result<(Process, Stopped), Fault> {
        let Place { time, instruction, .. } = self.here;
        if let Some((at, mut process)) = self.inside.take()
            && (at, process.instructions()) == (time, instruction)
            && (1..number).contains(&instruction)
        {
            let stopped = process.step_instructions(number - instruction, task.interrupt)?;
            return Ok((process, stopped));
        }
        let mut process = self.at_cursor(task)?.fork()?;
        let stopped = process.step_instructions(number, task.interrupt)?;
        Ok((process, stopped))
    }

    fn stand_inside(&mut self, process: Process, stopped: &Stopped) {
        self.here = Place {
            time: stopped.position.time,
            instruction: stopped.instructions,
            location: stopped.position.location.clone(),
            breakpoints: Vec::new(),
        };
        self.inside = Some((stopped.position.time, process));
    }
}

/// Whether a run from this stop point ended before the next one.
fn is_inside(stopped: &Stopped, time: Time) -> bool {
    stopped.end == RunEnd::Goal && stopped.position.time == time
}

#[cfg(test)]
mod tests {
    use crate::fake::{Dice, World};
    use crate::travel_tests::{open, tiny};
    use rdb_protocol::client::{Call, FailureCode, StopReason, Target};
    use rdb_protocol::{Direction, Time};

    #[test]
    fn a_walk_by_instructions_is_one_through_all_places_there_are() {
        let world = World::new(300);
        let number = |t| world.instructions(t);
        let places: Vec<(u64, u64)> = (1..=300).flat_map(|t| (0..=number(t)).map(move |n| (t, n))).collect();
        let mut trip = open(world.clone(), tiny());
        let mut dice = Dice::new(5);
        let mut at = 0;
        for _ in 0..300 {
            let (count, forward) = (dice.below(20) + 1, dice.below(5) > 1);
            let direction = if forward { Direction::Forward } else { Direction::Backward };
            let steps = usize::try_from(count).unwrap();
            let (call, to, end) = match dice.below(8) {
                // By stop points, from wherever one stands.
                0 if !forward => {
                    let (time, n) = places[at];
                    let to = (time + u64::from(n > 0)).saturating_sub(count);
                    let to = places.iter().position(|p| *p == (to.max(1), 0)).unwrap();
                    (Call::Step { count, direction }, to, None)
                }
                1 => {
                    let to = usize::try_from(dice.below(places.len() as u64)).unwrap();
                    let (time, n) = places[to];
                    let go = Call::Go {
                        to: Target::Instruction(Time(time), n),
                    };
                    (go, to, Some(StopReason::Go))
                }
                _ => {
                    let to = if forward { at + steps } else { at.saturating_sub(steps) };
                    let reason = match (to >= places.len(), steps > at && !forward) {
                        (true, _) => StopReason::HistoryEnd,
                        (_, true) => StopReason::HistoryBegin,
                        _ => StopReason::Step,
                    };
                    (Call::StepInstruction { count, direction }, to.min(places.len() - 1), Some(reason))
                }
            };
            let stop = trip.go(call.clone());
            assert_eq!((stop.time.0, stop.instruction), places[to], "{call:?} from {:?}", places[at]);
            assert_eq!(stop.reason, end.unwrap_or(stop.reason), "{call:?} from {:?}", places[at]);
            at = to;
        }
        let beyond = Target::Instruction(Time(2), number(2) + 1);
        assert_eq!(trip.code(Call::Go { to: beyond }), FailureCode::Invalid);
    }
}
