//! The prompt at a terminal: line editing, history, completion.

use super::completion::{Known, Names, complete, names_of};
use super::live::{Live, Shared, Typed, lock};
use super::prompt::Prompt;
use crate::Fault;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

struct Completion {
    prompt: Shared,
    names: RefCell<Names>,
    typed: Typed,
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Hinter for Completion {
    type Hint = String;

    /// There are no hints; but here the editor tells what it shows.
    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        self.typed.set(line, pos);
        None
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&line[..pos], self))
    }
}

impl Known for Completion {
    fn places(&self) -> Vec<String> {
        match self.prompt.try_lock() {
            Ok(mut prompt) => self.names.borrow_mut().places(prompt.debugger().session_mut()),
            Err(_) => Vec::new(),
        }
    }

    fn names(&self, of: Option<&str>, begin: &str) -> Vec<String> {
        match self.prompt.try_lock() {
            Ok(mut prompt) => names_of(prompt.debugger(), of, begin),
            Err(_) => Vec::new(),
        }
    }
}

/// Reads and carries out lines until the user leaves. `watch` sets up what Ctrl-C does to a running command.
pub(super) fn run(mut prompt: Prompt, history: &Path, watch: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    let broken = |e: ReadlineError| Fault::new(format!("cannot read from the terminal: {e}"));
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Completion, FileHistory> = Editor::with_config(config).map_err(broken)?;
    // After the editor, which takes SIGINT for itself when it is made: a handler set later stands, and calls the editor's.
    watch()?;
    // A first start has no history, and one that cannot be read is worth no word.
    let _ = editor.load_history(history);
    let interrupter = prompt.debugger().session_mut().interrupter();
    io::stdout().lock().write_all(prompt.debugger().describe_here().as_bytes())?;
    let prompt = Arc::new(Mutex::new(prompt));
    let typed = Typed::default();
    editor.set_helper(Some(Completion {
        prompt: Arc::clone(&prompt),
        names: RefCell::new(Names::default()),
        typed: typed.clone(),
    }));
    loop {
        let news = lock(&prompt).debugger().catch_up();
        io::stdout().lock().write_all(news.as_bytes())?;
        let text = lock(&prompt).text();
        // The editor leaves raw mode before it hands the line over: a Ctrl-C in between is meant for the command, too.
        interrupter.busy();
        typed.begin(&text, editor.dimensions().map_or(0, |d| usize::from(d.0)));
        let live = Live::new(&prompt, &typed);
        let read = editor.readline(&text);
        typed.end();
        drop(live);
        match read {
            Ok(line) => {
                let left = lock(&prompt).line(&line, &mut io::stdout().lock(), &mut io::stderr().lock())?;
                if left {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => lock(&prompt).debugger().cancel_commands(),
            Err(ReadlineError::Signal(_)) => {}
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(broken(e)),
        }
    }
    if let Some(folder) = history.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    if let Err(e) = editor.save_history(history) {
        eprintln!("rdbctl: the history was not saved to {}: {e}", history.display());
    }
    Ok(())
}
