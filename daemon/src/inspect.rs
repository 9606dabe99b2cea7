//! Looking at the program where the cursor stands: in throw-away copies, so that nothing that will run on is touched.

use crate::fault::Fault;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::replay::Evaluated;
use rdb_protocol::{Frame, StopKind, Variable};
use std::time::Duration;

/// How long an evaluation may take unless the client says otherwise.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

impl Timeline {
    /// Evaluates in a probe.
    pub(crate) fn evaluate(&mut self, source: &str, frame: u32, deadline_ms: u32, task: &mut Task<'_>) -> Result<Evaluated, Fault> {
        self.require_stop_points()?;
        let deadline = if deadline_ms == 0 {
            DEADLINE
        } else {
            Duration::from_millis(u64::from(deadline_ms))
        };
        let probe = self.at_cursor(task)?.fork()?;
        probe.evaluate(source.to_string(), frame, deadline, task.interrupt)
    }

    /// What is about to be returned or raised where the cursor stands, if it can be had.
    pub(crate) fn result(&mut self, task: &mut Task<'_>) -> Result<Option<String>, Fault> {
        let kind = self.here.location.as_ref().map(|l| l.kind);
        if !matches!(kind, Some(StopKind::Return | StopKind::Unwind)) {
            return Ok(None);
        }
        let probe = self.at_cursor(task)?.fork()?;
        match probe.result(DEADLINE, task.interrupt) {
            Ok(evaluated) => Ok(Some(evaluated.text).filter(|_| evaluated.ok)),
            Err(Fault::Interrupted) => Err(Fault::Interrupted),
            // A repr that hangs or crashes takes nothing from the move that led here.
            Err(_) => Ok(None),
        }
    }

    /// Local variables, read in a probe.
    pub(crate) fn locals(&mut self, frame: u32, task: &mut Task<'_>) -> Result<Vec<Variable>, Fault> {
        self.require_stop_points()?;
        let probe = self.at_cursor(task)?.fork()?;
        probe.locals(frame, DEADLINE, task.interrupt)
    }

    /// The stack.
    pub(crate) fn backtrace(&mut self, limit: u32, task: &mut Task<'_>) -> Result<Vec<Frame>, Fault> {
        self.require_stop_points()?;
        self.at_cursor(task)?.backtrace(limit)
    }
}
