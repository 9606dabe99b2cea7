//! Commands that lead to other commands.

use super::Command;
use super::places::place;

/// `LOC EXPRESSION`, `output REGEX EXPRESSION`, `output /REGEX/ EXPRESSION`.
pub(super) fn action(rest: &str) -> Result<Command, String> {
    let word = |text: &str| {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        (word.to_owned(), rest.trim().to_owned())
    };
    let (first, mut expression) = word(rest);
    let mut at = first;
    if matches!(at.as_str(), "return" | "raise" | "call") {
        let (name, rest) = word(&expression);
        at = format!("{at} {name}");
        expression = rest;
    } else if at == "output" {
        // A pattern that has spaces in it stands between slashes.
        let (pattern, rest) = match expression.strip_prefix('/') {
            Some(rest) => rest
                .split_once("/ ")
                .ok_or("expected a slash and an expression after the pattern: action output /REGEX/ EXPRESSION")?,
            None => expression.split_once(char::is_whitespace).unwrap_or((&expression, "")),
        };
        (at, expression) = (format!("output {pattern}"), rest.trim().to_owned());
    }
    if expression.is_empty() {
        return Err("expected a place and an expression after action".into());
    }
    Ok(Command::Action {
        place: place(&at)?,
        expression,
    })
}

/// `on`, `off`, or nothing.
pub(super) fn switch(rest: &str) -> Result<Option<bool>, String> {
    match rest {
        "" => Ok(None),
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        _ => Err(format!("expected on or off, not '{rest}'")),
    }
}

/// `NAME COMMAND`, or nothing.
pub(super) fn alias(rest: &str) -> Result<Command, String> {
    if rest.is_empty() {
        return Ok(Command::Alias(None));
    }
    match rest.split_once(char::is_whitespace) {
        Some((name, command)) => Ok(Command::Alias(Some((name.to_owned(), command.trim().to_owned())))),
        None => Err(format!("expected a command after alias {rest}")),
    }
}

/// Text that may be missing.
pub(super) fn optional_text(rest: &str) -> Option<String> {
    Some(rest.to_owned()).filter(|r| !r.is_empty())
}

/// Text that may not.
pub(super) fn needed(word: &str, what: &str, rest: &str) -> Result<String, String> {
    optional_text(rest).ok_or_else(|| format!("expected {what} after {word}"))
}
