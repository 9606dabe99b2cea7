//! Moves that go by frames: over calls, out of functions, up to a place. Breakpoints on the way stop them all.
//!
//! A move follows one activation, the one stood in. Where that has no further stop point, its caller is followed, and so on
//! outward.

use crate::ahead::Ahead;
use crate::behind::Behind;
use crate::breakpoints::UNTIL;
use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::{FailureCode, StopReason};
use rdb_protocol::replay::{Follow, Passing};
use rdb_protocol::{Activation, BreakpointPlace, Direction, StopKind};

/// Callers looked at.
const MOST_FRAMES: u32 = 64;

impl Timeline {
    /// `count` stop points of the frame stood in, or of its callers when it has no more.
    pub(crate) fn next(&mut self, count: u64, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        self.whole(|t| {
            for _ in 0..count {
                let reason = match direction {
                    Direction::Forward => t.next_forward(task)?,
                    Direction::Backward => t.next_backward(task)?,
                };
                if reason != StopReason::Step {
                    return Ok(reason);
                }
            }
            Ok(StopReason::Step)
        })
    }

    /// Forward to where the frame stood in is left; backward to before it was entered.
    pub(crate) fn finish(&mut self, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        self.whole(|t| {
            if direction == Direction::Forward && t.has_begun_since(task)? {
                t.step(1, Direction::Forward, task)?;
            }
            let stack = t.stack(task)?;
            let leaving = usize::from(t.leaves());
            match direction {
                Direction::Forward if stack.len() > leaving + 1 => match t.ahead_of(stack[leaving], Passing::End, task)? {
                    Some(reason) => Ok(reason),
                    None => t.first_of(&stack[leaving + 1..], task),
                },
                Direction::Backward if stack.len() > 1 => t.last_or_beginning(&stack[1..], task),
                _ => Err(Fault::told(FailureCode::Invalid, "No caller.")),
            }
        })
    }

    /// To `place`, but not out of the frame stood in: forward to where it is left, backward to before it was entered.
    pub(crate) fn until(&mut self, place: BreakpointPlace, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        self.marks.set_until(Some(place));
        let reason = self.whole(|t| {
            if t.has_begun_since(task)? {
                // Backward that leads out of it.
                match direction {
                    Direction::Forward => drop(t.step(1, Direction::Forward, task)?),
                    Direction::Backward => return t.back_to_stop_point(task),
                }
            }
            let stack = t.stack(task)?;
            match direction {
                Direction::Forward => {
                    let bound = stack.get(usize::from(t.leaves())).map(|&a| follow(a, Passing::End));
                    let before = t.before();
                    match t.ahead(bound, task)? {
                        Ahead::Breakpoint => Ok(StopReason::Breakpoint),
                        Ahead::Own => Ok(StopReason::Step),
                        Ahead::MainDone(time) => t.arrive_at_main_done(time, task),
                        Ahead::Nothing => t.arrive_at_end(task),
                        // There is no end to stop at.
                        Ahead::Lost => {
                            t.give_back(before);
                            t.continue_forward(task)
                        }
                    }
                }
                Direction::Backward => {
                    let before = t.before();
                    match t.behind(stack.first().map(|&a| follow(a, Passing::End)), task)? {
                        Behind::Breakpoint | Behind::Own => Ok(StopReason::Breakpoint),
                        Behind::Begun(_) | Behind::Nothing => {
                            t.give_back(before);
                            t.last_or_beginning(stack.get(1..).unwrap_or_default(), task)
                        }
                    }
                }
            }
        });
        self.marks.set_until(None);
        // The place asked for is no breakpoint.
        Ok(match reason? {
            StopReason::Breakpoint if self.here.breakpoints.is_empty() => StopReason::Step,
            reason => reason,
        })
    }

    /// To where a thread, or any other than the one stood in, runs: forward to the first stop point after a switch, backward to the
    /// last before one.
    pub(crate) fn switch(&mut self, thread: Option<u32>, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.require_stop_points()?;
        self.marks.set_until(Some(match direction {
            Direction::Forward => BreakpointPlace::Switch { from: None, to: thread },
            Direction::Backward => BreakpointPlace::Switch { from: thread, to: None },
        }));
        let reason = self.whole(|t| match direction {
            Direction::Forward => match t.ahead(None, task)? {
                Ahead::Breakpoint | Ahead::Own => Ok(StopReason::Breakpoint),
                Ahead::MainDone(time) => t.arrive_at_main_done(time, task),
                Ahead::Nothing | Ahead::Lost => t.arrive_at_end(task),
            },
            Direction::Backward => {
                let process = t.active_with_marks(task)?;
                let switched = process.look()?.breakpoints.contains(&UNTIL);
                if !switched {
                    match t.behind(None, task)? {
                        Behind::Breakpoint | Behind::Own => {}
                        Behind::Begun(_) | Behind::Nothing => return t.beginning(task),
                    }
                }
                // The switch lies between this stop point and the one before.
                if switched || t.here.breakpoints.is_empty() {
                    t.step(1, Direction::Backward, task)?;
                    return Ok(StopReason::ThreadSwitch);
                }
                Ok(StopReason::Breakpoint)
            }
        });
        self.marks.set_until(None);
        Ok(match reason? {
            StopReason::Breakpoint if self.here.breakpoints.is_empty() => StopReason::ThreadSwitch,
            reason => reason,
        })
    }

