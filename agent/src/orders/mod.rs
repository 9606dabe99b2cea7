//! A replay process serves: it pauses, carries out orders, and answers. Verification ends here too.

pub mod inline;
pub mod link;
pub mod probe;

pub use link::Link;

use crate::context::Context;
use crate::diag::say;
use crate::intercept;
use crate::replay::{Purpose, aliases};
use crate::state::{Agent, Mode};
use crate::sys;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use rdb_protocol::replay::{Answer, Divergence, Hit, Hits, Interpreter, Order, Run, RunEnd, Stopped};
use rdb_protocol::{EventIndex, Position, Thread, Time};

/// The run under way.
#[derive(Debug, Default)]
pub struct Running {
    /// What was ordered; `None` while paused for the first time.
    pub run: Option<Run>,
    /// Last hit on the way.
    pub last_hit: Option<Hit>,
    /// Where it is paused, the next event is about to happen: the program has made the call, not only passed a stop point before it.
    pub at_event: bool,
    /// How many activations had begun in the followed frame by then.
    pub begun_before: u32,
    /// So many instructions are to be passed, from the second half of a fused pair on: first half first.
    pub instructions: Option<u64>,
}

/// Paused at the very start.
pub fn at_start(agent: &mut Agent) {
    if matches!(agent.replay().purpose, Purpose::Serve(_)) {
        pause(agent, RunEnd::Goal, &[]);
    }
}

/// The event goal of the run is reached.
pub fn reached_event(agent: &mut Agent) {
    agent.replay().running.at_event = true;
    pause(agent, RunEnd::Goal, &[]);
}

/// A stop point that is a goal, that breakpoints stand on, or that is the followed activation's own.
pub fn at_stop(agent: &mut Agent, goal: bool, breakpoints: &[u32], own: bool) {
    if let Some(question) = agent.replay().probe.waiting.take() {
        if let Some(answer) = probe::ask(agent, question) {
            send(agent, &answer);
        }
        return pause(agent, RunEnd::Goal, &[]);
    }
    if let Some(count) = agent.replay().running.instructions.take() {
        if let Err(reason) = step(agent, count) {
            failed(agent, &reason);
        }
        return;
    }
    let hits = agent.replay().running.run.as_ref().map_or(Hits::Ignore, |r| r.hits);
    if hits == Hits::Evaluate {
        return inline::at_stop(agent, goal, breakpoints);
    }
    if goal {
        pause(agent, RunEnd::Goal, breakpoints);
    } else if hits == Hits::Stop {
        // Another activation that has begun in that frame since is not the one followed.
        if own && agent.host.followed().begun == 0 {
            pause(agent, RunEnd::Own, breakpoints);
        } else if !breakpoints.is_empty() {
            pause(agent, RunEnd::Breakpoint, breakpoints);
        }
    } else if hits == Hits::Last && !breakpoints.is_empty() {
        let (time, _) = agent.host.place();
        let begun_before = agent.host.followed().begun;
        let running = &mut agent.replay().running;
        running.begun_before = begun_before;
        running.last_hit = Some(Hit {
            time: Time(time),
            breakpoints: Vec::from(breakpoints),
        });
    }
}

/// As many instructions were passed as asked for.
pub fn at_instruction(agent: &mut Agent) {
    pause(agent, RunEnd::Goal, &[]);
}

/// The main module is done: a run that looks for places to stop ends here.
pub fn main_done(agent: &mut Agent) {
    if agent.replay().running.run.as_ref().is_some_and(|r| r.hits == Hits::Stop) {
        pause(agent, RunEnd::MainDone, &[]);
    }
}

/// No event is left.
pub fn end(agent: &mut Agent) -> ! {
    match agent.replay().purpose {
        Purpose::Verify => {
            let (time, _) = agent.host.place();
            let stops = if agent.host.wanted {
                format!(", {time} stop points")
            } else {
                String::new()
            };
            if agent.host.wanted
                && let Interpreter::Unsupported { reason } = agent.host.interpreter()
            {
                say!("no stop points: {reason}");
            }
            let r = agent.replay();
            say!("verified: {} events, {} memory hashes{stops}, all equal", r.index(), r.hashes);
            sys::exit_group(0)
        }
        Purpose::Serve(_) => loop {
            pause(agent, RunEnd::End, &[]);
        },
    }
}

