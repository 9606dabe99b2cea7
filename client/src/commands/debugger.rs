//! Carries commands out.

use super::grammar::{Command, InfoTopic};
use super::outcome::{Outcome, Refusal};
use super::scripting::Scripting;
use super::{facts, listing, names};
use crate::Fault;
use crate::link::{Session, SessionError};
use crate::show::source::Sources;
use crate::show::{Colour, json, text};
use rdb_protocol::client::{FailureCode, Moment, Stop, StopReason, TraceInfo};
use rdb_protocol::{Limits, Scope};

/// Frames shown by `backtrace`.
pub(super) const MOST_FRAMES: u32 = 200;
/// Moves that can be undone.
const TRAIL: usize = 1000;

/// A session, and what showing it needs.
#[derive(Debug)]
pub struct Debugger {
    pub(super) session: Session,
    pub(super) sources: Sources,
    /// The last stop.
    pub(super) here: Stop,
    /// The thread shown last.
    pub(super) thread: Option<u32>,
    /// The frame selected, 0 the innermost.
    pub(super) selected: u32,
    /// The thread looked at; `None` the one stood in.
    pub(super) looked_at: Option<u32>,
    /// Where the moves began, the last one at the end.
    pub(super) trail: Vec<Moment>,
    /// How much of values is shown.
    pub(super) limits: Limits,
    /// File and last line that `list` has shown: it goes on there when nothing else was done since.
    pub(super) listed: Option<(String, u32)>,
    /// What lines lead to.
    pub(super) script: Scripting,
}

