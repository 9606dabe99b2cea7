//! SIGKILL at any moment: of recorded programs, of the daemon, of replay processes. What was recorded replays up to its last whole event;
//! a client is told in one line, or not at all, and goes on.

use super::daemon::started_on_demand;
use super::support::{Prompt, Sandbox, children, program, text, wait_until};
use super::travel::Dice;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

/// One recording of `busytree.py`, one of whose processes is killed in the middle, then all.
fn killed_tree(sandbox: &Sandbox, round: u64, dice: &mut Dice) {
    let trace = sandbox.path(&format!("trace{round}"));
    let path = program("busytree.py");
    let mut child = sandbox
        .rdbctl()
        .args(["record", "-q", "--verify-every", "200", "-o"])
        .arg(&trace)
        .args(["--", "/usr/bin/python3", "-S", "-E"])
        .arg(&path)
        .args((round % 2 == 1).then_some("shared"))
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Pid::from_raw(child.id().cast_signed());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen: Vec<i32> = Vec::new();
    let wanted = 1 + dice.below(300);
    for line in lines.by_ref().take(usize::try_from(wanted).unwrap()) {
        seen.extend(line.strip_prefix("pid ").map(|p| p.parse::<i32>().unwrap()));
    }
    let before = dice.below(20_000);
    (0..before).for_each(|_| std::hint::spin_loop());
    let victims = seen.len() as u64 + 1;
    match dice.below(victims) {
        0 => kill(group, Signal::SIGKILL).unwrap(),
        n => kill(Pid::from_raw(seen[usize::try_from(n - 1).unwrap()]), Signal::SIGKILL).unwrap(),
    }
    if dice.below(2) == 0 && seen.len() > 2 {
        // Who is left goes on, whatever the dead one held.
        let more = lines.by_ref().take(300).filter(|l| l.starts_with("at ")).count();
        assert!(more > 100, "round {round}: {more} more");
    }
    let _ = killpg(group, Signal::SIGKILL);
    child.wait().unwrap();
    // The pipe ends when all are gone.
    let _ = lines.count();
    let said = |command: &[&str]| {
        let out = sandbox.rdbctl().args(command).arg(&trace).output().unwrap();
        let told = text(&out.stdout) + &text(&out.stderr);
        assert!(out.status.success(), "round {round}, {command:?}: {told}");
        told
    };
    if !trace.join("events").exists() {
        // Killed before there was anything to record.
        assert!(seen.is_empty(), "round {round}");
        return;
    }
    said(&["verify"]);
    if round % 10 < 2 {
        said(&["verify", "--stop-points"]);
    }
    said(&["info"]);
    let listed = said(&["ps"]);
    for pid in seen {
        assert!(listed.contains(&format!("{pid} ")), "round {round}: {pid} is not among\n{listed}");
    }
    fs::remove_dir_all(&trace).unwrap();
}

#[test]
fn a_tree_of_processes_killed_a_hundred_times() {
    let sandbox = Sandbox::new();
    let mut dice = Dice::new(0x5eed_0001);
    for round in 0..100 {
        killed_tree(&sandbox, round, &mut dice);
    }
}

const PROGRAM: &str = "n = 0
while n < 30000:
    n += 1
print(n)
";

fn line_of(answer: &Value) -> &str {
    let error = answer["error"]["text"].as_str().unwrap_or_default();
    assert!(answer["ok"] == true || !error.is_empty() && error.lines().count() == 1, "{answer}");
    error
}

#[test]
fn a_client_goes_on_whatever_is_killed() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("loop.py"), PROGRAM).unwrap();
    let trace = sandbox.record("trace", &["/usr/bin/python3", "-S", "-E", "loop.py"]).trace;
    sandbox.verify(&trace);
    let mut client = Prompt::new(&sandbox, &trace);
    let mut dice = Dice::new(0x5eed_0002);
    assert_eq!(client.ask("break 3 if n % 1000 == 500")["ok"], true);
    let mut died = 0;
    for round in 0..100 {
        let command = match dice.below(8) {
            0 => format!("go {}", 2 + dice.below(59_000)),
            1 => format!("go {}%", 1 + dice.below(98)),
            2 => format!("step {}", 1 + dice.below(500)),
            3 => format!("bstep {}", 1 + dice.below(500)),
            4 => "continue".into(),
            5 => "bcontinue".into(),
            6 => "locals".into(),
            _ => "print n".into(),
        };
        client.tell(&command);
        (0..dice.below(200_000)).for_each(|_| std::hint::spin_loop());
        let daemon = started_on_demand(&sandbox);
        let victims: Vec<i32> = match daemon.first() {
            Some(&daemon) if round % 3 > 0 => children(daemon.unsigned_abs()),
            _ => daemon,
        };
        if !victims.is_empty() {
            let one = victims[usize::try_from(dice.below(victims.len() as u64)).unwrap()];
            let _ = kill(Pid::from_raw(one), Signal::SIGKILL);
        }
        let answer = client.answer();
        let error = line_of(&answer);
        died += u32::from(error.contains("daemon") || error.contains("died"));
        // At the second question at the latest, all is as it was: what died is replaced.
        let mut here = client.ask("when");
        line_of(&here);
        if here["ok"] != true {
            here = client.ask("when");
        }
        assert_eq!(here["ok"], true, "round {round}, {command}: {answer}, then {here}");
        let (time, line) = (here["time"].as_u64().unwrap(), here["stop"]["line"].as_u64().unwrap());
        // The loop has two stop points a round, after one for the first line.
        if (4..59_000).contains(&time) {
            let n = client.ask("print n");
            assert_eq!(line, 2 + time % 2, "round {round}: {here}");
            assert_eq!(n["text"], (time / 2 - 1).to_string(), "round {round}: {here}");
        }
    }
    assert!(died > 10, "{died} deaths were told");
    assert!(client.close().code().is_some());
    for pid in started_on_demand(&sandbox) {
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    }
    assert!(wait_until(|| started_on_demand(&sandbox).is_empty()), "the daemon outlives SIGTERM");
}
