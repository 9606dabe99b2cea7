//! Programs nobody wrote: each is run bare, recorded, and replayed with every hash checked.
//!
//! `RDB_RANDOM=FROM-TO` runs these seeds instead of the usual ones, `RDB_RANDOM=N` one; `RDB_RANDOM_KEEP=DIRECTORY` keeps the programs, outputs and
//! traces of those that fail, and of a single one.

mod generator;

use super::support::{Sandbox, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of a usual run.
const USUAL: (u64, u64) = (1, 50);
/// So many at a time.
const WORKERS: usize = 2;

fn seeds() -> (u64, u64) {
    let Ok(asked) = std::env::var("RDB_RANDOM") else { return USUAL };
    let (from, to) = asked.split_once('-').unwrap_or((&asked, &asked));
    let number = |n: &str| n.parse().expect("RDB_RANDOM is FROM-TO or N");
    (number(from), number(to))
}

/// Runs one; what is wrong.
fn trial(sandbox: &Sandbox, seed: u64) -> Result<(), String> {
    let (source, binary) = (sandbox.path("program.c"), sandbox.path("program"));
    fs::write(&source, generator::program(seed)).unwrap();
    let compiled = Command::new("cc")
        .args(generator::flags(seed))
        .arg("-o")
        .args([&binary, &source])
        .arg("-lm")
        .output()
        .unwrap();
    if !compiled.status.success() {
        return Err(format!("does not compile: {}", text(&compiled.stderr)));
    }
    let folder = |name: &str| {
        let path = sandbox.path(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let limited = |folder: &Path| {
        let mut command = Command::new("timeout");
        command.arg("-k10").arg("100").current_dir(folder).stdin(Stdio::null());
        command
    };
    let bare = limited(&folder("bare")).arg(&binary).output().unwrap();
    if !bare.status.success() {
        return Err(format!("fails as it is: {} {}", bare.status, text(&bare.stderr)));
    }
    let trace = sandbox.path("trace");
    let rdbctl = sandbox.rdbctl();
    let mut record = limited(&folder("recorded"));
    for (key, value) in rdbctl.get_envs() {
        if let Some(value) = value {
            record.env(key, value);
        }
    }
    let record = record
        .arg(rdbctl.get_program())
        .args(["record", "-q", "--verify-every", "500", "-o"]);
    let recorded = record.arg(&trace).arg("--").arg(&binary).output().unwrap();
    let said = text(&recorded.stderr);
    if !recorded.status.success() || !said.is_empty() {
        return Err(format!("recorded, it ends with {}: {said}", recorded.status));
    }
    let (found, expected) = (text(&recorded.stdout), text(&bare.stdout));
    if let Some((is, was)) = found.lines().zip(expected.lines()).find(|(is, was)| is != was) {
        return Err(format!("recorded, it says {is}, not {was}"));
    }
    if found.len() != expected.len() {
        return Err(String::from("recorded, it says less or more"));
    }
    let verified = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    if !verified.status.success() {
        return Err(format!("does not replay: {}", text(&verified.stderr)));
    }
    Ok(())
}

fn keep(sandbox: Sandbox, seed: u64, directory: &Path) {
    let to = directory.join(seed.to_string());
    let _ = fs::remove_dir_all(&to);
    let from = sandbox.dir.path();
    let copied = Command::new("cp").arg("-a").args([from, to.as_path()]).status();
    assert!(copied.is_ok_and(|s| s.success()), "{} cannot be kept", from.display());
}

#[test]
fn random_programs() {
    let (from, to) = seeds();
    let kept = std::env::var_os("RDB_RANDOM_KEEP").map(PathBuf::from);
    if let Some(directory) = &kept {
        fs::create_dir_all(directory).unwrap();
    }
    let (next, failures) = (AtomicU64::new(from), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed > to {
                        break;
                    }
                    let sandbox = Sandbox::new();
                    let result = trial(&sandbox, seed);
                    if let Some(directory) = kept.as_ref().filter(|_| result.is_err() || from == to) {
                        keep(sandbox, seed, directory);
                    }
                    if let Err(what) = result {
                        eprintln!("seed {seed} {what}");
                        failures.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "of the seeds {from} to {to}, these failed: {failures:?}");
}
