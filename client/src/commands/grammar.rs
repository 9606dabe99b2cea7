//! A line to a command.

use super::names;
use rdb_protocol::client::{Change, Target};
use rdb_protocol::{BreakpointPlace, Direction, Time};

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
        /// Which way.
        direction: Direction,
    },
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
    /// Change one breakpoint, or all.
    Change(Option<u32>, Change),
    /// Delete one or all.
    Delete(Option<u32>),
    /// Evaluate.
    Print(String),
    /// The stack.
    Backtrace,
    /// Source lines.
    List(ListRange),
    /// Local variables.
    Locals,
    /// Parameters.
    Args,
    /// Select a frame.
    Frame(FrameChoice),
    /// Lists and facts; what they are restricted to.
    Info(InfoTopic, String),
    /// Help, on one command or all.
    Help(Option<String>),
    /// Leave.
    Quit,
}

/// Which source lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListRange {
    /// Around the line stood at.
    Here,
    /// Around a line of a file; `None` the one stood in.
    Around(Option<String>, u32),
    /// From one line to another, of the file stood in.
    Lines(u32, u32),
}

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
    /// The trace.
    Trace,
}

const TOPICS: [(&str, InfoTopic); 7] = [
    ("breakpoints", InfoTopic::Breakpoints),
    ("checkpoints", InfoTopic::Checkpoints),
    ("functions", InfoTopic::Functions),
    ("line", InfoTopic::Line),
    ("marks", InfoTopic::Marks),
    ("sources", InfoTopic::Sources),
    ("trace", InfoTopic::Trace),
];

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
        return Err(names::unknown(word));
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
        "continue" => bare(
            word,
            rest,
            Command::Continue {
                direction: Direction::Forward,
            },
        )?,
        "bcontinue" => bare(
            word,
            rest,
            Command::Continue {
                direction: Direction::Backward,
            },
        )?,
        "go" => target(rest)?,
        "when" => bare(word, rest, Command::When)?,
        "undo" => bare(word, rest, Command::Undo)?,
        "mark" => Command::Mark(name_of(rest)?),
        "unmark" => Command::Unmark(name_of(rest)?),
        "break" => breakpoint(rest, false)?,
        "tbreak" => breakpoint(rest, true)?,
        "condition" => condition(rest)?,
        "ignore" => ignore(rest)?,
        "enable" => Command::Change(optional(rest)?, Change::Enabled(true)),
        "disable" => Command::Change(optional(rest)?, Change::Enabled(false)),
        "delete" => Command::Delete(optional(rest)?),
        "print" => print(rest)?,
        "backtrace" => bare(word, rest, Command::Backtrace)?,
        "list" => Command::List(range(rest)?),
        "locals" => bare(word, rest, Command::Locals)?,
        "args" => bare(word, rest, Command::Args)?,
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

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected {what}, not '{text}'"))
}

fn count(rest: &str) -> Result<u64, String> {
    match rest {
        "" => Ok(1),
        _ => number(rest, "a number of stop points").and_then(|n| {
            if n == 0 {
                Err("the number of stop points must be at least 1".into())
            } else {
                Ok(n)
            }
        }),
    }
}

