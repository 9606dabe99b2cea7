//! The command line of `rdbctl`.

use clap::{Args, Parser, Subcommand as ClapSubcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Record a program once, then walk its run forward and backward.
#[derive(Debug, Parser)]
#[command(
    name = "rdbctl",
    version,
    about = "Record a program once, then walk its run forward and backward",
    after_help = "Example:\n  rdbctl record python3 app.py\n  rdbctl replay\n\nTRACE is a directory, a name under the data directory, a packed trace, or `latest`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// The subcommands.
#[derive(Debug, ClapSubcommand)]
pub enum Subcommand {
    /// Run a program and record everything it does
    #[command(after_help = "Example:\n  rdbctl record -o crash -- python3 app.py --port 8080\n\n\
        The exit status is the program's own; 127: not found, 126: not a program that can be recorded,\n\
        125: recording could not start, 2: usage or fault.")]
    Record(RecordArgs),
    /// Walk through a recording at a prompt
    #[command(
        after_help = "Example:\n  rdbctl replay crash\n  (1)$ go end\n  (5310)$ break app.py:42\n  (5310)$ bcontinue\n\nType `help` at the prompt. Two prompts at one place: give both `--cursor NAME`."
    )]
    Replay(ReplayArgs),
    /// Run commands on a recording, without a prompt
    #[command(
        after_help = "Example:\n  rdbctl batch latest -e 'go end' -e 'break total' -e bcontinue -e 'print rows' --json\n\n\
        With --json and commands from a pipe, an interrupt (SIGINT) aborts the command under way, not the batch.\n\
        The exit status is 0, 1 if a command was refused or had a negative answer, 2 on usage or fault."
    )]
    Batch(BatchArgs),
    /// Evaluate expressions at every hit of a place, or list calls or exceptions, as rows
    #[command(
        after_help = "Example:\n  rdbctl query latest --at app.py:42 --if 'total < 0' --print order.id total\n  \
        rdbctl query latest --calls Account.withdraw --format jsonl\n  rdbctl query 'traces/*.rdb' --raises KeyError --format csv\n\n\
        Rows come in order of time; of calls, in the order of their ends. Ctrl-C ends the query, exit status 130; the rows printed so far are right.\n\
        The exit status is 0, 1 when one of several traces could not be asked, 2 on usage or fault."
    )]
    Query(QueryArgs),
    /// Replay a recording and check that nothing differs
    #[command(
        after_help = "Example:\n  rdbctl record --verify-every 1000 -o crash python3 app.py\n  rdbctl verify crash\n\n\
        The exit status is 0 when the replay equals the recording, 1 when it differs, 2 on usage or fault."
    )]
    Verify(VerifyArgs),
    /// Print what the recorded program printed
    #[command(after_help = "Example:\n  rdbctl output crash --fd 2 | grep Warning\n\n\
        The exit status is 0, 1 when the trace is damaged (what is whole is printed), 2 on usage or fault.")]
    Output(OutputArgs),
    /// List the processes of a recording
    #[command(after_help = "Example:\n  rdbctl ps crash\n  rdbctl replay crash --pid 4711")]
    Ps(PsArgs),
    /// Print facts about a recording
    #[command(after_help = "Example:\n  rdbctl info crash")]
    Info(InfoArgs),
    /// Put a recording, with the contents of all files it needs, into one file
    #[command(
        after_help = "Example:\n  rdbctl pack crash -o crash.rdb\n  scp crash.rdb elsewhere:\n  rdbctl replay crash.rdb\n\n\
        The file holds what the program read, secrets included. It replays on a CPU with the same features or more."
    )]
    Pack(PackArgs),
    /// Make a trace directory of a packed recording
    #[command(after_help = "Example:\n  rdbctl unpack crash.rdb -o crash\n\n\
        Every command takes a packed recording directly, too (and, built with --features object-store, the URL of one: s3://, file://); it is then unpacked into the cache, where it may be deleted at any time.")]
    Unpack(UnpackArgs),
    /// List the recordings in the data directory
    #[command(after_help = "Example:\n  rdbctl ls")]
    Ls(LsArgs),
    /// Delete recordings, and the contents of files that no other recording needs
    #[command(after_help = "Example:\n  rdbctl rm python3-20261121-101500-1")]
    Rm(RmArgs),
}

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where to put the trace: a directory that does not exist yet, or is empty [default: a new one under the data directory]
    #[arg(short, long, value_name = "TRACE")]
    pub output: Option<PathBuf>,
    /// Say nothing at the end
    #[arg(short, long)]
    pub quiet: bool,
    /// Record a hash of the program's memory every K events, for `verify`; 0 for none
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub verify_every: u32,
    /// Stop recording when the event log has this size; the program goes on. K, M, G and T are powers of 1024; at least 1M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Record the first process alone, not those it makes
    #[arg(long)]
    pub no_follow: bool,
    /// Draw the schedule of threads and processes at random, to bring about races; like seeds draw alike, though never quite the same
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option)] // clap's form of an optional value
    pub chaos: Option<Option<u64>>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The trace
    #[arg(default_value = "latest")]
    pub trace: PathBuf,
    /// Not the first process but the one with this id (`rdbctl ps` lists them)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Share the cursor of this name with all clients that name it, on this recording [default: a cursor of one's own]
    #[arg(long, value_name = "NAME")]
    pub cursor: Option<String>,
    /// Begin without breakpoints, and save none [default: go on with those saved with the trace, and save changes]
    #[arg(long)]
    pub no_breakpoints: bool,
    /// Do not carry out the lines of ~/.config/rdb/rdbrc first
    #[arg(long)]
    pub no_rc: bool,
    /// Carry out those of ./.rdbrc, too; never done unasked: the directory may be someone else's
    #[arg(long)]
    pub local_rc: bool,
}