/// The replay differs from the recording.
pub fn diverged(agent: &mut Agent, expected: &str, actual: &str) -> ! {
    let event = agent.replay().index();
    let thread = agent.current as u32;
    match agent.replay().purpose {
        Purpose::Verify => {
            say!("divergence at event {event}, thread {thread}:");
            say!("  expected {expected}");
            say!("  actual   {actual}");
            sys::exit_group(1)
        }
        Purpose::Serve(_) => {
            let d = Divergence {
                event: EventIndex(event),
                time: Time(agent.host.place().0),
                thread,
                expected: String::from(expected),
                actual: String::from(actual),
            };
            send(agent, &Answer::Diverged(d));
            say!("divergence at event {event}");
            sys::exit_group(1)
        }
    }
}

/// The replay cannot go on.
pub fn failed(agent: &mut Agent, reason: &str) -> ! {
    say!("{reason}");
    let verify = matches!(agent.replay().purpose, Purpose::Verify);
    if !verify {
        send(
            agent,
            &Answer::Failed {
                reason: String::from(reason),
            },
        );
    }
    sys::exit_group(2)
}

/// A fault in the agent's own code: says where and ends.
pub fn fault_in_agent(signal: u64, context: &Context, addr: u64) -> ! {
    say!(
        "internal error: signal {signal} in the agent at {:#x}, address {addr:#x}; please report it with the trace",
        context.rip
    );
    sys::exit_group(125)
}

/// The kernel has refused a system call that no replay makes.
pub fn refused(agent: &mut Agent, info: &[u8]) -> ! {
    // siginfo_t of SIGSYS: the call's number at byte 24.
    let number = info.get(24..28).and_then(|n| n.try_into().ok()).map_or(0, i32::from_le_bytes);
    let name = crate::syscalls::name(u64::from(number.unsigned_abs()));
    failed(
        agent,
        &format!(
            "the program's code tried the system call {number} ({name}) on its own, which no recording does: the trace is forged; the call was refused"
        ),
    )
}

/// A memory hash of the recording: checked when verifying, passed over otherwise.
pub fn check_hash(agent: &mut Agent, want: u64) {
    if !matches!(agent.replay().purpose, Purpose::Verify) {
        return;
    }
    let got = crate::record::memory_hash(agent);
    if got != Some(want) {
        let got = got.map_or_else(|| String::from("unreadable memory"), |g| format!("memory hash {g:016x}"));
        diverged(agent, &format!("memory hash {want:016x}"), &got);
    }
    agent.replay().hashes += 1;
}

fn send(agent: &mut Agent, answer: &Answer) {
    if let Purpose::Serve(link) = &agent.replay().purpose {
        link.send(answer);
    }
}

/// The present position.
pub fn position(agent: &mut Agent) -> Position {
    let (time, location) = agent.host.place();
    let thread = agent.current as u32;
    Position {
        time: Time(time),
        event: EventIndex(agent.replay().index()),
        location: location.map(|mut l| {
            l.thread = thread;
            l
        }),
    }
}

fn stopped(agent: &mut Agent, end: RunEnd, breakpoints: &[u32]) -> Stopped {
    let followed = agent.host.followed();
    let (quiet, quiet_before) = agent.host.take_quiet();
    let running = &mut agent.replay().running;
    let last_hit = running.last_hit.take().filter(|_| running.begun_before == followed.begun);
    Stopped {
        end,
        position: position(agent),
        breakpoints: Vec::from(breakpoints),
        quiet,
        quiet_before,
        own: agent.host.own_here(),
        last_hit,
        last_own: followed.last.map(Time),
        begun: followed.begun > 0,
        begun_at: followed.begun_at.map(Time),
        main_done: agent.host.main_done().map(Time),
        boundaries: agent.host.boundaries(),
        instructions: agent.host.instructions(),
    }
}

