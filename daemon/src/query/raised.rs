//! Exceptions as rows.

use crate::fault::Fault;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::{Query, SomeRows};

impl Timeline {
    /// The exceptions of this class, or of one derived from it.
    pub(crate) fn raised_rows(&mut self, _class: Option<&str>, _asked: &Query, _task: &mut Task<'_>) -> Result<SomeRows, Fault> {
        Err(Fault::told(rdb_protocol::client::FailureCode::Invalid, "not yet"))
    }
}
