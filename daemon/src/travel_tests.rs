//! Whole sessions over arithmetic recordings, against plain arithmetic.

use crate::audience::Post;
use crate::facts::TraceFacts;
use crate::fake::{Dice, FakeHost, World, write_trace};
use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::placement::Limits;
use crate::progress::Task;
use crate::recording::{Numbers, Recording};
use crate::session::Session;
use crate::slice::Pace;
use rdb_protocol::client::{Call, FailureCode, Notification, Reply, Stop, StopReason, Target};
use rdb_protocol::replay::Breakpoint;
use rdb_protocol::{BreakpointPlace, Direction, Time};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A client that is alone.
struct Deaf;

impl Post for Deaf {
    fn notify(&self, _: Notification) {}
}

/// A session and the recording it travels in.
pub(crate) struct Trip {
    session: Session,
    pub(crate) host: Arc<FakeHost>,
    dir: TempDir,
    opened: Stop,
}

/// Everything small, so that short recordings see slices, thinning and near checkpoints.
pub(crate) fn tiny() -> Numbers {
    Numbers {
        limits: Limits {
            count: 9,
            memory_kib: 1 << 20,
            spacing: 20_000,
            close: 20_000,
            near: 30_000,
        },
        pace: Pace {
            short: 0,
            copy: 10_000,
            times: 13,
            events: 29,
            gap: 0,
            stretch: None,
        },
    }
}

fn open_in(dir: TempDir, world: World, numbers: Numbers) -> Result<Trip, Fault> {
    let host = FakeHost::new(world);
    write_trace(dir.path());
    let facts = TraceFacts::read(dir.path())?;
    let (interrupt, mut report) = (Interrupt::default(), |_, _| ());
    let recording = Arc::new(Recording::new(facts, host.clone(), numbers));
    let (session, opened) = Session::open(recording, None, Arc::new(Deaf), &mut Task::new(&interrupt, &mut report))?;
    Ok(Trip {
        session,
        host,
        dir,
        opened,
    })
}

pub(crate) fn open(world: World, numbers: Numbers) -> Trip {
    open_in(tempfile::tempdir().unwrap(), world, numbers).unwrap()
}

/// An unconditional breakpoint.
pub(crate) fn plain(place: BreakpointPlace) -> Call {
    Call::Break {
        place,
        condition: None,
        temporary: false,
        action: None,
    }
}

impl Trip {
    pub(crate) fn call(&mut self, call: Call) -> Result<Reply, Fault> {
        let (interrupt, mut report) = (Interrupt::default(), |_, _| ());
        self.session.call(call, &mut Task::new(&interrupt, &mut report)).result
    }

    pub(crate) fn go(&mut self, call: Call) -> Stop {
        match self.call(call.clone()) {
            Ok(Reply::Stopped(stop)) => {
                assert_eq!(
                    stop.location,
                    Some(self.host.world.location(stop.time.0)),
                    "{call:?} at {}",
                    stop.time
                );
                stop
            }
            other => panic!("{call:?}: {other:?}"),
        }
    }

    pub(crate) fn code(&mut self, call: Call) -> FailureCode {
        rdb_protocol::client::Failure::from(self.call(call).unwrap_err()).code
    }

    pub(crate) fn text(&mut self, call: Call) -> String {
        rdb_protocol::client::Failure::from(self.call(call).unwrap_err()).text
    }

    fn breakpoint(&mut self, place: BreakpointPlace) -> u32 {
        match self.call(plain(place)) {
            Ok(Reply::Breakpoints(b)) => b[0].id,
            other => panic!("{other:?}"),
        }
    }

    fn surveyed(&mut self) -> bool {
        matches!(self.call(Call::TraceInfo), Ok(Reply::Trace(t)) if t.surveyed)
    }
}

/// What the moves mean.
struct Model {
    world: World,
    marks: Vec<Breakpoint>,
    here: u64,
}