/// Answers the run under way, then follows orders until the next run.
pub fn pause(agent: &mut Agent, end: RunEnd, breakpoints: &[u32]) {
    if agent.replay().running.run.take().is_some() {
        let s = stopped(agent, end, breakpoints);
        send(agent, &Answer::Stopped(s));
    }
    loop {
        let Purpose::Serve(link) = &agent.replay().purpose else { return };
        let Some((order, fd)) = link.receive() else {
            // The daemon is gone: nothing is left to do.
            sys::exit_group(0)
        };
        let answer = match order {
            Order::Fork => match fd {
                Some(fd) => match fork(agent, fd) {
                    Some(answer) => answer,
                    None => continue, // the copy waits for its own orders
                },
                None => refuse("a fork needs a socket"),
            },
            Order::Breakpoints(list) => {
                agent.host.set_breakpoints(&list);
                Answer::Done
            }
            Order::Follow(follow) => {
                agent.host.set_follow(follow);
                Answer::Done
            }
            Order::Run(run) => match start(agent, run) {
                Some(answer) => answer,
                None => return,
            },
            Order::Instructions { count } => match instructions(agent, count) {
                Ok(()) => return,
                Err(reason) => Answer::Failed { reason },
            },
            Order::Stack { limits } => match probe::ask(agent, probe::Question::Stack(limits)) {
                Some(answer) => answer,
                None => return,
            },
            Order::Where => {
                let here = agent.host.hits_here();
                Answer::Stopped(stopped(agent, RunEnd::Goal, &here))
            }
            Order::Backtrace { thread: Some(n), limit } if n as usize != agent.current => match fs_base_of(agent, n) {
                Ok(fs) => Answer::Frames(agent.host.thread_frames(fs, limit)),
                Err(reason) => Answer::Failed { reason },
            },
            Order::Backtrace { limit, .. } => Answer::Frames(agent.host.frames(limit)),
            Order::Threads => Answer::Threads(threads(agent)),
            Order::Sources => Answer::Sources(agent.host.sources()),
            Order::Interpreter => Answer::Interpreter(agent.host.interpreter()),
            Order::Evaluate { source, frame, bound } => match probe::ask(agent, probe::Question::Evaluate(source, frame, bound)) {
                Some(answer) => answer,
                None => return,
            },
            Order::WatchLife(object) => {
                // What the interpreter asks of the system while it is asked for its allocators is not the program's.
                let mode = agent.set_mode(Mode::Probe);
                let watched = agent.host.watch_life(&object);
                agent.set_mode(mode);
                match watched {
                    Ok(()) => Answer::Done,
                    Err(reason) => Answer::Failed { reason },
                }
            }
            Order::Observe {
                source,
                module,
                activation,
                bound,
            } => match probe::ask(agent, probe::Question::Observe(source, module, activation, bound)) {
                Some(answer) => answer,
                None => return,
            },
            Order::Watch(list) => {
                agent.host.watch(&list);
                Answer::Done
            }
            Order::NoteRaises { tracked, calls } => {
                agent.host.note_raises(tracked, calls);
                Answer::Done
            }
            Order::Inline(asked) => match inline::set(agent, &asked) {
                Ok(()) => Answer::Done,
                Err(reason) => Answer::Failed { reason },
            },
            Order::TakeRows => Answer::Rows(core::mem::take(&mut agent.replay().inline.rows)),
            Order::Row => match probe::ask(agent, probe::Question::Row) {
                Some(answer) => answer,
                None => return,
            },
            Order::StretchHere if agent.host.place().1.is_none() && !agent.replay().ended => Answer::Done,
            Order::Stretch | Order::StretchHere => {
                let threads: Vec<(u32, u64)> = alive(agent).map(|n| (n as u32, agent.threads[n].fs)).collect();
                Answer::Stretch(agent.host.take_stretch(&threads))
            }
            Order::Entry { name } => match probe::ask(agent, probe::Question::Entry(name)) {
                Some(answer) => answer,
                None => return,
            },
            Order::TakeRaises => Answer::Raises(agent.host.take_raises()),
            Order::IsThere => match probe::ask(agent, probe::Question::IsThere) {
                Some(answer) => answer,
                None => return,
            },
            Order::Result => match probe::ask(agent, probe::Question::Result) {
                Some(answer) => answer,
                None => return,
            },
            Order::Locals {
                frame,
                scope,
                limits,
                plain,
            } => match probe::ask(agent, probe::Question::Locals(frame, scope, limits, plain)) {
                Some(answer) => answer,
                None => return,
            },
        };
        send(agent, &answer);
    }
}

