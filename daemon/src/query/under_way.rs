//! A query that has begun, of whatever kind.

use super::Query;
use super::raised::Raised;
use crate::fault::Fault;
use crate::progress::Task;
use rdb_protocol::client::SomeRows;

/// It gives rows as it is asked.
#[derive(Debug)]
pub(crate) enum UnderWay {
    /// Of hits or calls, which are being found.
    Hits(Query),
    /// Of exceptions, which are known.
    Raised(Raised),
}

impl UnderWay {
    /// The next rows.
    pub(crate) fn more(&mut self, task: &mut Task<'_>) -> Result<SomeRows, Fault> {
        match self {
            UnderWay::Hits(query) => query.more(task),
            UnderWay::Raised(raised) => Ok(raised.more()),
        }
    }
}
