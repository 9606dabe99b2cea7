//! A replay process that is a thread.

use super::stretch::stretch;
use super::{FakeHost, activation};
use crate::link::{Link, LinkError};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use rdb_protocol::frame;
use rdb_protocol::predicate::Op;
use rdb_protocol::replay::{
    Answer, Breakpoint, Divergence, Entry, Evaluated, Follow, Hit, Hits, Interpreter, Order, Raises, Run, RunEnd, Stopped,
};
use rdb_protocol::{EventIndex, Frame, Position, SourceFile, Time, Variable};
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where one stands.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) time: u64,
    pub(super) event: u64,
    pub(super) standing: bool,
    pub(super) main_said: bool,
    pub(super) marks: Vec<Breakpoint>,
    pub(super) follow: Option<Follow>,
    pub(super) last_own: Option<Time>,
    pub(super) begun: bool,
    pub(super) begun_at: Option<Time>,
    pub(super) quiet: Vec<(Time, u32)>,
    pub(super) quiet_before: usize,
    /// From here on what is passed is noted.
    pub(super) noted: Option<u64>,
    pub(super) instruction: u64,
}

/// A thread that answers.
pub(super) struct FakeProcess {
    pub(super) host: Arc<FakeHost>,
    pub(super) state: State,
    pub(super) stream: UnixStream,
}

impl FakeProcess {
    pub(super) fn serve_one(&mut self) -> Option<()> {
        let (order, fd) = self.receive()?;
        let answer = match order {
            Order::Fork if self.host.no_forks.load(Ordering::SeqCst) => Answer::Failed {
                reason: "fork: EAGAIN".into(),
            },
            Order::Fork => Answer::Forked {
                pid: self.host.start(self.state.clone(), fd?),
            },
            Order::Breakpoints(marks) => {
                self.state.marks = marks;
                Answer::Done
            }
            Order::Follow(follow) => {
                self.state.follow = follow;
                Answer::Done
            }
            Order::Run(run) => {
                self.host.runs.fetch_add(1, Ordering::SeqCst);
                self.run(&run)?
            }
            Order::Instructions { count } => self.step(count),
            Order::Stack { .. } => Answer::Stack(Vec::new()),
            Order::Where => Answer::Stopped(self.stopped(RunEnd::Goal, None)),
            Order::Threads => Answer::Threads(Vec::new()),
            Order::Backtrace { limit, .. } => {
                let stack = self.host.world.stand(self.state.time).stack;
                let frame = |depth: usize| Frame {
                    file: "src/prog.py".into(),
                    line: 1,
                    function: "f".into(),
                    activation: activation(&stack[depth..]),
                };
                Answer::Frames((0..stack.len().min(limit as usize)).map(frame).collect())
            }
            Order::Result => Answer::Evaluated(Evaluated {
                ok: true,
                text: format!("value {}", self.state.time),
                output: String::new(),
                object: None,
                same: false,
            }),
            Order::Sources => Answer::Sources(vec![SourceFile {
                file: "src/prog.py".into(),
                lines: (1..=20).filter(|&l| l != 7).collect(),
                functions: (0..=4).map(|f| (format!("f{f}"), f * 5)).collect(),
            }]),
            Order::Interpreter if self.host.world.unsupported => Answer::Interpreter(Interpreter::Unsupported {
                reason: "CPython 9.9: too new".into(),
            }),
            Order::Interpreter if self.state.event == 0 => Answer::Interpreter(Interpreter::Unknown),
            Order::Interpreter => Answer::Interpreter(Interpreter::Ready {
                name: "CPython 3.11".into(),
            }),
            Order::Evaluate { source, .. } if source == "die" => return None,
            Order::Evaluate { source, .. } if source == "hang" => {
                // Until someone kills us.
                let _ = self.stream.read(&mut [0]);
                return None;
            }
            Order::Evaluate { source, .. } if source.starts_with("True if (even") => Answer::Evaluated(Evaluated {
                ok: true,
                text: if self.state.time.is_multiple_of(2) { "True" } else { "False" }.into(),
                output: String::new(),
                object: None,
                same: false,
            }),
            Order::Evaluate { source, .. } if source.starts_with("True if (bad") => Answer::Evaluated(Evaluated {
                ok: false,
                text: "Traceback\nNameError: bad\n".into(),
                output: String::new(),
                object: None,
                same: false,
            }),
            Order::Evaluate { source, frame, .. } => Answer::Evaluated(Evaluated {
                ok: true,
                text: format!("{source}@{}#{}", self.state.time, frame.number),
                output: String::new(),
                object: None,
                same: false,
            }),
            Order::WatchLife(_) | Order::Watch(_) => Answer::Done,
            Order::Observe { .. } => Answer::Failed {
                reason: "there is no memory here".into(),
            },
            Order::NoteRaises { .. } => Answer::Done,
            Order::Entry { .. } => Answer::Entry(Entry { address: 0, code: 0 }),
            Order::StretchHere if !self.state.standing && self.state.event < self.host.world.end() => Answer::Done,
            Order::Stretch | Order::StretchHere => {
                let s = &mut self.state;
                let from = s.noted.replace(s.time);
                Answer::Stretch(stretch(&self.host.world, from, s.time, s.standing))
            }
            Order::TakeRaises => Answer::Raises(Raises::default()),
            Order::Inline(_) => Answer::Done,
            Order::TakeRows | Order::Row => Answer::Rows(rdb_protocol::rows::Rows::default()),
            Order::IsThere => Answer::There(true),
            Order::Locals { .. } => Answer::Locals(vec![Variable {
                name: "t".into(),
                value: self.state.time.to_string(),
                argument: false,
            }]),
        };
        Link::new(self.stream.try_clone().unwrap()).send(&answer).ok()
    }

