//! `rdbctl batch`: commands from arguments, a script or standard input; text or JSON out.

use crate::cli::BatchArgs;
use crate::commands::Debugger;
use crate::link::{Interrupter, Launcher, Session};
use crate::paths::{Places, as_text};
use crate::show::{Colour, json};
use crate::{Fault, fault};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &BatchArgs) -> Result<u8, Fault> {
    // Everything that can be refused is refused before the daemon is bothered.
    let trace = as_text(&crate::processes::choose(places.trace(&args.trace)?, args.pid)?)?;
    let script = script(args)?;
    let (session, here) = Session::open_at(Launcher::from_env(places.socket.clone()), trace, args.cursor.clone(), true)?;
    let mut debugger = Debugger::new(session, here, Colour::of_stdout())?;
    // A script gives the same answers whatever someone left behind at a prompt, and leaves nothing behind there.
    if args.breakpoints {
        debugger.keep_breakpoints()?;
    }
    let interrupter = debugger.session_mut().interrupter();
    if args.json && script.as_ref().is_some_and(|s| s.1) && is_pipe() {
        watch_interrupts(interrupter.clone())?;
    }
    let lines = args
        .execute
        .iter()
        .map(|l| Ok(l.clone()))
        .chain(script.into_iter().flat_map(|s| s.0.lines()))
        .inspect(|_| interrupter.busy());
    commands(&mut debugger, lines, args.json, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// A program at the other end of two pipes is where a prompt's user would be: an interrupt aborts the command under way, and it goes on.
/// It ends by closing the pipe. An interrupt that finds no command is too late, and does nothing.
fn watch_interrupts(interrupter: Interrupter) -> Result<(), Fault> {
    let mut signals = Signals::new([SIGINT]).map_err(|e| Fault::new(format!("cannot watch for interrupts: {e}")))?;
    thread::spawn(move || {
        for _ in signals.forever() {
            interrupter.interrupt();
        }
    });
    Ok(())
}

/// Whether standard input is a pipe.
fn is_pipe() -> bool {
    fs::metadata("/proc/self/fd/0").is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_socket())
}

/// Lines to read, and whether they come from standard input.
type Script = (Box<dyn BufRead>, bool);

/// The script to read after the commands of the command line, if any.
fn script(args: &BatchArgs) -> Result<Option<Script>, Fault> {
    match &args.script {
        None if !args.execute.is_empty() => Ok(None),
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).map_err(|e| Fault::new(format!("cannot read the script {}: {e}", path.display())))?;
            Ok(Some((Box::new(BufReader::new(file)), false)))
        }
        _ => Ok(Some((Box::new(io::stdin().lock()), true))),
    }
}

/// Runs `lines` to their end or to `quit`. The exit status: 0, 1 when a command said no, 2 after a fault.
///
/// # Errors
/// [`Fault`] from reading or writing.
pub fn commands(
    debugger: &mut Debugger,
    lines: impl Iterator<Item = io::Result<String>>,
    as_json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8, Fault> {
    let mut status = 0;
    for line in lines {
        let line = line.map_err(|e| Fault::new(format!("cannot read the script: {e}")))?;
        let cmd = line.trim();
        if cmd.is_empty() || cmd.starts_with('#') {
            continue;
        }
        let outcome = debugger.execute(cmd);
        if let Some(refusal) = &outcome.error {
            status = status.max(if refusal.is_fault() { fault::FAULT } else { 1 });
        }
        if as_json {
            let line = json::line(cmd, &outcome).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            err.write_all(outcome.news.as_bytes())?;
            out.write_all(outcome.text.as_bytes())?;
        }
        out.flush()?;
        // What a stop's own text has said is not said twice.
        if let Some(refusal) = outcome.error.as_ref().filter(|_| !as_json && outcome.stop.is_none()) {
            writeln!(err, "{cmd}: {}", refusal.text)?;
        }
        if outcome.quit {
            break;
        }
    }
    if debugger.is_collecting() {
        writeln!(err, "commands: the script ends before `end`; nothing was set")?;
        status = status.max(1);
    }
    Ok(status)
}
