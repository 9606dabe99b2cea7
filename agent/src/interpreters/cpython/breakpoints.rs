//! Which units of a code object breakpoints stand on.

use super::code::{Asks, Code, Mark};
use crate::sorted::sorted;
use alloc::vec::Vec;
use rdb_protocol::paths::is_suffix;
use rdb_protocol::replay::Breakpoint;
use rdb_protocol::{BreakpointPlace, Time};

/// The marks of `breakpoints` in `code`, ascending.
pub(super) fn marks(breakpoints: &[Breakpoint], code: &Code) -> Vec<(usize, Mark)> {
    let mut all = Vec::new();
    for breakpoint in breakpoints {
        match &breakpoint.place {
            BreakpointPlace::Line { file, line } if is_suffix(file, &code.file) => {
                let starts = (0..code.units.len()).filter(|&i| code.units[i].starts_line() && code.body.lines[i] == Some(*line));
                all.extend(starts.map(|i| {
                    (
                        i,
                        Mark {
                            id: breakpoint.id,
                            asks: Asks::Line,
                        },
                    )
                }));
            }
            BreakpointPlace::Function { name } if *name == code.name || *name == code.qualname => {
                all.extend(code.first_start().map(|i| {
                    (
                        i,
                        Mark {
                            id: breakpoint.id,
                            asks: Asks::Entry,
                        },
                    )
                }));
            }
            BreakpointPlace::Return { name } if *name == code.name || *name == code.qualname => {
                let leaving = (0..code.units.len()).filter(|&i| code.units[i].leaves);
                let mark = Mark {
                    id: breakpoint.id,
                    asks: Asks::Return,
                };
                all.extend(leaving.map(|i| (i, mark)));
            }
            BreakpointPlace::Calls { name } if *name == code.name || *name == code.qualname => {
                let mark = |asks| Mark { id: breakpoint.id, asks };
                let leaving = (0..code.units.len()).filter(|&i| code.units[i].leaves);
                all.extend(leaving.map(|i| (i, mark(Asks::Leave))));
                all.extend(code.first_start().map(|i| (i, mark(Asks::Entry))));
            }
            BreakpointPlace::Outside { files } if !files.contains(&code.file) => {
                let stops = (0..code.units.len()).filter(|&i| code.units[i].starts_line() || code.units[i].leaves);
                let mark = Mark {
                    id: breakpoint.id,
                    asks: Asks::All,
                };
                all.extend(stops.map(|i| (i, mark)));
            }
            _ => {}
        }
    }
    sorted(all)
}

/// The breakpoints hit where one thread runs after another.
pub(super) fn switches(breakpoints: &[Breakpoint], left: u32, running: u32) -> impl Iterator<Item = u32> {
    let is_hit = move |b: &&Breakpoint| match b.place {
        BreakpointPlace::Switch { from, to } => from.is_none_or(|t| t == left) && to.is_none_or(|t| t == running),
        _ => false,
    };
    breakpoints.iter().filter(is_hit).map(|b| b.id)
}

/// All times at which breakpoints stand, ascending.
pub(super) fn times(breakpoints: &[Breakpoint]) -> Vec<u64> {
    let times = |b: &Breakpoint| match &b.place {
        BreakpointPlace::Times { times } => times.iter().map(|t| t.0).collect(),
        _ => Vec::new(),
    };
    let mut all: Vec<u64> = breakpoints.iter().flat_map(times).collect();
    all.sort_unstable();
    all
}

/// The breakpoints that stand at a time.
pub(super) fn at_time(breakpoints: &[Breakpoint], time: u64) -> impl Iterator<Item = u32> {
    let is_hit = move |b: &&Breakpoint| match &b.place {
        BreakpointPlace::Times { times } => times.binary_search(&Time(time)).is_ok(),
        _ => false,
    };
    breakpoints.iter().filter(is_hit).map(|b| b.id)
}
