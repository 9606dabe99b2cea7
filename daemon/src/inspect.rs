//! Looking at the program where the cursor stands: in throw-away copies, so that nothing that will run on is touched.

use crate::fault::Fault;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::Value;
use rdb_protocol::replay::Order;
use rdb_protocol::{Frame, FrameNumber, Limits, Scope, StopKind, Thread, Variable};
use std::time::Duration;

/// How long an evaluation may take unless the client says otherwise.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

impl Timeline {
    /// Evaluates in a probe; with `number` an object of the program's gets a number.
    pub(crate) fn evaluate(
        &mut self,
        source: &str,
        number: bool,
        frame: FrameNumber,
        deadline_ms: u32,
        task: &mut Task<'_>,
    ) -> Result<Value, Fault> {
        self.require_stop_points()?;
        let deadline = if deadline_ms == 0 {
            DEADLINE
        } else {
            Duration::from_millis(u64::from(deadline_ms))
        };
        let inside = self.here.instruction > 0;
        let prepared = match inside {
            true => self.prepare_between(source)?,
            false => self.prepare_here(source, task)?,
        };
        let number = number && !inside;
        let bound = match prepared.bound(self.here.time) {
            Ok(bound) => bound,
            Err(text) => {
                return Ok(Value {
                    ok: false,
                    text,
                    output: String::new(),
                    number: None,
                });
            }
        };
        let probe = self.stood_at(task)?.fork()?;
        let value = probe.evaluate(prepared.source.clone(), frame, bound.clone(), deadline, task.interrupt)?;
        let number = match value.object.filter(|_| number && value.ok) {
            None => None,
            // Whether the program has that object, or the evaluation made it, is seen by evaluating again while it is watched.
            Some(object) => {
                let mut probe = self.stood_at(task)?.fork()?;
                let again = probe
                    .watch_life(object)
                    .and_then(|()| probe.evaluate(prepared.source, frame, bound, deadline, task.interrupt));
                match again {
                    Ok(again) if again.same => Some(self.number(object, task)?),
                    Ok(_) | Err(Fault::Deadline(_) | Fault::Refused(_) | Fault::Died { .. }) => None,
                    Err(fault) => return Err(fault),
                }
            }
        };
        Ok(Value {
            ok: value.ok,
            text: value.text,
            output: value.output,
            number,
        })
    }

    /// What is about to be returned or raised where the cursor stands, if it can be had.
    pub(crate) fn result(&mut self, task: &mut Task<'_>) -> Result<Option<String>, Fault> {
        let kind = self.here.location.as_ref().map(|l| l.kind);
        if !matches!(kind, Some(StopKind::Return | StopKind::Unwind)) {
            return Ok(None);
        }
        let probe = self.stood_at(task)?.fork()?;
        match probe.result(DEADLINE, task.interrupt) {
            Ok(evaluated) => Ok(Some(evaluated.text).filter(|_| evaluated.ok)),
            Err(Fault::Interrupted) => Err(Fault::Interrupted),
            // A repr that hangs or crashes takes nothing from the move that led here.
            Err(_) => Ok(None),
        }
    }

    /// Variables, read in a probe.
    pub(crate) fn variables(
        &mut self,
        frame: FrameNumber,
        scope: Scope,
        limits: Limits,
        task: &mut Task<'_>,
    ) -> Result<Vec<Variable>, Fault> {
        self.require_stop_points()?;
        let order = |plain| Order::Locals {
            frame,
            scope,
            limits,
            plain,
        };
        let probe = self.stood_at(task)?.fork()?;
        match probe.variables(order(false), DEADLINE, task.interrupt) {
            // One of them hangs: that must not hide the others.
            Err(Fault::Deadline(_)) => {
                let probe = self.stood_at(task)?.fork()?;
                probe.variables(order(true), DEADLINE, task.interrupt)
            }
            other => other,
        }
    }

    /// The values on the stack of the frame stood in, the oldest first.
    pub(crate) fn value_stack(&mut self, limits: Limits, task: &mut Task<'_>) -> Result<Vec<Option<String>>, Fault> {
        self.require_stop_points()?;
        let probe = self.stood_at(task)?.fork()?;
        probe.value_stack(limits, DEADLINE, task.interrupt)
    }

    /// The stack.
    pub(crate) fn backtrace(&mut self, thread: Option<u32>, limit: u32, task: &mut Task<'_>) -> Result<Vec<Frame>, Fault> {
        self.require_stop_points()?;
        self.stood_at(task)?.backtrace(thread, limit)
    }

    /// The threads alive.
    pub(crate) fn threads(&mut self, task: &mut Task<'_>) -> Result<Vec<Thread>, Fault> {
        self.require_stop_points()?;
        self.stood_at(task)?.threads()
    }
}