impl Model {
    fn expect(&mut self, call: &Call) -> StopReason {
        let last = self.world.last;
        let (time, reason) = match *call {
            Call::Step {
                count,
                direction: Direction::Forward,
            } if self.here + count > last => (last, StopReason::HistoryEnd),
            Call::Step {
                count,
                direction: Direction::Forward,
            } => (self.here + count, StopReason::Step),
            Call::Step {
                count,
                direction: Direction::Backward,
            } if count >= self.here => (1, StopReason::HistoryBegin),
            Call::Step {
                count,
                direction: Direction::Backward,
            } => (self.here - count, StopReason::Step),
            Call::Go { to: Target::Time(t) } => (t.0, StopReason::Go),
            Call::Go { to: Target::Permille(p) } => ((last * u64::from(p) / 1000).max(1), StopReason::Go),
            Call::Go { to: Target::End } => (last, StopReason::Go),
            Call::Go { to: Target::Start } => (1, StopReason::Go),
            Call::Continue {
                count: 1,
                direction: Direction::Forward,
            } => {
                let hit = (self.here + 1..=last).find(|&t| !self.world.hits(t, &self.marks).is_empty());
                let main = self.world.main_done.filter(|&m| m > self.here);
                match (hit, main) {
                    (Some(h), None) => (h, StopReason::Breakpoint),
                    (Some(h), Some(m)) if h <= m => (h, StopReason::Breakpoint),
                    (_, Some(m)) => (m, StopReason::MainDone),
                    (None, None) => (last, StopReason::HistoryEnd),
                }
            }
            Call::Continue {
                count: 1,
                direction: Direction::Backward,
            } => match (1..self.here).rev().find(|&t| !self.world.hits(t, &self.marks).is_empty()) {
                Some(h) => (h, StopReason::Breakpoint),
                None => (1, StopReason::HistoryBegin),
            },
            _ => (self.here, StopReason::Here),
        };
        self.here = time;
        reason
    }
}

fn random_move(dice: &mut Dice, last: u64) -> Call {
    let direction = if dice.below(2) == 0 {
        Direction::Forward
    } else {
        Direction::Backward
    };
    match dice.below(12) {
        0..=2 => Call::Step { count: 1, direction },
        3 => Call::Step {
            count: 1 + dice.below(last),
            direction,
        },
        4..=6 => Call::Continue { count: 1, direction },
        7 => Call::Go {
            to: Target::Permille(u16::try_from(dice.below(1001)).unwrap()),
        },
        8 => Call::Go { to: Target::End },
        9 => Call::Go { to: Target::Start },
        10 => Call::When,
        _ => Call::Go {
            to: Target::Time(Time(1 + dice.below(last))),
        },
    }
}

fn random_world(dice: &mut Dice) -> World {
    let mut world = World::new(1 + dice.below(3000));
    world.density = [0, 1, 8, 40][usize::try_from(dice.below(4)).unwrap()];
    world.main_done = (dice.below(3) > 0).then(|| 1 + dice.below(world.last));
    world
}

/// One random session, if need be with a watchpoint whose value never changes; `trouble` happens before each move.
fn wander(seed: u64, numbers: Numbers, moves: usize, watch: bool, trouble: impl Fn(&mut Dice, &FakeHost)) {
    let mut dice = Dice::new(seed);
    let world = random_world(&mut dice);
    let mut trip = open(world.clone(), numbers);
    assert_eq!((trip.opened.time, trip.opened.reason), (Time(1), StopReason::Here));
    let mut model = Model {
        world: world.clone(),
        marks: Vec::new(),
        here: 1,
    };
    if watch {
        trip.breakpoint(BreakpointPlace::Value {
            expression: "x".into(),
            module: String::new(),
            call: None,
        });
    }
    for _ in 0..moves {
        if dice.below(6) == 0 {
            let place = match dice.below(2) {
                0 => BreakpointPlace::Line {
                    file: "prog.py".into(),
                    line: u32::try_from(1 + dice.below(6)).unwrap(),
                },
                _ => BreakpointPlace::Function {
                    name: format!("f{}", dice.below(5)),
                },
            };
            let id = trip.breakpoint(place.clone());
            model.marks.push(Breakpoint {
                id,
                place,
                test: None,
                quiet: false,
            });
        } else if dice.below(6) == 0 && !model.marks.is_empty() {
            let gone = model
                .marks
                .swap_remove(usize::try_from(dice.below(model.marks.len() as u64)).unwrap());
            assert!(matches!(trip.call(Call::Delete { id: Some(gone.id) }), Ok(Reply::Done)));
            model.marks.sort_by_key(|b| b.id);
        }
        trouble(&mut dice, &trip.host);
        let call = random_move(&mut dice, world.last);
        let from = model.here;
        let reason = model.expect(&call);
        let stop = trip.go(call.clone());
        let what = format!("seed {seed}: {call:?} from {from} in {} with {:?}", world.last, model.marks);
        assert_eq!((stop.time.0, stop.reason), (model.here, reason), "{what}");
        assert_eq!(stop.breakpoints, world.hits(model.here, &model.marks), "{what}");
    }
}

