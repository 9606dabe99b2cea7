//! A recording that is arithmetic, and replay processes that are threads: what the tests travel in.

use crate::fault::Fault;
use crate::host::{Body, Host};
use crate::link::{Link, LinkError};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use rdb_protocol::frame;
use rdb_protocol::replay::{
    Answer, Breakpoint, Divergence, Evaluated, Follow, Hit, Hits, Interpreter, Order, Passing, Raises, Run, RunEnd, Stopped,
};
use rdb_protocol::{Activation, BreakpointPlace, EventIndex, Frame, Location, Position, SourceFile, StopKind, Time, Variable};
use rdb_trace::event::Fixed;
use rdb_trace::header::{End, offset};
use rdb_trace::{Kind, Tag};
use std::collections::HashMap;
use std::io::{IoSliceMut, Read};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// Repeatable chance.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

/// Writes a trace of one event into `dir`.
pub(crate) fn write_trace(dir: &Path) {
    let fixed = Fixed {
        kind: Kind::Start,
        flags: 0,
        thread: 0,
        nr: 0,
        ret: 0,
        rip: 0,
        rsp: 0,
        args: [0; 6],
        registers: 0,
    };
    let effects: [(u64, &[u8]); 3] = [
        (Tag::Program as u64, b"/usr/bin/python3"),
        (Tag::Directory as u64, b"/home/u"),
        (Tag::Arguments as u64, b"python3\0a b.py\0\0"),
    ];
    let mut log = rdb_trace::memory::log(42, End::Exited(0), &[&[(fixed, &effects)]]);
    log[offset::EVENTS..offset::EVENTS + 8].copy_from_slice(&1000u64.to_le_bytes());
    std::fs::write(dir.join(rdb_trace::EVENTS_FILE), log).unwrap();
}

/// The recording.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub last: u64,
    pub main_done: Option<u64>,
    /// Events between two stop points, in eighths.
    pub density: u64,
    /// The replay diverges after this stop point.
    pub diverges: Option<u64>,
    /// The trace is damaged after this stop point.
    pub damaged: Option<u64>,
    /// A process that passes this stop point dies, so many times.
    pub dies: Option<u64>,
    pub deaths: Arc<AtomicUsize>,
    pub unsupported: bool,
    /// Calls and returns; without them everything happens in one frame.
    pub stands: Option<Arc<Vec<Stand>>>,
}

/// A stop point of a program that calls.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    /// The activations on the stack, innermost first; numbers that are never used again.
    pub stack: Vec<u64>,
    pub leaves: bool,
}

/// What a replay process calls an activation: frames are used again.
pub(crate) fn activation(stack: &[u64]) -> Activation {
    Activation {
        frame: stack.len() as u64,
        code: stack.first().map_or(0, |id| id % 2),
    }
}

impl World {
    pub(crate) fn new(last: u64) -> World {
        World {
            last,
            main_done: None,
            density: 8,
            diverges: None,
            damaged: None,
            dies: None,
            deaths: Arc::default(),
            unsupported: false,
            stands: None,
        }
    }

    /// A program that calls, of `last` stop points.
    pub(crate) fn calling(last: u64, dice: &mut Dice) -> World {
        let (mut stands, mut stack, mut id) = (Vec::new(), vec![1], 1);
        while (stands.len() as u64) < last {
            let choice = dice.below(10);
            if choice < 3 && stack.len() < 9 {
                id += 1;
                stack.insert(0, id);
            }
            let leaves = choice > 6 && stack.len() > 1;
            stands.push(Stand {
                stack: stack.clone(),
                leaves,
            });
            if leaves {
                stack.remove(0);
            }
        }
        World {
            stands: Some(Arc::new(stands)),
            ..World::new(last)
        }
    }

    /// Who stands at `time`.
    pub(crate) fn stand(&self, time: u64) -> Stand {
        let known = self
            .stands
            .as_ref()
            .and_then(|s| s.get(usize::try_from(time).unwrap().checked_sub(1)?));
        known.cloned().unwrap_or(Stand {
            stack: vec![1],
            leaves: false,
        })
    }

    fn is_own(&self, time: u64, follow: Option<Follow>) -> bool {
        let stand = self.stand(time);
        follow.is_some_and(|f| f.activation == activation(&stand.stack) && (stand.leaves || f.passing == Passing::Any))
    }

    fn begins(&self, time: u64, follow: Option<Follow>) -> bool {
        let stack = self.stand(time).stack;
        follow.is_some_and(|f| f.activation == activation(&stack)) && (time == 1 || self.stand(time - 1).stack[0] < stack[0])
    }

