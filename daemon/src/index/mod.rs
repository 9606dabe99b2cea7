//! The hit index: for each stretch of the run what it came through, as the survey has noted it. It says where a search need not look.
//!
//! It is advice that is never wrong in one direction: a stretch it leaves out holds nothing of what is searched for. What it does not
//! know it does not leave out.

mod candidates;
mod matching;

pub(crate) use candidates::Candidates;

use matching::Wanted;
use rdb_protocol::replay::{Breakpoint, Follow, Passing};
use rdb_protocol::stretch::{Function, Site, Stack, Stretch};
use rdb_protocol::{Activation, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// No interpreter's stack is deeper; a file may say anything.
const DEEPEST: usize = 1 << 24;

/// What is known of the stretches up to now. They follow each other without a gap, from the first stop point on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    functions: Vec<Function>,
    /// By number; their functions are those above.
    sites: Vec<Site>,
    stretches: Vec<Passed>,
    /// Numbers of functions and sites. Not kept on disk: [`Index::recall`].
    #[serde(skip)]
    numbers: Numbers,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Numbers {
    functions: HashMap<Function, u32>,
    sites: HashMap<Site, u32>,
}

/// A stretch, without the stop point at which it begins, with that at which it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Passed {
    end: Time,
    whole: bool,
    /// Numbers of sites, ascending: each one's difference to the one before, in groups of seven bits.
    sites: Vec<u8>,
    stacks: Vec<Stack>,
    lost: Vec<u32>,
    /// What was known of stacks does not hold any more.
    anew: bool,
}

impl Index {
    /// The last stop point known of; zero where none is.
    pub(crate) fn end(&self) -> Time {
        self.stretches.last().map_or(Time::BEGIN, |s| s.end)
    }

    /// The beginning or end of a stretch that is nearest to `time`.
    pub(crate) fn boundary_near(&self, time: Time) -> Option<Time> {
        let after = self.stretches.partition_point(|s| s.end < time);
        let around = after.saturating_sub(1)..(after + 1).min(self.stretches.len());
        let ends = self.stretches.get(around).unwrap_or_default();
        ends.iter().map(|s| s.end).min_by_key(|end| end.0.abs_diff(time.0))
    }

    /// Bytes it takes, about.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.stretches
            .iter()
            .map(|s| 64 + s.sites.len() + s.stacks.iter().map(|k| 32 + 16 * k.entered.len()).sum::<usize>())
            .sum()
    }

    /// Whoever tells what is passed stands at `time`, and has told of stacks what it knows there: the next stretch begins here.
    pub(crate) fn begin(&mut self, time: Time, told: Stretch) {
        self.stretches.retain(|s| s.end <= time);
        self.push(time, told, true);
    }

    /// What was passed on the way to `end`, since the last stretch.
    pub(crate) fn add(&mut self, end: Time, told: Stretch) {
        self.push(end, told, false);
    }

    fn push(&mut self, end: Time, told: Stretch, anew: bool) {
        self.recall();
        let functions: Vec<u32> = told.functions.into_iter().map(|f| self.function(f)).collect();
        let mut numbers = Vec::with_capacity(told.sites.len());
        for site in told.sites {
            // A site of a function that was not told: then nothing is known.
            let Some(&function) = functions.get(site.function as usize) else {
                continue;
            };
            numbers.push(self.site(Site { function, ..site }));
        }
        numbers.sort_unstable();
        numbers.dedup();
        self.stretches.push(Passed {
            end,
            whole: told.whole && !anew,
            sites: pack(&numbers),
            stacks: told.stacks,
            lost: told.lost,
            anew,
        });
    }

    /// The numbers of functions and sites again, after it came from disk.
    fn recall(&mut self) {
        if self.numbers.functions.len() == self.functions.len() && self.numbers.sites.len() == self.sites.len() {
            return;
        }
        let number = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
        self.numbers = Numbers {
            functions: self.functions.iter().cloned().enumerate().map(|(i, f)| (f, number(i))).collect(),
            sites: self.sites.iter().enumerate().map(|(i, &s)| (s, number(i))).collect(),
        };
    }

    fn function(&mut self, function: Function) -> u32 {
        let next = u32::try_from(self.functions.len()).unwrap_or(u32::MAX);
        *self.numbers.functions.entry(function).or_insert_with_key(|f| {
            self.functions.push(f.clone());
            next
        })
    }

    fn site(&mut self, site: Site) -> u32 {
        let next = u32::try_from(self.sites.len()).unwrap_or(u32::MAX);
        *self.numbers.sites.entry(site).or_insert_with(|| {
            self.sites.push(site);
            next
        })
    }

    /// The stretches in which one of these breakpoints may be hit, or the activation followed may have a stop point of its own, begin or
    /// end.
    pub(crate) fn candidates(&self, breakpoints: &[Breakpoint], follow: Option<Follow>) -> Candidates {
        let wanted = Wanted::of(breakpoints, &self.functions, &self.sites);
        let mut stacks = Stacks::default();
        let mut begin = Time::BEGIN;
        let mut found = Candidates::default();
        for passed in &self.stretches {
            let may = !passed.whole
                || wanted.may_be_in(begin, passed.end, unpack(&passed.sites))
                || follow.is_some_and(|f| stacks.may(passed, f));
            found.push(begin, passed.end, may);
            if follow.is_some() {
                stacks.apply(passed);
            }
            begin = passed.end;
        }
        found
    }
}

/// The stacks at the beginning of a stretch, as far as they are known.
#[derive(Debug, Default)]
struct Stacks(HashMap<u32, Vec<Activation>>);

impl Stacks {
    /// Whether the activation followed may have done anything in this stretch.
    fn may(&self, passed: &Passed, follow: Follow) -> bool {
        let there = |(thread, stack): (&u32, &Vec<Activation>)| Some((*thread, stack.iter().position(|a| *a == follow.activation)?));
        let Some((thread, place)) = self.0.iter().find_map(there) else {
            return true;
        };
        if passed.lost.contains(&thread) {
            return true;
        }
        let Some(change) = passed.stacks.iter().find(|s| s.thread == thread) else {
            // The thread did not run.
            return false;
        };
        let kept = change.kept as usize;
        match follow.passing {
            Passing::End => place >= kept,
            // While what it has called is there, it waits.
            Passing::Any => place + 1 >= kept,
        }
    }

    fn apply(&mut self, passed: &Passed) {
        if passed.anew {
            self.0.clear();
        }
        for thread in &passed.lost {
            self.0.remove(thread);
        }
        for change in &passed.stacks {
            let stack = self.0.entry(change.thread).or_default();
            // What is not known is no one's activation.
            stack.resize((change.kept as usize).min(DEEPEST), Activation::default());
            stack.extend(&change.entered);
        }
    }
}

/// Ascending numbers by their differences.
fn pack(numbers: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() + 8);
    let mut last = 0;
    for &number in numbers {
        let mut rest = number - last;
        last = number;
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
    }
    bytes
}

/// The numbers again; of damaged ones something.
fn unpack(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (mut last, mut at) = (0_u32, 0);
    std::iter::from_fn(move || {
        let (mut rest, mut shift) = (0_u32, 0);
        loop {
            let byte = *bytes.get(at)?;
            at += 1;
            rest |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                last = last.wrapping_add(rest);
                return Some(last);
            }
        }
    })
}

#[cfg(test)]
mod tests;