    fn receive(&mut self) -> Option<(Order, Option<OwnedFd>)> {
        let mut prefix = [0; frame::PREFIX];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
        let mut fd = None;
        let got = {
            let mut parts = [IoSliceMut::new(&mut prefix)];
            let message = recvmsg::<()>(self.stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC).ok()?;
            for control in message.cmsgs().ok()? {
                if let ControlMessageOwned::ScmRights(fds) = control {
                    fd = fds.first().map(|&raw| owned(raw));
                }
            }
            message.bytes
        };
        self.stream.read_exact(&mut prefix[got..]).ok().filter(|()| got > 0)?;
        let mut body = vec![0; frame::length(prefix).unwrap()];
        self.stream.read_exact(&mut body).ok()?;
        Some((frame::decode(&body).map_err(LinkError::from).unwrap(), fd))
    }

    fn run(&mut self, run: &Run) -> Option<Answer> {
        let world = self.host.world.clone();
        let s = &mut self.state;
        if run.until_time.is_some_and(|t| t.0 <= s.time) || run.until_event.is_some_and(|e| e.0 <= s.event) {
            return Some(Answer::Stopped(self.stopped(RunEnd::Goal, None)));
        }
        let mut last_hit = None;
        (s.last_own, s.begun) = (None, false);
        s.begun_at = None;
        (s.quiet, s.quiet_before) = (Vec::new(), 0);
        loop {
            if world.main_done == Some(s.time) && !s.main_said {
                (s.main_said, s.standing) = (true, false);
                return Some(Answer::Stopped(self.stopped(RunEnd::MainDone, last_hit)));
            }
            let next = if s.time < world.last {
                world.event(s.time + 1)
            } else {
                world.end()
            };
            if let Some(event) = run.until_event.filter(|e| e.0 < next) {
                (s.event, s.standing) = (event.0, false);
                return Some(Answer::Stopped(self.stopped(RunEnd::Goal, last_hit)));
            }
            (s.event, s.standing) = (next, false);
            if s.time == world.last {
                return Some(Answer::Stopped(self.stopped(RunEnd::End, last_hit)));
            }
            if world.diverges == Some(s.time) {
                let (expected, actual) = ("read(3)".into(), "write(1)".into());
                return Some(Answer::Diverged(Divergence {
                    event: EventIndex(s.event),
                    time: Time(s.time),
                    thread: 0,
                    expected,
                    actual,
                }));
            }
            if world.damaged == Some(s.time) {
                let reason = "the trace is damaged".into();
                return Some(Answer::Failed { reason });
            }
            if world.dies == Some(s.time)
                && world
                    .deaths
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok()
            {
                return None;
            }
            s.time += 1;
            s.standing = true;
            let mut hits = world.hits(s.time, &s.marks);
            if run.hits == Hits::Stop {
                // As far as it can be told here.
                let fails = |b: &Breakpoint| {
                    b.test
                        .as_ref()
                        .is_some_and(|t| t.ops == [Op::Name(0)] && t.texts == ["even"] && !s.time.is_multiple_of(2))
                };
                hits.retain(|&id| !s.marks.iter().any(|b| b.id == id && fails(b)));
            }
            if world.begins(s.time, s.follow) {
                (s.last_own, s.begun) = (None, true);
                s.begun_at = Some(Time(s.time));
                s.quiet_before = s.quiet.len();
                last_hit = None;
            }
            let own = world.is_own(s.time, s.follow);
            if run.hits == Hits::Stop && own && !s.begun {
                return Some(Answer::Stopped(self.stopped(RunEnd::Own, None)));
            }
            let quiet = |id: &u32| {
                s.marks
                    .iter()
                    .any(|b| b.id == *id && b.quiet && b.test.as_ref().is_none_or(|t| t.ops == [Op::Name(0)] && t.texts == ["even"]))
            };
            let goal = run.until_time.is_some_and(|t| t.0 <= s.time);
            if run.hits == Hits::Stop && !goal && hits.iter().all(quiet) {
                s.quiet.extend(hits.drain(..).map(|id| (Time(s.time), id)));
            }
            if run.hits == Hits::Stop && !hits.is_empty() {
                return Some(Answer::Stopped(self.stopped(RunEnd::Breakpoint, None)));
            }
            if run.until_time.is_some_and(|t| t.0 <= s.time) {
                return Some(Answer::Stopped(self.stopped(RunEnd::Goal, last_hit)));
            }
            if own {
                s.last_own = Some(Time(s.time));
            }
            if run.hits == Hits::Last && !hits.is_empty() {
                last_hit = Some(Hit {
                    time: Time(s.time),
                    breakpoints: hits,
                });
            }
        }
    }