    pub(crate) fn location(&self, time: u64) -> Location {
        let mixed = (time ^ (time >> 3)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let line = match 1 + mixed % 20 {
            7 => 8,
            line => line,
        };
        let line = u32::try_from(line).unwrap();
        Location {
            file: "src/prog.py".into(),
            line,
            function: format!("f{}", line / 5),
            kind: if self.stand(time).leaves {
                StopKind::Return
            } else {
                StopKind::Line
            },
            thread: 0,
        }
    }

    pub(crate) fn hits(&self, time: u64, marks: &[Breakpoint]) -> Vec<u32> {
        let here = self.location(time);
        let is_hit = |b: &&Breakpoint| match &b.place {
            BreakpointPlace::Line { file, line } => here.file.ends_with(file.as_str()) && here.line == *line,
            BreakpointPlace::Function { name } => here.function == *name && here.line.is_multiple_of(5),
            BreakpointPlace::Return { name } => here.function == *name && here.kind == StopKind::Return,
            BreakpointPlace::Times { times } => times.contains(&Time(time)),
            BreakpointPlace::Switch { .. }
            | BreakpointPlace::Output { .. }
            | BreakpointPlace::Raise { .. }
            | BreakpointPlace::Calls { .. }
            | BreakpointPlace::Uncaught
            | BreakpointPlace::Value { .. }
            | BreakpointPlace::Outside { .. } => false,
        };
        if (1..=self.last).contains(&time) {
            marks.iter().filter(is_hit).map(|b| b.id).collect()
        } else {
            Vec::new()
        }
    }

    /// Events passed at stop point `time`.
    fn event(&self, time: u64) -> u64 {
        10 + time * self.density / 8
    }

    fn end(&self) -> u64 {
        self.event(self.last) + 10
    }
}

/// Makes threads that answer like replay processes of a [`World`].
#[derive(Debug)]
pub(crate) struct FakeHost {
    pub world: World,
    me: Weak<FakeHost>,
    bodies: Mutex<HashMap<i32, Arc<FakeBody>>>,
    pub roots: AtomicUsize,
    pub runs: AtomicUsize,
    /// From now on copies are refused.
    pub no_forks: AtomicBool,
}

#[derive(Debug)]
struct FakeBody {
    pid: i32,
    dead: AtomicBool,
    theirs: UnixStream,
}

impl Body for FakeBody {
    fn pid(&self) -> i32 {
        self.pid
    }
    fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        let _ = self.theirs.shutdown(Shutdown::Both);
    }
    fn alive(&self) -> bool {
        !self.dead.load(Ordering::SeqCst)
    }
}

impl Host for FakeHost {
    fn root(&self) -> Result<(Link, Arc<dyn Body>), Fault> {
        self.roots.fetch_add(1, Ordering::SeqCst);
        let (link, theirs) = Link::pair().unwrap();
        let pid = self.start(
            State {
                time: 0,
                event: 0,
                standing: false,
                main_said: false,
                marks: Vec::new(),
                follow: None,
                last_own: None,
                begun: false,
            },
            theirs,
        );
        Ok((link, self.adopt(pid)?))
    }

    fn adopt(&self, pid: i32) -> Result<Arc<dyn Body>, Fault> {
        Ok(self.bodies.lock().unwrap()[&pid].clone())
    }

    fn closing(&self) -> bool {
        false
    }

    fn written(&self) -> u64 {
        0
    }

    fn last_words(&self, _since: u64) -> Option<String> {
        Some("fake: farewell".into())
    }
}

impl FakeHost {
    pub(crate) fn new(world: World) -> Arc<FakeHost> {
        Arc::new_cyclic(|me| FakeHost {
            world,
            me: me.clone(),
            bodies: Mutex::default(),
            roots: AtomicUsize::default(),
            runs: AtomicUsize::default(),
            no_forks: AtomicBool::default(),
        })
    }

    /// Processes that live, ascending.
    pub(crate) fn alive(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.bodies.lock().unwrap().values().filter(|b| b.alive()).map(|b| b.pid).collect();
        pids.sort_unstable();
        pids
    }

    /// Kills one as an outsider would.
    pub(crate) fn kill(&self, pid: i32) {
        let body = self.bodies.lock().unwrap()[&pid].clone();
        body.kill();
    }

    fn start(&self, state: State, theirs: OwnedFd) -> i32 {
        let stream = UnixStream::from(theirs);
        let mut bodies = self.bodies.lock().unwrap();
        let pid = 1_000_000_000 + i32::try_from(bodies.len()).unwrap();
        let body = Arc::new(FakeBody {
            pid,
            dead: AtomicBool::new(false),
            theirs: stream.try_clone().unwrap(),
        });
        bodies.insert(pid, body.clone());
        let mut process = FakeProcess {
            host: self.me.upgrade().unwrap(),
            state,
            stream,
        };
        std::thread::spawn(move || {
            while process.serve_one().is_some() {}
            body.kill();
        });
        pid
    }
}

#[derive(Clone, Debug)]
struct State {
    time: u64,
    event: u64,
    standing: bool,
    main_said: bool,
    marks: Vec<Breakpoint>,
    follow: Option<Follow>,
    last_own: Option<Time>,
    begun: bool,
}

struct FakeProcess {
    host: Arc<FakeHost>,
    state: State,
    stream: UnixStream,
}

impl FakeProcess {
    fn serve_one(&mut self) -> Option<()> {
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
            let hits = world.hits(s.time, &s.marks);
            if world.begins(s.time, s.follow) {
                (s.last_own, s.begun) = (None, true);
                last_hit = None;
            }
            let own = world.is_own(s.time, s.follow);
            if run.hits == Hits::Stop && own && !s.begun {
                return Some(Answer::Stopped(self.stopped(RunEnd::Own, None)));
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
            own: s.standing && world.is_own(s.time, s.follow),
            last_hit,
            last_own: s.last_own,
            begun: s.begun,
            main_done: s.main_said.then_some(world.main_done.map(Time)).flatten(),
            boundaries: None,
        }
    }
}

#[allow(unsafe_code)]
fn owned(raw: i32) -> OwnedFd {
    // SAFETY: the kernel has just put this descriptor into our table for the message we took it from.
    unsafe { OwnedFd::from_raw_fd(raw) }
}
