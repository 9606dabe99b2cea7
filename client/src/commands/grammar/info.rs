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
    /// Source files.
    Sources,
    /// Functions.
    Functions,
    /// Threads.
    Threads,
    /// The trace.
    Trace,
}

const TOPICS: [(&str, InfoTopic); 8] = [
    ("breakpoints", InfoTopic::Breakpoints),
    ("checkpoints", InfoTopic::Checkpoints),
    ("functions", InfoTopic::Functions),
    ("line", InfoTopic::Line),
    ("marks", InfoTopic::Marks),
    ("sources", InfoTopic::Sources),
    ("trace", InfoTopic::Trace),
    ("threads", InfoTopic::Threads),
];

pub(super) fn info(rest: &str) -> Result<Command, String> {
    let (topic, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let matching = |t: &&(&str, InfoTopic)| !topic.is_empty() && t.0.starts_with(topic);
    let found = TOPICS.iter().find(matching).map(|t| t.1);
    let found = found.ok_or("expected breakpoints, checkpoints, functions, line, marks, sources, threads or trace after info")?;
    let argument = argument.trim();
    let restricted = matches!(found, InfoTopic::Functions | InfoTopic::Line | InfoTopic::Sources);
    if !argument.is_empty() && !restricted {
        return Err(format!("info {topic} takes no argument, and '{argument}' was given"));
    }
    Ok(Command::Info(found, argument.to_owned()))
}
