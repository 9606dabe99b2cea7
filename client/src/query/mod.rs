//! `rdbctl query`: many stop points at once, as rows.
//!
//! * `traces`: which recordings are meant.
//! * `columns`: what a row has, by the kind of the question.
//! * `table`, `jsonl`, `comma`, `parquet`: how rows look.
//! * `plan`: what a scheduler needs that divides one query among workers.

mod columns;
mod comma;
mod jsonl;
mod parquet;
mod plan;
mod table;
mod traces;

use crate::cli::{QueryArgs, QueryFormat};
use crate::commands::grammar;
use crate::link::{Client, Interrupter, Launcher, Session, SessionError};
use crate::paths::{Places, as_text};
use crate::{Fault, fault};
use columns::{Columns, Record};
use rdb_protocol::client::{FailureCode, Query, QueryOf, SomeRows};
use rdb_protocol::{Limits, Time};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::io::{self, BufWriter, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The status of a query that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Where rows go.
trait Sink {
    /// One row.
    ///
    /// # Errors
    /// From writing.
    fn row(&mut self, record: &Record<'_>) -> io::Result<()>;

    /// What was given is to be seen.
    ///
    /// # Errors
    /// From writing.
    fn flush(&mut self) -> io::Result<()>;

    /// All rows were given.
    ///
    /// # Errors
    /// From writing.
    fn end(&mut self) -> io::Result<()> {
        self.flush()
    }

    /// No more rows come, for a reason that will be told: of no rows at all there is nothing to be seen.
    ///
    /// # Errors
    /// From writing.
    fn cut(&mut self) -> io::Result<()> {
        self.end()
    }
}

/// Runs the subcommand; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &QueryArgs) -> Result<u8, Fault> {
    if let Some(parts) = args.plan {
        return plan::run(places, args, parts);
    }
    let query = question(args)?;
    let all = traces::expand(&args.traces)?;
    let columns = Columns::of(&query.of, all.len() > 1 || args.traces.iter().any(|t| traces::is_pattern(t)));
    if args.format == QueryFormat::Parquet && io::stdout().is_terminal() {
        return Err(Fault::new("Parquet is no text for a terminal; say where it goes: > FILE"));
    }
    let out = || BufWriter::with_capacity(1 << 16, io::stdout());
    let mut sink: Box<dyn Sink> = match args.format {
        QueryFormat::Table => Box::new(table::Table::new(out(), &columns)),
        QueryFormat::Jsonl => Box::new(jsonl::JsonLines::new(out(), &columns)),
        QueryFormat::Csv => Box::new(comma::Csv::new(out(), &columns)),
        QueryFormat::Parquet => Box::new(parquet::Parquet::new(out(), &columns)),
    };
    let brake = Brake::default();
    brake.watch()?;
    let (mut status, mut answered) = (0, false);
    let mut left = query.limit;
    for trace in &all {
        let asked = Query {
            limit: left,
            ..query.clone()
        };
        let done = one(places, args, trace, asked, &brake, &columns, sink.as_mut());
        match done {
            Ok(rows) => {
                answered = true;
                left = left.map(|l| l.saturating_sub(rows));
            }
            Err(fault) if all.len() > 1 && matches!(&fault, Fault::Said { status, .. } if *status != INTERRUPTED) => {
                eprintln!("rdbctl: {}: {fault}", trace.display());
                status = 1;
            }
            Err(fault) => {
                sink.cut()?;
                return match fault {
                    Fault::Said { status: INTERRUPTED, .. } => Ok(INTERRUPTED),
                    fault => Err(fault),
                };
            }
        }
        if left == Some(0) {
            break;
        }
    }
    if answered {
        sink.end()?
    } else {
        sink.cut()?
    }
    Ok(status)
}

/// The rows of one trace; how many.
fn one(
    places: &Places,
    args: &QueryArgs,
    trace: &Path,
    asked: Query,
    brake: &Brake,
    columns: &Columns,
    sink: &mut dyn Sink,
) -> Result<u64, Fault> {
    let path = as_text(&crate::processes::choose(places.trace(trace)?, args.pid)?)?;
    let (mut session, _) = Session::open(Launcher::from_env(places.socket.clone()), path, true)?;
    brake.hold(session.interrupter());
    let shown = trace.display().to_string();
    let mut count = 0;
    let mut some = ask(&mut session, brake, |c| c.query(asked))?;
    loop {
        for note in &some.notes {
            sink.flush()?;
            eprintln!("rdbctl: note: {note}");
        }
        for row in some.rows.iter() {
            sink.row(&columns.record(&shown, row))?;
        }
        sink.flush()?;
        count += some.rows.len() as u64;
        if some.done {
            return Ok(count);
        }
        some = ask(&mut session, brake, Client::more_rows)?;
    }
}

fn ask(
    session: &mut Session,
    brake: &Brake,
    request: impl FnOnce(&mut Client) -> Result<SomeRows, crate::link::CallError>,
) -> Result<SomeRows, Fault> {
    if brake.pulled() {
        return Err(Fault::with_status(INTERRUPTED, "interrupted"));
    }
    session.call(request).map_err(|e| match e {
        SessionError::Refused(f) if f.code == FailureCode::Interrupted => Fault::with_status(INTERRUPTED, "interrupted"),
        SessionError::Refused(f) => Fault::new(f.text),
        // There is no next command.
        SessionError::Gone(_) => Fault::with_status(
            fault::FAULT,
            "the daemon is gone; the rows so far are all there, ask again for the rest",
        ),
    })
}

fn question(args: &QueryArgs) -> Result<Query, Fault> {
    let of = match (&args.at, &args.calls, &args.raises) {
        (Some(at), None, None) => QueryOf::At {
            place: grammar::location(at).map_err(|e| Fault::new(format!("--at {at}: {e}")))?,
            condition: args.condition.clone(),
            expressions: args.print.clone(),
        },
        (None, Some(name), None) => QueryOf::Calls {
            name: name.trim().trim_end_matches("()").to_owned(),
        },
        (None, None, Some(class)) => QueryOf::Raises {
            class: Some(class.clone()).filter(|c| !c.is_empty()),
        },
        _ => return Err(Fault::new("say what to look for: one of --at, --calls, --raises and --plan")),
    };
    Ok(Query {
        of,
        from: args.from.map(Time),
        to: args.to.map(Time),
        limit: args.limit,
        exact: args.exact,
        limits: Limits {
            size: args.size,
            ..Limits::default()
        },
    })
}

/// Ctrl-C.
#[derive(Clone, Debug, Default)]
struct Brake {
    pulled: Arc<AtomicBool>,
    interrupter: Arc<Mutex<Option<Interrupter>>>,
}

impl Brake {
    fn watch(&self) -> Result<(), Fault> {
        let mut signals = Signals::new([SIGINT]).map_err(|e| Fault::new(format!("cannot watch for Ctrl-C: {e}")))?;
        let brake = self.clone();
        thread::spawn(move || {
            for _ in signals.forever() {
                brake.pulled.store(true, Ordering::SeqCst);
                if let Some(interrupter) = &*brake.interrupter.lock().unwrap_or_else(PoisonError::into_inner) {
                    interrupter.interrupt();
                }
            }
        });
        Ok(())
    }

    fn hold(&self, interrupter: Interrupter) {
        interrupter.busy();
        *self.interrupter.lock().unwrap_or_else(PoisonError::into_inner) = Some(interrupter);
    }

    fn pulled(&self) -> bool {
        self.pulled.load(Ordering::SeqCst)
    }
}
