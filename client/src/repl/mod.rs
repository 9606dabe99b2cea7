//! `rdbctl replay`: the prompt.

mod completion;
mod editor;
mod live;
mod prompt;

use crate::Fault;
use crate::cli::ReplayArgs;
use crate::commands::Debugger;
use crate::link::{Interrupter, Launcher, Session};
use crate::paths::{Places, as_text};
use crate::show::Colour;
pub use prompt::Prompt;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::thread;

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &ReplayArgs) -> Result<u8, Fault> {
    let trace = as_text(&crate::processes::choose(places.trace(&args.trace)?, args.pid)?)?;
    let (session, here) = Session::open_at(Launcher::from_env(places.socket.clone()), trace, args.cursor.clone(), true)?;
    let interactive = io::stdin().is_terminal();
    let interrupter = session.interrupter();
    let mut prompt = Prompt::new(Debugger::new(session, here, Colour::of_stdout())?);
    if !args.no_breakpoints {
        let said = prompt.debugger().keep_breakpoints()?;
        io::stdout().lock().write_all(said.as_bytes())?;
    }
    let own = Some(places.rc()).filter(|rc| !args.no_rc && rc.exists());
    let local = args.local_rc.then(|| PathBuf::from(".rdbrc"));
    for file in own.into_iter().chain(local) {
        // As it is, with the spaces it may have: not through a line.
        let outcome = prompt.debugger().execute_file(&file);
        io::stdout().lock().write_all(outcome.text.as_bytes())?;
        if let Some(refusal) = outcome.error {
            writeln!(io::stderr().lock(), "{}", refusal.text)?;
        }
    }
    if interactive {
        editor::run(prompt, &places.history(), || watch_interrupts(interrupter, true))?;
    } else {
        watch_interrupts(interrupter, false)?;
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|e| Fault::new(format!("cannot read commands: {e}")))?;
            if prompt.line(&line, &mut io::stdout().lock(), &mut io::stderr().lock())? {
                break;
            }
        }
    }
    Ok(0)
}

/// Ctrl-C aborts the running request. When none runs it ends a program that reads from no terminal; at a prompt the line editor
/// gets the key itself.
fn watch_interrupts(interrupter: Interrupter, interactive: bool) -> Result<(), Fault> {
    let mut signals = Signals::new([SIGINT]).map_err(|e| Fault::new(format!("cannot watch for Ctrl-C: {e}")))?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if !interrupter.interrupt() && !interactive {
                let _ = emulate_default_handler(signal);
            }
        }
    });
    Ok(())
}
