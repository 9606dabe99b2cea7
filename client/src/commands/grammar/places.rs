//! Places in source, and times.

use super::Command;
use super::arguments::{is_name, number};
use rdb_protocol::client::Target;
use rdb_protocol::{BreakpointPlace, Time};

/// Which source lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListRange {
    /// Around the line stood at.
    Here,
    /// Around a line of a file; `None` the one stood in.
    Around(Option<String>, u32),
    /// From one line to another of a file; `None` the one stood in.
    Lines(Option<String>, u32, u32),
    /// Around the beginning of a function.
    Function(String),
}

pub(super) fn target(rest: &str) -> Result<Command, String> {
    let expected = || format!("expected a time, start, end, a percentage or a bookmark, not '{rest}'");
    Ok(Command::Go(match rest {
        "" => return Ok(Command::When),
        "start" => Target::Start,
        "end" => Target::End,
        _ if rest.starts_with("output ") => Target::Output(number(rest["output ".len()..].trim(), "the number of a line of output")?),
        _ if is_name(rest) => return Ok(Command::GoMark(rest.to_owned())),
        _ => match rest.strip_suffix('%') {
            Some(percent) => Target::Permille(permille(percent.trim()).ok_or_else(expected)?),
            None if rest.contains('+') => {
                let (time, number) = rest.split_once('+').unwrap_or((rest, "0"));
                let number = number.trim().parse().map_err(|_| expected())?;
                Target::Instruction(Time(time.trim().parse().map_err(|_| expected())?), number)
            }
            None => Target::Time(Time(rest.parse().map_err(|_| expected())?)),
        },
    }))
}

/// `12.5` is 125. Further decimals count for nothing.
fn permille(percent: &str) -> Option<u16> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
    if decimals.is_empty() || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let tenths = u16::from(decimals.as_bytes()[0] - b'0');
    whole
        .parse::<u16>()
        .ok()?
        .checked_mul(10)?
        .checked_add(tenths)
        .filter(|p| *p <= 1000)
}

fn line_number(text: &str) -> Result<u32, String> {
    match text.trim().parse::<u32>() {
        Ok(0) => Err("lines count from 1".into()),
        Ok(line) => Ok(line),
        Err(_) => Err("expected a line number after colon".into()),
    }
}

pub(crate) fn place(rest: &str) -> Result<BreakpointPlace, String> {
    if let Some(name) = rest.strip_prefix("return ") {
        let name = name.trim().trim_end_matches("()").to_owned();
        return Ok(BreakpointPlace::Return { name });
    }
    if let Some(name) = rest.strip_prefix("call ") {
        let name = name.trim().trim_end_matches("()").to_owned();
        if name.is_empty()
            || !name
                .split('.')
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'))
        {
            return Err(format!(
                "expected the dotted name of a function or method written in C after call, not '{name}'"
            ));
        }
        return Ok(BreakpointPlace::Native { name });
    }
    if let Some(pattern) = rest.strip_prefix("output ") {
        return Ok(BreakpointPlace::Output {
            pattern: pattern.trim().to_owned(),
        });
    }
    if let Some(place) = raise(rest)? {
        return Ok(place);
    }
    if let Some((file, line)) = rest.rsplit_once(':') {
        return Ok(BreakpointPlace::Line {
            file: file.trim().to_owned(),
            line: line_number(line)?,
        });
    }
    if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(BreakpointPlace::Line {
            file: String::new(),
            line: line_number(rest).map_err(|_| format!("'{rest}' is no line number"))?,
        });
    }
    match rest.strip_suffix("()").unwrap_or(rest).trim() {
        "" => Err("Empty breakpoint name: expected a place, which is written LINE, FILE:LINE or FUNC".into()),
        name => Ok(BreakpointPlace::Function { name: name.to_owned() }),
    }
}

/// `raise`, `raise CLASS`, `uncaught`: `raise` is a keyword, and a function of the other name is written `uncaught()`.
fn raise(rest: &str) -> Result<Option<BreakpointPlace>, String> {
    let (word, class) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let class = class.trim();
    let is_component = |c: &str| {
        c.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '<'))
            && c.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '<' | '>'))
    };
    match word {
        "raise" if class.is_empty() => Ok(Some(BreakpointPlace::Raise { class: None })),
        "raise" if class.split('.').all(is_component) => Ok(Some(BreakpointPlace::Raise {
            class: Some(class.to_owned()),
        })),
        "raise" => Err(format!("expected the name of an exception class after raise, not '{class}'")),
        "uncaught" if class.is_empty() => Ok(Some(BreakpointPlace::Uncaught)),
        "uncaught" => Err(format!("expected nothing or a condition after uncaught, not '{class}'")),
        _ => Ok(None),
    }
}

/// What looks odd about a breakpoint that was set all the same.
#[must_use]
pub fn odd(place: &BreakpointPlace) -> Option<String> {
    let BreakpointPlace::Function { name } = place else { return None };
    if name.to_ascii_lowercase().ends_with(".py") {
        return Some(format!("'{name}' looks like a file; a line of it would be {name}:LINE"));
    }
    let usual = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>');
    (!name.chars().all(usual)).then(|| format!("'{name}' is an unusual name for a function"))
}

pub(in crate::commands) fn range(rest: &str) -> Result<ListRange, String> {
    if rest.is_empty() {
        return Ok(ListRange::Here);
    }
    let (file, lines) = match rest.rsplit_once(':') {
        Some((file, lines)) => (Some(file.trim().to_owned()).filter(|f| !f.is_empty()), lines),
        None if rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, ',' | '-')) => (None, rest),
        None => return Ok(ListRange::Function(rest.strip_suffix("()").unwrap_or(rest).trim().to_owned())),
    };
    let line = |text: &str| match number::<u32>(text.trim(), "a line number") {
        Ok(0) => Err("lines count from 1".to_owned()),
        other => other,
    };
    match lines.split_once(',') {
        Some((first, last)) => {
            let (first, last) = (line(first)?, line(last)?);
            if first > last {
                Err(format!("the first line, {first}, comes after the last, {last}"))
            } else {
                Ok(ListRange::Lines(file, first, last))
            }
        }
        None => Ok(ListRange::Around(file, line(lines)?)),
    }
}