    /// By instructions; behind each stop point lie [`World::instructions`].
    fn step(&mut self, count: u64) -> Answer {
        let (s, world) = (&mut self.state, &self.host.world);
        let most = world.instructions(s.time);
        let goal = s.instruction.saturating_add(count);
        s.instruction = goal.min(most);
        let end = match goal > most {
            false => RunEnd::Goal,
            true if s.time == world.last => RunEnd::End,
            true => {
                s.time += 1;
                RunEnd::Goal
            }
        };
        Answer::Stopped(self.stopped(end, None))
    }

    fn stopped(&self, end: RunEnd, last_hit: Option<Hit>) -> Stopped {
        let (s, world) = (&self.state, &self.host.world);
        let location = s.standing.then(|| world.location(s.time));
        let breakpoints = if s.standing { world.hits(s.time, &s.marks) } else { Vec::new() };
        let position = Position {
            time: Time(s.time),
            event: EventIndex(s.event),
            location,
        };
        Stopped {
            end,
            position,
            breakpoints,
            quiet: s.quiet.clone(),
            quiet_before: u32::try_from(s.quiet_before).unwrap(),
            own: s.standing && world.is_own(s.time, s.follow),
            last_hit,
            last_own: s.last_own,
            begun: s.begun,
            begun_at: s.begun_at,
            main_done: s.main_said.then_some(world.main_done.map(Time)).flatten(),
            boundaries: None,
            instructions: s.instruction,
        }
    }
}

#[allow(unsafe_code)]
fn owned(raw: i32) -> OwnedFd {
    // SAFETY: the kernel has just put this descriptor into our table for the message we took it from.
    unsafe { OwnedFd::from_raw_fd(raw) }
}
