//! Which sites breakpoints can be hit at.

use rdb_protocol::replay::Breakpoint;
use rdb_protocol::stretch::{Function, Site};
use rdb_protocol::{BreakpointPlace, Time, paths};

/// What is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// By number of the site.
    sites: Vec<bool>,
    /// Ascending.
    times: Vec<Time>,
    /// It may be anywhere.
    anywhere: bool,
}

impl Wanted {
    pub(super) fn of(breakpoints: &[Breakpoint], functions: &[Function], sites: &[Site]) -> Wanted {
        let mut wanted = Wanted {
            sites: vec![false; sites.len()],
            times: Vec::new(),
            anywhere: false,
        };
        for breakpoint in breakpoints {
            wanted.add(&breakpoint.place, functions, sites);
        }
        wanted.times.sort_unstable();
        wanted
    }

    fn add(&mut self, place: &BreakpointPlace, functions: &[Function], sites: &[Site]) {
        let named = |name: &str, f: &Function| f.name == name || f.qualname == name;
        match place {
            BreakpointPlace::Line { file, line } => {
                let mut here: Vec<bool> = Vec::with_capacity(functions.len());
                here.extend(functions.iter().map(|f| paths::is_suffix(file, &f.file)));
                self.mark(sites, |s| s.kinds & Site::LINE != 0 && s.line == *line && here[s.function as usize]);
            }
            BreakpointPlace::Function { name } => self.of_functions(functions, sites, Site::ENTRY, |f| named(name, f)),
            BreakpointPlace::Return { name } => self.of_functions(functions, sites, Site::LEAVES, |f| named(name, f)),
            BreakpointPlace::Calls { name } => {
                let kinds = Site::ENTRY | Site::LEAVES | Site::UNWINDS;
                self.of_functions(functions, sites, kinds, |f| named(name, f));
            }
            BreakpointPlace::Outside { files } => self.of_functions(functions, sites, u8::MAX, |f| !files.contains(&f.file)),
            BreakpointPlace::Times { times } => self.times.extend(times),
            // A switch of threads is not noted; the others are looked up elsewhere, and come here as times.
            BreakpointPlace::Switch { .. }
            | BreakpointPlace::Output { .. }
            | BreakpointPlace::Value { .. }
            | BreakpointPlace::Raise { .. }
            | BreakpointPlace::Uncaught
            | BreakpointPlace::Native { .. } => self.anywhere = true,
        }
    }

    fn of_functions(&mut self, functions: &[Function], sites: &[Site], kinds: u8, is_meant: impl Fn(&Function) -> bool) {
        let meant: Vec<bool> = functions.iter().map(is_meant).collect();
        self.mark(sites, |s| s.kinds & kinds != 0 && meant[s.function as usize]);
    }

    fn mark(&mut self, sites: &[Site], is_meant: impl Fn(&Site) -> bool) {
        for (wanted, site) in self.sites.iter_mut().zip(sites) {
            *wanted |= is_meant(site);
        }
    }

    /// Whether one may be behind `begin` and up to `end`, in a stretch of these sites.
    pub(super) fn may_be_in(&self, begin: Time, end: Time, mut sites: impl Iterator<Item = u32>) -> bool {
        let timed = || {
            let next = self.times.partition_point(|&t| t <= begin);
            self.times.get(next).is_some_and(|&t| t <= end)
        };
        self.anywhere || timed() || sites.any(|s| self.sites.get(s as usize).copied().unwrap_or(true))
    }
}
