//! `rdbctl verify`: the agent replays the trace and compares; it says the result itself.

use crate::cli::VerifyArgs;
use crate::paths::Places;
use crate::processes::{choose, folders};
use crate::{Fault, Log};
use rdb_embed::Agent;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Runs the subcommand; the agent's exit status.
///
/// # Errors
/// [`Fault`].
pub fn run(places: &Places, args: &VerifyArgs) -> Result<u8, Fault> {
    let trace = places.trace(&args.trace)?;
    let agent = crate::record::agent()?;
    if args.pid.is_some() {
        return verify(&agent, &choose(trace, args.pid)?, args.stop_points);
    }
    let further = folders(&trace);
    if further.is_empty() {
        return verify(&agent, &trace, args.stop_points);
    }
    let mut worst = 0;
    let all: Vec<PathBuf> = [trace].into_iter().chain(further).collect();
    // Each on a core of its own: forked processes are replayed from the start of the first one.
    each_at_once(
        &all,
        |folder| one(&agent, folder, args.stop_points),
        |(said, status)| {
            io::stderr().write_all(&said)?;
            worst = worst.max(status?);
            Ok(())
        },
    )?;
    Ok(worst)
}

/// Does `work` with all items, as many at once as there are cores, and hands the results over in the order of the items.
fn each_at_once<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(R) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (give, take) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..cores.min(items.len()) {
            let (give, next, work) = (give.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((i, item)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?))) {
                    if give.send((i, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(give);
        let mut early = BTreeMap::new();
        let mut awaited = 0;
        for (i, result) in take {
            early.insert(i, result);
            while let Some(result) = early.remove(&awaited) {
                awaited += 1;
                done(result)?;
            }
        }
        Ok(())
    })
}

/// Verifies one process of several: what is to be said of it, and the exit status.
fn one(agent: &Agent, folder: &Path, stop_points: bool) -> (Vec<u8>, Result<u8, Fault>) {
    let log = match Log::open(folder) {
        Ok(log) => log,
        Err(_) if never_started(folder) => {
            let said = format!("rdb: {}: nothing was recorded\n", folder.display());
            return (said.into_bytes(), Ok(0));
        }
        Err(e) => return (format!("rdb: {}: {e}\n", folder.display()).into_bytes(), Ok(crate::fault::FAULT)),
    };
    // Killed before it did anything.
    if log.header().events == 0 {
        return (Vec::new(), Ok(0));
    }
    let mut said = format!("rdb: process {}:\n", log.header().origin.pid).into_bytes();
    let out = command(agent, folder, stop_points)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .output();
    let status = out.map_err(cannot_run).and_then(|out| {
        said.extend(out.stderr);
        exit_status(out.status)
    });
    (said, status)
}

/// Whether a process was killed before its log had a header.
fn never_started(folder: &Path) -> bool {
    let log = std::fs::File::open(folder.join(rdb_trace::EVENTS_FILE));
    let mut magic = [0; 8];
    log.is_err() || log.is_ok_and(|mut log| std::io::Read::read_exact(&mut log, &mut magic).is_err() || magic == [0; 8])
}

fn verify(agent: &Agent, folder: &Path, stop_points: bool) -> Result<u8, Fault> {
    exit_status(command(agent, folder, stop_points).status().map_err(cannot_run)?)
}

fn command(agent: &Agent, folder: &Path, stop_points: bool) -> Command {
    let mut command = Command::new(agent.path());
    command.arg0("rdb-agent").arg("verify").arg(folder);
    if stop_points {
        command.arg("stops");
    }
    command
}

fn cannot_run(e: io::Error) -> Fault {
    Fault::new(format!("cannot run the agent: {e}"))
}

fn exit_status(status: ExitStatus) -> Result<u8, Fault> {
    match status.code() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(crate::fault::FAULT)),
        None => Err(Fault::new(format!("the replay died: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    #[test]
    fn results_come_in_order_whatever_ends_first() {
        let items: Vec<usize> = (0..20).collect();
        // Where there are two cores the first item ends after the second.
        let second = (
            Mutex::new(thread::available_parallelism().map_or(1, usize::from) == 1),
            Condvar::new(),
        );
        let mut seen = Vec::new();
        let work = |i: &usize| {
            let mut is_done = second.0.lock().unwrap();
            if *i == 1 {
                *is_done = true;
                second.1.notify_all();
            }
            while *i == 0 && !*is_done {
                is_done = second.1.wait(is_done).unwrap();
            }
            *i
        };
        let all = each_at_once(&items, work, |i| {
            seen.push(i);
            Ok(())
        });
        assert!(all.is_ok());
        assert_eq!(seen, items);
        let failed = each_at_once(&items, |i| *i, |i| if i == 3 { Err(Fault::new("3")) } else { Ok(()) });
        assert_eq!(failed.unwrap_err().to_string(), "3");
    }
}
