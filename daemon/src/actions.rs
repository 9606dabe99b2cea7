//! Actions: expressions evaluated where a move comes through, in a probe, without stopping it.

use crate::conditions::{Verdict, check, last_line};
use crate::fault::Fault;
use crate::inspect::DEADLINE;
use crate::interrupt::Interrupt;
use crate::life::Prepared;
use crate::progress::Task;
use crate::replay::Process;
use crate::timeline::Timeline;
use rdb_protocol::FrameNumber;
use rdb_protocol::client::Printed;

/// What a move prints at most; the rest is counted.
const MOST: usize = 1000;
/// Characters of one value.
const LONGEST: usize = 1000;

impl Timeline {
    /// Makes the expression of an action ready; refuses what does not compile.
    pub(crate) fn prepare_action(&mut self, action: &str, task: &mut Task<'_>) -> Result<Prepared, Fault> {
        self.require_stop_points()?;
        let prepared = self.prepare(action, task)?;
        check(self.at_cursor(task)?, "action", action, &prepared.source, task.interrupt)?;
        Ok(prepared)
    }

    /// A search has come to hits: counts them, and keeps what their actions came to. Those to stop at are returned.
    pub(crate) fn meet(&mut self, verdict: &mut Verdict) -> Vec<u32> {
        let mut printed = std::mem::take(&mut verdict.printed);
        printed.retain(|p| !self.marks.is_ignored(p.id));
        let acts = |id: &&u32| self.marks.action(**id).is_some() && !self.marks.is_ignored(**id);
        let carried_out = verdict.hit.iter().filter(acts).count();
        self.say(printed, carried_out);
        self.marks.meet(&verdict.ids(), &verdict.failed)
    }

    /// How many more are shown.
    pub(crate) fn room(&self) -> usize {
        MOST.saturating_sub(self.printed.len())
    }

    fn say(&mut self, printed: Vec<Printed>, carried_out: usize) {
        const FULL: &str = "further actions were carried out and are not shown; `condition` and `ignore` make them fewer";
        let room = self.room();
        if carried_out > room && !self.notes.iter().any(|n| n == FULL) {
            self.notes.push(FULL.to_string());
        }
        self.printed.extend(printed.into_iter().take(room));
        if self.room() == 0 {
            self.marks.be_full();
        }
    }
}

/// Evaluates where `process` stands.
pub(crate) fn carry_out(id: u32, action: &Prepared, process: &mut Process, interrupt: &Interrupt) -> Result<Printed, Fault> {
    let time = process.position().time;
    let printed = |ok, text: &str| Printed {
        id,
        time,
        ok,
        text: text.chars().take(LONGEST).collect(),
    };
    let bound = match action.bound(time) {
        Ok(bound) => bound,
        Err(error) => return Ok(printed(false, &error)),
    };
    match process
        .fork()?
        .evaluate(action.source.clone(), FrameNumber::default(), bound, DEADLINE, interrupt)
    {
        // A function that prints, and has nothing to give.
        Ok(value) if value.ok && !value.output.is_empty() && value.text == "None" => Ok(printed(true, value.output.trim_end())),
        Ok(value) if value.ok => Ok(printed(true, &format!("{}{}", value.output, value.text))),
        Ok(value) => Ok(printed(false, &last_line(&value.text))),
        Err(fault @ (Fault::Interrupted | Fault::System { .. } | Fault::Garbled(_) | Fault::Diverged(_))) => Err(fault),
        // The probe died of it, or was killed.
        Err(fault) => Ok(printed(false, &fault.to_string())),
    }
}
