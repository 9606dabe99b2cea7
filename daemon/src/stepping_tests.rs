//! Moves by frames, and breakpoints with conditions, over arithmetic recordings.

use crate::fake::{Dice, World};
use crate::travel_tests::{Trip, open, plain, tiny};
use rdb_protocol::client::{Call, Change, Reply, StopReason, Target};
use rdb_protocol::{BreakpointPlace, Direction, Time};

/// What the moves mean, without breakpoints.
fn expected(world: &World, here: u64, call: &Call) -> Option<(u64, StopReason)> {
    let stand = world.stand(here);
    let own = |t: &u64, id: u64| world.stand(*t).stack[0] == id;
    let ahead = |ids: &[u64]| ids.iter().find_map(|&id| (here + 1..=world.last).find(|t| own(t, id)));
    let behind = |ids: &[u64]| ids.iter().find_map(|&id| (1..here).rev().find(|t| own(t, id)));
    let rest = &stand.stack[usize::from(stand.leaves)..];
    let end = (world.last, StopReason::HistoryEnd);
    let begin = (1, StopReason::HistoryBegin);
    let step = |t| (t, StopReason::Step);
    Some(match call {
        Call::Next {
            direction: Direction::Forward,
            ..
        } => ahead(rest).map_or(end, step),
        // Before the first stop point of the outermost frame lies whatever happened before.
        Call::Next { .. } => behind(&stand.stack).map_or(if here > 1 { step(here - 1) } else { begin }, step),
        Call::Finish {
            direction: Direction::Forward,
        } => {
            rest.get(1)?;
            let left = (here + 1..=world.last).find(|t| own(t, rest[0]) && world.stand(*t).leaves);
            left.or_else(|| ahead(&rest[1..])).map_or(end, step)
        }
        _ => {
            stand.stack.get(1)?;
            behind(&stand.stack[1..]).map_or(begin, step)
        }
    })
}

fn go(trip: &mut Trip, time: u64) {
    trip.go(Call::Go {
        to: Target::Time(Time(time)),
    });
}

#[test]
fn moves_by_frames_agree_with_arithmetic() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed + 1000);
        let last = 2 + dice.below(800);
        let world = World::calling(last, &mut dice);
        let mut trip = open(world.clone(), tiny());
        for _ in 0..25 {
            let here = 1 + dice.below(last);
            go(&mut trip, here);
            let direction = [Direction::Forward, Direction::Backward][usize::from(dice.below(2) == 0)];
            let call = match dice.below(3) {
                0 => Call::Finish { direction },
                _ => Call::Next { count: 1, direction },
            };
            let what = format!("seed {seed}: {call:?} from {here} of {last}");
            match expected(&world, here, &call) {
                Some(want) => {
                    let stop = trip.go(call);
                    assert_eq!((stop.time.0, stop.reason), want, "{what}");
                    let value = world.stand(want.0).leaves.then(|| format!("value {}", want.0));
                    assert_eq!(stop.value, value, "{what}");
                }
                None => assert_eq!(trip.text(call), "No caller.", "{what}"),
            }
        }
    }
}

#[test]
fn counts_are_as_good_as_repetition() {
    let mut dice = Dice::new(5);
    let mut trip = open(World::calling(600, &mut dice), tiny());
    for direction in [Direction::Forward, Direction::Backward] {
        go(&mut trip, 300);
        let once: Vec<u64> = (0..5).map(|_| trip.go(Call::Next { count: 1, direction }).time.0).collect();
        go(&mut trip, 300);
        assert_eq!(trip.go(Call::Next { count: 5, direction }).time.0, once[4]);
    }
}

fn line(line: u32) -> BreakpointPlace {
    BreakpointPlace::Line {
        file: "prog.py".into(),
        line,
    }
}

fn set(trip: &mut Trip, condition: &str, temporary: bool) -> u32 {
    let call = Call::Break {
        place: line(3),
        condition: Some(condition.into()).filter(|c: &String| !c.is_empty()),
        temporary,
        action: None,
    };
    match trip.call(call) {
        Ok(Reply::Breakpoints(b)) => b[0].id,
        other => panic!("{other:?}"),
    }
}

fn hits(trip: &mut Trip, id: u32) -> u64 {
    match trip.call(Call::Breakpoints) {
        Ok(Reply::Breakpoints(all)) => all.iter().find(|b| b.id == id).unwrap().hits,
        other => panic!("{other:?}"),
    }
}

#[test]
fn conditions_hold_both_ways_and_only_true_hits_count() {
    let world = World::new(400);
    let on_line: Vec<u64> = (1..=400).filter(|&t| world.location(t).line == 3).collect();
    let even: Vec<u64> = on_line.iter().copied().filter(|t| t.is_multiple_of(2)).collect();
    let mut trip = open(world, tiny());
    let id = set(&mut trip, "even", false);
    let to = |direction| Call::Continue { count: 1, direction };
    for &t in even.iter().filter(|&&t| t > 1) {
        let stop = trip.go(to(Direction::Forward));
        assert_eq!((stop.time.0, stop.breakpoints), (t, vec![id]));
    }
    assert_eq!(trip.go(to(Direction::Forward)).reason, StopReason::HistoryEnd);
    for &t in even.iter().rev().filter(|&&t| t < 400) {
        assert_eq!(trip.go(to(Direction::Backward)).time.0, t);
    }
    assert_eq!(trip.go(to(Direction::Backward)).reason, StopReason::HistoryBegin);
    assert_eq!(hits(&mut trip, id), 2 * even.iter().filter(|&&t| t > 1 && t < 400).count() as u64);
    // Ignored hits are passed over, disabled ones do not exist.
    assert!(
        trip.call(Call::Change {
            id: Some(id),
            change: Change::Ignore(2)
        })
        .is_ok()
    );
    assert_eq!(trip.go(to(Direction::Forward)).time.0, even[2]);
    trip.go(Call::Go { to: Target::End });
    assert!(
        trip.call(Call::Change {
            id: None,
            change: Change::Ignore(1)
        })
        .is_ok()
    );
    assert_eq!(trip.go(to(Direction::Backward)).time.0, even[even.len() - 2]);
    assert!(
        trip.call(Call::Change {
            id: Some(id),
            change: Change::Enabled(false)
        })
        .is_ok()
    );
    assert_eq!(trip.go(to(Direction::Backward)).reason, StopReason::HistoryBegin);
}

