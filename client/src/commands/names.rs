//! The names of all commands, their aliases and their help: one table for grammar, help, completion and the manual.

/// One command as the user knows it.
#[derive(Debug)]
pub struct Name {
    /// Its name.
    pub name: &'static str,
    /// Other names: short ones, and gdb's.
    pub aliases: &'static [&'static str],
    /// What follows the name.
    pub arguments: &'static str,
    /// What it does, one line.
    pub summary: &'static str,
    /// More, and an example.
    pub detail: &'static str,
}

/// All commands, in the order of the help.
pub static NAMES: &[Name] = &[
    Name {
        name: "step",
        aliases: &["s"],
        arguments: "[N]",
        summary: "go forward by N stop points (1)",
        detail: "A stop point is the start of an executed line (`>`), a return or yield (`<<`), or an exception leaving a function (`!!`).\n\
            Example: step 10",
    },
    Name {
        name: "bstep",
        aliases: &["bs", "reverse-step", "rs"],
        arguments: "[N]",
        summary: "go backward by N stop points (1)",
        detail: "Example: bstep",
    },
    Name {
        name: "next",
        aliases: &["n"],
        arguments: "[N]",
        summary: "go forward by N stop points of this function (1), over the calls it makes",
        detail: "When the function has no more: on in its caller. Breakpoints on the way stop it. Suspensions of an `await` or `yield from` are passed.\n\
            Example: next",
    },
    Name {
        name: "bnext",
        aliases: &["bn", "reverse-next", "rn"],
        arguments: "[N]",
        summary: "go backward by N stop points of this function (1), over the calls it made",
        detail: "From the first of the function: to its call.\nExample: bnext",
    },
    Name {
        name: "finish",
        aliases: &["fin"],
        arguments: "",
        summary: "go forward to where this function is left, and show the value returned",
        detail: "Standing there already: to where the caller is left.\nExample: finish",
    },
    Name {
        name: "bfinish",
        aliases: &["bfin", "reverse-finish"],
        arguments: "",
        summary: "go backward to just before this function was called",
        detail: "For a generator: to before it was resumed.\nExample: bfinish",
    },
    Name {
        name: "until",
        aliases: &["u", "advance"],
        arguments: "LINE|:LINE|FILE:LINE|FUNC",
        summary: "go forward to a place, or to where this function is left",
        detail: "The place is written as for `break`.\nExample: until 30",
    },
    Name {
        name: "buntil",
        aliases: &["bu", "reverse-until"],
        arguments: "LINE|:LINE|FILE:LINE|FUNC",
        summary: "go backward to a place, or to before this function was called",
        detail: "Example: buntil 10",
    },
    Name {
        name: "continue",
        aliases: &["c"],
        arguments: "",
        summary: "go forward to the next breakpoint hit",
        detail: "Without a hit: to where the main module is done, then to the end of the history.\nExample: continue",
    },
    Name {
        name: "bcontinue",
        aliases: &["bc", "reverse-continue", "rc"],
        arguments: "",
        summary: "go backward to the previous breakpoint hit",
        detail: "Without a hit: to the beginning of the history.\nExample: bcontinue",
    },
    Name {
        name: "nthread",
        aliases: &["nt"],
        arguments: "[N]",
        summary: "go forward to where another thread, or thread N, begins to run",
        detail: "Breakpoints on the way stop it.\nExample: nthread",
    },
    Name {
        name: "bthread",
        aliases: &["reverse-nthread"],
        arguments: "[N]",
        summary: "go backward to where another thread, or thread N, ran last",
        detail: "Example: bthread 2",
    },
    Name {
        name: "go",
        aliases: &[],
        arguments: "TIME|NAME|start|end|N%|output LINE",
        summary: "jump to a time, a bookmark, to the start, the end, a part of the whole, or where a line was printed",
        detail: "The time is the number in the prompt; `mark` sets bookmarks.\nExample: go 50%",
    },
    Name {
        name: "when",
        aliases: &[],
        arguments: "",
        summary: "show where we stand",
        detail: "Example: when",
    },
    Name {
        name: "undo",
        aliases: &[],
        arguments: "",
        summary: "go back to where we stood before the last move",
        detail: "Again: to before the move before that.\nExample: undo",
    },
    Name {
        name: "mark",
        aliases: &[],
        arguments: "NAME",
        summary: "name the time stood at, for `go NAME`",
        detail: "Bookmarks are kept beside the trace.\nExample: mark before-the-bug",
    },
    Name {
        name: "unmark",
        aliases: &[],
        arguments: "NAME",
        summary: "remove a bookmark",
        detail: "Example: unmark before-the-bug",
    },
    Name {
        name: "break",
        aliases: &["b"],
        arguments: "LINE|:LINE|FILE:LINE|FUNC|FUNC()|return FUNC|raise [CLASS]|uncaught|output REGEX [if CONDITION]",
        summary: "set a breakpoint on a line, a function, its returns, exceptions, or what is printed",
        detail: "LINE alone is in the file stood in. FILE is the end of a path, upper and lower case alike. A function stops at each entry, plain or\n\
            qualified name (`total`, `Ledger.total`). `raise` stops where the line begins that raises an exception, of CLASS (the end of its dotted \
            name) or one derived from it; where it is passed on (a bare `raise`, the end of `finally` or `with`) does not count. `uncaught` stops \
            where an exception begins that leaves the outermost function of its thread; SystemExit and GeneratorExit do not count. A condition is evaluated at each hit, in a throw-away copy; the first time it fails we stop and \
            are told why.\nExample: break ledger.py:24 if amount < 0",
    },
    Name {
        name: "tbreak",
        aliases: &["tb"],
        arguments: "LINE|:LINE|FILE:LINE|FUNC|FUNC()|return FUNC|raise [CLASS]|uncaught|output REGEX [if CONDITION]",
        summary: "set a breakpoint that is deleted when it stops us",
        detail: "The place is written as for `break`.\nExample: tbreak raise ValueError",
    },
    Name {
        name: "condition",
        aliases: &["cond"],
        arguments: "N [CONDITION]",
        summary: "give breakpoint N another condition, or none",
        detail: "Example: condition 1 amount > 100",
    },
    Name {
        name: "ignore",
        aliases: &[],
        arguments: "N COUNT",
        summary: "pass over the next COUNT hits of breakpoint N, in either direction",
        detail: "Example: ignore 1 10",
    },
    Name {
        name: "enable",
        aliases: &["en"],
        arguments: "[N]",
        summary: "let breakpoint N, or all, take part again",
        detail: "Example: enable 1",
    },
    Name {
        name: "disable",
        aliases: &["dis"],
        arguments: "[N]",
        summary: "let breakpoint N, or all, be passed without notice",
        detail: "Example: disable 1",
    },
    Name {
        name: "delete",
        aliases: &["del"],
        arguments: "[N]",
        summary: "delete breakpoint N, or all",
        detail: "The numbers are those of `info breakpoints`.\nExample: delete 1",
    },
    Name {
        name: "action",
        aliases: &[],
        arguments: "LINE|:LINE|FILE:LINE|FUNC|return FUNC|raise CLASS|uncaught EXPRESSION",
        summary: "evaluate an expression wherever a move comes to a place, and go on: a print put into the program after the fact",
        detail: "The values are shown with their times when the move ends: of continue, next, finish, until and their reverses; 1000 at most. An action \
            is a breakpoint that does not stop: listed, changed and deleted by its number.\nExample: action ledger.py:24 amount, total",
    },
    Name {
        name: "commands",
        aliases: &[],
        arguments: "[N]",
        summary: "carry out the lines that follow, up to `end`, whenever breakpoint N (the last) stops us",
        detail: "A line that moves is the last one carried out. `silent` as the first line keeps the stop from being shown. The lines are kept with the \
            breakpoint; none remove those before.\nExample: commands 1",
    },
    Name {
        name: "trace",
        aliases: &[],
        arguments: "[on|off]",
        summary: "show each line that a move passes, with its time",
        detail: "At most the last 1000 stop points of a move; jumps (go, undo) pass nothing.\nExample: trace on",
    },
    Name {
        name: "skip",
        aliases: &[],
        arguments: "[FILE-GLOB|MODULE]",
        summary: "never stop there when stepping (step, next, finish and their reverses), or show where that is",
        detail: "A pattern with `/`, `*`, `?` or `.py` means the end of a file's path, another one a module or package with all in it. Breakpoints there \
            stop all the same.\nExample: skip importlib",
    },
    Name {
        name: "unskip",
        aliases: &[],
        arguments: "[PATTERN]",
        summary: "stop there again, or everywhere",
        detail: "Example: unskip importlib",
    },
    Name {
        name: "source",
        aliases: &[],
        arguments: "FILE",
        summary: "carry out the lines of a file, up to the first that is refused",
        detail: "The prompt begins with ~/.config/rdb/rdbrc, if there is one, and reads ./.rdbrc only if started with --local-rc: whose directory one \
            stands in is not always one's own.\nExample: source setup.rdb",
    },
    Name {
        name: "alias",
        aliases: &[],
        arguments: "[NAME COMMAND]",
        summary: "give a command, with its first arguments, a name of your own; or show those given",
        detail: "Example: alias rows print len(rows)",
    },
    Name {
        name: "unalias",
        aliases: &[],
        arguments: "NAME",
        summary: "take such a name back",
        detail: "Example: unalias rows",
    },
    Name {
        name: "prestop",
        aliases: &[],
        arguments: "[COMMAND|off]",
        summary: "carry out a command at each stop, before it is shown; or show which",
        detail: "Example: prestop print total",
    },
    Name {
        name: "poststop",
        aliases: &[],
        arguments: "[COMMAND|off]",
        summary: "carry out a command where a move begins; or show which",
        detail: "Example: poststop locals",
    },
    Name {
        name: "print",
        aliases: &["p", "!"],
        arguments: "CODE",
        summary: "evaluate an expression or statement where we stand",
        detail: "In the frame selected. It runs in a throw-away copy of the program: it may change anything there, nothing of it stays.\n\
            An object of the program's is shown with a number, `$0 = ...`: `$0` is that object in any later expression or condition, at any time \
            at which it exists, in this session and later ones.\nExample: print [r.amount for r in rows]",
    },
    Name {
        name: "backtrace",
        aliases: &["bt", "where"],
        arguments: "",
        summary: "show the stack, at most 200 frames",
        detail: "The most recent call comes last.\nExample: bt",
    },
    Name {
        name: "up",
        aliases: &[],
        arguments: "[N]",
        summary: "select the frame N callers outward (1) for print, locals, args and list",
        detail: "The next move selects the innermost again.\nExample: up",
    },
    Name {
        name: "down",
        aliases: &[],
        arguments: "[N]",
        summary: "select the frame N callers inward (1)",
        detail: "Example: down",
    },
    Name {
        name: "frame",
        aliases: &["f"],
        arguments: "[N]",
        summary: "show the frame selected, or select frame N; 0 is the innermost",
        detail: "Example: frame 2",
    },
    Name {
        name: "output",
        aliases: &[],
        arguments: "[N]",
        summary: "show the last N lines (200) that were printed before this time: number, time, text",
        detail: "Lines of standard error are marked `!`. `go output 3` goes to where line 3 was written, `break output REGEX` stops there. A program that \
            buffers its output writes it later than it prints it.\nExample: output 20",
    },
    Name {
        name: "thread",
        aliases: &[],
        arguments: "[N]",
        summary: "look at the stack of thread N at this time: for backtrace, frame, up, down, print, locals and args",
        detail: "Without N: which thread is looked at. The numbers are those of `info threads`. The next move looks where it ends.\nExample: thread 2",
    },
    Name {
        name: "list",
        aliases: &["l"],
        arguments: "[LINE|FILE:LINE|[FILE:]FIRST,LAST|FUNC]",
        summary: "show source lines, of any file",
        detail: "Without an argument: around the line stood at, 8 lines before and 5 after.\nExample: list ledger.py:20,40",
    },
    Name {
        name: "lines",
        aliases: &[],
        arguments: "[FILE|FILE:LINE|[FILE:]FIRST,LAST]",
        summary: "show source lines with what is known of each: `:` breakable, `b1` breakpoint 1, `a2` action 2",
        detail: "Without an argument: all of the file stood in. A breakpoint on a function is shown where that is defined.\nExample: lines ledger.py",
    },
    Name {
        name: "locals",
        aliases: &[],
        arguments: "[PATTERN]",
        summary: "show the local variables, or those with PATTERN in their names",
        detail: "How much of their values is for `set` to say.\nExample: locals",
    },
    Name {
        name: "args",
        aliases: &[],
        arguments: "[PATTERN]",
        summary: "show the parameters of the function",
        detail: "Example: args",
    },
    Name {
        name: "globals",
        aliases: &[],
        arguments: "[PATTERN]",
        summary: "show the variables of the module whose code the frame selected executes",
        detail: "Names like `__file__` are shown only if PATTERN is in them.\nExample: globals config",
    },
    Name {
        name: "whatis",
        aliases: &[],
        arguments: "EXPRESSION",
        summary: "show the type of a value, and its length if it has one",
        detail: "Example: whatis rows",
    },
    Name {
        name: "pp",
        aliases: &[],
        arguments: "EXPRESSION",
        summary: "show a value over several lines, containers within the limits of `set`",
        detail: "Example: pp rows",
    },
    Name {
        name: "inspect",
        aliases: &[],
        arguments: "EXPRESSION",
        summary: "show the type and the attributes of a value, usually `$N`; properties by name, they are not asked",
        detail: "Example: inspect $0",
    },
    Name {
        name: "set",
        aliases: &[],
        arguments: "[depth|elements|size N]",
        summary: "limit what locals, args, globals, pp and inspect show; or show the limits",
        detail: "`depth`: levels of containers in containers (6). `elements`: of each container (100). `size`: characters of a value (140).\nExample: set depth 2",
    },
    Name {
        name: "info",
        aliases: &["i"],
        arguments: "breakpoints|checkpoints|functions [PATTERN]|line [LINE|FILE:LINE]|marks|source|sources [PATTERN]|threads|trace",
        summary: "show breakpoints, bookmarks, functions, source files, threads, or facts about a line or the trace",
        detail: "Checkpoints are paused copies of the program from which the others are made. A PATTERN is a part of the name.\nExample: info breakpoints",
    },
    Name {
        name: "help",
        aliases: &["h", "?"],
        arguments: "[COMMAND]",
        summary: "show help",
        detail: "Example: help break",
    },
    Name {
        name: "quit",
        aliases: &["q", "exit"],
        arguments: "",
        summary: "leave",
        detail: "Example: quit",
    },
];

