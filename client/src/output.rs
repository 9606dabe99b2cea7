//! `rdbctl output`: what the recorded program printed.

use crate::cli::OutputArgs;
use crate::paths::Places;
use crate::{Fault, Log, LogError};
use rdb_trace::Tag;
use std::io::{self, Write};

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &OutputArgs) -> Result<u8, Fault> {
    let trace = crate::processes::choose(places.trace(&args.trace)?, args.pid)?;
    let mut log = Log::open(&trace).map_err(|e| Fault::new(format!("{}: {e}", trace.display())))?;
    let damage = print(&mut log, args.fd, &mut io::stdout().lock(), &mut io::stderr().lock())?;
    match damage {
        None => Ok(0),
        Some(error) => Err(Fault::with_status(1, format!("{}: {error}", trace.display()))),
    }
}

/// Copies the program's output in order: both streams, each to its own, or only `fd`, to `out`. Gives the damage that ended the
/// log early, if any.
///
/// # Errors
/// From writing.
pub fn print(log: &mut Log, fd: Option<u8>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Option<LogError>> {
    loop {
        let event = match log.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(error) => {
                out.flush()?;
                return Ok(Some(error));
            }
        };
        for effect in event.effects() {
            if effect.target == Tag::Stdout as u64 && fd != Some(2) {
                out.write_all(effect.bytes)?;
            } else if effect.target == Tag::Stderr as u64 {
                match fd {
                    None => {
                        out.flush()?;
                        err.write_all(effect.bytes)?;
                    }
                    Some(2) => out.write_all(effect.bytes)?,
                    Some(_) => {}
                }
            }
        }
    }
    out.flush()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_trace::event::Fixed;
    use rdb_trace::{End, HEADER_SIZE, Kind};
    use std::fs;
    use std::path::Path;

    const CALL: Fixed = Fixed {
        kind: Kind::Syscall,
        flags: 0,
        thread: 0,
        nr: 1,
        ret: 0,
        rip: 0,
        rsp: 0,
        args: [0; 6],
        registers: 0,
    };

    /// A trace in `dir` of three lines, each in a chunk of its own.
    fn trace(dir: &Path) -> Vec<u8> {
        let log = rdb_trace::memory::log(
            0,
            End::Open,
            &[
                &[(CALL, &[(Tag::Stdout as u64, b"one\n")])],
                &[(CALL, &[(Tag::Stderr as u64, b"two\n")])],
                &[(CALL, &[(Tag::Stdout as u64, b"three\n")])],
            ],
        );
        fs::write(dir.join("events"), &log).unwrap();
        log
    }

    fn printed(dir: &Path, fd: Option<u8>) -> (String, String, Option<LogError>) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let damage = print(&mut Log::open(dir).unwrap(), fd, &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), damage)
    }

    #[test]
    fn streams_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        trace(dir.path());
        assert!(matches!(printed(dir.path(), None), (o, e, None) if o == "one\nthree\n" && e == "two\n"));
        assert!(matches!(printed(dir.path(), Some(1)), (o, e, None) if o == "one\nthree\n" && e.is_empty()));
        assert!(matches!(printed(dir.path(), Some(2)), (o, e, None) if o == "two\n" && e.is_empty()));
    }

    #[test]
    fn what_is_whole_is_printed_and_the_damage_named() {
        let dir = tempfile::tempdir().unwrap();
        let log = trace(dir.path());
        fs::write(dir.path().join("events"), &log[..log.len() - 3]).unwrap();
        let (out, _, damage) = printed(dir.path(), Some(1));
        assert_eq!(out, "one\n");
        assert_eq!(damage.unwrap().to_string(), "the trace is cut off at event 2, 3 bytes are missing");

        let mut rotten = log.clone();
        let at = rotten.len() - 4;
        rotten[at] ^= 1;
        fs::write(dir.path().join("events"), &rotten).unwrap();
        assert_eq!(
            printed(dir.path(), None).2.unwrap().to_string(),
            "event 2: checksum mismatch; the trace is damaged from there on"
        );
    }

    #[test]
    fn nothing_but_the_header_is_no_output() {
        let dir = tempfile::tempdir().unwrap();
        let log = trace(dir.path());
        fs::write(dir.path().join("events"), &log[..HEADER_SIZE]).unwrap();
        let (out, err, damage) = printed(dir.path(), None);
        assert!(out.is_empty() && err.is_empty() && damage.is_some());
    }

    #[test]
    fn bytes_beyond_the_chunks_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = trace(dir.path());
        log.extend([0; 500]);
        fs::write(dir.path().join("events"), &log).unwrap();
        assert!(matches!(printed(dir.path(), Some(2)), (o, _, None) if o == "two\n"));
    }
}
