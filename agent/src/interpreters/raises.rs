//! Exceptions noted over the whole of a run: interpreters follow one another, each with times and classes of its own.

use super::Host;
use super::cpython::Stops;
use alloc::vec::Vec;
use rdb_protocol::Time;
use rdb_protocol::replay::{Entry, Raise, Raises};

impl Host {
    /// Only in a process that is thrown away: notes exceptions from now on, or calls of a function written in C.
    pub fn note_raises(&mut self, tracked: Vec<u64>, calls: Option<Entry>) {
        if let Some(s) = self.stops() {
            s.note_raises(&tracked, calls);
        }
        self.noting = Some((tracked, calls));
    }

    /// The exceptions noted since the last call, in times of all interpreters.
    pub fn take_raises(&mut self) -> Raises {
        self.keep_raises();
        let all = &mut self.raised;
        Raises {
            raised: core::mem::take(&mut all.raised),
            uncaught: core::mem::take(&mut all.uncaught),
            told: core::mem::take(&mut all.told),
            sites: all.sites.clone(),
            classes: all.classes.clone(),
            codes: all.codes.clone(),
        }
    }

    /// Takes what was noted out of the interpreter there is.
    pub(super) fn keep_raises(&mut self) {
        let before = self.before;
        let Some(new) = self.stops().map(Stops::take_raises) else { return };
        let kept = &mut self.raised;
        let classes: Vec<u32> = new
            .classes
            .into_iter()
            .map(|names| {
                let known = kept.classes.iter().position(|n| *n == names);
                let index = known.unwrap_or_else(|| {
                    kept.classes.push(names);
                    kept.classes.len() - 1
                });
                u32::try_from(index).unwrap_or(u32::MAX)
            })
            .collect();
        let of_all = |r: Raise| Raise {
            time: Time(before + r.time.0),
            class: classes.get(r.class as usize).copied().unwrap_or(u32::MAX),
        };
        let sites: Vec<u32> = new
            .sites
            .into_iter()
            .map(|site| {
                let known = kept.sites.iter().position(|s| *s == site);
                let index = known.unwrap_or_else(|| {
                    kept.sites.push(site);
                    kept.sites.len() - 1
                });
                u32::try_from(index).unwrap_or(u32::MAX)
            })
            .collect();
        let told = new
            .told
            .into_iter()
            .map(|(text, site)| (text, sites.get(site as usize).copied().unwrap_or(u32::MAX)));
        kept.told.extend(told);
        kept.raised.extend(new.raised.into_iter().map(of_all));
        kept.uncaught.extend(new.uncaught.into_iter().map(of_all));
        for code in new.codes {
            if let Err(at) = kept.codes.binary_search(&code) {
                kept.codes.insert(at, code);
            }
        }
    }
}
