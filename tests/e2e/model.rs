//! The model of moves and breakpoints: where each of them leads in the reference's list of stop points, and what it uses up.
//!
//! A move has a destination; the breakpoints between are met in the order in which it passes them, and the first that is not to be ignored
//! ends it.

use super::reference::{Place, Reference};

/// Where a breakpoint lies.
#[derive(Clone, Copy, Debug)]
pub enum Spot {
    Line(u64),
    Entry(&'static str),
    Return(&'static str),
    /// The entry of a function where its argument `n` is this.
    Argument(&'static str, u64),
}

impl Spot {
    /// As `break` and `tbreak` take it.
    pub fn text(self) -> String {
        match self {
            Spot::Line(line) => format!("frames.py:{line}"),
            Spot::Entry(function) => function.to_owned(),
            Spot::Return(function) => format!("return {function}"),
            Spot::Argument(function, n) => format!("{function} if n == {n}"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Point {
    pub id: u32,
    spot: Spot,
    temporary: bool,
    enabled: bool,
    ignore: u64,
    hits: u64,
}

impl Point {
    /// The end of its row in `info breakpoints`.
    pub fn facts(&self) -> String {
        let hits = match self.hits {
            0 => None,
            1 => Some("hit once".to_owned()),
            n => Some(format!("hit {n} times")),
        };
        let facts = [
            (!self.enabled).then(|| "disabled".to_owned()),
            self.temporary.then(|| "temporary".to_owned()),
            hits,
            (self.ignore > 0).then(|| format!("passes the next {} over", self.ignore)),
        ];
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// One command.
#[derive(Clone, Debug)]
pub enum Act {
    Step(u64, bool),
    Next(u64, bool),
    Finish(bool),
    Until(u64, bool),
    Continue(bool),
    Switch(Option<u64>, bool),
    Go(u64),
    Undo,
    Break(Spot, bool),
    Delete(u32),
    Ignore(u32, u64),
    Enable(u32, bool),
}

impl Act {
    /// As it is typed.
    pub fn text(&self) -> String {
        let way = |forward: &bool, name: &str| format!("{}{name}", if *forward { "" } else { "b" });
        match self {
            Act::Step(n, forward) => way(forward, &format!("step {n}")),
            Act::Next(n, forward) => way(forward, &format!("next {n}")),
            Act::Finish(forward) => way(forward, "finish"),
            Act::Until(line, forward) => way(forward, &format!("until frames.py:{line}")),
            Act::Continue(forward) => way(forward, "continue"),
            Act::Switch(thread, forward) => {
                let thread = thread.map(|t| format!(" {t}")).unwrap_or_default();
                format!("{}thread{thread}", if *forward { "n" } else { "b" })
            }
            Act::Go(time) => format!("go {time}"),
            Act::Undo => "undo".into(),
            Act::Break(spot, temporary) => format!("{} {}", if *temporary { "tbreak" } else { "break" }, spot.text()),
            Act::Delete(id) => format!("delete {id}"),
            Act::Ignore(id, count) => format!("ignore {id} {count}"),
            Act::Enable(id, true) => format!("enable {id}"),
            Act::Enable(id, false) => format!("disable {id}"),
        }
    }
}

/// What a command must answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// A stop: when, why, at which breakpoints (known for those that ended the move).
    Stop(u64, &'static str, Option<Vec<u32>>),
    /// Refused, in these words.
    Refused(&'static str),
    Done,
}

pub struct Model<'a> {
    reference: &'a Reference,
    pub here: u64,
    trail: Vec<u64>,
    pub points: Vec<Point>,
    last_id: u32,
}

impl<'a> Model<'a> {
    pub fn new(reference: &'a Reference) -> Model<'a> {
        Model {
            reference,
            here: 1,
            trail: Vec::new(),
            points: Vec::new(),
            last_id: 0,
        }
    }

    pub fn carry_out(&mut self, act: &Act) -> Expected {
        let before = self.here;
        let stop = match *act {
            Act::Step(count, forward) => self.step(count, forward),
            Act::Next(count, forward) => self.next(count, forward),
            Act::Finish(forward) => match self.reference.expected(before, if forward { "finish" } else { "bfinish" }) {
                Some(place) => self.sweep(place, 0),
                None => return Expected::Refused("No caller."),
            },
            Act::Until(line, forward) => self.until(line, forward),
            Act::Continue(true) => self.sweep(self.reference.end(before), 0),
            Act::Continue(false) => self.sweep((1, "history_begin"), 0),
            Act::Switch(thread, forward) => self.switch(thread, forward),
            Act::Go(time) => (time, "go", None),
            Act::Undo => {
                let Some(&time) = self.trail.last() else {
                    return Expected::Refused("there is no move to undo");
                };
                self.trail.pop();
                self.here = time;
                return Expected::Stop(time, "go", None);
            }
            _ => {
                self.change(act);
                return Expected::Done;
            }
        };
        self.here = stop.0;
        if stop.0 != before {
            self.trail.push(before);
        }
        Expected::Stop(stop.0, stop.1, stop.2)
    }

    fn change(&mut self, act: &Act) {
        match *act {
            Act::Break(spot, temporary) => {
                self.last_id += 1;
                let (id, enabled) = (self.last_id, true);
                self.points.push(Point {
                    id,
                    spot,
                    temporary,
                    enabled,
                    ignore: 0,
                    hits: 0,
                });
            }
            Act::Delete(id) => self.points.retain(|p| p.id != id),
            Act::Ignore(id, count) => self.points.iter_mut().filter(|p| p.id == id).for_each(|p| p.ignore = count),
            Act::Enable(id, on) => self.points.iter_mut().filter(|p| p.id == id).for_each(|p| p.enabled = on),
            _ => unreachable!("a move"),
        }
    }

    /// From here to a destination, which counts too; the first `quiet` stop points at that end do not.
    fn sweep(&mut self, (to, reason): Place, quiet: u64) -> Stopped {
        let here = self.here;
        let way: Vec<u64> = match to > here {
            true => (here + 1..=to - quiet).collect(),
            false => (to + quiet..here).rev().collect(),
        };
        for time in way {
            let stopping = self.meet(time);
            if !stopping.is_empty() {
                return (time, "breakpoint", Some(stopping));
            }
        }
        (to, reason, None)
    }

    /// The breakpoints here are met: those that stop.
    fn meet(&mut self, time: u64) -> Vec<u32> {
        let stand = self.reference.at(time);
        let lies = |spot: Spot| match spot {
            Spot::Line(line) => stand.ours && stand.kind == "line" && stand.line == line,
            Spot::Entry(name) => stand.entry && stand.function == name,
            Spot::Return(name) => stand.ours && stand.kind == "return" && stand.function == name,
            Spot::Argument(name, n) => stand.entry && stand.function == name && stand.arguments.lines().any(|l| l == format!("n = {n}")),
        };
        let mut stopping = Vec::new();
        for point in self.points.iter_mut().filter(|p| p.enabled && lies(p.spot)) {
            point.hits += 1;
            if point.ignore > 0 {
                point.ignore -= 1;
            } else {
                stopping.push(point.id);
            }
        }
        self.points.retain(|p| !(p.temporary && stopping.contains(&p.id)));
        stopping
    }

    fn step(&self, count: u64, forward: bool) -> Stopped {
        let (here, last) = (self.here, self.reference.last());
        match forward {
            true if here + count > last => (last, "history_end", None),
            true => (here + count, "step", None),
            false if count >= here => (1, "history_begin", None),
            false => (here - count, "step", None),
        }
    }

    fn next(&mut self, count: u64, forward: bool) -> Stopped {
        let from = self.here;
        let mut stop = (from, "step", None);
        for _ in 0..count {
            let stand = self.reference.at(self.here);
            let rest = &stand.stack[usize::from(forward && stand.leaves())..];
            let place = self.reference.expected(self.here, if forward { "next" } else { "bnext" }).unwrap();
            // Where no frame has another stop point, it is a step.
            let plain = match forward {
                true => rest.is_empty(),
                false => self.reference.behind(self.here, rest).is_none(),
            };
            stop = if plain { (place.0, place.1, None) } else { self.sweep(place, 0) };
            self.here = stop.0;
            if stop.1 != "step" {
                break;
            }
        }
        self.here = from;
        stop
    }

    fn until(&mut self, line: u64, forward: bool) -> Stopped {
        let (here, reference) = (self.here, self.reference);
        let stand = reference.at(here);
        let fits = |t: &u64| {
            let stand = reference.at(*t);
            stand.ours && stand.kind == "line" && stand.line == line
        };
        if forward {
            let activation = stand.stack.get(usize::from(stand.leaves()));
            let left = activation.and_then(|&a| reference.left(here, a));
            let found = (here + 1..=left.unwrap_or(reference.bound(here))).find(fits);
            return self.sweep(found.or(left).map_or(reference.end(here), |t| (t, "step")), 0);
        }
        // As far back as the frame goes, its yields included; before that, to its call.
        let began = stand
            .stack
            .first()
            .and_then(|a| (1..=here).find(|&t| reference.at(t).stack.contains(a)));
        let began = began.unwrap_or(1);
        let within = (began..here).rev().find(fits);
        let points = self.points.clone();
        let stop = self.sweep((within.unwrap_or(began), "step"), 0);
        if within.is_some() || stop.1 == "breakpoint" {
            return stop;
        }
        self.points = points;
        let before = reference.behind(here, stand.stack.get(1..).unwrap_or_default());
        let (bound, reason) = before.unwrap_or((1, "history_begin"));
        self.sweep((bound..here).rev().find(fits).map_or((bound, reason), |t| (t, "step")), 0)
    }

    fn switch(&mut self, thread: Option<u64>, forward: bool) -> Stopped {
        let (here, reference) = (self.here, self.reference);
        let at = |t: u64| reference.at(t).thread;
        let fits = |t: u64| thread.is_none_or(|w| w == at(t));
        if forward {
            let found = (here + 1..=reference.bound(here)).find(|&t| at(t) != at(t - 1) && fits(t));
            return self.sweep(found.map_or(reference.end(here), |t| (t, "thread_switch")), 0);
        }
        let found = (1..here).rev().find(|&t| at(t) != at(t + 1) && fits(t));
        match found {
            Some(t) => self.sweep((t, "thread_switch"), 1),
            None => self.sweep((1, "history_begin"), 0),
        }
    }
}

/// When, why, at which breakpoints.
type Stopped = (u64, &'static str, Option<Vec<u32>>);