impl Debugger {
    /// On an opened session that stands at `here`.
    ///
    /// # Errors
    /// [`Fault`] when the daemon fails at once.
    pub fn new(mut session: Session, here: Stop, colour: Colour) -> Result<Debugger, Fault> {
        let info: TraceInfo = session.call(|c| c.trace_info()).map_err(|e| Fault::new(e.to_string()))?;
        let sources = Sources::new(info.directory.into(), std::path::Path::new(&info.path), colour);
        let thread = here.location.as_ref().map(|l| l.thread);
        Ok(Debugger {
            session,
            sources,
            here,
            thread,
            selected: 0,
            looked_at: None,
            trail: Vec::new(),
            limits: Limits::default(),
            listed: None,
            script: Scripting::default(),
        })
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to ask it.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Goes on with the breakpoints saved with the trace, and saves them at each change; what there is to say about that.
    ///
    /// # Errors
    /// [`Fault`] when the daemon fails.
    pub fn keep_breakpoints(&mut self) -> Result<String, Fault> {
        let all = match self.session.keep_breakpoints() {
            Ok(all) => all,
            Err(SessionError::Refused(failure)) => return Ok(format!("note: breakpoints are not kept: {}\n", failure.text)),
            Err(gone) => return Err(Fault::new(gone.to_string())),
        };
        Ok(match all.len() {
            0 => String::new(),
            1 => "1 breakpoint is set from before (info breakpoints)\n".into(),
            n => format!("{n} breakpoints are set from before (info breakpoints)\n"),
        })
    }

    /// How the place stood at looks.
    pub fn describe_here(&mut self) -> String {
        let stop = self.here.clone();
        text::stop(&stop, false, &mut self.sources)
    }

    /// Carries out one line. Empty lines and comments do nothing.
    pub fn execute(&mut self, line: &str) -> Outcome {
        let mut news = self.catch_up();
        let mut outcome = self.carry_out(line);
        news.push_str(&self.catch_up());
        outcome.news = news;
        outcome.time = self.session.time();
        outcome
    }

    pub(super) fn run(&mut self, command: Command) -> Outcome {
        let listed = self.listed.take();
        let result = match command {
            Command::Step { count, direction } => self.moved(|s| s.travel(|c| c.step(count, direction))),
            Command::StepInstruction { count, direction } => self.moved(|s| s.travel(|c| c.step_instruction(count, direction))),
            Command::Next { count, direction } => self.moved(|s| s.travel(|c| c.next(count, direction))),
            Command::Finish { direction } => self.moved(|s| s.travel(|c| c.finish(direction))),
            Command::Until { place, direction } => self.moved(|s| s.travel(|c| c.until(place, direction))),
            Command::Continue { count, direction } => self.moved(|s| s.travel(|c| c.continue_(count, direction))),
            Command::Switch { thread, direction } => self.moved(|s| s.travel(|c| c.switch(thread, direction))),
            Command::Output(limit) => self.session.call(|c| c.output(limit)).map(|lines| said(facts::output(&lines))),
            Command::Thread(thread) => self.look_at(thread),
            Command::Go(target) => self.moved(|s| s.travel(|c| c.go(target))),
            Command::When => self.moved(|s| s.travel(|c| c.when())),
            Command::GoMark(name) => self.go_to_bookmark(&name),
            Command::Undo => self.undo(),
            Command::Mark(name) => self.set_bookmark(&name),
            Command::Unmark(name) => self.session.call(|c| c.bookmark(&name, None)).map(|()| Outcome::default()),
            Command::Break {
                place,
                condition,
                temporary,
            } => self.set_breakpoint(place, condition, temporary),
            Command::Watch(expression, bind) => self.set_watchpoint(expression, bind),
            Command::Last(expression, bind) => {
                let watch = self.watch(expression, bind);
                self.moved(|s| s.travel(|c| c.last(watch)))
            }
            Command::History(expression, bind) => self.history(expression, bind),
            Command::Action { place, expression } => self.set_action(place, expression),
            Command::Commands(id) => Ok(self.begin_commands(id)),
            Command::Trace(on) => Ok(self.trace(on)),
            Command::Skip(pattern) => self.skip(pattern),
            Command::Unskip(pattern) => self.unskip(pattern.as_deref()),
            Command::Source(file) => Ok(self.source(&file)),
            Command::Alias(new) => Ok(self.alias(new)),
            Command::Unalias(name) => Ok(self.unalias(&name)),
            Command::Prestop(line) => Ok(self.set_hook(true, line)),
            Command::Poststop(line) => Ok(self.set_hook(false, line)),
            Command::Change(id, change) => self.session.change(id, change).map(|()| Outcome::default()),
            Command::Delete(id) => self.session.delete(id).map(|()| Outcome::default()),
            Command::Print(code) => self.print(&code),
            Command::Backtrace(most) => self.backtrace(most),
            Command::List(range) => Ok(listing::list(self, range, listed)),
            Command::Lines(range) => self.lines(range),
            Command::Locals(pattern) => self.variables(Scope::Local, false, &pattern),
            Command::Args(pattern) => self.variables(Scope::Local, true, &pattern),
            Command::Globals(pattern) => self.variables(Scope::Global, false, &pattern),
            Command::Whatis(expression) => self.told("whatis", &expression),
            Command::Pretty(expression) => self.told("pp", &expression),
            Command::Inspect(expression) => self.told("inspect", &expression),
            Command::Disassemble(expression) => self.disassemble(&expression),
            Command::Set(setting) => Ok(self.set(setting)),
            Command::Frame(choice) => self.select(choice),
            Command::Info(InfoTopic::Functions, pattern) => self.functions(&pattern),
            Command::Info(InfoTopic::Sources, pattern) => self.source_files(&pattern),
            Command::Info(InfoTopic::Source, _) => self.source_file(),
            Command::Info(InfoTopic::Line, place) => self.line(&place),
            Command::Info(InfoTopic::Stack, _) => self.value_stack(),
            Command::Info(InfoTopic::Threads, _) => self.threads(),
            Command::Info(InfoTopic::Marks, _) => self.bookmarks(),
            Command::Info(InfoTopic::Breakpoints, _) => self
                .session
                .call(|c| c.breakpoints())
                .map(|all| said(facts::breakpoints(&all, &self.sources))),
            Command::Info(InfoTopic::Checkpoints, _) => self.session.call(|c| c.checkpoints()).map(|all| said(facts::checkpoints(&all))),
            Command::Info(InfoTopic::Trace, _) => self.session.call(|c| c.trace_info()).map(|info| said(facts::trace(&info))),
            Command::Help(topic) => Ok(names::help(topic.as_deref()).map_or_else(|e| refused(Refusal::SYNTAX, e), said)),
            Command::Quit => Ok(Outcome {
                quit: true,
                ..Outcome::default()
            }),
        };
        result.unwrap_or_else(|e| self.failed(e))
    }

    pub(super) fn moved(&mut self, go: impl FnOnce(&mut Session) -> Result<Stop, SessionError>) -> Result<Outcome, SessionError> {
        let before = self.here.moment();
        let temporary: Vec<u32> = self.session.temporary();
        let commands = self.session.commands();
        let stop = go(&mut self.session)?;
        if matches!(stop.reason, StopReason::Breakpoint | StopReason::Watchpoint) {
            let hit = commands.into_iter().filter(|c| stop.breakpoints.contains(&c.0));
            self.script.due = hit.flat_map(|c| c.1).collect();
        }
        let thread = stop.location.as_ref().map(|l| l.thread);
        let switched = thread.is_some() && thread != self.thread;
        let mut text = text::stop(&stop, switched, &mut self.sources);
        if matches!(stop.reason, StopReason::Breakpoint | StopReason::Watchpoint) {
            for id in stop.breakpoints.iter().filter(|id| temporary.contains(id)) {
                text.push_str(&format!("Temporary breakpoint {id} is deleted\n"));
            }
        }
        if stop.moment() != before {
            self.trail.push(before);
            if self.trail.len() > TRAIL {
                self.trail.remove(0);
            }
        }
        (self.selected, self.looked_at) = (0, None);
        self.thread = thread.or(self.thread);
        self.here = stop.clone();
        let code = match stop.reason {
            StopReason::HistoryBegin | StopReason::HistoryEnd => Some(stop.reason.name()),
            _ => None,
        };
        // The text says it too; the refusal makes it a negative answer for scripts.
        let error = code.map(|code| Refusal {
            code,
            text: text::reason(&stop).trim_end().to_owned(),
        });
        Ok(Outcome {
            stop: Some(stop),
            text,
            error,
            ..Outcome::default()
        })
    }

    fn print(&mut self, code: &str) -> Result<Outcome, SessionError> {
        let frame = self.frame_number();
        let value = self.session.call(|c| c.evaluate(code, true, frame, 0))?;
        let mut text = value.output;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if !value.ok {
            return Ok(Outcome {
                text,
                ..refused(Refusal::EVALUATION, value.text)
            });
        }
        if !value.text.is_empty() {
            if let Some(number) = value.number {
                text.push_str(&format!("${number} = "));
            }
            text.push_str(&value.text);
            text.push('\n');
        }
        Ok(said(text))
    }

    pub(super) fn failed(&self, error: SessionError) -> Outcome {
        match error {
            SessionError::Refused(f) if f.code == FailureCode::Interrupted => {
                refused(json::code(f.code), format!("interrupted; still at time {}", self.session.moment()))
            }
            SessionError::Refused(f) => refused(json::code(f.code), f.text),
            SessionError::Gone(text) => refused(Refusal::GONE, text),
        }
    }
}

pub(super) fn said(text: String) -> Outcome {
    Outcome {
        text,
        ..Outcome::default()
    }
}

pub(super) fn refused(code: &'static str, text: String) -> Outcome {
    Outcome {
        error: Some(Refusal { code, text }),
        ..Outcome::default()
    }
}