/// The command called `word`, by its name or an alias.
#[must_use]
pub fn find(word: &str) -> Option<&'static Name> {
    NAMES.iter().find(|n| n.name == word || n.aliases.contains(&word))
}

/// Every name and alias.
pub fn words() -> impl Iterator<Item = &'static str> {
    NAMES.iter().flat_map(|n| std::iter::once(n.name).chain(n.aliases.iter().copied()))
}

/// The line for a word that is no command, with the names that come close.
#[must_use]
pub fn unknown(word: &str) -> String {
    let lower = word.to_lowercase();
    let distance = |n: &Name| {
        let close = |w: &str| Some(strsim::damerau_levenshtein(w, &lower)).filter(|d| w.len() > 2 && *d <= 1 + w.len() / 5);
        let begun = (lower.len() > 1 && n.name.starts_with(&lower)).then_some(0);
        begun.or_else(|| std::iter::once(n.name).chain(n.aliases.iter().copied()).filter_map(close).min())
    };
    let least = NAMES.iter().filter_map(distance).min();
    let near = NAMES.iter().filter(|n| least.is_some() && distance(n) == least);
    let near: Vec<String> = near.map(|n| format!("'{}'", n.name)).collect();
    if near.is_empty() {
        format!("unknown command '{word}'; try help")
    } else {
        format!("unknown command '{word}'; did you mean {}? try help", near.join(" or "))
    }
}

