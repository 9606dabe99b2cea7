//! Exceptions as rows.

use crate::fault::Fault;
use crate::progress::Task;
use crate::raises::is_called;
use crate::timeline::Timeline;
use rdb_protocol::client::{Query, SomeRows};
use rdb_protocol::replay::Raise;
use rdb_protocol::rows::{Head, RowKind, Rows};

impl Timeline {
    /// The exceptions of this class, or of one derived from it.
    pub(crate) fn raised_rows(&mut self, class: Option<&str>, asked: &Query, task: &mut Task<'_>) -> Result<SomeRows, Fault> {
        // That there are none at all is an answer here.
        let all = self.raises(task)?;
        let mut chosen: Vec<(usize, Raise)> = all.raised.iter().copied().enumerate().collect();
        chosen.retain(|(_, r)| asked.from.is_none_or(|t| r.time >= t) && asked.to.is_none_or(|t| r.time <= t));
        chosen.sort_by_key(|(_, r)| r.time);
        let names = |r: &Raise| all.classes.get(r.class as usize).map_or(&[][..], |names| &names[..]);
        chosen.retain(|(_, r)| class.is_none_or(|c| names(r).iter().any(|n| is_called(n, c))));
        chosen.truncate(asked.limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX)));
        let mut rows = Rows::default();
        for (index, raise) in chosen {
            let (message, site) = all
                .told
                .get(index)
                .map_or(("", None), |t| (t.0.as_str(), all.sites.get(t.1 as usize)));
            let (file, line, function) = site.map_or(("", 0, ""), |s| (s.0.as_str(), s.1, s.2.as_str()));
            let cells = [
                names(&raise).first().map_or("", String::as_str),
                message,
                file,
                &line.to_string(),
                function,
            ];
            cells.iter().for_each(|c| rows.cell(true, c));
            rows.close(Head {
                time: raise.time,
                thread: 0,
                kind: RowKind::Raise,
                frame: 0,
                depth: 0,
                cells: 5,
            });
        }
        Ok(SomeRows {
            rows,
            done: true,
            notes: Vec::new(),
        })
    }
}
