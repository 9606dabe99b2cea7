//! What the program comes through between two questions: which lines, which functions, and how far down each stack was unwound.
//!
//! Whoever searches for a breakpoint, or for the end of an activation, need not look where this says that there is none.
//!
//! Which units were passed costs the fast path nothing: in each stretch a unit asks the slow path until it was dispatched once. More
//! may be told than was a stop point, never less.
//!
//! How far a stack was unwound is told by a watermark, the frame of the innermost activation that is still to be left: the stubs of
//! instructions that leave a frame compare it. Activations end from the inside, so those outside of it have not been left; what is
//! left without a stop point is not on a stack (a generator that nobody asks any more). An exception leaves a frame before it is gone:
//! finalizers may run in between, and such a frame would be waited for in vain. So a frame that was unwound counts no more while it is there.

use super::code::Code;
use super::marking::mark_of;
use super::stops::{Stop, Stops};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use rdb_protocol::stretch::{Function, Site, Stack, Stretch};
use rdb_protocol::{Activation, StopKind};

/// What was passed so far.
#[derive(Debug, Default)]
pub(super) struct Passages {
    stretch: Stretch,
    /// Index of each code object's function, by its address.
    functions: BTreeMap<u64, u32>,
    /// The units that ask no more.
    passed: Vec<(u64, usize)>,
    unwound: BTreeSet<u64>,
    stacks: Vec<Known>,
    /// Frames that exceptions have left, and the threads.
    left: BTreeSet<(u32, u64)>,
}

/// The stack of a thread, as it was when the stretch began.
#[derive(Debug)]
struct Known {
    thread: u32,
    /// From the outermost on.
    activations: Vec<Activation>,
    /// How many of them have not been left.
    kept: usize,
    /// The thread ran.
    ran: bool,
}

impl Known {
    fn watermark(&self) -> u64 {
        self.kept
            .checked_sub(1)
            .and_then(|i| self.activations.get(i))
            .map_or(0, |a| a.frame)
    }
}

impl Passages {
    fn of_thread(&mut self, thread: u32) -> &mut Known {
        let at = self.stacks.iter().position(|s| s.thread == thread).unwrap_or_else(|| {
            self.stacks.push(Known {
                thread,
                activations: Vec::new(),
                kept: 0,
                ran: false,
            });
            self.stacks.len() - 1
        });
        &mut self.stacks[at]
    }

    fn function(&mut self, code: &Code) -> u32 {
        let functions = &mut self.stretch.functions;
        *self.functions.entry(code.address).or_insert_with(|| {
            functions.push(Function {
                file: code.file.clone(),
                name: code.name.clone(),
                qualname: code.qualname.clone(),
            });
            functions.len() as u32 - 1
        })
    }

    fn pass(&mut self, code: &Code, unit: usize) {
        let what = code.units[unit];
        let kind = |is: bool, kind: u8| if is { kind } else { 0 };
        let kinds =
            kind(what.starts_line(), Site::LINE) | kind(code.first_start() == Some(unit), Site::ENTRY) | kind(what.leaves, Site::LEAVES);
        let function = self.function(code);
        self.stretch.sites.push(Site {
            function,
            line: code.body.lines.get(unit).copied().flatten().unwrap_or(0),
            kinds,
        });
        self.passed.push((code.address, unit));
    }

    /// A code object is gone; another one may come to be where it was.
    pub(super) fn forget(&mut self, code: u64) {
        self.functions.remove(&code);
        self.unwound.remove(&code);
        self.passed.retain(|p| p.0 != code);
    }
}

impl Stops {
    /// What was passed since the last call, from the first on. A stack is known where the program stands at a stop point.
    pub fn take_stretch(&mut self, threads: &[(u32, u64)]) -> Stretch {
        let whole = self.passages.is_some();
        let mut passages = self.passages.take().unwrap_or_default();
        self.end_stacks(&mut passages, threads);
        let mut stretch = core::mem::take(&mut passages.stretch);
        stretch.whole = whole;
        stretch.sites = crate::sorted::sorted(stretch.sites);
        stretch.sites.dedup();
        passages.functions.clear();
        passages.unwound.clear();
        if whole {
            for (address, unit) in core::mem::take(&mut passages.passed) {
                let Some(code) = self.codes.get_mut(&address) else { continue };
                code.fresh[unit] = true;
                self.stubs.set_mark(code.body.start + 2 * unit as u64, mark_of(code, unit));
            }
        } else {
            let all: Vec<u64> = self.codes.keys().copied().collect();
            for address in all {
                self.codes.entry(address).and_modify(Code::freshen);
                self.mark_units(address);
            }
        }
        self.mark_late();
        let running = self.running;
        self.stubs.set_watermark(passages.of_thread(running).watermark());
        passages.of_thread(running).ran = true;
        self.passages = Some(passages);
        stretch
    }

