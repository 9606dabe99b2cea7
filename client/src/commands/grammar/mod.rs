//! A line to a command.

mod arguments;
mod breaks;
mod info;
mod places;
mod scripts;
mod settings;
#[cfg(test)]
mod tests;

use super::names;
use arguments::{count, frames, hits, innermost, instructions, name_of, number, optional, thread};
use breaks::{breakpoint, condition, ignore, watched};
use info::info;
pub use info::{InfoTopic, TOPICS};
pub(crate) use places::place as location;
pub(super) use places::range;
pub use places::{ListRange, odd};
use places::{place, target};
use rdb_protocol::client::{Change, Target};
use rdb_protocol::{BreakpointPlace, Direction};
use scripts::{action, alias, needed, optional_text, switch};
pub use settings::Setting;
use settings::set;

/// A command, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// By stop points.
    Step {
        /// How many.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// By instructions.
    StepInstruction {
        /// How many.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// By stop points of the frame stood in.
    Next {
        /// How many.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// Out of the frame stood in.
    Finish {
        /// Which way.
        direction: Direction,
    },
    /// To a place in the frame stood in.
    Until {
        /// Where.
        place: BreakpointPlace,
        /// Which way.
        direction: Direction,
    },
    /// To a breakpoint hit.
    Continue {
        /// To which hit that way.
        count: u64,
        /// Which way.
        direction: Direction,
    },
    /// To where a thread, or another than the one stood in, runs.
    Switch {
        /// Which.
        thread: Option<u32>,
        /// Which way.
        direction: Direction,
    },
    /// What was printed, at most so many lines.
    Output(u32),
    /// Look at a thread's stack.
    Thread(Option<u32>),
    /// To a time.
    Go(Target),
    /// To a bookmark.
    GoMark(String),
    /// To where we stood before the last move.
    Undo,
    /// Set a bookmark.
    Mark(String),
    /// Remove one.
    Unmark(String),
    /// Where are we?
    When,
    /// Set a breakpoint.
    Break {
        /// Where.
        place: BreakpointPlace,
        /// What must hold there.
        condition: Option<String>,
        /// Whether it goes when it is hit.
        temporary: bool,
    },
    /// Set a watchpoint on an expression; whether local variables in it are bound.
    Watch(String, bool),
    /// Back to the last change of a value.
    Last(String, bool),
    /// All values of an expression.
    History(String, bool),
    /// Evaluate wherever a move comes to a place.
    Action {
        /// Where.
        place: BreakpointPlace,
        /// What.
        expression: String,
    },
    /// Take the commands of a breakpoint: the lines up to `end`.
    Commands(Option<u32>),
    /// Show lines passed.
    Trace(Option<bool>),
    /// Where no step is to end: show all, or add one.
    Skip(Option<String>),
    /// Remove one of these, or all.
    Unskip(Option<String>),
    /// Carry out the lines of a file.
    Source(String),
    /// Show all aliases, or set one.
    Alias(Option<(String, String)>),
    /// Remove one.
    Unalias(String),
    /// What to carry out at each stop.
    Prestop(Option<String>),
    /// What to carry out where a move begins.
    Poststop(Option<String>),
    /// Change one breakpoint, or all.
    Change(Option<u32>, Change),
    /// Delete one or all.
    Delete(Option<u32>),
    /// Evaluate.
    Print(String),
    /// The stack.
    Backtrace(Option<u32>),
    /// Source lines.
    List(ListRange),
    /// Source lines, with what is known of each.
    Lines(ListRange),
    /// Local variables with this in their names.
    Locals(String),
    /// Parameters.
    Args(String),
    /// Variables of the module.
    Globals(String),
    /// The type of a value.
    Whatis(String),
    /// A value over several lines.
    Pretty(String),
    /// The attributes of a value.
    Inspect(String),
    /// The instructions of the frame looked at, or of what an expression gives.
    Disassemble(String),
    /// Show the limits of what is shown, or set one.
    Set(Option<(Setting, u32)>),
    /// Select a frame.
    Frame(FrameChoice),
    /// Lists and facts; what they are restricted to.
    Info(InfoTopic, String),
    /// Help, on one command or all.
    Help(Option<String>),
    /// Leave.
    Quit,
}

impl Command {
    /// Whether it goes somewhere.
    #[must_use]
    pub fn moves(&self) -> bool {
        use Command as C;
        let steps = matches!(
            self,
            C::Step { .. }
                | C::StepInstruction { .. }
                | C::Next { .. }
                | C::Finish { .. }
                | C::Until { .. }
                | C::Continue { .. }
                | C::Switch { .. }
        );
        steps || self.jumps()
    }

    /// Whether it goes there without passing what lies between.
    #[must_use]
    pub fn jumps(&self) -> bool {
        matches!(self, Command::Go(_) | Command::GoMark(_) | Command::Undo)
    }
}

/// Lines of output shown unless asked for more.
const LINES: u32 = 200;

/// Which frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameChoice {
    /// The one selected.
    Same,
    /// So many callers outward.
    Up(u32),
    /// So many back inward.
    Down(u32),
    /// By its number, 0 the innermost.
    Number(u32),
}

/// Understands a line; `None` for an empty one or a comment.
///
/// # Errors
/// One line on what is wrong with it.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(code) = line.strip_prefix('!') {
        return print(code).map(Some);
    }
    if line.starts_with("print(") {
        return print(line).map(Some);
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let Some(name) = names::find(word) else {
        return Err(names::unknown_line(word, line));
    };
    let command = match name.name {
        "step" => Command::Step {
            count: count(rest)?,
            direction: Direction::Forward,
        },
        "bstep" => Command::Step {
            count: count(rest)?,
            direction: Direction::Backward,
        },
        "stepi" => Command::StepInstruction {
            count: instructions(rest)?,
            direction: Direction::Forward,
        },
        "bstepi" => Command::StepInstruction {
            count: instructions(rest)?,
            direction: Direction::Backward,
        },
        "next" => Command::Next {
            count: count(rest)?,
            direction: Direction::Forward,
        },
        "bnext" => Command::Next {
            count: count(rest)?,
            direction: Direction::Backward,
        },
        "finish" => bare(
            word,
            rest,
            Command::Finish {
                direction: Direction::Forward,
            },
        )?,
        "bfinish" => bare(
            word,
            rest,
            Command::Finish {
                direction: Direction::Backward,
            },
        )?,
        "until" => Command::Until {
            place: place(rest)?,
            direction: Direction::Forward,
        },
        "buntil" => Command::Until {
            place: place(rest)?,
            direction: Direction::Backward,
        },
        "continue" => Command::Continue {
            count: hits(rest)?,
            direction: Direction::Forward,
        },
        "bcontinue" => Command::Continue {
            count: hits(rest)?,
            direction: Direction::Backward,
        },
        "nthread" => Command::Switch {
            thread: thread(rest)?,
            direction: Direction::Forward,
        },
        "bthread" => Command::Switch {
            thread: thread(rest)?,
            direction: Direction::Backward,
        },
        "output" if rest.is_empty() => Command::Output(LINES),
        "output" => Command::Output(number(rest, "a number of lines")?),
        "thread" => Command::Thread(thread(rest)?),
        "go" => target(rest)?,
        "when" => bare(word, rest, Command::When)?,
        "undo" => bare(word, rest, Command::Undo)?,
        "mark" => Command::Mark(name_of(rest)?),
        "unmark" => Command::Unmark(name_of(rest)?),
        "break" => breakpoint(rest, false)?,
        "tbreak" => breakpoint(rest, true)?,
        "watch" => watched(rest, Command::Watch)?,
        "last" => watched(rest, Command::Last)?,
        "history" => watched(rest, Command::History)?,
        "action" => action(rest)?,
        "commands" => Command::Commands(optional(rest)?),
        "trace" => Command::Trace(switch(rest)?),
        "skip" => Command::Skip(optional_text(rest)),
        "unskip" => Command::Unskip(optional_text(rest)),
        "source" => Command::Source(needed(word, "a file", rest)?),
        "alias" => alias(rest)?,
        "unalias" => Command::Unalias(needed(word, "a name", rest)?),
        "prestop" => Command::Prestop(optional_text(rest)),
        "poststop" => Command::Poststop(optional_text(rest)),
        "condition" => condition(rest)?,
        "ignore" => ignore(rest)?,
        "enable" => Command::Change(optional(rest)?, Change::Enabled(true)),
        "disable" => Command::Change(optional(rest)?, Change::Enabled(false)),
        "delete" => Command::Delete(optional(rest)?),
        "print" => print(rest)?,
        "backtrace" => Command::Backtrace(innermost(rest)?),
        "list" => Command::List(range(rest)?),
        "lines" => Command::Lines(range(rest)?),
        "locals" => Command::Locals(rest.to_owned()),
        "args" => Command::Args(rest.to_owned()),
        "globals" => Command::Globals(rest.to_owned()),
        "whatis" => Command::Whatis(needed(word, "an expression", rest)?),
        "pp" => Command::Pretty(needed(word, "an expression", rest)?),
        "inspect" => Command::Inspect(needed(word, "an expression", rest)?),
        "disassemble" => Command::Disassemble(rest.to_owned()),
        "set" => set(rest)?,
        "up" => Command::Frame(FrameChoice::Up(frames(rest)?)),
        "down" => Command::Frame(FrameChoice::Down(frames(rest)?)),
        "frame" if rest.is_empty() => Command::Frame(FrameChoice::Same),
        "frame" => Command::Frame(FrameChoice::Number(number(rest, "a frame number")?)),
        "info" => info(rest)?,
        "help" => Command::Help(Some(rest.to_owned()).filter(|r| !r.is_empty())),
        "quit" => bare(word, rest, Command::Quit)?,
        _ => return Err(names::unknown(word)),
    };
    Ok(Some(command))
}

fn bare(word: &str, rest: &str, command: Command) -> Result<Command, String> {
    if rest.is_empty() {
        Ok(command)
    } else {
        Err(format!("{word} takes no argument, and '{rest}' was given"))
    }
}

fn print(code: &str) -> Result<Command, String> {
    match code.trim() {
        "" => Err("expected an expression or statement after print".into()),
        code => Ok(Command::Print(code.to_owned())),
    }
}
