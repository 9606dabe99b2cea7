//! Probes: throw-away copies that evaluate. What evaluated code asks of the system is answered from the recording, granted where it
//! stays inside the process, and refused where it would reach outside.

use crate::context::Context;
use crate::interpreters::cpython::evaluate::{self, Moment, Outcome, Place};
use crate::interpreters::cpython::observe;
use crate::interpreters::reads;
use crate::memory::{self, placement};
use crate::memory_calls;
use crate::state::{Agent, Mode};
use crate::sys::{self, errno, map, nr};
use crate::syscalls;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rdb_protocol::replay::{Answer, Evaluated, Observed};
use rdb_protocol::rows::Rows;
use rdb_protocol::{Activation, FrameNumber, Limits, Scope};

/// What a probe was asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// To evaluate source in a frame, with names for objects.
    Evaluate(String, FrameNumber, Vec<(String, u64)>),
    /// To evaluate an expression and tell what it depends on: source, module, activation, names for objects.
    Observe(String, String, Option<Activation>, Vec<(String, u64)>),
    /// Whether the object watched is there.
    IsThere,
    /// For the value returned, or the exception that unwinds.
    Result,
    /// For the entry of a function written in C.
    Entry(String),
    /// To evaluate what is evaluated while the program runs.
    Row,
    /// To list a frame's variables.
    Locals(FrameNumber, Scope, Limits, bool),
    /// For the values on the stack of the frame stood in.
    Stack(Limits),
}

/// What a probe keeps.
#[derive(Debug, Default)]
pub struct Probe {
    /// Asked, but the stop point is the second half of a fused pair: first half first.
    pub waiting: Option<Question>,
    output: Vec<u8>,
    refused: Vec<u64>,
}

/// Most bytes of output kept.
const OUTPUT: usize = 1 << 20;

/// Answers a question; `None` when the program must first run the first half of a fused pair, after which
/// [`super::at_stop`] asks again.
pub fn ask(agent: &mut Agent, question: Question) -> Option<Answer> {
    let Some(stops) = agent.host.stops() else {
        return Some(Answer::Failed {
            reason: "there is no stop point here".to_string(),
        });
    };
    if stops.stop().is_some_and(|s| s.second_half) {
        stops.split();
        agent.replay().probe.waiting = Some(question);
        return None;
    }
    let place = match &question {
        Question::Evaluate(_, frame, _) | Question::Locals(frame, ..) => match place(agent, *frame) {
            Ok(place) => place,
            Err(reason) => return Some(Answer::Failed { reason }),
        },
        _ => (0, 0),
    };
    agent.mode = Mode::Probe;
    Some(match question {
        Question::Evaluate(source, _, bound) => evaluated(agent, &source, place, &bound),
        Question::Observe(source, module, activation, bound) => observed(agent, &source, &module, activation, bound),
        Question::IsThere => Answer::There(agent.host.stops().is_some_and(|s| s.is_there())),
        Question::Result => match agent.host.stops().map(evaluate::result) {
            Some(Ok(text)) => Answer::Evaluated(Evaluated {
                ok: true,
                text,
                output: String::new(),
                object: None,
                same: false,
            }),
            Some(Err(reason)) => Answer::Failed { reason },
            None => Answer::Failed {
                reason: "there is no stop point here".to_string(),
            },
        },
        Question::Entry(name) => match agent.host.stops().map(|s| evaluate::entry(s, &name)) {
            Some(Ok(entry)) => Answer::Entry(entry),
            Some(Err(reason)) => Answer::Failed { reason },
            None => Answer::Failed {
                reason: "there is no stop point here".to_string(),
            },
        },
        Question::Row => {
            let thread = agent.current as u32;
            let mut rows = Rows::default();
            match agent.host.evaluate_inline(thread, &mut rows) {
                Ok(()) => Answer::Rows(rows),
                Err(reason) => Answer::Failed { reason },
            }
        }
        Question::Stack(limits) => {
            let listed = match agent.host.stops() {
                Some(stops) => evaluate::value_stack(stops, limits),
                None => Err("there is no stop point here".to_string()),
            };
            match listed {
                Ok(values) => Answer::Stack(values),
                Err(reason) => Answer::Failed { reason },
            }
        }
        Question::Locals(_, scope, limits, plain) => {
            let listed = match agent.host.stops() {
                Some(stops) => evaluate::variables(stops, place, scope, limits, plain),
                None => Err("there is no stop point here".to_string()),
            };
            match listed {
                Ok(variables) => Answer::Locals(variables),
                Err(reason) => Answer::Failed { reason },
            }
        }
    })
}

