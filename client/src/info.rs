//! `rdbctl info`: facts about a trace, from its header and first event.

use crate::cli::InfoArgs;
use crate::paths::Places;
use crate::show::count::{bytes, grouped};
use crate::show::date;
use crate::show::words::command_line;
use crate::{Fault, Log};
use rdb_trace::{Kind, Tag};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// What a trace says about itself.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) path: String,
    pub(crate) command: Vec<String>,
    directory: Option<String>,
    /// Seconds since 1970.
    pub(crate) started: u64,
    /// The same, in nanoseconds: what traces are sorted by.
    #[serde(skip)]
    pub(crate) started_ns: u64,
    format: u32,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    verify_every: u32,
    pub(crate) ending: String,
}

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &InfoArgs) -> Result<u8, Fault> {
    let facts = read(&crate::processes::choose(places.trace(&args.trace)?, args.pid)?)?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &facts).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&facts).as_bytes())?;
    }
    Ok(0)
}

/// What the trace directory `trace` says.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(trace: &Path) -> Result<Facts, Fault> {
    let failed = |e| Fault::new(format!("{}: {e}", trace.display()));
    let mut log = Log::open(trace).map_err(failed)?;
    let mut facts = Facts {
        path: trace.display().to_string(),
        command: Vec::new(),
        directory: None,
        started: log.header().started / 1_000_000_000,
        started_ns: log.header().started,
        format: rdb_trace::VERSION,
        events: log.header().events,
        bytes: log.size(),
        verify_every: log.header().verify_every,
        ending: log.header().end.to_string(),
    };
    // A damaged first event leaves the facts of the header.
    if let Ok(Some(event)) = log.next_event()
        && event.fixed.kind == Kind::Start
    {
        let string = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        facts.directory = event.tagged(Tag::Directory).map(|e| string(e.bytes));
        if let Some(line) = event.tagged(Tag::Arguments) {
            facts.command = line
                .bytes
                .split_inclusive(|b| *b == 0)
                .map(|a| string(a.strip_suffix(&[0]).unwrap_or(a)))
                .collect();
        }
    }
    Ok(facts)
}

fn text(facts: &Facts) -> String {
    let mut lines = vec![("trace", facts.path.clone())];
    if !facts.command.is_empty() {
        lines.push(("command", command_line(&facts.command)));
    }
    if let Some(directory) = &facts.directory {
        lines.push(("directory", directory.clone()));
    }
    lines.push(("started", date::shown(facts.started)));
    lines.push((
        "events",
        format!("{} in {} (format {})", grouped(facts.events), bytes(facts.bytes), facts.format),
    ));
    if facts.verify_every > 0 {
        lines.push(("hashes", format!("one every {} events", grouped(u64::from(facts.verify_every)))));
    }
    lines.push(("ending", facts.ending.clone()));
    lines.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_trace::End;
    use rdb_trace::event::Fixed;

    #[test]
    fn header_and_start_event_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let start = Fixed {
            kind: Kind::Start,
            flags: 0,
            thread: 0,
            nr: 0,
            ret: 0,
            rip: 0,
            rsp: 0,
            args: [0; 6],
            registers: 0,
        };
        let log = rdb_trace::memory::log(
            1_795_256_100_000_000_000,
            End::Open,
            &[&[(
                start,
                &[(Tag::Directory as u64, b"/home"), (Tag::Arguments as u64, b"python3\0a b.py\0")],
            )]],
        );
        std::fs::write(dir.path().join("events"), log).unwrap();
        let facts = read(dir.path()).unwrap();
        assert_eq!(facts.command, ["python3", "a b.py"]);
        let shown = text(&facts);
        assert!(
            shown.contains(&format!(
                "directory  /home\nstarted    2026-11-21 10:15:00 UTC\nevents     1 in 4.0 KiB (format {})\n",
                rdb_trace::VERSION
            )),
            "{shown}"
        );
    }
}
