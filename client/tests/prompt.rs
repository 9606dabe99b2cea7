//! The prompt's logic against a stand-in daemon.

mod common;

use common::Fake;
use rdb_client::repl::Prompt;
use rdb_protocol::client::Call;
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);

fn line(prompt: &mut Prompt, text: &str) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    prompt.line(text, &mut out, &mut err).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn an_empty_line_repeats_the_last() {
    let fake = Fake::start();
    let mut prompt = Prompt::new(fake.debugger());
    assert_eq!(prompt.text(), "(1)$ ");
    assert_eq!(line(&mut prompt, ""), (String::new(), String::new()));
    line(&mut prompt, "step 2");
    line(&mut prompt, "");
    line(&mut prompt, "  ");
    assert_eq!(prompt.text(), "(7)$ ");
}

#[test]
fn an_interrupt_leaves_the_cursor_where_it_was() {
    let fake = Fake::start();
    let mut prompt = Prompt::new(fake.debugger());
    line(&mut prompt, "go 20");
    let interrupter = prompt.debugger().session().interrupter();
    assert!(!interrupter.interrupt(), "nothing runs");
    let waiting = thread::spawn(move || {
        let until = Instant::now() + DEADLINE;
        while fake.calls.recv_timeout(DEADLINE).unwrap()
            != (Call::Evaluate {
                source: "hang".into(),
                number: true,
                frame: rdb_protocol::FrameNumber { thread: None, number: 0 },
                deadline_ms: 0,
            })
        {}
        while !interrupter.interrupt() {
            assert!(Instant::now() < until);
            thread::yield_now();
        }
        fake
    });
    assert_eq!(
        line(&mut prompt, "p hang"),
        (String::new(), "interrupted; still at time 20\n".into())
    );
    let _fake = waiting.join().unwrap();
    assert_eq!(line(&mut prompt, "bstep").0, "File \"x.py\", line 9 in f:\n>  line 9\n");
}

#[test]
fn a_dead_daemon_costs_one_line() {
    let fake = Fake::start();
    let mut prompt = Prompt::new(fake.debugger());
    line(&mut prompt, "b 4");
    line(&mut prompt, "go 30");
    let (out, err) = line(&mut prompt, "p die");
    assert!(
        out.is_empty() && err.lines().count() == 1 && err.contains("nothing is lost"),
        "{err}"
    );
    assert_eq!(prompt.text(), "(30)$ ");
    assert!(line(&mut prompt, "bc").0.starts_with("Reverse-hit breakpoint 1\n"));
    assert_eq!(prompt.text(), "(24)$ ");
}

#[test]
fn a_daemon_that_stays_away_is_told_each_time() {
    let fake = Fake::start();
    let mut prompt = Prompt::new(fake.debugger());
    line(&mut prompt, "go 30");
    std::fs::remove_file(fake.socket()).unwrap();
    line(&mut prompt, "p die");
    for _ in 0..2 {
        assert!(line(&mut prompt, "step").1.starts_with("cannot start the daemon /no/such/rdbd: "));
        assert_eq!(prompt.text(), "(30)$ ");
    }
}
