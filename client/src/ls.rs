//! `rdbctl ls`: the traces in the data directory, the oldest first.

use crate::Fault;
use crate::cli::LsArgs;
use crate::info::{self, Facts};
use crate::paths::Places;
use crate::show::count::{bytes, grouped};
use crate::show::date;
use crate::show::words::command_line;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &LsArgs) -> Result<u8, Fault> {
    let mut out = io::stdout().lock();
    for (trace, facts) in all(&places.data)? {
        let line = match (&facts, args.json) {
            (Ok(facts), true) => serde_json::to_string(facts).map_err(io::Error::from)?,
            (Ok(facts), false) => text(&trace, facts),
            (Err(fault), true) => serde_json::json!({"path": trace.display().to_string(), "error": fault.to_string()}).to_string(),
            (Err(fault), false) => format!("{}  {fault}", name(&trace)),
        };
        writeln!(out, "{line}")?;
    }
    Ok(0)
}

/// A trace directory, and what it says.
pub(crate) type Listed = (PathBuf, Result<Facts, Fault>);

/// The traces directly below `data`, by the start of their recording.
pub(crate) fn all(data: &Path) -> Result<Vec<Listed>, Fault> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Fault::new(format!("cannot read {}: {e}", data.display()))),
    };
    let mut found: Vec<_> = entries
        .flatten()
        // Not `latest`, which is a link to one of them.
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()) && e.path().join(rdb_trace::EVENTS_FILE).exists())
        .map(|e| (e.path(), info::read(&e.path())))
        .collect();
    found.sort_by_key(|(path, facts)| (facts.as_ref().map_or(0, |f| f.started_ns), path.clone()));
    Ok(found)
}

fn name(trace: &Path) -> String {
    trace.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn text(trace: &Path, facts: &Facts) -> String {
    format!(
        "{}  {}  {} events  {}  {}  {}",
        name(trace),
        date::shown(facts.started),
        grouped(facts.events),
        bytes(facts.bytes),
        facts.ending,
        command_line(&facts.command)
    )
}
