//! Breakpoints: where, and on what condition.

use super::Command;
use super::arguments::number;
use super::places::place;
use rdb_protocol::client::Change;

/// `LOC` or `LOC if CONDITION`.
pub(super) fn breakpoint(rest: &str, temporary: bool) -> Result<Command, String> {
    let (at, condition) = match rest.split_once(" if ") {
        Some((at, condition)) => (at.trim_end(), Some(condition.trim())),
        None if rest.ends_with(" if") => (rest, Some("")),
        None => (rest, None),
    };
    if condition == Some("") {
        return Err("expected a condition after if".into());
    }
    Ok(Command::Break {
        place: place(at)?,
        condition: condition.map(str::to_owned),
        temporary,
    })
}

/// `[-l] EXPRESSION`.
pub(super) fn watched(rest: &str, command: fn(String, bool) -> Command) -> Result<Command, String> {
    let (bind, expression) = match rest.split_once(char::is_whitespace) {
        Some(("-l", expression)) => (true, expression.trim()),
        _ => (rest == "-l", if rest == "-l" { "" } else { rest }),
    };
    if expression.is_empty() {
        return Err("expected an expression".into());
    }
    Ok(command(expression.to_owned(), bind))
}

/// `N [CONDITION]`; without a condition there is none any more.
pub(super) fn condition(rest: &str) -> Result<Command, String> {
    let (id, condition) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let condition = Some(condition.trim().to_owned()).filter(|c| !c.is_empty());
    Ok(Command::Change(
        Some(number(id, "a breakpoint number")?),
        Change::Condition(condition),
    ))
}

/// `N COUNT`.
pub(super) fn ignore(rest: &str) -> Result<Command, String> {
    let (id, count) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let id = number(id, "a breakpoint number")?;
    Ok(Command::Change(Some(id), Change::Ignore(number(count.trim(), "a number of hits")?)))
}