#[test]
fn moves_agree_with_arithmetic() {
    for seed in 0..60 {
        wander(seed, tiny(), 40, false, |_, _| ());
    }
    for seed in 60..80 {
        wander(seed, Numbers::default(), 40, false, |_, _| ());
    }
}

#[test]
fn moves_agree_while_something_is_watched_that_stays() {
    for seed in 200..240 {
        wander(seed, tiny(), 30, true, |_, _| ());
    }
}

#[test]
fn moves_agree_whoever_is_killed_in_between() {
    for seed in 100..140 {
        wander(seed, tiny(), 30, false, |dice, host| {
            let alive = host.alive();
            match dice.below(4) {
                0 => alive.iter().for_each(|&p| host.kill(p)),
                1 if !alive.is_empty() => host.kill(alive[usize::try_from(dice.below(alive.len() as u64)).unwrap()]),
                _ => {}
            }
        });
    }
}

#[test]
fn everything_goes_with_the_session() {
    let trip = open(World::new(5000), tiny());
    let host = trip.host.clone();
    assert!(host.alive().len() >= 3);
    drop(trip);
    assert_eq!(host.alive(), [0; 0]);
}

#[test]
fn times_out_of_range_are_refused_with_the_range() {
    let mut trip = open(World::new(500), tiny());
    for t in [0, 501, u64::MAX] {
        let text = trip.text(Call::Go { to: Target::Time(Time(t)) });
        assert_eq!(text, format!("time {t} is out of range: this recording has times 1 to 500"));
    }
    assert_eq!(
        trip.code(Call::Go {
            to: Target::Permille(1001)
        }),
        FailureCode::Invalid
    );
    assert_eq!(trip.go(Call::When).time, Time(1));
}

#[test]
fn a_second_open_knows_at_once_and_remakes_the_checkpoints() {
    let mut trip = open(
        World {
            main_done: Some(700),
            ..World::new(900)
        },
        tiny(),
    );
    trip.go(Call::Go { to: Target::End });
    // The end may be known to a command before the survey is through.
    assert!(matches!(trip.call(Call::Sources), Ok(Reply::Sources(s)) if s.len() == 1));
    let (dir, world) = (trip.dir, trip.host.world.clone());
    let wait = Instant::now() + Duration::from_secs(10);
    while !dir.path().join("survey").exists() {
        assert!(Instant::now() < wait);
        std::thread::yield_now();
    }
    drop(trip.session);
    let mut again = open_in(dir, world, tiny()).unwrap();
    assert!(again.surveyed());
    let Ok(Reply::Trace(info)) = again.call(Call::TraceInfo) else {
        panic!()
    };
    assert_eq!((info.last, info.main_done), (Some(Time(900)), Some(Time(700))));
    let wait = Instant::now() + Duration::from_secs(10);
    while again.host.runs.load(Ordering::SeqCst) < 8 {
        assert!(Instant::now() < wait, "no second pass was made");
        std::thread::yield_now();
    }
}

