//! What is refused before anything runs.

use crate::conditions;
use crate::fault::Fault;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::FailureCode;

impl Timeline {
    /// Refuses code that does not compile, and numbered objects, which are not looked for at each hit.
    pub(crate) fn check_query(&mut self, what: &str, code: &str, task: &mut Task<'_>) -> Result<(), Fault> {
        let prepared = self.prepare(code, task)?;
        if prepared.source != *code {
            return Err(Fault::told(
                FailureCode::Invalid,
                format!("the {what} '{code}' names a numbered object, which a query cannot use"),
            ));
        }
        conditions::check(self.at_cursor(task)?, what, code, code, task.interrupt)
    }
}