/// The frame in the interpreter's words.
fn place(agent: &mut Agent, frame: FrameNumber) -> Result<Place, String> {
    let Some(thread) = frame.thread.filter(|&t| t as usize != agent.current) else {
        return Ok((0, frame.number));
    };
    let fs = super::fs_base_of(agent, thread)?;
    let state = agent.host.stops().and_then(|s| s.thread_with(fs));
    state
        .map(|state| (state, frame.number))
        .ok_or_else(|| format!("thread {thread} executes no code of the interpreter"))
}

fn evaluated(agent: &mut Agent, source: &str, frame: Place, bound: &[(String, u64)]) -> Answer {
    let (mut printed_before, mut refused) = (0, None);
    let probe: *const Probe = &raw const agent.replay().probe;
    let outcome = {
        let Some(stops) = agent.host.stops() else {
            return Answer::Failed {
                reason: "there is no stop point here".to_string(),
            };
        };
        evaluate::evaluate(stops, source, frame, bound, &mut |moment| match moment {
            Moment::Begins => printed_before = lengths(probe).0,
            Moment::Senseless => refused = Some(0),
            Moment::Failed => refused = Some(refused.unwrap_or(lengths(probe).1)),
        })
    };
    let outcome = match outcome {
        Ok(o) => o,
        Err(reason) => return Answer::Failed { reason },
    };
    let probe = &agent.replay().probe;
    let mut output = String::from_utf8_lossy(&probe.output[printed_before.min(probe.output.len())..]).into_owned();
    let (mut object, mut same) = (None, false);
    let (ok, mut text) = match outcome {
        Outcome::Value { text, object: o, same: s } => {
            (object, same) = (o, s);
            (true, text)
        }
        Outcome::Done => (true, String::new()),
        // The traceback was printed: it is the answer, not output.
        Outcome::Raised(fallback) if output.is_empty() => (false, fallback),
        Outcome::Raised(_) => (false, core::mem::take(&mut output).trim_end().to_string()),
    };
    // A traceback would show lines of source files, and is fine without.
    let refused = refused.map_or(&probe.refused[..], |n| &probe.refused[..n]);
    if !refused.is_empty() {
        let names: Vec<&str> = refused.iter().map(|n| syscalls::name(*n)).collect();
        text.push_str(&format!(
            "\nrefused while evaluating: {}; evaluated code can neither read nor change anything outside",
            names.join(", ")
        ));
    }
    Answer::Evaluated(Evaluated {
        ok,
        text,
        output,
        object,
        same,
    })
}

fn observed(agent: &mut Agent, source: &str, module: &str, activation: Option<Activation>, bound: Vec<(String, u64)>) -> Answer {
    let Some(stops) = agent.host.stops() else {
        return Answer::Failed {
            reason: "there is no stop point here".to_string(),
        };
    };
    match observe::observe(stops, source, module, activation, bound) {
        Err(reason) => Answer::Failed { reason },
        Ok(seen) => Answer::Observed(Observed {
            ok: seen.value.is_ok(),
            text: seen.value.unwrap_or_else(|error| error),
            words: seen.dependence.words,
            inexact: seen.dependence.inexact,
        }),
    }
}