#[test]
fn gaps_are_filled_once_the_whole_is_known() {
    let mut numbers = tiny();
    // The survey leaves none but the first.
    (numbers.limits.spacing, numbers.limits.close) = (u64::MAX / 4, 1);
    let mut trip = open(World::new(60_000), numbers);
    trip.go(Call::Go { to: Target::End });
    let wait = Instant::now() + Duration::from_secs(10);
    loop {
        let Ok(Reply::Checkpoints(list)) = trip.call(Call::Checkpoints) else {
            panic!()
        };
        let widest = list.windows(2).map(|w| w[1].time.0 - w[0].time.0).max();
        // A quarter of nine is left for the neighbourhood of the cursor.
        if list.len() >= 7 && widest.is_some_and(|w| w < 60_000 / 3) {
            break;
        }
        assert!(Instant::now() < wait, "{list:?}");
        std::thread::yield_now();
    }
}

#[test]
fn gaps_are_filled_where_stretches_of_the_index_begin() {
    let mut numbers = tiny();
    (numbers.limits.spacing, numbers.limits.close) = (u64::MAX / 4, 1);
    numbers.limits.count = 16;
    (numbers.pace.stretch, numbers.pace.events) = (Some(100), 1 << 40);
    let mut dice = Dice::new(5);
    let mut trip = open(World::calling(30_000, &mut dice), numbers);
    trip.go(Call::Go { to: Target::End });
    let wait = Instant::now() + Duration::from_secs(10);
    loop {
        let Ok(Reply::Checkpoints(list)) = trip.call(Call::Checkpoints) else {
            panic!()
        };
        // The survey begins at the first stop point, and its stretches are a hundred long; what the move to the end has left lies anywhere.
        if list.iter().filter(|c| c.time.0 > 1 && c.time.0 % 100 == 1).count() >= 4 {
            break;
        }
        assert!(Instant::now() < wait, "{list:?}");
        std::thread::yield_now();
    }
}

/// What dies again and again at one place is not copied for ever, though all of the recording is known.
#[test]
fn a_second_open_gives_up_checkpoints_behind_a_place_where_processes_die() {
    let world = World {
        dies: Some(500),
        ..World::new(900)
    };
    let mut trip = open(world, tiny());
    trip.go(Call::Go { to: Target::End });
    let (dir, world) = (trip.dir, trip.host.world.clone());
    let wait = Instant::now() + Duration::from_secs(10);
    while !dir.path().join("survey").exists() {
        assert!(Instant::now() < wait);
        std::thread::yield_now();
    }
    drop(trip.session);
    let deaths = Arc::clone(&world.deaths);
    deaths.store(1000, Ordering::SeqCst);
    let mut again = open_in(dir, world, tiny()).unwrap();
    while deaths.load(Ordering::SeqCst) == 1000 {
        assert!(Instant::now() < wait, "nothing died");
        std::thread::yield_now();
    }
    for n in 0..2000 {
        again.go(Call::Go {
            to: Target::Time(Time(1 + n * 7 % 400)),
        });
    }
    assert!(deaths.load(Ordering::SeqCst) >= 990, "{deaths:?} are left of a thousand");
}

#[test]
fn checkpoints_keep_to_their_number() {
    let mut trip = open(World::new(60_000), tiny());
    for t in [60_000, 3, 40_000, 39_000, 100, 59_000] {
        trip.go(Call::Go { to: Target::Time(Time(t)) });
        let Ok(Reply::Checkpoints(list)) = trip.call(Call::Checkpoints) else {
            panic!()
        };
        assert!(list.len() <= 10, "root and nine: {list:?}");
        assert!(list.windows(2).all(|w| w[0].time <= w[1].time));
    }
}

#[test]
fn refused_forks_lower_the_maximum_and_travel_goes_on() {
    let mut trip = open(World::new(5_000), tiny());
    trip.go(Call::Go { to: Target::End });
    trip.host.no_forks.store(true, Ordering::SeqCst);
    assert!(
        trip.call(Call::Go {
            to: Target::Time(Time(17))
        })
        .is_err()
    );
    trip.host.no_forks.store(false, Ordering::SeqCst);
    assert_eq!(trip.go(Call::When).time, Time(5_000), "the cursor has not moved");
    trip.go(Call::Go {
        to: Target::Time(Time(17)),
    });
}