    fn next_forward(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        if self.has_begun_since(task)? {
            return self.step(1, Direction::Forward, task);
        }
        let stack = self.stack(task)?;
        match &stack[usize::from(self.leaves()).min(stack.len())..] {
            // Whatever the thread, or another, does next.
            [] => self.step(1, Direction::Forward, task),
            rest => self.first_of(rest, task),
        }
    }

    fn next_backward(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        if self.has_begun_since(task)? {
            return self.back_to_stop_point(task);
        }
        let stack = self.stack(task)?;
        match self.last_of(&stack, task)? {
            Some(reason) => Ok(reason),
            None => self.step(1, Direction::Backward, task),
        }
    }

    /// The next stop point of the first of these activations that has one; a breakpoint before it; or what comes when none has.
    fn first_of(&mut self, stack: &[Activation], task: &mut Task<'_>) -> Result<StopReason, Fault> {
        for &activation in stack {
            if let Some(reason) = self.ahead_of(activation, Passing::Any, task)? {
                return Ok(reason);
            }
        }
        self.continue_forward(task)
    }

    /// The next stop point of this activation, or a breakpoint before it; `None`, and nothing has moved, when it has no more: a generator
    /// that nobody asks any more, which has breakpoints ahead but none on its way.
    fn ahead_of(&mut self, activation: Activation, passing: Passing, task: &mut Task<'_>) -> Result<Option<StopReason>, Fault> {
        let before = self.before();
        let follow = follow(activation, passing);
        match self.ahead(Some(follow), task)? {
            Ahead::Own => return Ok(Some(StopReason::Step)),
            Ahead::Breakpoint if self.goes_on(follow, task)? => return Ok(Some(StopReason::Breakpoint)),
            _ => self.give_back(before),
        }
        Ok(None)
    }

    /// The previous stop point of the first of these activations that has one.
    fn last_of(&mut self, stack: &[Activation], task: &mut Task<'_>) -> Result<Option<StopReason>, Fault> {
        for &activation in stack {
            let before = self.before();
            match self.behind(Some(follow(activation, Passing::Any)), task)? {
                Behind::Breakpoint => return Ok(Some(StopReason::Breakpoint)),
                Behind::Own => return Ok(Some(StopReason::Step)),
                Behind::Begun(_) | Behind::Nothing => self.give_back(before),
            }
        }
        Ok(None)
    }

    fn last_or_beginning(&mut self, stack: &[Activation], task: &mut Task<'_>) -> Result<StopReason, Fault> {
        match self.last_of(stack, task)? {
            Some(reason) => Ok(reason),
            None => self.continue_backward(task),
        }
    }

    fn beginning(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.land(FIRST, task)?;
        Ok(StopReason::HistoryBegin)
    }

    /// The activations on the stack, innermost first.
    fn stack(&mut self, task: &mut Task<'_>) -> Result<Vec<Activation>, Fault> {
        Ok(self.backtrace(None, MOST_FRAMES, task)?.into_iter().map(|f| f.activation).collect())
    }

    /// Whether the cursor stands between stop points, in an activation that had none yet.
    fn has_begun_since(&mut self, task: &mut Task<'_>) -> Result<bool, Fault> {
        if self.here.instruction == 0 {
            return Ok(false);
        }
        let now = self.stack(task)?;
        let before = self.at_cursor(task)?.backtrace(None, MOST_FRAMES)?;
        Ok(now.first().is_some_and(|a| before.iter().all(|f| f.activation != *a)))
    }

    /// Back to the stop point that the cursor stands behind.
    fn back_to_stop_point(&mut self, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        self.land(self.here.time, task)?;
        Ok(StopReason::Step)
    }

    /// Whether the stop point stood at is the last of its activation.
    fn leaves(&self) -> bool {
        let kind = self.here.location.as_ref().map(|l| l.kind);
        matches!(kind, Some(StopKind::Return | StopKind::Unwind))
    }
}

fn follow(activation: Activation, passing: Passing) -> Follow {
    Follow { activation, passing }
}
