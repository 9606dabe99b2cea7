//! `lines`: a file with what is known of each line. `info source`: what is known of a file.

use super::debugger::{Debugger, refused, said};
use super::grammar::ListRange;
use super::listing::{around, ends_in, full_name};
use super::outcome::{Outcome, Refusal};
use crate::link::SessionError;
use crate::show::text::marker;
use rdb_protocol::client::BreakpointInfo;
use rdb_protocol::{BreakpointPlace, SourceFile};

impl Debugger {
    /// The lines of a file: the one stood at, breakable ones, breakpoints, actions, text.
    pub(super) fn lines(&mut self, range: ListRange) -> Result<Outcome, SessionError> {
        let (suffix, first, last) = match range {
            ListRange::Here => (None, 1, u32::MAX),
            // A name without a line is that of a file here.
            ListRange::Function(file) => (Some(file), 1, u32::MAX),
            ListRange::Around(file, line) => (file, around(line).0, around(line).1),
            ListRange::Lines(file, first, last) => (file, first, last),
        };
        let here = self.here.location.clone();
        let current = here.as_ref().map(|l| l.file.clone());
        let file = match suffix {
            Some(suffix) => full_name(self, &suffix, current.as_deref()),
            None => current,
        };
        let Some(file) = file else {
            return Ok(refused(Refusal::SOURCE, "no source file is stood in".into()));
        };
        let all = self.session.call(|c| c.sources())?;
        // The program may know it by another path than the one that leads to it from here.
        let known = all
            .iter()
            .find(|f| f.file == file)
            .or_else(|| all.iter().find(|f| ends_in(&f.file, &file)));
        let file = known.map_or(file, |f| f.file.clone());
        let text = match self.sources.lines(&file, first, last) {
            Ok(text) if text.is_empty() => return Ok(refused(Refusal::SOURCE, format!("{file} has no line {first}"))),
            Ok(text) => text,
            Err(why) => return Ok(refused(Refusal::SOURCE, why)),
        };
        let breakpoints = self.session.call(|c| c.breakpoints())?;
        let row = |(line, text): (u32, &String)| {
            let stood = here
                .as_ref()
                .filter(|l| l.file == file && l.line == line)
                .map_or("", |l| marker(l.kind));
            let breakable = if known.is_some_and(|f| f.lines.contains(&line)) { ":" } else { " " };
            let set = breakpoints.iter().filter(|b| stands_on(b, &file, line, known));
            let set: Vec<String> = set
                .map(|b| format!("{}{}", if b.action.is_some() { 'a' } else { 'b' }, b.id))
                .collect();
            let row = format!("{stood:<2} {line:>5}{breakable} {:<4} {text}", set.join(","));
            row.trim_end().to_owned() + "\n"
        };
        Ok(said((first..).zip(&text).map(row).collect()))
    }

    /// Facts about the file stood in.
    pub(super) fn source_file(&mut self) -> Result<Outcome, SessionError> {
        let Some(here) = self.here.location.clone() else {
            return Ok(refused(Refusal::SOURCE, "no source file is stood in".into()));
        };
        let all = self.session.call(|c| c.sources())?;
        let known = all.iter().find(|f| f.file == here.file);
        let text = match self.sources.lines(&here.file, 1, u32::MAX) {
            Ok(lines) => format!("{} lines", lines.len()),
            Err(why) => why,
        };
        let (breakable, functions) = known.map_or((0, 0), |f| (f.lines.len(), f.functions.len()));
        let changed = self.sources.note(&here.file).map(|n| format!("note: {n}\n")).unwrap_or_default();
        Ok(said(format!(
            "{}\n{text}, {breakable} breakable, {functions} functions\n{changed}",
            here.file
        )))
    }
}

/// Whether a breakpoint stands on a line; one on a function stands where that is defined.
fn stands_on(breakpoint: &BreakpointInfo, file: &str, line: u32, known: Option<&SourceFile>) -> bool {
    let defined = |name: &str| {
        let is_it = |f: &&(String, u32)| f.1 == line && (f.0 == name || f.0.rsplit('.').next() == Some(name));
        known.is_some_and(|k| k.functions.iter().any(|f| is_it(&f)))
    };
    match &breakpoint.place {
        BreakpointPlace::Line { file: suffix, line: at } => *at == line && ends_in(file, suffix),
        BreakpointPlace::Function { name } | BreakpointPlace::Return { name } => defined(name),
        _ => false,
    }
}