#[test]
fn a_search_passes_hits_on_its_way_to_the_nth() {
    let world = World::new(400);
    for condition in ["", "even"] {
        let is_hit = |t: &u64| world.location(*t).line == 3 && (condition.is_empty() || t.is_multiple_of(2));
        let all: Vec<u64> = (2..400).filter(is_hit).collect();
        for (count, direction) in [1, 2, 5, all.len()]
            .into_iter()
            .zip([Direction::Forward, Direction::Backward].into_iter().cycle())
        {
            let mut trip = open(world.clone(), tiny());
            let id = set(&mut trip, condition, false);
            let other = set(&mut trip, condition, false);
            let found = match direction {
                Direction::Forward => all[count - 1],
                Direction::Backward => all[all.len() - count],
            };
            if direction == Direction::Backward {
                trip.go(Call::Go { to: Target::End });
            }
            let nth = |count: usize| Call::Continue {
                count: count as u64,
                direction,
            };
            let stop = trip.go(nth(count));
            assert_eq!((stop.time.0, stop.breakpoints, stop.notes), (found, vec![id, other], vec![]));
            assert_eq!(hits(&mut trip, id), count as u64);
            // Beyond the last one: how many there were is told, and the next search passes none.
            let stop = trip.go(nth(all.len()));
            assert!(stop.reason != StopReason::Breakpoint, "{stop:?}");
            let only = format!("hits that way: {} of {}", all.len() - count, all.len());
            assert_eq!(stop.notes, [only]);
            let back = trip.go(Call::Continue {
                count: 1,
                direction: match direction {
                    Direction::Forward => Direction::Backward,
                    Direction::Backward => Direction::Forward,
                },
            });
            let nearest = if direction == Direction::Forward {
                all[all.len() - 1]
            } else {
                all[0]
            };
            assert_eq!(back.time.0, nearest);
        }
    }
    let mut trip = open(world, tiny());
    set(&mut trip, "bad", false);
    let stop = trip.go(Call::Continue {
        count: 9,
        direction: Direction::Forward,
    });
    assert!(
        stop.reason == StopReason::Breakpoint && stop.notes[0].contains("fails: NameError"),
        "{stop:?}"
    );
}

#[test]
fn a_condition_that_fails_stops_once_and_a_temporary_breakpoint_goes() {
    let world = World::new(300);
    let on_line: Vec<u64> = (2..=300).filter(|&t| world.location(t).line == 3).collect();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut trip = open(world.clone(), tiny());
        if direction == Direction::Backward {
            trip.go(Call::Go { to: Target::End });
        }
        set(&mut trip, "bad", false);
        let stop = trip.go(Call::Continue { count: 1, direction });
        assert_eq!(stop.reason, StopReason::Breakpoint);
        assert!(on_line.contains(&stop.time.0) && stop.notes[0].contains("breakpoint 1 fails: NameError: bad"));
        let stop = trip.go(Call::Continue { count: 1, direction });
        assert!(stop.reason != StopReason::Breakpoint && stop.notes.is_empty(), "{stop:?}");
        let mut trip = open(world.clone(), tiny());
        set(&mut trip, "", true);
        assert_eq!(
            trip.go(Call::Continue {
                count: 1,
                direction: Direction::Forward
            })
            .time
            .0,
            on_line[0]
        );
        assert!(matches!(trip.call(Call::Breakpoints), Ok(Reply::Breakpoints(b)) if b.is_empty()));
    }
}

#[test]
fn until_stops_at_its_place_and_leaves_no_breakpoint() {
    let world = World::new(300);
    let on_line: Vec<u64> = (2..=300).filter(|&t| world.location(t).line == 3).collect();
    let mut trip = open(world, tiny());
    let until = |direction| Call::Until { place: line(3), direction };
    for &t in on_line.iter().take(3) {
        let stop = trip.go(until(Direction::Forward));
        assert_eq!((stop.time.0, stop.reason, stop.breakpoints), (t, StopReason::Step, vec![]));
    }
    assert_eq!(trip.go(until(Direction::Backward)).time.0, on_line[1]);
    assert_eq!(
        trip.go(Call::Continue {
            count: 1,
            direction: Direction::Forward
        })
        .reason,
        StopReason::HistoryEnd
    );
    assert!(matches!(trip.call(plain(line(3))), Ok(Reply::Breakpoints(b)) if b[0].id == 1));
    assert_eq!(trip.go(until(Direction::Backward)).reason, StopReason::Breakpoint);
}
