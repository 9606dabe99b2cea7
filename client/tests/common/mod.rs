//! A stand-in for the daemon: a thread that speaks the client link for a program of 100 stop points in ten lines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use rdb_client::commands::Debugger;
use rdb_client::link::{Launcher, Session};
use rdb_client::show::Colour;
use rdb_protocol::client::*;
use rdb_protocol::frame;
use rdb_protocol::replay::Interpreter;
use rdb_protocol::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

pub const LAST: u64 = 100;
const MAIN_DONE: u64 = 90;

/// The daemon's side of a test.
pub struct Fake {
    pub dir: tempfile::TempDir,
    /// Each call the daemon received, in order.
    pub calls: Receiver<Call>,
}

impl Fake {
    /// Listens in a fresh folder.
    pub fn start() -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("rdbd.sock")).unwrap();
        let (tell, calls) = channel();
        let directory = dir.path().display().to_string();
        std::fs::write(dir.path().join("x.py"), (1..=10).map(|n| format!("line {n}\n")).collect::<String>()).unwrap();
        thread::spawn(move || serve(&listener, &tell, &directory));
        Fake { dir, calls }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("rdbd.sock")
    }

    pub fn debugger(&self) -> Debugger {
        let launcher = Launcher {
            socket: self.socket(),
            program: "/no/such/rdbd".into(),
        };
        let (session, here) = Session::open(launcher, "/trace".into(), false).unwrap();
        Debugger::new(session, here, Colour::Plain).unwrap()
    }
}

/// Connections one after the other, until the test is over.
pub fn serve(listener: &UnixListener, tell: &Sender<Call>, directory: &str) {
    while let Ok((stream, _)) = listener.accept() {
        // A connection that ends is what some tests are about.
        let _ = Connection {
            stream,
            tell,
            directory,
            time: 1,
            next: 1,
            breakpoints: Vec::new(),
            direction: Direction::Forward,
        }
        .run();
    }
}

struct Connection<'a> {
    stream: UnixStream,
    tell: &'a Sender<Call>,
    directory: &'a str,
    time: u64,
    next: u32,
    breakpoints: Vec<BreakpointInfo>,
    direction: Direction,
}

