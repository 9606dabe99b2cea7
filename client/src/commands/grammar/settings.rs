//! Limits of what is shown.

use super::Command;
use super::arguments::number;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Levels of containers in containers.
    Depth,
    /// Elements of a container.
    Elements,
    /// Characters of a value.
    Size,
}

const SETTINGS: [(&str, Setting); 3] = [("depth", Setting::Depth), ("elements", Setting::Elements), ("size", Setting::Size)];
/// Nobody reads more, and probes have not room for any number.
const MOST: u32 = 1_000_000;

pub(super) fn set(rest: &str) -> Result<Command, String> {
    if rest.is_empty() {
        return Ok(Command::Set(None));
    }
    let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let found = SETTINGS.iter().find(|s| s.0 == name);
    let setting = found
        .ok_or_else(|| format!("expected depth, elements or size after set, not '{name}'"))?
        .1;
    match number(value.trim(), "a number")? {
        0 => Err(format!("{name} must be at least 1")),
        n if n > MOST => Err(format!("{name} must be at most {MOST}")),
        n => Ok(Command::Set(Some((setting, n)))),
    }
}