    /// The stacks of the threads that ran, by number and fs base.
    fn end_stacks(&mut self, passages: &mut Passages, threads: &[(u32, u64)]) {
        let mut left = core::mem::take(&mut passages.left);
        let running = self.running;
        passages.of_thread(running).ran = true;
        for known in passages.stacks.iter_mut().filter(|k| k.ran) {
            known.ran = false;
            let fs = threads.iter().find(|t| t.0 == known.thread).map(|t| t.1);
            let innermost = match (self.stop, fs) {
                (Some(stop), _) if known.thread == running => Some(stop.frame),
                (Some(_), Some(fs)) => self.thread_with(fs).map(|t| self.innermost(t)),
                _ => None,
            };
            let Some(innermost) = innermost else {
                known.activations.clear();
                known.kept = 0;
                left.retain(|l| l.0 != known.thread);
                passages.stretch.lost.push(known.thread);
                continue;
            };
            let mut now = self.activations(innermost);
            left.retain(|l| l.0 != known.thread || now.iter().any(|a| a.frame == l.1));
            // A stop point that leaves its frame has been passed.
            let leaving =
                |frame| left.contains(&(known.thread, frame)) || self.stop.is_some_and(|s| s.frame == frame && s.kind != StopKind::Line);
            let going = now.iter().position(|a| leaving(a.frame)).unwrap_or(now.len());
            now.truncate(going);
            let same = now.iter().zip(&known.activations).take_while(|(a, b)| a == b).count();
            let kept = known.kept.min(same);
            passages.stretch.stacks.push(Stack {
                thread: known.thread,
                kept: kept as u32,
                entered: now[kept..].to_vec(),
            });
            known.kept = now.len();
            known.activations = now;
        }
        // Threads that are gone, and never ran again.
        passages.stacks.retain(|k| threads.iter().any(|t| t.0 == k.thread));
        passages.left = left;
    }

    /// An instruction of the code object at `address` is dispatched, and the second half of a pair with it.
    pub(super) fn note_dispatch(&mut self, op: u8, address: u64, instruction: u64) {
        let Some(unit) = self
            .codes
            .get(&address)
            .filter(|c| !c.fresh.is_empty())
            .and_then(|c| c.unit(instruction))
        else {
            return;
        };
        self.note_unit(address, unit);
        if let Some(pair) = self.located.layout.opcodes.fused(op) {
            self.note_unit(address, unit + usize::from(pair.distance));
        }
    }

    fn note_unit(&mut self, address: u64, unit: usize) {
        let (Some(passages), Some(code)) = (&mut self.passages, self.codes.get_mut(&address)) else {
            return;
        };
        if code.fresh.get(unit).copied() != Some(true) {
            return;
        }
        code.fresh[unit] = false;
        passages.pass(code, unit);
        self.stubs.set_mark(code.body.start + 2 * unit as u64, mark_of(code, unit));
        self.mark_late();
    }

    /// A stop point is passed that may leave its frame.
    pub(super) fn note_left(&mut self, stop: &Stop) {
        let Some(passages) = self.passages.as_mut().filter(|_| stop.kind != StopKind::Line) else {
            return;
        };
        if stop.kind == StopKind::Unwind {
            passages.left.insert((self.running, stop.frame));
            if let Some(code) = self.codes.get(&stop.code).filter(|_| passages.unwound.insert(stop.code)) {
                let function = passages.function(code);
                passages.stretch.sites.push(Site {
                    function,
                    line: 0,
                    kinds: Site::UNWINDS,
                });
            }
        }
        let known = passages.of_thread(self.running);
        if known.watermark() == stop.frame && known.kept > 0 {
            known.kept -= 1;
            let watermark = known.watermark();
            self.stubs.set_watermark(watermark);
        }
    }

    /// Another thread runs from now on.
    pub(super) fn note_thread(&mut self, thread: u32) {
        if let Some(passages) = &mut self.passages {
            let known = passages.of_thread(thread);
            known.ran = true;
            let watermark = known.watermark();
            self.stubs.set_watermark(watermark);
        }
    }
}
