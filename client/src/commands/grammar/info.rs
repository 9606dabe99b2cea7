//! What `info` shows.

use super::Command;

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoTopic {
    /// All breakpoints.
    Breakpoints,
    /// All bookmarks.
    Marks,
    /// All checkpoints.
    Checkpoints,
    /// A line, or the one stood at.
    Line,
    /// The source file stood in.
    Source,
    /// Source files.
    Sources,
    /// Functions.
    Functions,
    /// The values on the stack of the frame stood in.
    Stack,
    /// Threads.
    Threads,
    /// The trace.
    Trace,
}

/// What can be asked for.
pub const TOPICS: [(&str, InfoTopic); 11] = [
    ("breakpoints", InfoTopic::Breakpoints),
    ("checkpoints", InfoTopic::Checkpoints),
    ("files", InfoTopic::Sources),
    ("functions", InfoTopic::Functions),
    ("line", InfoTopic::Line),
    ("marks", InfoTopic::Marks),
    ("source", InfoTopic::Source),
    ("sources", InfoTopic::Sources),
    ("stack", InfoTopic::Stack),
    ("trace", InfoTopic::Trace),
    ("threads", InfoTopic::Threads),
];

pub(super) fn info(rest: &str) -> Result<Command, String> {
    let (topic, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let matching = |t: &&(&str, InfoTopic)| !topic.is_empty() && t.0.starts_with(topic);
    // Its full name is one topic's, its beginning another's; what is restricted is the list.
    let found = match topic {
        "f" | "fu" => Some(InfoTopic::Functions),
        "s" | "so" | "sou" | "sour" | "sourc" => Some(InfoTopic::Sources),
        _ => TOPICS.iter().find(matching).map(|t| t.1),
    };
    let found = found
        .ok_or("expected breakpoints, checkpoints, files, functions, line, marks, source, sources, stack, threads or trace after info")?;
    let argument = argument.trim();
    let found = match found {
        InfoTopic::Source if !argument.is_empty() => InfoTopic::Sources,
        found => found,
    };
    let restricted = matches!(found, InfoTopic::Functions | InfoTopic::Line | InfoTopic::Sources);
    if !argument.is_empty() && !restricted {
        return Err(format!("info {topic} takes no argument, and '{argument}' was given"));
    }
    Ok(Command::Info(found, argument.to_owned()))
}