fn gone(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

impl Connection<'_> {
    fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut prefix = [0; frame::PREFIX];
        self.stream.read_exact(&mut prefix)?;
        let mut body = vec![0; frame::length(prefix).map_err(|_| gone("length"))?];
        self.stream.read_exact(&mut body)?;
        frame::decode(&body).map_err(|_| gone("decode"))
    }

    fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let bytes = frame::encode(value).map_err(|_| gone("encode"))?;
        self.stream.write_all(&bytes)
    }

    fn run(mut self) -> io::Result<()> {
        let hello: Hello = self.receive()?;
        assert_eq!(
            hello,
            Hello {
                magic: MAGIC,
                version: VERSION
            }
        );
        self.send(&Welcome { version: VERSION, pid: 1 })?;
        loop {
            let request: Request = self.receive()?;
            // The test may be over.
            let _ = self.tell.send(request.call.clone());
            let result = match request.call {
                Call::Evaluate { source, .. } if source == "die" => return Ok(()),
                Call::Evaluate { source, .. } if source == "hang" => self.hang()?,
                call => self.answer(call),
            };
            self.send(&FromDaemon::Response(Response { id: request.id, result }))?;
        }
    }

    /// Works on until interrupted, as a long search does.
    fn hang(&mut self) -> io::Result<Result<Reply, Failure>> {
        self.send(&FromDaemon::Notification(Notification::Progress { done: 1, total: 2 }))?;
        let interrupt: Request = self.receive()?;
        assert_eq!(interrupt.call, Call::Interrupt);
        self.send(&FromDaemon::Response(Response {
            id: interrupt.id,
            result: Ok(Reply::Done),
        }))?;
        Ok(Err(Failure {
            code: FailureCode::Interrupted,
            text: "interrupted".into(),
        }))
    }

    fn answer(&mut self, call: Call) -> Result<Reply, Failure> {
        let invalid = |text: &str| {
            Err(Failure {
                code: FailureCode::Invalid,
                text: text.into(),
            })
        };
        Ok(match call {
            Call::Open { trace, .. } if trace.contains("bad") => {
                return Err(Failure {
                    code: FailureCode::Trace,
                    text: "the trace header is corrupt".into(),
                });
            }
            Call::Open { .. } => Reply::Opened(self.stop(StopReason::Here)),
            // One function, never left: its stop points are all there are.
            Call::Step { count, direction } | Call::Next { count, direction } => self.step(count, direction),
            // Each line is one instruction.
            Call::StepInstruction { count, direction } => self.step(count, direction),
            Call::ValueStack { .. } => Reply::ValueStack(Vec::new()),
            Call::Finish { .. } => return invalid("No caller."),
            Call::Until { .. } => Reply::Stopped(self.stop(StopReason::Step)),
            Call::Change { id, change } => {
                for b in self.breakpoints.iter_mut().filter(|b| id.is_none_or(|id| b.id == id)) {
                    match &change {
                        Change::Condition(c) => b.condition.clone_from(c),
                        Change::Ignore(n) => b.ignore = *n,
                        Change::Enabled(e) => b.enabled = *e,
                        Change::Commands(c) => b.commands.clone_from(c),
                    }
                }
                Reply::Done
            }
            Call::Bookmarks => Reply::Bookmarks(vec![Bookmark {
                name: "middle".into(),
                time: Time(50),
            }]),
            Call::Bookmark { .. } => Reply::Done,
            Call::Continue { direction, .. } => self.search(direction),
            Call::Go { to } => {
                let to = match to {
                    Target::Output(_) => return invalid("nothing was printed"),
                    Target::Time(t) | Target::Instruction(t, 0) => t.0,
                    Target::Instruction(..) => return invalid("no instruction lies there"),
                    Target::Start => 1,
                    Target::End => LAST,
                    Target::Permille(p) => (LAST * u64::from(p) / 1000).max(1),
                };
                if !(1..=LAST).contains(&to) {
                    return invalid("there is no such time; the last is 100");
                }
                self.time = to;
                Reply::Stopped(self.stop(StopReason::Go))
            }
            Call::When => Reply::Stopped(self.stop(StopReason::Here)),
            Call::Break {
                place,
                condition,
                temporary,
                action,
            } => {
                let place = match place {
                    BreakpointPlace::Line { file, line } if file.is_empty() => BreakpointPlace::Line { file: "x.py".into(), line },
                    place => place,
                };
                let info = BreakpointInfo {
                    id: self.next,
                    condition,
                    temporary,
                    action,
                    ..BreakpointInfo::new(place)
                };
                self.next += 1;
                self.breakpoints.push(info.clone());
                Reply::Breakpoints(vec![info])
            }
            Call::Delete { id: Some(id) } => {
                let before = self.breakpoints.len();
                self.breakpoints.retain(|b| b.id != id);
                if self.breakpoints.len() == before {
                    return invalid("no breakpoint of that number");
                }
                Reply::Done
            }
            Call::Delete { id: None } => {
                self.breakpoints.clear();
                Reply::Done
            }
            Call::Threads => Reply::Threads(Vec::new()),
            Call::Output { .. } => Reply::Output(Vec::new()),
            Call::Watch { .. } | Call::Last(_) | Call::History { .. } => return invalid("nothing changes"),
            Call::Switch { .. } => return invalid("one thread"),
            Call::Skip { .. } => Reply::Skipping(Vec::new()),
            Call::Passed { .. } => Reply::Passed(vec![]),
            Call::Breakpoints | Call::KeepBreakpoints => Reply::Breakpoints(self.breakpoints.clone()),
            Call::Evaluate { source, .. } if source == "raise" => Reply::Evaluated(Value {
                ok: false,
                text: "ValueError: no".into(),
                output: "before".into(),
                number: None,
            }),
            Call::Evaluate { source, .. } => Reply::Evaluated(Value {
                ok: true,
                text: format!("<{source}>"),
                output: "printed".into(),
                number: None,
            }),
            Call::Backtrace { limit, .. } => {
                let frame = |n| Frame {
                    file: "x.py".into(),
                    line: self.line(),
                    function: format!("f{n}"),
                    activation: Activation::default(),
                };
                Reply::Frames((0..limit.min(300)).map(frame).collect())
            }
            Call::Locals { .. } => Reply::Locals(vec![Variable {
                name: "t".into(),
                value: self.time.to_string(),
                argument: false,
            }]),
            Call::Checkpoints => Reply::Checkpoints(Vec::new()),
            Call::TraceInfo => Reply::Trace(TraceInfo {
                path: "/trace".into(),
                command: vec!["python3".into(), "x.py".into()],
                directory: self.directory.into(),
                events: EventIndex(1000),
                bytes: 96_000,
                ending: "exited with status 0".into(),
                last: Some(Time(LAST)),
                main_done: Some(Time(MAIN_DONE)),
                surveyed: true,
                interpreter: Interpreter::Ready {
                    name: "CPython 3.13".into(),
                },
            }),
            Call::Sources => Reply::Sources(vec![SourceFile {
                file: "x.py".into(),
                lines: (1..=10).collect(),
                functions: vec![],
            }]),
            Call::Query(_) | Call::MoreRows | Call::Ranges { .. } => return invalid("no queries here"),
            Call::Interrupt => Reply::Done,
        })
    }

    fn line(&self) -> u32 {
        u32::try_from((self.time - 1) % 10 + 1).unwrap()
    }

    fn stop(&self, reason: StopReason) -> Stop {
        let thread = u32::from(self.time > 50);
        let location = Location {
            file: "x.py".into(),
            line: self.line(),
            function: "f".into(),
            kind: StopKind::Line,
            thread,
        };
        Stop {
            reason,
            time: Time(self.time),
            instruction: 0,
            location: Some(location),
            breakpoints: self.hits(),
            direction: self.direction,
            value: None,
            changes: vec![],
            notes: vec![],
            printed: vec![],
        }
    }

    fn hits(&self) -> Vec<u32> {
        let here = |b: &&BreakpointInfo| matches!(&b.place, BreakpointPlace::Line { line, .. } if *line == self.line());
        self.breakpoints.iter().filter(here).map(|b| b.id).collect()
    }

    fn step(&mut self, count: u64, direction: Direction) -> Reply {
        self.direction = direction;
        let (to, end) = match direction {
            Direction::Forward => (self.time + count, StopReason::HistoryEnd),
            Direction::Backward => (self.time.saturating_sub(count), StopReason::HistoryBegin),
        };
        self.time = to.clamp(1, LAST);
        Reply::Stopped(self.stop(if self.time == to { StopReason::Step } else { end }))
    }

    fn search(&mut self, direction: Direction) -> Reply {
        self.direction = direction;
        let forward = direction == Direction::Forward;
        loop {
            if self.time == if forward { LAST } else { 1 } {
                return Reply::Stopped(self.stop(if forward {
                    StopReason::HistoryEnd
                } else {
                    StopReason::HistoryBegin
                }));
            }
            self.time = if forward { self.time + 1 } else { self.time - 1 };
            if !self.hits().is_empty() {
                return Reply::Stopped(self.stop(StopReason::Breakpoint));
            }
            if forward && self.time == MAIN_DONE {
                return Reply::Stopped(self.stop(StopReason::MainDone));
            }
        }
    }
}
