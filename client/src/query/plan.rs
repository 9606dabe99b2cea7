//! How the work of a query over one long recording is divided: ranges of time that take about as long to replay, a JSON object a line. Who
//! has them done, where and in what order, is a scheduler's business.

use crate::cli::QueryArgs;
use crate::link::{Launcher, Session, SessionError};
use crate::paths::{Places, as_text};
use crate::{Fault, fault};
use serde_json::json;
use std::io::{self, Write};

/// Prints `parts` ranges of each trace; the exit status.
///
/// # Errors
/// [`Fault`].
pub(super) fn run(places: &Places, args: &QueryArgs, parts: u32) -> Result<u8, Fault> {
    let mut out = io::stdout().lock();
    for trace in super::traces::expand(&args.traces)? {
        let path = as_text(&crate::processes::choose(places.trace(&trace)?, args.pid)?)?;
        let (mut session, _) = Session::open(Launcher::from_env(places.socket.clone()), path, true)?;
        let ranges = session.call(|c| c.ranges(parts)).map_err(|e| match e {
            SessionError::Refused(f) => Fault::new(f.text),
            SessionError::Gone(_) => Fault::with_status(fault::FAULT, "the daemon is gone"),
        })?;
        for range in ranges {
            let line = json!({
                "trace": trace.display().to_string(),
                "from": range.from.0,
                "to": range.to.0,
                "seconds": std::time::Duration::from_nanos(range.cost).as_secs_f64(),
            });
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(0)
}
