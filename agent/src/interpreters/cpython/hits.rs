//! Which breakpoints stand at a stop point.

use super::breakpoints;
use super::code::Asks;
use super::stops::{Stop, Stops};
use crate::sorted::sorted;
use alloc::vec::Vec;
use rdb_protocol::StopKind;

impl Stops {
    pub(super) fn hits(&self, stop: &Stop) -> Vec<u32> {
        let mut ids = self.line_hits(stop);
        if let Some(left) = stop.switched_from {
            ids.extend(breakpoints::switches(&self.breakpoints, left, self.stood));
        }
        ids.extend(breakpoints::at_time(&self.breakpoints, self.time()));
        ids.extend(self.changed(stop));
        ids = sorted(ids);
        ids.dedup();
        ids
    }

    fn line_hits(&self, stop: &Stop) -> Vec<u32> {
        let Some(code) = self.codes.get(&stop.code).filter(|code| !code.marks.is_empty()) else {
            return Vec::new();
        };
        // An exception leaves a frame from where no other stop point may be.
        if matches!(stop.kind, StopKind::Yield | StopKind::Unwind) {
            let all = code.marks.iter().filter(|m| matches!(m.1.asks, Asks::All | Asks::Leave));
            let mut ids: Vec<u32> = all.map(|m| m.1.id).collect();
            ids = sorted(ids);
            ids.dedup();
            return ids;
        }
        // An entry has come straight from the entry RESUME, whatever loops lead here later.
        let entered = self
            .previous(stop.frame, code)
            .is_some_and(|p| (code.entry..stop.unit).contains(&p));
        let here = code.marks.iter().filter(|m| m.0 == stop.unit).filter(|m| match m.1.asks {
            Asks::Line => stop.kind == StopKind::Line,
            Asks::Entry => stop.kind == StopKind::Line && (entered || stop.second_half),
            Asks::Return | Asks::Leave => stop.kind == StopKind::Return,
            Asks::All => true,
        });
        let mut ids: Vec<u32> = here.map(|m| m.1.id).collect();
        ids = sorted(ids);
        ids.dedup();
        ids
    }
}
