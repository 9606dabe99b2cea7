//! Exceptions as rows.

use crate::fault::Fault;
use crate::progress::Task;
use crate::raises::is_called;
use crate::timeline::Timeline;
use rdb_protocol::client::{Query, SomeRows};
use rdb_protocol::replay::{Raise, Raises};
use rdb_protocol::rows::{Head, RowKind, Rows};
use std::sync::Arc;

/// So many bytes of rows are an answer; a recording may have millions of exceptions.
const ENOUGH: usize = 4 << 20;

/// Exceptions that are still to be told.
#[derive(Debug)]
pub(crate) struct Raised {
    all: Arc<Raises>,
    /// Which of them, as their indices, the next one last.
    left: Vec<usize>,
}

impl Timeline {
    /// The exceptions of this class, or of one derived from it.
    pub(crate) fn raised_rows(&mut self, class: Option<&str>, asked: &Query, task: &mut Task<'_>) -> Result<Raised, Fault> {
        // That there are none at all is an answer here.
        let all = self.raises(task)?;
        let wanted = |r: &Raise| {
            asked.from.is_none_or(|t| r.time >= t)
                && asked.to.is_none_or(|t| r.time <= t)
                && class.is_none_or(|c| names(&all, r).iter().any(|n| is_called(n, c)))
        };
        let chosen = all.raised.iter().enumerate().filter(|(_, r)| wanted(r));
        let mut chosen: Vec<_> = chosen.map(|(index, r)| (r.time, index)).collect();
        chosen.sort_unstable();
        chosen.truncate(asked.limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX)));
        let left = chosen.into_iter().rev().map(|(_, index)| index).collect();
        Ok(Raised { all, left })
    }
}

impl Raised {
    /// The next rows.
    pub(crate) fn more(&mut self) -> SomeRows {
        let mut rows = Rows::default();
        while rows.size() < ENOUGH
            && let Some(index) = self.left.pop()
        {
            add(&self.all, index, &mut rows);
        }
        SomeRows {
            rows,
            done: self.left.is_empty(),
            notes: Vec::new(),
        }
    }
}

/// Names of its class and of those that one derives from.
fn names<'a>(all: &'a Raises, raise: &Raise) -> &'a [String] {
    all.classes.get(raise.class as usize).map_or(&[], |names| &names[..])
}

fn add(all: &Raises, index: usize, rows: &mut Rows) {
    let Some(raise) = all.raised.get(index) else { return };
    let (message, site) = all
        .told
        .get(index)
        .map_or(("", None), |t| (t.0.as_str(), all.sites.get(t.1 as usize)));
    let (file, line, function) = site.map_or(("", 0, ""), |s| (s.0.as_str(), s.1, s.2.as_str()));
    let class = names(all, raise).first().map_or("", String::as_str);
    for cell in [class, message, file, &line.to_string(), function] {
        rows.cell(true, cell);
    }
    rows.close(Head {
        time: raise.time,
        thread: 0,
        kind: RowKind::Raise,
        frame: 0,
        depth: 0,
        cells: 5,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_protocol::Time;

    #[test]
    fn very_many_are_several_answers() {
        const COUNT: u64 = 100_000;
        let raise = |time| Raise {
            time: Time(time),
            class: 0,
        };
        let all = Raises {
            raised: (0..COUNT).map(raise).collect(),
            uncaught: Vec::new(),
            told: (0..COUNT).map(|i| (format!("{i:0100}"), 0)).collect(),
            sites: vec![("a.py".to_string(), 7, "f".to_string())],
            classes: vec![vec!["KeyError".to_string()]],
            codes: Vec::new(),
        };
        let left = (0..all.raised.len()).rev().collect();
        let mut raised = Raised { all: Arc::new(all), left };
        let (mut seen, mut answers) = (0, 0);
        loop {
            let some = raised.more();
            assert!(some.rows.size() < 2 * ENOUGH);
            answers += 1;
            for row in some.rows.iter() {
                assert_eq!((row.head.time.0, row.cells[0].1, row.cells[3].1), (seen, "KeyError", "7"));
                assert_eq!(row.cells[1].1.parse(), Ok(seen));
                seen += 1;
            }
            if some.done {
                break;
            }
        }
        assert!(seen == COUNT && answers > 3, "{seen} in {answers}");
    }
}