/// The help: of all commands, or of one.
///
/// # Errors
/// The line for a topic that is no command.
pub fn help(topic: Option<&str>) -> Result<String, String> {
    match topic {
        None => {
            let rows = NAMES.iter().map(|n| {
                let short = n.aliases.first().map(|a| format!(", {a}")).unwrap_or_default();
                format!("  {:<46} {}\n", format!("{}{short} {}", n.name, n.arguments), n.summary)
            });
            Ok(format!(
                "{}An empty line repeats the last command; Ctrl-C stops a search; Ctrl-D leaves.\n",
                rows.collect::<String>()
            ))
        }
        Some(word) => {
            let n = find(word).ok_or_else(|| unknown(word))?;
            let also = if n.aliases.is_empty() {
                String::new()
            } else {
                format!("Also: {}\n", n.aliases.join(", "))
            };
            Ok(format!("{} {}\n{}\n{also}", n.name, n.arguments, n.summary).replace(" \n", "\n") + n.detail + "\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_have_examples() {
        let mut all: Vec<_> = words().collect();
        all.sort_unstable();
        let n = all.len();
        all.dedup();
        assert_eq!(all.len(), n);
        for name in NAMES {
            let example = name.detail.rsplit("Example: ").next().unwrap();
            assert!(matches!(super::super::parse(example), Ok(Some(_))), "{}: {example}", name.name);
        }
    }

    #[test]
    fn close_names_are_offered() {
        assert_eq!(unknown("x"), "unknown command 'x'; try help");
        assert_eq!(unknown("stpe"), "unknown command 'stpe'; did you mean 'step'? try help");
        assert_eq!(unknown("cont"), "unknown command 'cont'; did you mean 'continue'? try help");
        assert_eq!(
            unknown("reverse-contineu"),
            "unknown command 'reverse-contineu'; did you mean 'bcontinue'? try help"
        );
    }

    #[test]
    fn help_names_everything() {
        let all = help(None).unwrap();
        assert!(NAMES.iter().all(|n| all.contains(n.summary)));
        assert!(
            help(Some("bc"))
                .unwrap()
                .starts_with("bcontinue\ngo backward to the previous breakpoint hit\nAlso: bc, reverse-continue, rc\n")
        );
        assert_eq!(
            help(Some("breack")).unwrap_err(),
            "unknown command 'breack'; did you mean 'break'? try help"
        );
    }
}