/// Arguments of `batch`.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// The trace
    pub trace: PathBuf,
    /// Not the first process but the one with this id (`rdbctl ps` lists them)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Share the cursor of this name with all clients that name it, on this recording [default: a cursor of one's own]
    #[arg(long, value_name = "NAME")]
    pub cursor: Option<String>,
    /// Go on with the breakpoints saved with the trace, and save changes [default: begin with none, save none]
    #[arg(long)]
    pub breakpoints: bool,
    /// A command to run; may be given more than once, and before a script
    #[arg(short = 'e', long = "execute", value_name = "CMD", allow_hyphen_values = true)]
    pub execute: Vec<String>,
    /// A file of commands, one a line, `#` for comments; `-` is standard input [default: standard input, unless -e is given]
    pub script: Option<PathBuf>,
    /// One JSON object a command, one a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("of").args(["at", "calls", "raises", "plan"]).required(true))]
pub struct QueryArgs {
    /// The traces; `*` and `?` in quotes are for rdbctl to fill in
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// Each hit of FILE:LINE, FUNCTION, or `return FUNCTION`
    #[arg(long, value_name = "LOC", requires = "print")]
    pub at: Option<String>,
    /// Only hits at which this holds
    #[arg(long = "if", value_name = "COND", requires = "at")]
    pub condition: Option<String>,
    /// What to evaluate there, a column each
    #[arg(long, value_name = "EXPR", num_args = 1.., requires = "at")]
    pub print: Vec<String>,
    /// Each call of the function: when it begins and ends, how deep, with its arguments and what came of it
    #[arg(long, value_name = "FUNCTION")]
    pub calls: Option<String>,
    /// Each exception of the class, or of any: when it began to be raised, its message, where
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = "")]
    pub raises: Option<String>,
    /// No rows, but at most N ranges of time that take about as long to replay, a JSON object a line: each for a query of its own with --from and --to
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub plan: Option<u32>,
    /// From this time on
    #[arg(long, value_name = "TIME")]
    pub from: Option<u64>,
    /// Up to this time, itself included
    #[arg(long, value_name = "TIME")]
    pub to: Option<u64>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// How rows look
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub format: QueryFormat,
    /// Characters of a value
    #[arg(long, value_name = "N", default_value_t = 140)]
    pub size: u32,
    /// Evaluate each in a throw-away copy of its own, whatever that takes [default: only where evaluations turn out to disturb the program]
    #[arg(long)]
    pub exact: bool,
    /// Not the first process but the one with this id (`rdbctl ps` lists them)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
}

/// How rows look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum QueryFormat {
    /// Columns, for people
    Table,
    /// One JSON object a row, one a line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// A Parquet file, its columns typed; written when all rows are there
    Parquet,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The trace
    #[arg(default_value = "latest")]
    pub trace: PathBuf,
    /// Not all processes but the one with this id (`rdbctl ps` lists them)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// With stop points switched on, as time travel has them
    #[arg(long)]
    pub stop_points: bool,
}

/// Arguments of `output`.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// The trace
    #[arg(default_value = "latest")]
    pub trace: PathBuf,
    /// Not the first process but the one with this id (`rdbctl ps` lists them)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Only what went to standard output (1) or standard error (2); it is printed on standard output
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub fd: Option<u8>,
}

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// The trace
    #[arg(default_value = "latest")]
    pub trace: PathBuf,
    /// One JSON object a process, one a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The trace
    #[arg(default_value = "latest")]
    pub trace: PathBuf,
    /// Not the first process but the one with this id (`rdbctl ps` lists them)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// The trace
    #[arg(default_value = "latest")]
    pub trace: PathBuf,
    /// The file to make [default: the trace's name and `.rdb`, here]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// With what rdbd has found out about it, so that who opens it need not wait for that
    #[arg(long)]
    pub survey: bool,
}

/// Arguments of `unpack`.
#[derive(Debug, Args)]
pub struct UnpackArgs {
    /// The packed trace
    pub file: PathBuf,
    /// The directory to make [default: the file's name without `.rdb`, here]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// One JSON object a trace, one a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub struct RmArgs {
    /// The traces
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
}

/// A number of bytes: `64M`.
fn size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err("not a size; say 64M, for instance".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size; say 64M, for instance")?;
    match number.checked_mul(1 << shift) {
        Some(bytes) if bytes >= LEAST => Ok(bytes),
        Some(_) => Err("too small: 1M at least".into()),
        None => Err("too large".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!((size("64M"), size("1g"), size("2097152")), (Ok(64 << 20), Ok(1 << 30), Ok(2 << 20)));
        for bad in ["", "M", "1X", "-5M", "1.5G", "10K", "99999999T", "1M2"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn record_takes_the_programs_options_as_the_programs() {
        for line in [
            &["rdbctl", "record", "-q", "python3", "-c", "pass", "-q"][..],
            &["rdbctl", "record", "-q", "--", "python3", "-c", "pass", "-q"],
        ] {
            let Subcommand::Record(args) = Cli::try_parse_from(line).unwrap().command else {
                panic!("not record")
            };
            assert!(args.quiet);
            assert_eq!(args.command, ["python3", "-c", "pass", "-q"]);
        }
    }

    #[test]
    fn every_subcommand_has_an_example() {
        for sub in <Cli as clap::CommandFactory>::command().get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example:\n  rdbctl "), "{}", sub.get_name());
        }
    }
}
