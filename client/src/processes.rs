//! The processes of a trace: `rdbctl ps`, and which one `--pid` means.

use crate::cli::PsArgs;
use crate::paths::Places;
use crate::show::count::grouped;
use crate::show::words::command_line;
use crate::{Fault, Log};
use rdb_trace::{PROCESSES_DIR, Tag};
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// So much of a log is searched for the programs its process executed, in bytes.
const SEARCHED: u64 = 64 << 20;

/// A recorded process.
#[derive(Debug, Serialize)]
pub struct Process {
    /// Its stream; 0 is the first process.
    pub stream: u32,
    /// Its id.
    pub pid: u32,
    /// The id of the process that made it, if that is recorded, too.
    pub parent: Option<u32>,
    /// Whether its run begins with its parent's, up to the fork.
    pub forked: bool,
    /// Events of its own.
    pub events: u64,
    /// How its recording ended.
    pub ending: String,
    /// The program it executed last, with its arguments; its parent's where it executed none.
    pub command: Vec<String>,
    /// Its folder.
    pub path: PathBuf,
    #[serde(skip)]
    parent_stream: u32,
}

/// Runs `rdbctl ps`; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &PsArgs) -> Result<u8, Fault> {
    let all = list(&places.trace(&args.trace)?)?;
    let mut out = io::stdout().lock();
    if args.json {
        for p in &all {
            serde_json::to_writer(&mut out, p).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    } else {
        out.write_all(table(&all).as_bytes())?;
    }
    Ok(0)
}

fn table(all: &[Process]) -> String {
    let head = ["PID", "PARENT", "EVENTS", "ENDING", "COMMAND"].map(str::to_owned);
    let rows = all.iter().map(|p| {
        [
            p.pid.to_string(),
            p.parent.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            grouped(p.events),
            p.ending.clone(),
            command_line(&p.command),
        ]
    });
    let rows: Vec<_> = [head].into_iter().chain(rows).collect();
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let [a, b, c, d] = [0, 1, 2, 3].map(width);
    rows.iter()
        .map(|[pid, parent, events, ending, command]| format!("{pid:>a$} {parent:>b$} {events:>c$}  {ending:<d$}  {command}\n"))
        .collect()
}

/// The processes of the trace at `root`, in the order they came to be.
///
/// # Errors
/// When the first one's log cannot be read; others that cannot are left out.
pub fn list(root: &Path) -> Result<Vec<Process>, Fault> {
    let first = read(root).map_err(|e| Fault::new(format!("{}: {e}", root.display())))?;
    let mut all = vec![first];
    for folder in folders(root) {
        // It has come to be a moment ago, or was never started.
        all.extend(read(&folder));
    }
    let known: HashMap<u32, (u32, Vec<String>)> = all.iter().map(|p| (p.stream, (p.pid, p.command.clone()))).collect();
    let mut inherited = known.clone();
    for p in &mut all {
        if p.stream == 0 {
            continue;
        }
        p.parent = known.get(&p.parent_stream).map(|(pid, _)| *pid);
        // Parents come first.
        if p.command.is_empty()
            && let Some((_, command)) = inherited.get(&p.parent_stream).cloned()
        {
            inherited.insert(p.stream, (p.pid, command.clone()));
            p.command = command;
        }
    }
    Ok(all)
}

/// The folders of all processes but the first, in the order of their streams.
#[must_use]
pub fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(PROCESSES_DIR)).into_iter().flatten().flatten();
    let mut all: Vec<(u32, PathBuf)> = entries
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path())))
        .collect();
    all.sort();
    all.into_iter().map(|(_, path)| path).collect()
}

fn read(folder: &Path) -> Result<Process, crate::LogError> {
    let mut log = Log::open(folder)?;
    let header = *log.header();
    let mut process = Process {
        stream: header.origin.stream,
        pid: header.origin.pid,
        parent: None,
        forked: header.origin.forked != 0,
        events: header.events,
        ending: header.end.to_string(),
        command: Vec::new(),
        path: folder.to_owned(),
        parent_stream: header.origin.parent,
    };
    let mut searched = 0;
    // What follows damage is not searched.
    while let Ok(Some(event)) = log.next_event() {
        for effect in event.effects() {
            searched += effect.bytes.len() as u64;
            if effect.target == Tag::Arguments as u64 {
                let words = effect.bytes.split_inclusive(|b| *b == 0);
                process.command = words
                    .map(|w| String::from_utf8_lossy(w.strip_suffix(&[0]).unwrap_or(w)).into_owned())
                    .collect();
            }
        }
        if searched > SEARCHED {
            break;
        }
    }
    Ok(process)
}

/// The folder of the process that `pid` means in the trace at `root`; the first without one.
///
/// # Errors
/// When there is no such process, or more than one.
pub fn choose(root: PathBuf, pid: Option<u32>) -> Result<PathBuf, Fault> {
    let Some(pid) = pid else { return Ok(root) };
    let is = |folder: &PathBuf| Log::open(folder).is_ok_and(|log| log.header().origin.pid == pid);
    let mut found: Vec<PathBuf> = [root.clone()].into_iter().chain(folders(&root)).filter(is).collect();
    match found.len() {
        0 => Err(Fault::new(format!(
            "no process {pid} in {}; `rdbctl ps` lists them",
            root.display()
        ))),
        1 => Ok(found.remove(0)),
        n => Err(Fault::new(format!(
            "{n} processes of {} had the id {pid}; open one by its folder: {}",
            root.display(),
            found.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
        ))),
    }
}
