//! What writer and reader both remember, so that an event is told by its difference to an earlier one.
//!
//! A *site* is a place in a thread that makes events: the same kind of event, number and instruction address. Its previous event
//! is the best guess at its next one, and the site that followed it last time the best guess at what follows now. Both sides make
//! the same changes in the same order, so neither has to say what it remembers.

use crate::event::{Fixed, Kind};
use alloc::vec;
use alloc::vec::Vec;

/// Sites remembered. A program has a few dozen a thread; the table is memory every replay process holds.
const COUNT: usize = 512;
/// Words of a small effect that are remembered.
pub(crate) const WORDS: usize = 4;

/// One site and its latest event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) event: Fixed,
    /// The latest small effect's words.
    pub(crate) words: [u64; WORDS],
    /// The latest explicit target of an effect.
    pub(crate) target: u64,
    pub(crate) next: u16,
}

const EMPTY: Site = Site {
    event: Fixed {
        kind: Kind::Start,
        flags: 0,
        thread: u16::MAX,
        nr: 0,
        ret: 0,
        rip: 0,
        rsp: 0,
        args: [0; 6],
        registers: 0,
    },
    words: [0; WORDS],
    target: 0,
    next: 0,
};

impl Site {
    fn same_place(&self, e: &Fixed) -> bool {
        let s = &self.event;
        s.rip == e.rip && s.nr == e.nr && s.thread == e.thread && s.kind == e.kind && s.flags == e.flags
    }
}

/// All sites.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    table: Vec<Site>,
    last: usize,
}

impl Sites {
    pub(crate) fn new() -> Sites {
        Sites {
            table: vec![EMPTY; COUNT],
            last: 0,
        }
    }

    /// Where an event of this place belongs.
    pub(crate) fn slot(e: &Fixed) -> usize {
        let place = e.rip ^ u64::from(e.nr) << 48 ^ u64::from(e.thread) << 32 ^ (e.kind as u64) << 60;
        (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 55) as usize % COUNT
    }

    /// Whether the slot's latest event was at the same place.
    pub(crate) fn knows(&self, slot: usize, e: &Fixed) -> bool {
        self.table[slot].same_place(e)
    }

    /// The slot the next event is expected in.
    pub(crate) fn expected(&self) -> usize {
        usize::from(self.table[self.last].next) % COUNT
    }

    /// A slot's site; `None` when there can be no such slot.
    pub(crate) fn get(&self, slot: usize) -> Option<&Site> {
        self.table.get(slot)
    }

    /// The latest event.
    pub(crate) fn latest(&self) -> &Fixed {
        &self.table[self.last].event
    }

    /// What a place that is not known is compared with.
    pub(crate) fn stranger(&self) -> Site {
        let latest = &self.table[self.last];
        Site {
            event: latest.event,
            words: [0; WORDS],
            target: latest.target,
            next: 0,
        }
    }

    /// Remembers an event.
    pub(crate) fn put(&mut self, slot: usize, site: Site) {
        self.table[slot] = site;
        self.table[self.last].next = slot as u16;
        self.last = slot;
    }

    /// The site just put.
    pub(crate) fn current(&mut self) -> &mut Site {
        &mut self.table[self.last]
    }
}