/// The fs base of a thread that is alive and does not run.
fn fs_base_of(agent: &Agent, number: u32) -> Result<u64, String> {
    let thread = agent.threads.get(number as usize).filter(|t| t.live && !t.vfork);
    thread
        .map(|t| t.fs)
        .ok_or_else(|| format!("there is no thread {number} at this time"))
}

fn alive(agent: &Agent) -> impl Iterator<Item = usize> {
    (0..agent.threads.len()).filter(|&n| agent.threads[n].live && !agent.threads[n].vfork)
}

fn threads(agent: &Agent) -> Vec<Thread> {
    let describe = |n: usize| {
        let frames = match n == agent.current {
            true => agent.host.frames(1),
            false => agent.host.thread_frames(agent.threads[n].fs, 1),
        };
        Thread {
            number: n as u32,
            frame: frames.into_iter().next(),
            current: n == agent.current,
        }
    };
    alive(agent).map(describe).collect()
}

fn refuse(reason: &str) -> Answer {
    Answer::Failed {
        reason: String::from(reason),
    }
}

/// Arms a run; `Some` when it is over before it begins.
fn start(agent: &mut Agent, run: Run) -> Option<Answer> {
    let here = position(agent);
    let r = agent.replay();
    let at_event = r.running.at_event;
    let event_passed = |e| e < here.event || e == here.event && at_event;
    let passed = run.until_time.is_some_and(|t| t <= here.time) || run.until_event.is_some_and(event_passed);
    if passed || r.ended {
        let end = if passed { RunEnd::Goal } else { RunEnd::End };
        let at = agent.host.hits_here();
        return Some(Answer::Stopped(stopped(agent, end, &at)));
    }
    r.goal_event = run.until_event.map_or(u64::MAX, |e| e.0);
    agent.host.arm(run.until_time.map(|t| t.0), run.hits);
    let evaluates = run.hits == Hits::Evaluate;
    agent.replay().running = Running {
        run: Some(run),
        last_hit: None,
        at_event: false,
        begun_before: 0,
        instructions: None,
    };
    if evaluates {
        inline::begin(agent);
    }
    None
}

/// Begins a run of so many instructions, at most to the next stop point.
fn instructions(agent: &mut Agent, count: u64) -> Result<(), String> {
    let stop = agent.host.stops().and_then(|s| s.stop());
    let stop = stop.ok_or("there is no stop point here")?;
    if agent.replay().ended {
        return Err(String::from("the recording ends here"));
    }
    let until_time = Some(Time(agent.host.place().0 + 1));
    agent.replay().goal_event = u64::MAX;
    agent.replay().running = Running {
        run: Some(Run {
            until_time,
            until_event: None,
            hits: Hits::Ignore,
        }),
        ..Running::default()
    };
    if stop.second_half {
        agent.replay().running.instructions = Some(count);
        if let Some(stops) = agent.host.stops() {
            stops.split();
        }
        return Ok(());
    }
    step(agent, count)
}

fn step(agent: &mut Agent, count: u64) -> Result<(), String> {
    agent.host.arm(Some(agent.host.place().0 + 1), Hits::Ignore);
    agent.host.step_instructions(count)
}

/// A copy of this process, a child of the daemon. `None` in the copy.
fn fork(agent: &mut Agent, fd: u64) -> Option<Answer> {
    const CLONE_PARENT: u64 = 0x8000;
    let pid = sys::fork(CLONE_PARENT);
    if pid == 0 {
        if let Purpose::Serve(link) = &mut agent.replay().purpose {
            link.replace(fd);
        }
        // The kernel drops all three at a fork. While paused at the start they were not on yet; switching them on again then is harmless.
        let _ = intercept::enable();
        intercept::trap_cpu(true);
        if agent.replay().aliased && !aliases::separate() {
            failed(agent, "cannot copy memory that is mapped twice");
        }
        return None;
    }
    sys::close(fd);
    Some(match i32::try_from(pid) {
        Ok(pid) if pid > 0 => Answer::Forked { pid },
        _ => refuse(&format!(
            "fork failed (error {}); close other sessions or lower the number of checkpoints",
            -pid
        )),
    })
}
