//! A recording that is arithmetic, and replay processes that are threads: what the tests travel in.

mod process;
mod stretch;

use crate::fault::Fault;
use crate::host::{Body, Host};
use crate::link::Link;
use process::{FakeProcess, State};
use rdb_protocol::replay::{Breakpoint, Follow, Passing};
use rdb_protocol::{Activation, BreakpointPlace, Location, StopKind, Time};
use rdb_trace::event::Fixed;
use rdb_trace::header::{End, offset};
use rdb_trace::{Kind, Tag};
use std::collections::HashMap;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
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

    /// Instructions between this stop point and the next.
    pub(crate) fn instructions(&self, time: u64) -> u64 {
        time * 7 % 5
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
            | BreakpointPlace::Native { .. }
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
                begun_at: None,
                quiet: Vec::new(),
                quiet_before: 0,
                noted: None,
                instruction: 0,
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
