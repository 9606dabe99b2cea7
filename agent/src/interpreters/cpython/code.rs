//! What is known of a code object: decoded once, when its first instruction is dispatched.

use super::layout::Layout;
use super::lines::{Handler, handlers, lines};
use super::objects::{bytes, text};
use super::rules::{self, Unit};
use crate::memory::get;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use rdb_protocol::replay::Passing;

/// A code object.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) address: u64,
    pub(super) file: String,
    pub(super) name: String,
    pub(super) qualname: String,
    pub(super) first_line: u32,
    /// The unit of the entry `RESUME`.
    pub(super) entry: usize,
    pub(super) body: Body,
    pub(super) units: Vec<Unit>,
    /// Breakpoints, by unit, ascending.
    pub(super) marks: Vec<(usize, Mark)>,
    /// An activation of it is followed: its own stop points ask.
    pub(super) followed: Option<Passing>,
    /// Its own stop points are noted, for the exceptions it raises.
    pub(super) tracked: bool,
    /// Its variables are watched: the opcode that stores them.
    pub(super) stores: Option<u8>,
    /// Units not dispatched yet in this stretch of the run ([`super::stretch`]); empty where that is not wanted.
    pub(super) fresh: Vec<bool>,
}

/// The instructions of a code object, and their tables.
#[derive(Debug)]
pub(super) struct Body {
    /// Where the units begin.
    pub(super) start: u64,
    /// Line of each unit.
    pub(super) lines: Vec<Option<u32>>,
    /// Generic opcode of each unit; `None` for inline caches.
    pub(super) ops: Vec<Option<u8>>,
    /// Target of each jump, by unit.
    pub(super) targets: Vec<(usize, usize)>,
    pub(super) handlers: Vec<Handler>,
}

/// A breakpoint at a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) id: u32,
    /// What of it.
    pub(super) asks: Asks,
}

/// What a breakpoint asks for at its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asks {
    /// The line that starts there.
    Line,
    /// Entries of the function.
    Entry,
    /// The return that it is.
    Return,
    /// All stop points of the code.
    All,
    /// Those that leave it, for good or for a while.
    Leave,
}

impl Code {
    /// Reads the code object at `address`.
    pub(super) fn read(layout: &Layout, address: u64) -> Self {
        let first_line: i32 = get(address + layout.co_firstlineno);
        let entry = usize::try_from(get::<i32>(address + layout.co_firsttraceable)).unwrap_or(0);
        let body = Body::read(layout, address, first_line);
        let units = rules::classify(layout, &body, entry, first_line);
        Self {
            address,
            file: text(layout, get(address + layout.co_filename)),
            name: text(layout, get(address + layout.co_name)),
            qualname: text(layout, get(address + layout.co_qualname)),
            first_line: u32::try_from(first_line).unwrap_or(0),
            entry,
            body,
            units,
            marks: Vec::new(),
            followed: None,
            tracked: false,
            stores: None,
            fresh: Vec::new(),
        }
    }

    /// No unit was dispatched yet.
    pub(super) fn freshen(&mut self) {
        self.fresh = vec![true; self.units.len()];
    }

    /// The unit at `instruction`.
    pub(super) fn unit(&self, instruction: u64) -> Option<usize> {
        self.body.unit(instruction)
    }

    /// The cleanup handler that the reraising instruction at `unit` ends.
    pub(super) fn cleanup(&self, unit: usize) -> Option<Handler> {
        let before = self.body.handlers.iter().filter(|h| h.target <= unit && h.lasti);
        before.max_by_key(|h| h.target).copied()
    }

    /// Lines a breakpoint can stand on, ascending.
    pub(super) fn breakable(&self) -> Vec<u32> {
        let starts = self.units.iter().zip(&self.body.lines).filter(|(unit, _)| unit.starts_line());
        let mut all: Vec<u32> = starts.filter_map(|(_, line)| *line).collect();
        all = crate::sorted::sorted(all);
        all.dedup();
        all
    }

    /// The first unit behind the entry that can start a line.
    pub(super) fn first_start(&self) -> Option<usize> {
        (self.entry + 1..self.units.len()).find(|&i| self.units[i].starts_line())
    }
}

impl Body {
    fn read(layout: &Layout, address: u64, first_line: i32) -> Self {
        let count = usize::try_from(get::<u64>(address + 16).min(1 << 24)).unwrap_or(0);
        let start = address + layout.co_code;
        let table = bytes(get(address + layout.co_linetable));
        let mut body = Self {
            start,
            lines: lines(&table, first_line, count),
            ops: Vec::with_capacity(count),
            targets: Vec::new(),
            handlers: handlers(&bytes(get(address + layout.co_exceptiontable))),
        };
        body.decode(layout, address, count);
        body
    }

    fn decode(&mut self, layout: &Layout, address: u64, count: usize) {
        let opcodes = &layout.opcodes;
        let mut extension = 0;
        while self.ops.len() < count {
            let at = self.ops.len();
            let op = generic(layout, address, self.start, at);
            let argument = extension << 8 | usize::from(get::<u8>(self.start + 2 * at as u64 + 1));
            let next = (at + 1 + opcodes.caches(op)).min(count);
            if let Some(jump) = opcodes.jump(op) {
                let target = if jump.backward {
                    next.checked_sub(argument)
                } else {
                    Some(next + argument)
                };
                self.targets.extend(target.filter(|&t| t < count).map(|t| (at, t)));
            }
            extension = if op == opcodes.extended_arg { argument } else { 0 };
            self.ops.push(Some(op));
            self.ops.resize(next, None);
        }
    }

    /// The unit at `instruction`.
    pub(super) fn unit(&self, instruction: u64) -> Option<usize> {
        let index = usize::try_from(instruction.checked_sub(self.start)? / 2).ok()?;
        (index < self.ops.len()).then_some(index)
    }

    /// The generic opcode of `unit`; `None` inside an inline cache.
    pub(super) fn op(&self, unit: usize) -> Option<u8> {
        self.ops.get(unit).copied().flatten()
    }

    /// Where the jump at `unit` goes.
    pub(super) fn target(&self, unit: usize) -> Option<usize> {
        self.targets.binary_search_by_key(&unit, |t| t.0).ok().map(|i| self.targets[i].1)
    }

    /// Where an exception raised at `unit` is handled.
    pub(super) fn handler(&self, unit: usize) -> Option<Handler> {
        self.handlers.iter().copied().find(|h| (h.start..h.end).contains(&unit))
    }
}

/// The generic opcode of a unit, looking behind the program's own instrumentation (from 3.12 on).
fn generic(layout: &Layout, address: u64, start: u64, unit: usize) -> u8 {
    let opcodes = &layout.opcodes;
    let mut op: u8 = get(start + 2 * unit as u64);
    if let Some(monitoring) = layout.co_monitoring.map(|offset| get::<u64>(address + offset)).filter(|&m| m != 0) {
        let lines: u64 = get(monitoring + layout.monitoring_lines);
        if Some(op) == opcodes.instrumented_line && lines != 0 {
            op = get(lines + 2 * unit as u64);
        }
        let instructions: u64 = get(monitoring + layout.monitoring_instructions);
        if Some(op) == opcodes.instrumented_instruction && instructions != 0 {
            op = get(instructions + unit as u64);
        }
    }
    opcodes.family(op)
}
