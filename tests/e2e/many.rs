//! Many recordings in one daemon: each client is answered rightly, and their checkpoints together keep within one budget.

use super::index::copy;
use super::support::{Prompt, Sandbox, children, travelling};
use super::travel::Dice;
use std::fs;
use std::path::PathBuf;
use std::sync::{Barrier, Mutex};

/// Open at once.
const TRACES: u64 = 16;
/// MiB for all checkpoints together.
const BUDGET: u64 = 256;

/// Each round writes to another page of four megabytes, so that copies made 10 ms from each other share little.
const PROGRAM: &str = "import sys
data = bytearray(1 << 22)
n = 0
while n < int(sys.argv[1]):
    n += 1
    data[n % 1024 * 4096] = n % 251
print(n)
";

/// Proportional set sizes of processes, in KiB; who is gone has none.
fn pss(pids: &[i32]) -> u64 {
    let of = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|l| l.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum()
}

/// The paused copies that `info checkpoints` names: without the root and the first stop point, which are always there.
fn checkpoints(client: &mut Prompt) -> Vec<i32> {
    let answer = client.ask("info checkpoints");
    let rows = answer["text"].as_str().unwrap().lines().skip(3);
    rows.map(|l| l.split_whitespace().nth(2).unwrap().parse().unwrap()).collect()
}

#[test]
fn sixteen_traces_at_once_share_one_budget() {
    let python = travelling().next().expect("an interpreter with stop points");
    let mut sandbox = Sandbox::new();
    sandbox.memory = BUDGET;
    fs::write(sandbox.path("rounds.py"), PROGRAM).unwrap();
    let recorded: Vec<(u64, PathBuf)> = (0..4)
        .map(|i| {
            let rounds = 300_000 + 1_000 * i;
            let command = [python.path.to_str().unwrap(), "-S", "-E", "rounds.py", &rounds.to_string()];
            let trace = sandbox.record(&format!("original{i}"), &command).trace;
            sandbox.verify(&trace);
            (rounds, trace)
        })
        .collect();
    let traces: Vec<(u64, PathBuf)> = (0..TRACES)
        .map(|i| {
            let (rounds, original) = &recorded[usize::try_from(i % 4).unwrap()];
            let to = sandbox.path(&format!("trace{i}"));
            copy(original, &to);
            (*rounds, to)
        })
        .collect();
    let daemon = sandbox.daemon();
    let all_there = Barrier::new(traces.len() + 1);
    let looked = Barrier::new(traces.len() + 1);
    let paused = Mutex::new(Vec::new());
    let visit = |client: &mut Prompt, number: u64, rounds: u64| {
        let mut dice = Dice::new(number);
        for _ in 0..6 {
            // Three stop points a round, after three for the first lines.
            let round = 1 + dice.below(rounds - 1);
            let there = client.ask(&format!("go {}", 4 + 3 * round));
            assert_eq!(there["stop"]["line"], 4, "client {number}: {there}");
            assert_eq!(client.ask("print n")["text"], round.to_string(), "client {number}");
            let back = client.ask("bstep");
            assert_eq!(
                (&back["time"], &back["stop"]["line"]),
                (&(3 + 3 * round).into(), &6.into()),
                "client {number}"
            );
        }
    };
    std::thread::scope(|scope| {
        for ((rounds, trace), number) in traces.iter().zip(0..) {
            let (sandbox, all_there, looked, visit, paused) = (&sandbox, &all_there, &looked, &visit, &paused);
            scope.spawn(move || {
                let mut client = Prompt::new(sandbox, trace);
                // Three for each round, the three first lines, the loop's last look, the last line and its end.
                assert_eq!(client.ask("go end")["time"], 3 * rounds + 6, "client {number}");
                visit(&mut client, number, *rounds);
                paused.lock().unwrap().extend(checkpoints(&mut client));
                all_there.wait();
                looked.wait();
                // None has starved.
                visit(&mut client, number + TRACES, *rounds);
                assert!(client.close().success());
            });
        }
        all_there.wait();
        let alive = children(daemon);
        let paused: Vec<i32> = paused.lock().unwrap().iter().copied().filter(|pid| alive.contains(pid)).collect();
        assert!(
            paused.len() > traces.len(),
            "only {} checkpoints: the budget is no bound here",
            paused.len()
        );
        let taken = pss(&paused);
        assert!(taken <= BUDGET * 1024, "{} checkpoints take {taken} KiB", paused.len());
        looked.wait();
    });
}

#[test]
fn a_small_budget_is_kept_and_travel_goes_on() {
    const SMALL: u64 = 60;
    let python = travelling().next().expect("an interpreter with stop points");
    let mut sandbox = Sandbox::new();
    sandbox.memory = SMALL;
    fs::write(sandbox.path("rounds.py"), PROGRAM).unwrap();
    let rounds = 400_000;
    let command = [python.path.to_str().unwrap(), "-S", "-E", "rounds.py", &rounds.to_string()];
    let trace = sandbox.record("trace", &command).trace;
    sandbox.verify(&trace);
    let daemon = sandbox.daemon();
    let mut client = Prompt::new(&sandbox, &trace);
    assert_eq!(client.ask("go end")["time"], 3 * rounds + 6);
    client.ask("break 6 if n % 1000 == 500");
    let mut dice = Dice::new(60);
    for _ in 0..20 {
        let round = 1000 + dice.below(rounds - 2000);
        let there = client.ask(&format!("go {}", 4 + 3 * round));
        assert_eq!(there["stop"]["line"], 4, "{there}");
        let hit = client.ask("bcontinue");
        assert_eq!(hit["stop"]["line"], 6, "{hit}");
        let before = round - (round + 500) % 1000;
        assert_eq!(client.ask("print n")["text"], before.to_string(), "from round {round}");
    }
    let alive = children(daemon);
    let paused: Vec<i32> = checkpoints(&mut client).into_iter().filter(|pid| alive.contains(pid)).collect();
    assert!(paused.len() > 3, "only {} checkpoints: the budget is no bound here", paused.len());
    let taken = pss(&paused);
    assert!(taken <= SMALL * 1024, "{} checkpoints take {taken} KiB", paused.len());
    assert!(client.close().success());
}
