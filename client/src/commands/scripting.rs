//! Lines that lead to other lines: commands of breakpoints, files, aliases, what is carried out at each stop.

use super::debugger::{Debugger, refused, said};
use super::grammar::{self, Command};
use super::names;
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use crate::show::text;
use rdb_protocol::StopKind;
use rdb_protocol::client::{Change, Stop, StopReason};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Files that name each other, and aliases that do, end here.
const DEEPEST: u32 = 16;
/// Stops that commands of breakpoints may lead to from one line: two of them can send each other back and forth for ever.
const MOST_STOPS: u32 = 1000;
/// Lines of a move that `trace` shows.
const MOST_LINES: u32 = 1000;
/// The first command that keeps a stop from being shown.
const SILENT: &str = "silent";

/// What lines have been told to lead to.
#[derive(Debug, Default)]
pub(super) struct Scripting {
    aliases: BTreeMap<String, String>,
    /// Carried out at each stop, before it is shown.
    prestop: Option<String>,
    /// Carried out where a move begins.
    poststop: Option<String>,
    /// The breakpoint whose commands are being given, and those given so far.
    collecting: Option<(u32, Vec<String>)>,
    trace: bool,
    depth: u32,
    in_hook: bool,
    /// Commands of the breakpoints stopped at, yet to be carried out.
    pub(super) due: VecDeque<String>,
}

impl Debugger {
    /// Whether the next line is one of the commands of a breakpoint.
    #[must_use]
    pub fn is_collecting(&self) -> bool {
        self.script.collecting.is_some()
    }

    /// The commands being given are not to be.
    pub fn cancel_commands(&mut self) {
        self.script.collecting = None;
    }

    /// Carries out a line, and what that leads to.
    pub(super) fn carry_out(&mut self, line: &str) -> Outcome {
        if self.script.collecting.is_some() {
            return self.collect(line.trim());
        }
        let mut outcome = self.one(line);
        let mut stops = 0;
        let mut due = std::mem::take(&mut self.script.due);
        self.be_silent(&mut due, &mut outcome);
        while let Some(command) = due.pop_front() {
            let mut next = self.one(&command);
            if let Some(refusal) = next.error.as_ref().filter(|_| next.stop.is_none()) {
                outcome.text.push_str(&next.text);
                outcome.text.push_str(&format!("{command}: {}\n", refusal.text));
                outcome.error = next.error;
                break;
            }
            outcome.quit |= next.quit;
            let moved = next.stop.as_ref().is_some_and(|s| s.reason != StopReason::Here);
            if moved {
                stops += 1;
                due = std::mem::take(&mut self.script.due);
                self.be_silent(&mut due, &mut next);
                (outcome.stop, outcome.error) = (next.stop, next.error);
            }
            outcome.text.push_str(&next.text);
            if stops == MOST_STOPS && !due.is_empty() {
                let text =
                    format!("the commands of breakpoints have led to {MOST_STOPS} stops in a row; they end here, and any move goes on");
                outcome.text.push_str(&format!("{text}\n"));
                outcome.error = Some(Refusal {
                    code: Refusal::SYNTAX,
                    text,
                });
                break;
            }
            if outcome.quit {
                break;
            }
        }
        outcome
    }

    /// Takes the text of a stop away where the first command due asks for that.
    fn be_silent(&mut self, due: &mut VecDeque<String>, outcome: &mut Outcome) {
        if due.front().is_some_and(|c| c == SILENT) {
            due.pop_front();
            outcome.text = outcome.stop.as_ref().map(text::printed).unwrap_or_default();
        }
    }

    /// One line by itself.
    fn one(&mut self, line: &str) -> Outcome {
        let command = match self.expanded(line).and_then(|line| grammar::parse(&line)) {
            Ok(None) => return Outcome::default(),
            Ok(Some(command)) => command,
            Err(text) => return refused(Refusal::SYNTAX, text),
        };
        if !command.moves() {
            return self.run(command);
        }
        let (before, jumps) = (self.here.time, command.jumps());
        let mut text = self.hook(self.script.poststop.clone());
        let mut outcome = self.run(command);
        if let Some(stop) = outcome.stop.clone() {
            if self.script.trace && !jumps {
                text.push_str(&self.passed(before, &stop).unwrap_or_else(|e| format!("{e}\n")));
            }
            text.push_str(&self.hook(self.script.prestop.clone()));
        }
        outcome.text.insert_str(0, &text);
        outcome
    }