/// Of the output so far, and of the calls refused.
#[allow(unsafe_code)]
fn lengths(probe: *const Probe) -> (usize, usize) {
    // SAFETY: the probe lives in the agent's state, is not moved during the evaluation, and this is the only kernel thread.
    unsafe { ((*probe).output.len(), (*probe).refused.len()) }
}

/// A system call made by evaluated code.
pub fn system_call(agent: &'static mut Agent, context: &mut Context) {
    let number = context.rax;
    let a = context.args();
    let ret = match number {
        nr::MMAP if a[3] & map::ANONYMOUS != 0 => {
            placement::map(agent, &[a[0], a[1], a[2], a[3] & !map::SHARED | map::PRIVATE, sys::NO_FD, 0])
        }
        nr::WRITE if a[0] == 1 || a[0] == 2 => {
            print(agent, a[1], a[2]);
            a[2].cast_signed()
        }
        nr::WRITEV if a[0] == 1 || a[0] == 2 => {
            let spans = syscalls::io_vectors(a[1], a[2], u64::MAX >> 1);
            spans.iter().for_each(|s| print(agent, s.addr, s.len));
            spans.iter().map(|s| s.len).sum::<u64>().cast_signed()
        }
        nr::FUTEX if matches!(a[1] & 0x7f, 1 | 5 | 10) => 0,
        nr::FUTEX => finish(
            agent,
            "the code waits for another thread, and nothing else runs while it is evaluated",
        ),
        nr::CLONE | nr::FORK | nr::VFORK | nr::EXECVE | nr::CLONE3 | nr::EXECVEAT => {
            finish(agent, "refused: evaluated code cannot start threads or processes")
        }
        nr::EXIT | nr::EXIT_GROUP => finish(agent, "the code tried to end the process"),
        nr::SCHED_YIELD | nr::CLOSE | nr::NANOSLEEP | nr::CLOCK_NANOSLEEP => 0,
        nr::GETRANDOM => {
            let mut bytes = [0u8; 256];
            let n = a[1].min(256) as usize;
            sys::random(&mut bytes[..n]);
            memory::copy_in(a[0], &bytes[..n]);
            n as i64
        }
        nr::CLOCK_GETTIME => {
            let now = agent.replay().answers.clock(a[0]);
            memory::put(a[1], now[0]);
            memory::put(a[1] + 8, now[1]);
            0
        }
        _ => match agent.replay().answers.identity(number) {
            Some(v) => v,
            None if syscalls::row(number).is_some_and(|r| r.policy == syscalls::Policy::Own) => {
                memory_calls::own(agent, context, number, &a)
            }
            None => {
                let refused = &mut agent.replay().probe.refused;
                if !refused.contains(&number) {
                    refused.push(number);
                }
                -errno::EPERM
            }
        },
    };
    if number != nr::RT_SIGRETURN {
        context.set_return(ret);
    }
    if reads::active() {
        // The kernel traps again behind the instruction that comes next.
        reads::step(context);
    }
}

fn print(agent: &mut Agent, addr: u64, len: u64) {
    let output = &mut agent.replay().probe.output;
    let room = OUTPUT.saturating_sub(output.len()).min(usize::try_from(len).unwrap_or(0));
    let start = output.len();
    output.resize(start + room, 0);
    memory::copy_out(addr, &mut output[start..]);
}

/// Ends the probe with an answer: the evaluation cannot go on.
fn finish(agent: &mut Agent, text: &str) -> ! {
    super::send(
        agent,
        &Answer::Evaluated(Evaluated {
            ok: false,
            text: text.to_string(),
            output: String::new(),
            object: None,
            same: false,
        }),
    );
    sys::exit_group(0)
}

/// Evaluated code died of a signal.
pub fn died(agent: &mut Agent, signal: u64) -> ! {
    finish(agent, &format!("the code crashed (signal {signal})"))
}
