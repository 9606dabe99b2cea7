//! Where replay processes come from: the seam between the tree and the operating system.
//!
//! The real host is [`crate::spawn`]; tests have one whose processes are threads.

use crate::fault::Fault;
use crate::link::Link;
use std::fmt::Debug;
use std::sync::Arc;

/// The process behind a link.
pub(crate) trait Body: Debug + Send + Sync {
    /// Its process id.
    fn pid(&self) -> i32;
    /// Kills it; harmless when it is gone.
    fn kill(&self);
    /// Whether it still runs.
    fn alive(&self) -> bool;
}

/// Makes the processes of one trace.
pub(crate) trait Host: Debug + Send + Sync {
    /// Starts a root, paused at the start of the recording.
    fn root(&self) -> Result<(Link, Arc<dyn Body>), Fault>;
    /// Takes charge of a copy that a replay process has made of itself.
    fn adopt(&self, pid: i32) -> Result<Arc<dyn Body>, Fault>;
    /// Whether the daemon ends: then its processes die because it kills them.
    fn closing(&self) -> bool;
    /// How much the processes have written to standard error so far.
    fn written(&self) -> u64;
    /// The last line they wrote there since then.
    fn last_words(&self, since: u64) -> Option<String>;
}