    /// Carries out what belongs to each stop; its own moves have none of that.
    fn hook(&mut self, line: Option<String>) -> String {
        let Some(line) = line.filter(|_| !self.script.in_hook) else {
            return String::new();
        };
        self.script.in_hook = true;
        let outcome = self.one(&line);
        self.script.in_hook = false;
        self.script.due.clear();
        let error = outcome.error.filter(|_| outcome.stop.is_none());
        outcome.text + &error.map(|e| format!("{line}: {}\n", e.text)).unwrap_or_default()
    }

    /// The lines between the beginning and the end of a move, in the order in which they were passed.
    fn passed(&mut self, from: rdb_protocol::Time, stop: &Stop) -> Result<String, SessionError> {
        let to = stop.time;
        let mut all = self.session.call(|c| c.passed(from, to, MOST_LINES))?;
        let mut text = String::new();
        if from.0.abs_diff(to.0) > u64::from(MOST_LINES) + 1 {
            text.push_str(&format!("... (only the last {MOST_LINES} stop points are traced)\n"));
        }
        if to < from {
            all.reverse();
        }
        for (time, at) in all.iter().filter(|p| p.1.kind == StopKind::Line) {
            let lines = self.sources.lines(&at.file, at.line, at.line).unwrap_or_default();
            let source = lines.first().map(|l| l.trim_start()).unwrap_or_default();
            let place = format!("{}:{}", self.sources.shown(&at.file), at.line);
            text.push_str(format!("{:>10}  {place}  {source}", time.to_string()).trim_end());
            text.push('\n');
        }
        Ok(text)
    }

    fn expanded(&self, line: &str) -> Result<String, String> {
        let mut line = line.trim().to_owned();
        for _ in 0..DEEPEST {
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            match self.script.aliases.get(word) {
                Some(command) => line = format!("{command} {}", rest.trim()).trim_end().to_owned(),
                None => return Ok(line),
            }
        }
        Err(format!("the alias in '{line}' leads to itself"))
    }

    /// Begins to take the commands of a breakpoint.
    pub(super) fn begin_commands(&mut self, id: Option<u32>) -> Outcome {
        let id = match id.or_else(|| self.session.last_breakpoint()) {
            Some(id) if self.session.breakpoint(id).is_some() => id,
            Some(id) => return refused(Refusal::UNKNOWN, format!("there is no breakpoint {id}")),
            None => return refused(Refusal::UNKNOWN, "there is no breakpoint to give commands to".into()),
        };
        self.script.collecting = Some((id, Vec::new()));
        Outcome::default()
    }

    fn collect(&mut self, line: &str) -> Outcome {
        let Some((id, mut all)) = self.script.collecting.take() else {
            return Outcome::default();
        };
        if line == "end" {
            let set = self.session.change(Some(id), Change::Commands(all));
            return set.map_or_else(|e| self.failed(e), |()| Outcome::default());
        }
        let wrong = match self.expanded(line).and_then(|line| grammar::parse(&line)) {
            _ if line == SILENT => None,
            Ok(Some(Command::Commands(_))) => Some("commands cannot hold commands; `end` ends them".to_owned()),
            Ok(_) => None,
            Err(text) => Some(text),
        };
        if wrong.is_none() && !line.is_empty() {
            all.push(line.to_owned());
        }
        self.script.collecting = Some((id, all));
        wrong.map_or_else(Outcome::default, |text| refused(Refusal::SYNTAX, text))
    }

    /// Carries out the lines of a file, up to the first that is refused.
    pub fn execute_file(&mut self, path: &Path) -> Outcome {
        match std::fs::read_to_string(path) {
            Ok(lines) => self.lines_of(path, &lines),
            Err(e) => refused(Refusal::SOURCE, format!("cannot read {}: {e}", path.display())),
        }
    }

