//! A real trace, cut off and with bits flipped at many places: no command panics, hangs, or is silent about it.

use super::support::{Sandbox, program, text, wait_until};
use super::travel::Dice;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Damages of each kind to each file.
const EACH: u64 = 24;

/// A recording of two processes, and its files by size.
pub(super) fn recorded(sandbox: &Sandbox) -> PathBuf {
    let binary = sandbox.path("processes");
    let out = Command::new("cc")
        .args(["-O1", "-w", "-o"])
        .args([&binary, &program("processes.c")])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let trace = sandbox.record("trace", &[&binary.display().to_string()]).trace;
    assert!(sandbox.rdbctl().arg("verify").arg(&trace).status().unwrap().success());
    trace
}

/// Runs a command on the damaged trace: it ends in time, by itself, and says what is wrong if it fails.
pub(super) fn told(sandbox: &Sandbox, command: &str, trace: &Path, what: &str) -> Option<i32> {
    let said = sandbox.path("said");
    let mut child = sandbox
        .rdbctl()
        .arg(command)
        .args((command != "ls").then_some(trace))
        .stdout(Stdio::null())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let mut status = None;
    if !wait_until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    }) {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{command} does not end: {what}");
    }
    let status = status.unwrap();
    let said = text(&fs::read(&said).unwrap());
    assert_eq!(status.signal(), None, "{command}: {what}: {said}");
    assert!(
        !said.contains("panicked") && !said.contains("RUST_BACKTRACE"),
        "{command}: {what}: {said}"
    );
    assert!(status.success() || !said.trim().is_empty(), "{command} is silent: {what}");
    status.code()
}

fn sweep(sandbox: &Sandbox, trace: &Path, file: &Path, dice: &mut Dice) -> u64 {
    let whole = fs::read(file).unwrap();
    let len = whole.len() as u64;
    let mut refused = 0;
    let name = file.display();
    let ends = [0, 1, 100, 4095, 4096, 4097, len - 1];
    let cuts = ends.into_iter().chain((0..EACH).map(|_| dice.below(len))).filter(|n| *n < len);
    let cuts: Vec<u64> = cuts.collect();
    // The header first, where every field counts.
    let bits: Vec<u64> = (0..2 * EACH)
        .map(|n| dice.below(if n < EACH { 104.min(len) } else { len } * 8))
        .collect();
    let damages = cuts.iter().map(|n| (true, *n)).chain(bits.iter().map(|n| (false, *n)));
    for (cut, at) in damages {
        let mut bytes = whole.clone();
        let what = if cut {
            bytes.truncate(usize::try_from(at).unwrap());
            format!("{name} cut at {at}")
        } else {
            bytes[usize::try_from(at / 8).unwrap()] ^= 1 << (at % 8);
            format!("{name}, bit {at} flipped")
        };
        // Not the store's file, which the trace's is a link to.
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
        for command in ["info", "ps", "output", "verify"] {
            refused += u64::from(told(sandbox, command, trace, &what) != Some(0));
        }
    }
    fs::write(file, whole).unwrap();
    refused
}

#[test]
fn logs_cut_off_and_flipped() {
    let sandbox = Sandbox::new();
    let trace = recorded(&sandbox);
    for (seed, file) in ["events", "processes/1/events"].into_iter().enumerate() {
        assert!(
            sweep(&sandbox, &trace, &trace.join(file), &mut Dice::new(seed as u64)) > EACH,
            "{file}"
        );
    }
    assert_eq!(told(&sandbox, "verify", &trace, "nothing"), Some(0));
}

#[test]
fn packed_traces_cut_off_and_flipped() {
    let sandbox = Sandbox::new();
    let trace = recorded(&sandbox);
    let packed = sandbox.path("packed.rdb");
    let out = sandbox.rdbctl().arg("pack").arg(&trace).arg("-o").arg(&packed).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let whole = fs::read(&packed).unwrap();
    let mut dice = Dice::new(7);
    for n in 0..2 * EACH {
        let mut bytes = whole.clone();
        let at = usize::try_from(dice.below(whole.len() as u64)).unwrap();
        let what = if n % 2 == 0 {
            bytes.truncate(at);
            format!("cut at {at}")
        } else {
            bytes[at] ^= 1 << dice.below(8);
            format!("byte {at} flipped")
        };
        fs::write(&packed, bytes).unwrap();
        assert_eq!(told(&sandbox, "verify", &packed, &what), Some(2), "{what}");
    }
    assert_eq!(told(&sandbox, "ls", &packed, "packed"), Some(0));
}