#[test]
fn a_divergence_is_told_and_what_lies_before_it_can_be_visited() {
    let mut trip = open(
        World {
            diverges: Some(800),
            ..World::new(1000)
        },
        tiny(),
    );
    let text = trip.text(Call::Go { to: Target::End });
    assert!(
        text.contains("expected read(3), got write(1)") && text.contains("at event 811"),
        "{text}"
    );
    assert_eq!(
        trip.code(Call::Continue {
            count: 1,
            direction: Direction::Forward
        }),
        FailureCode::Divergence
    );
    assert_eq!(
        trip.go(Call::Step {
            count: 700,
            direction: Direction::Forward
        })
        .time,
        Time(701)
    );
    assert_eq!(
        trip.code(Call::Step {
            count: 200,
            direction: Direction::Forward
        }),
        FailureCode::Divergence
    );
    assert_eq!(
        trip.go(Call::Step {
            count: 1,
            direction: Direction::Backward
        })
        .time,
        Time(700)
    );
    let Ok(Reply::Breakpoints(b)) = trip.call(plain(BreakpointPlace::Function { name: "f1".into() })) else {
        panic!()
    };
    assert!(b[0].note.as_ref().is_some_and(|n| n.starts_with("not checked: replay differs")));
}

#[test]
fn a_damaged_trace_is_told_and_what_lies_before_it_can_be_visited() {
    let damaged = World {
        damaged: Some(800),
        ..World::new(1000)
    };
    let mut trip = open(damaged, tiny());
    assert_eq!(trip.code(Call::Go { to: Target::End }), FailureCode::Trace);
    let step = |count, direction| Call::Step { count, direction };
    assert_eq!(trip.go(step(700, Direction::Forward)).time, Time(701));
    assert_eq!(trip.text(step(200, Direction::Forward)), "the trace is damaged");
    assert_eq!(trip.go(step(1, Direction::Backward)).time, Time(700));
    let first = World {
        damaged: Some(0),
        ..World::new(10)
    };
    let refusal = open_in(tempfile::tempdir().unwrap(), first, tiny())
        .err()
        .map(rdb_protocol::client::Failure::from);
    assert_eq!(refusal.map(|f| f.code), Some(FailureCode::Trace));
}

#[test]
fn a_process_that_dies_once_is_replaced_and_one_that_dies_again_is_told() {
    let once = World {
        dies: Some(50),
        ..World::new(100)
    };
    once.deaths.store(1, Ordering::SeqCst);
    let mut trip = open(once, tiny());
    trip.go(Call::Go {
        to: Target::Time(Time(90)),
    });
    let always = World {
        dies: Some(50),
        ..World::new(100)
    };
    always.deaths.store(usize::MAX, Ordering::SeqCst);
    let mut trip = open(always, tiny());
    let step = Call::Step {
        count: 60,
        direction: Direction::Forward,
    };
    assert_eq!(trip.code(step.clone()), FailureCode::ReplayDied);
    assert_eq!(trip.text(step), "replay process died: fake: farewell");
    assert_eq!(
        trip.go(Call::Step {
            count: 30,
            direction: Direction::Forward
        })
        .time,
        Time(31)
    );
}