    /// The same for a name as the user writes it.
    pub(super) fn source(&mut self, file: &str) -> Outcome {
        let path = match (file.strip_prefix("~/"), std::env::var_os("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => PathBuf::from(file),
        };
        self.execute_file(&path)
    }

    fn lines_of(&mut self, path: &Path, lines: &str) -> Outcome {
        if self.script.depth == DEEPEST {
            return refused(Refusal::SYNTAX, format!("{} is read by what it reads", path.display()));
        }
        self.script.depth += 1;
        let mut all = Outcome::default();
        for (number, line) in lines.lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let outcome = self.carry_out(line);
            all.text.push_str(&outcome.text);
            all.quit |= outcome.quit;
            all.stop = outcome.stop.or(all.stop);
            if let Some(refusal) = outcome.error.filter(|e| e.is_fault() || !e.is_negative()) {
                let text = format!("{}:{}: {}", path.display(), number + 1, refusal.text);
                all.error = Some(Refusal { text, ..refusal });
                // The error is what is to be seen, not where the lines before it have led.
                all.stop = None;
                break;
            }
            if all.quit {
                break;
            }
        }
        if let Some((id, _)) = self.script.collecting.take() {
            let text = format!("{}: the commands of breakpoint {id} have no end", path.display());
            all.error = all.error.or(Some(Refusal {
                code: Refusal::SYNTAX,
                text,
            }));
        }
        self.script.depth -= 1;
        all
    }

    /// Shows all aliases, or sets one.
    pub(super) fn alias(&mut self, new: Option<(String, String)>) -> Outcome {
        let Some((name, command)) = new else {
            let all = self.script.aliases.iter().map(|(name, command)| format!("{name} is {command}\n"));
            let text: String = all.collect();
            return said(if text.is_empty() { "no aliases\n".into() } else { text });
        };
        if names::find(&name).is_some() {
            return refused(Refusal::SYNTAX, format!("'{name}' is a command; choose another name"));
        }
        let first = command.split_whitespace().next().unwrap_or_default();
        let known = names::find(first).is_some() || self.script.aliases.contains_key(first) || command.starts_with('!');
        if !known {
            return refused(Refusal::SYNTAX, names::unknown(first));
        }
        self.script.aliases.insert(name, command);
        Outcome::default()
    }

    /// Removes an alias.
    pub(super) fn unalias(&mut self, name: &str) -> Outcome {
        match self.script.aliases.remove(name) {
            Some(_) => Outcome::default(),
            None => refused(Refusal::UNKNOWN, format!("there is no alias '{name}'")),
        }
    }

    /// Shows whether lines are traced, or switches that.
    pub(super) fn trace(&mut self, on: Option<bool>) -> Outcome {
        self.script.trace = on.unwrap_or(self.script.trace);
        match on {
            None => said(format!("trace is {}\n", if self.script.trace { "on" } else { "off" })),
            Some(_) => Outcome::default(),
        }
    }

    /// Shows what is carried out at each stop (`pre`) or where moves begin, or sets it; `off` for nothing.
    pub(super) fn set_hook(&mut self, pre: bool, line: Option<String>) -> Outcome {
        let (hook, name) = match pre {
            true => (&mut self.script.prestop, "prestop"),
            false => (&mut self.script.poststop, "poststop"),
        };
        match line.as_deref() {
            None => return said(format!("{name} is {}\n", hook.as_deref().unwrap_or("off"))),
            Some("off") => *hook = None,
            Some(_) => *hook = line,
        }
        Outcome::default()
    }

    /// Shows where no step ends, or adds a pattern.
    pub(super) fn skip(&mut self, pattern: Option<String>) -> Result<Outcome, SessionError> {
        let mut all = self.session.skipped().to_vec();
        let Some(pattern) = pattern else {
            let text: String = all.iter().map(|p| format!("{p}\n")).collect();
            return Ok(said(if text.is_empty() { "nothing is skipped\n".into() } else { text }));
        };
        if !all.contains(&pattern) {
            all.push(pattern.clone());
            let useless = self.session.skip(all)?.contains(&pattern);
            // What is set for all recordings need not be of use in each.
            if useless && self.script.depth == 0 {
                return Ok(said(format!("note: the program ran no file that '{pattern}' matches\n")));
            }
        }
        Ok(Outcome::default())
    }

    /// Removes a pattern, or all.
    pub(super) fn unskip(&mut self, pattern: Option<&str>) -> Result<Outcome, SessionError> {
        let mut all = self.session.skipped().to_vec();
        let before = all.len();
        all.retain(|p| pattern.is_some_and(|pattern| p != pattern));
        if let Some(pattern) = pattern.filter(|_| all.len() == before) {
            return Ok(refused(Refusal::UNKNOWN, format!("'{pattern}' is not skipped; skip shows what is")));
        }
        self.session.skip(all)?;
        Ok(Outcome::default())
    }
}