fn target(rest: &str) -> Result<Command, String> {
    let expected = || format!("expected a time, start, end, a percentage or a bookmark, not '{rest}'");
    Ok(Command::Go(match rest {
        "" => return Ok(Command::When),
        "start" => Target::Start,
        "end" => Target::End,
        _ if is_name(rest) => return Ok(Command::GoMark(rest.to_owned())),
        _ => match rest.strip_suffix('%') {
            Some(percent) => Target::Permille(permille(percent.trim()).ok_or_else(expected)?),
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

fn is_name(text: &str) -> bool {
    let usual = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.chars().all(usual) && text.chars().next().is_some_and(char::is_alphabetic)
}

fn name_of(rest: &str) -> Result<String, String> {
    if is_name(rest) && rest != "start" && rest != "end" {
        Ok(rest.to_owned())
    } else {
        Err(format!(
            "expected a name of letters, digits, _ and -, beginning with a letter and not start or end, not '{rest}'"
        ))
    }
}

fn optional(rest: &str) -> Result<Option<u32>, String> {
    match rest {
        "" => Ok(None),
        _ => number(rest, "a breakpoint number").map(Some),
    }
}

fn frames(rest: &str) -> Result<u32, String> {
    match rest {
        "" => Ok(1),
        _ => number(rest, "a number of frames"),
    }
}

/// `LOC` or `LOC if CONDITION`.
fn breakpoint(rest: &str, temporary: bool) -> Result<Command, String> {
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

/// `N [CONDITION]`; without a condition there is none any more.
fn condition(rest: &str) -> Result<Command, String> {
    let (id, condition) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let condition = Some(condition.trim().to_owned()).filter(|c| !c.is_empty());
    Ok(Command::Change(
        Some(number(id, "a breakpoint number")?),
        Change::Condition(condition),
    ))
}

/// `N COUNT`.
fn ignore(rest: &str) -> Result<Command, String> {
    let (id, count) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let id = number(id, "a breakpoint number")?;
    Ok(Command::Change(Some(id), Change::Ignore(number(count.trim(), "a number of hits")?)))
}

fn line_number(text: &str) -> Result<u32, String> {
    match text.trim().parse::<u32>() {
        Ok(0) => Err("lines count from 1".into()),
        Ok(line) => Ok(line),
        Err(_) => Err("expected a line number after colon".into()),
    }
}

fn place(rest: &str) -> Result<BreakpointPlace, String> {
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
        "" => Err("Empty breakpoint name".into()),
        name => Ok(BreakpointPlace::Function { name: name.to_owned() }),
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

pub(super) fn range(rest: &str) -> Result<ListRange, String> {
    if rest.is_empty() {
        return Ok(ListRange::Here);
    }
    if let Some((file, line)) = rest.rsplit_once(':') {
        return Ok(ListRange::Around(
            Some(file.trim().to_owned()).filter(|f| !f.is_empty()),
            line_number(line)?,
        ));
    }
    let line = |text: &str| match number::<u32>(text.trim(), "a line number") {
        Ok(0) => Err("lines count from 1".to_owned()),
        other => other,
    };
    match rest.split_once(',') {
        Some((first, last)) => {
            let (first, last) = (line(first)?, line(last)?);
            if first > last {
                Err(format!("the first line, {first}, comes after the last, {last}"))
            } else {
                Ok(ListRange::Lines(first, last))
            }
        }
        None => Ok(ListRange::Around(None, line(rest)?)),
    }
}

fn info(rest: &str) -> Result<Command, String> {
    let (topic, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let matching = |t: &&(&str, InfoTopic)| !topic.is_empty() && t.0.starts_with(topic);
    let found = TOPICS.iter().find(matching).map(|t| t.1);
    let found = found.ok_or("expected breakpoints, checkpoints, functions, line, marks, sources or trace after info")?;
    let argument = argument.trim();
    let restricted = matches!(found, InfoTopic::Functions | InfoTopic::Line | InfoTopic::Sources);
    if !argument.is_empty() && !restricted {
        return Err(format!("info {topic} takes no argument, and '{argument}' was given"));
    }
    Ok(Command::Info(found, argument.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Command {
        parse(line).unwrap().unwrap()
    }

    fn error(line: &str) -> String {
        parse(line).unwrap_err()
    }

    #[test]
    fn moves() {
        let step = |count, direction| Command::Step { count, direction };
        assert_eq!(one("s"), step(1, Direction::Forward));
        assert_eq!(one("  step   12 "), step(12, Direction::Forward));
        assert_eq!(one("reverse-step 2"), step(2, Direction::Backward));
        assert_eq!(one("bs"), one("bstep"));
        assert_eq!(
            one("c"),
            Command::Continue {
                direction: Direction::Forward
            }
        );
        assert_eq!(
            one("reverse-continue"),
            Command::Continue {
                direction: Direction::Backward
            }
        );
        assert_eq!(error("step x"), "expected a number of stop points, not 'x'");
        assert_eq!(error("step 0"), "the number of stop points must be at least 1");
        let next = |count, direction| Command::Next { count, direction };
        assert_eq!((one("n"), one("bn 3")), (next(1, Direction::Forward), next(3, Direction::Backward)));
        assert_eq!(one("reverse-next"), one("bnext"));
        assert_eq!(one("reverse-finish"), one("bfinish"));
        assert_eq!(error("until"), "Empty breakpoint name");
        assert_eq!(error("c 3"), "c takes no argument, and '3' was given");
    }

    #[test]
    fn jumps() {
        for (line, target) in [
            ("go 17", Target::Time(Time(17))),
            ("go start", Target::Start),
            ("go end", Target::End),
            ("go 50%", Target::Permille(500)),
            ("go 0.55%", Target::Permille(5)),
            ("go 100 %", Target::Permille(1000)),
        ] {
            assert_eq!(one(line), Command::Go(target), "{line}");
        }
        assert_eq!(one("go"), Command::When);
        for bad in ["go 101%", "go -1", "go 5.%", "go %", "go a b", "go 1.x%", "go 99999%"] {
            assert_eq!(
                error(bad),
                format!("expected a time, start, end, a percentage or a bookmark, not '{}'", &bad[3..])
            );
        }
        assert_eq!(one("go home"), Command::GoMark("home".into()));
        assert_eq!(one("mark before-it"), Command::Mark("before-it".into()));
        assert!(error("mark end").contains("not start or end") && error("mark").contains("expected a name"));
    }

    #[test]
    fn breakpoints() {
        let at = |place| Command::Break {
            place,
            condition: None,
            temporary: false,
        };
        let line = |file: &str, line| at(BreakpointPlace::Line { file: file.into(), line });
        let function = |name: &str| at(BreakpointPlace::Function { name: name.into() });
        assert_eq!(one("b 7"), line("", 7));
        assert_eq!(one("break :7"), line("", 7));
        assert_eq!(one("b x.py:7"), line("x.py", 7));
        assert_eq!(one("b a:b/x.py:7"), line("a:b/x.py", 7));
        assert_eq!(one("b f"), function("f"));
        assert_eq!(one("b C.f()"), function("C.f"));
        assert_eq!(error("b"), "Empty breakpoint name");
        assert_eq!(error("b ()"), "Empty breakpoint name");
        assert_eq!(error("b x.py:"), "expected a line number after colon");
        assert_eq!(error("b x.py:f"), "expected a line number after colon");
        assert_eq!(error("b x.py:0"), "lines count from 1");
        assert_eq!(error("b 99999999999"), "'99999999999' is no line number");
        let odd = |line: &str| {
            if let Command::Break { place, .. } = one(line) {
                super::odd(&place)
            } else {
                None
            }
        };
        assert_eq!(odd("b f.<locals>.<lambda>"), None);
        assert!(odd("b x.py").unwrap().contains("x.py:LINE"));
        assert!(odd("b f(x)").is_some());
        assert_eq!(one("del 3"), Command::Delete(Some(3)));
        assert_eq!(one("delete"), Command::Delete(None));
        assert_eq!(error("delete all"), "expected a breakpoint number, not 'all'");
        let conditional = Command::Break {
            place: BreakpointPlace::Function { name: "f".into() },
            condition: Some("x if y else z".into()),
            temporary: true,
        };
        assert_eq!(one("tbreak f if  x if y else z"), conditional);
        assert_eq!(error("b f if "), "expected a condition after if");
        assert_eq!(
            one("condition 2 a b"),
            Command::Change(Some(2), Change::Condition(Some("a b".into())))
        );
        assert_eq!(one("condition 2"), Command::Change(Some(2), Change::Condition(None)));
        assert_eq!(one("ignore 2 30"), Command::Change(Some(2), Change::Ignore(30)));
        assert_eq!(error("ignore 2"), "expected a number of hits, not ''");
        assert_eq!(one("disable"), Command::Change(None, Change::Enabled(false)));
        assert_eq!(one("enable 3"), Command::Change(Some(3), Change::Enabled(true)));
    }

    #[test]
    fn code_is_taken_verbatim() {
        for (line, code) in [
            ("p x  #  y", "x  #  y"),
            ("!x = 1; y", "x = 1; y"),
            ("print (1, 2)", "(1, 2)"),
            ("print(1, 2)", "print(1, 2)"),
            ("! a", "a"),
        ] {
            assert_eq!(one(line), Command::Print(code.into()));
        }
        assert_eq!(error("p"), "expected an expression or statement after print");
    }

    #[test]
    fn the_rest() {
        assert_eq!(one("l"), Command::List(ListRange::Here));
        assert_eq!(one("l 9"), Command::List(ListRange::Around(None, 9)));
        assert_eq!(one("l x.py:9"), Command::List(ListRange::Around(Some("x.py".into()), 9)));
        assert_eq!(one("list 3, 9"), Command::List(ListRange::Lines(3, 9)));
        assert_eq!(error("list 9,3"), "the first line, 9, comes after the last, 3");
        assert_eq!(error("list x"), "expected a line number, not 'x'");
        assert_eq!(one("info b"), Command::Info(InfoTopic::Breakpoints, String::new()));
        assert_eq!(one("info f tot"), Command::Info(InfoTopic::Functions, "tot".into()));
        assert!(error("info").starts_with("expected breakpoints, checkpoints, functions"));
        assert_eq!(error("info trace x"), "info trace takes no argument, and 'x' was given");
        assert_eq!(one("up"), Command::Frame(FrameChoice::Up(1)));
        assert_eq!(one("down 2"), Command::Frame(FrameChoice::Down(2)));
        assert_eq!(one("f 3"), Command::Frame(FrameChoice::Number(3)));
        assert_eq!(one("frame"), Command::Frame(FrameChoice::Same));
        assert_eq!(one("help bc"), Command::Help(Some("bc".into())));
        assert_eq!(one("q"), Command::Quit);
        assert_eq!(parse("   "), Ok(None));
        assert_eq!(parse("# note"), Ok(None));
        assert_eq!(error("x"), "unknown command 'x'; try help");
    }
}
