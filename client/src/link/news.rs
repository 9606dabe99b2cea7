//! What other clients have done to what a session shares with them.

use rdb_protocol::client::{Bookmark, BreakpointInfo, OutputLine, Stop};
use std::collections::BTreeMap;

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The cursor was moved here.
    Moved {
        /// Where to.
        stop: Box<Stop>,
        /// A move of this session's came after it.
        superseded: bool,
    },
    /// The cursor was moved over these lines of output.
    Output(Vec<OutputLine>),
    /// Breakpoints were set, changed or deleted.
    Breakpoints {
        /// Those set.
        set: Vec<BreakpointInfo>,
        /// Those changed.
        changed: Vec<u32>,
        /// Those deleted.
        deleted: Vec<u32>,
    },
    /// Bookmarks were changed: all there are now.
    Bookmarks(Vec<Bookmark>),
    /// The daemon was told to end.
    Closing,
}

impl News {
    /// What is different between two lists of breakpoints; `None` where that is nothing a user would notice.
    pub(super) fn of_breakpoints(before: &BTreeMap<u32, BreakpointInfo>, now: &BTreeMap<u32, BreakpointInfo>) -> Option<News> {
        let differs = |a: &BreakpointInfo, b: &BreakpointInfo| {
            // Hits, hits passed over and evaluations change by searches, too.
            (&a.condition, a.enabled, &a.commands) != (&b.condition, b.enabled, &b.commands)
        };
        let set: Vec<_> = now.values().filter(|b| !before.contains_key(&b.id)).cloned().collect();
        let changed: Vec<u32> = now
            .values()
            .filter(|b| before.get(&b.id).is_some_and(|a| differs(a, b)))
            .map(|b| b.id)
            .collect();
        let deleted: Vec<u32> = before.keys().filter(|id| !now.contains_key(id)).copied().collect();
        let any = !(set.is_empty() && changed.is_empty() && deleted.is_empty());
        any.then_some(News::Breakpoints { set, changed, deleted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_protocol::BreakpointPlace;

    #[test]
    fn hits_are_no_news() {
        let info = |id| BreakpointInfo {
            id,
            ..BreakpointInfo::new(BreakpointPlace::Uncaught)
        };
        let list = |all: &[BreakpointInfo]| all.iter().map(|b| (b.id, b.clone())).collect::<BTreeMap<_, _>>();
        let before = list(&[info(1), info(2), info(3)]);
        let hit = BreakpointInfo {
            hits: 7,
            ignore: 1,
            ..info(3)
        };
        let off = BreakpointInfo { enabled: false, ..info(2) };
        assert_eq!(News::of_breakpoints(&before, &list(&[info(1), info(2), hit.clone()])), None);
        assert_eq!(
            News::of_breakpoints(&before, &list(&[off, hit, info(4)])),
            Some(News::Breakpoints {
                set: vec![info(4)],
                changed: vec![2],
                deleted: vec![1]
            })
        );
    }
}
