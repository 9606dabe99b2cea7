//! What is refused before anything runs.

use crate::conditions;
use crate::fault::Fault;
use crate::life::Prepared;
use crate::progress::Task;
use crate::timeline::Timeline;

impl Timeline {
    /// Makes code ready; refuses what does not compile.
    pub(crate) fn check_query(&mut self, what: &str, code: &str, task: &mut Task<'_>) -> Result<Prepared, Fault> {
        let prepared = self.prepare(code, task)?;
        conditions::check(self.at_cursor(task)?, what, code, &prepared.source, task.interrupt)?;
        Ok(prepared)
    }
}
