//! The reference that moves are held against: one linear run of `frames.py`, by steps alone, gives all stop points with their stacks.
//! Where a move must lead is then arithmetic.

use super::support::{Sandbox, program};
use super::travel::last_time;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// A stop point of the reference.
pub struct Stand {
    /// The activations on the stack, innermost first: numbers that are used once.
    pub stack: Vec<usize>,
    pub kind: String,
    /// It only hands through what an inner `await` or `yield from` waits for.
    pub suspension: bool,
    /// Whether it lies in the program's own file.
    pub ours: bool,
    pub line: u64,
    pub function: String,
    pub thread: u64,
    /// Whether it is the first of a function of the program.
    pub entry: bool,
    /// What `args` says there.
    pub arguments: String,
}

impl Stand {
    pub fn leaves(&self) -> bool {
        self.kind == "return" || self.kind == "unwind"
    }
}

pub struct Reference {
    pub stands: Vec<Stand>,
    pub main_done: u64,
}

/// Where a move leads, and the reason told.
pub type Place = (u64, &'static str);

impl Reference {
    pub fn new(sandbox: &mut Sandbox, trace: &Path) -> Reference {
        let last = last_time(sandbox, trace);
        let source = std::fs::read_to_string(program("frames.py")).unwrap();
        let source: Vec<&str> = source.lines().collect();
        let mut script = vec!["go start".to_string(), "c".into(), "go start".into(), "bt".into(), "args".into()];
        (1..last).for_each(|_| script.extend(["step".to_string(), "bt".into(), "args".into()]));
        let answers = sandbox.batch(trace, &script);
        let main_done = answers[1]["time"].as_u64().unwrap();
        assert_eq!(answers[1]["stop"]["reason"], "main_done");
        let mut ids = Identities::default();
        let stands = answers[2..].chunks(3).map(|three| ids.stand(three, &source));
        Reference {
            stands: stands.collect(),
            main_done,
        }
    }

    pub fn last(&self) -> u64 {
        self.stands.len() as u64
    }

    pub fn at(&self, time: u64) -> &Stand {
        &self.stands[usize::try_from(time).unwrap() - 1]
    }

    pub fn own(&self, time: u64, activation: usize) -> bool {
        let stand = self.at(time);
        stand.stack.first() == Some(&activation) && !stand.suspension
    }

    /// How far a move forward looks.
    pub fn bound(&self, here: u64) -> u64 {
        if here < self.main_done { self.main_done } else { self.last() }
    }

    /// Where a move forward ends that finds nothing.
    pub fn end(&self, here: u64) -> Place {
        match here < self.main_done {
            true => (self.main_done, "main_done"),
            false => (self.last(), "history_end"),
        }
    }

    pub fn ahead(&self, here: u64, stack: &[usize]) -> Place {
        let found = stack
            .iter()
            .find_map(|&id| (here + 1..=self.bound(here)).find(|&t| self.own(t, id)));
        found.map_or_else(|| self.end(here), |time| (time, "step"))
    }

    pub fn behind(&self, here: u64, stack: &[usize]) -> Option<Place> {
        let found = stack.iter().find_map(|&id| (1..here).rev().find(|&t| self.own(t, id)));
        found.map(|time| (time, "step"))
    }

    /// Where an activation is left.
    pub fn left(&self, here: u64, activation: usize) -> Option<u64> {
        (here + 1..=self.bound(here)).find(|&t| self.own(t, activation) && self.at(t).leaves())
    }

    /// Where a move by frames leads; `None`: it is refused.
    pub fn expected(&self, here: u64, command: &str) -> Option<Place> {
        let stand = self.at(here);
        let rest = &stand.stack[usize::from(stand.leaves())..];
        Some(match command {
            "next" if rest.is_empty() && here == self.last() => (here, "history_end"),
            "next" if rest.is_empty() => (here + 1, "step"),
            "next" => self.ahead(here, rest),
            "bnext" => self
                .behind(here, &stand.stack)
                .unwrap_or(if here > 1 { (here - 1, "step") } else { (1, "history_begin") }),
            "finish" => {
                let callers = rest.get(1..).filter(|c| !c.is_empty())?;
                self.left(here, rest[0]).map_or_else(|| self.ahead(here, callers), |t| (t, "step"))
            }
            _ => {
                let callers = stand.stack.get(1..).filter(|c| !c.is_empty())?;
                self.behind(here, callers).unwrap_or((1, "history_begin"))
            }
        })
    }
}

/// Tells activations apart that bear the same name one after the other.
#[derive(Default)]
struct Identities {
    live: HashMap<String, usize>,
    last: usize,
    /// The line each function of the program begins with.
    first_lines: HashMap<String, u64>,
}

impl Identities {
    fn stand(&mut self, answers: &[Value], source: &[&str]) -> Stand {
        let stop = &answers[0]["stop"];
        let kind = stop["kind"].as_str().unwrap().to_owned();
        let frames = answers[1]["frames"].as_array().unwrap();
        let entry = self.begins(stop);
        if entry {
            self.live.remove(frames[0]["id"].as_str().unwrap());
        }
        let stack = frames.iter().map(|f| self.number(f["id"].as_str().unwrap())).collect();
        let ours = stop["file"].as_str().unwrap().ends_with("frames.py");
        let line = stop["line"].as_u64().unwrap();
        let text = usize::try_from(line)
            .unwrap()
            .checked_sub(1)
            .map_or("", |l| source.get(l).copied().unwrap_or(""));
        let suspension = kind == "yield" && ours && (text.contains("await ") || text.contains("yield from"));
        let stand = Stand {
            stack,
            kind,
            suspension,
            ours,
            line,
            function: stop["function"].as_str().unwrap().to_owned(),
            thread: stop["thread"].as_u64().unwrap(),
            entry,
            arguments: answers[2]["text"].as_str().unwrap_or_default().to_owned(),
        };
        if stand.leaves() {
            self.live.remove(frames[0]["id"].as_str().unwrap());
        }
        stand
    }

    /// Functions of the program never come back to the line they begin with.
    fn begins(&mut self, stop: &Value) -> bool {
        let function = stop["function"].as_str().unwrap();
        if !stop["file"].as_str().unwrap().ends_with("frames.py") || function.contains('<') || stop["kind"] != "line" {
            return false;
        }
        let line = stop["line"].as_u64().unwrap();
        *self.first_lines.entry(function.to_owned()).or_insert(line) == line
    }

    fn number(&mut self, id: &str) -> usize {
        if let Some(&known) = self.live.get(id) {
            return known;
        }
        self.last += 1;
        self.live.insert(id.to_owned(), self.last);
        self.last
    }
}