#[test]
fn probes_do_not_disturb_and_are_killed_when_they_hang() {
    let mut trip = open(World::new(100), tiny());
    trip.go(Call::Go {
        to: Target::Time(Time(42)),
    });
    let evaluate = |source: &str, deadline_ms| Call::Evaluate {
        source: source.into(),
        number: false,
        frame: rdb_protocol::FrameNumber { thread: None, number: 2 },
        deadline_ms,
    };
    let Ok(Reply::Evaluated(e)) = trip.call(evaluate("x", 0)) else {
        panic!()
    };
    assert_eq!(e.text, "x@42#2");
    assert_eq!(trip.code(evaluate("hang", 30)), FailureCode::Deadline);
    assert_eq!(trip.code(evaluate("die", 0)), FailureCode::ReplayDied);
    let Ok(Reply::Locals(l)) = trip.call(Call::Locals {
        frame: rdb_protocol::FrameNumber { thread: None, number: 0 },
        scope: rdb_protocol::Scope::Local,
        limits: rdb_protocol::Limits::default(),
    }) else {
        panic!()
    };
    assert_eq!(l[0].value, "42");
    assert!(matches!(trip.call(Call::Backtrace { thread: None, limit: 2 }), Ok(Reply::Frames(f)) if f.len() == 1));
    assert_eq!(trip.go(Call::When).time, Time(42));
}

#[test]
fn a_program_without_stop_points_opens_and_says_why_it_goes_nowhere() {
    for (world, why) in [
        (
            World {
                unsupported: true,
                ..World::new(0)
            },
            "CPython 9.9: too new",
        ),
        (World::new(0), "executed no source line"),
    ] {
        let mut trip = open(world.clone(), tiny());
        assert_eq!((trip.opened.time, &trip.opened.location), (Time(0), &None));
        for call in [
            Call::Go { to: Target::End },
            Call::Step {
                count: 1,
                direction: Direction::Forward,
            },
            Call::Sources,
        ] {
            assert!(trip.text(call.clone()).contains(why));
            assert_eq!(trip.code(call), FailureCode::NoStopPoints);
        }
        assert!(trip.surveyed());
        let dir = trip.dir;
        drop(trip.session);
        let mut again = open_in(dir, world, tiny()).unwrap();
        assert_eq!(again.host.roots.load(Ordering::SeqCst), 0, "known from the survey");
        assert!(again.text(Call::Sources).contains(why));
    }
}

#[test]
fn an_interrupt_stops_a_search_and_the_cursor_stays() {
    let mut trip = open(World::new(2_000_000), Numbers::default());
    trip.go(Call::Step {
        count: 5,
        direction: Direction::Forward,
    });
    let interrupt = Interrupt::default();
    interrupt.begin();
    let mut reports = 0;
    let mut report = |_, _| reports += 1;
    std::thread::scope(|scope| {
        let runs = trip.host.runs.load(Ordering::SeqCst);
        let host = trip.host.clone();
        let brake = &interrupt;
        scope.spawn(move || {
            let wait = Instant::now() + Duration::from_secs(10);
            while host.runs.load(Ordering::SeqCst) == runs && Instant::now() < wait {
                std::thread::yield_now();
            }
            brake.fire();
        });
        let step = Call::Step {
            count: 1_999_000,
            direction: Direction::Forward,
        };
        let result = trip.session.call(step, &mut Task::new(&interrupt, &mut report)).result;
        assert!(matches!(result, Err(Fault::Interrupted)), "{result:?}");
    });
    assert_eq!(trip.go(Call::When).time, Time(6));
    assert_eq!(
        trip.go(Call::Step {
            count: 1,
            direction: Direction::Backward
        })
        .time,
        Time(5)
    );
}

#[test]
fn breakpoints_are_checked_against_the_sources() {
    let mut trip = open(World::new(300), tiny());
    let line = |file: &str, line| plain(BreakpointPlace::Line { file: file.into(), line });
    assert_eq!(
        trip.text(line("", 7)),
        "line 7 of src/prog.py is not breakable; nearest breakable lines: 6, 8"
    );
    assert_eq!(trip.code(line("other.py", 1)), FailureCode::Invalid);
    assert!(matches!(trip.call(line("PROG.py", 3)), Ok(Reply::Breakpoints(b)) if b[0].id == 1));
    assert_eq!(trip.text(Call::Delete { id: Some(4) }), "there is no breakpoint 4");
    assert!(matches!(trip.call(Call::Breakpoints), Ok(Reply::Breakpoints(b)) if b.len() == 1));
}
