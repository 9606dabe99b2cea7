//! Calls: beginnings and ends put together.

use rdb_protocol::rows::{Head, Row, RowKind, Rows};
use std::collections::HashMap;

/// A call that has not ended.
#[derive(Debug)]
struct Open {
    head: Head,
    arguments: Vec<String>,
    yields: u64,
}

/// Calls that have not ended, by their frame.
#[derive(Debug, Default)]
pub(super) struct Calls(HashMap<u64, Open>);

impl Calls {
    /// The calls that end in these rows, in the order of their ends.
    pub(super) fn paired(&mut self, events: &Rows) -> Rows {
        let mut rows = Rows::default();
        for event in events.iter() {
            match event.head.kind {
                RowKind::Enter => self.enter(&event, &mut rows),
                RowKind::Yield => {
                    if let Some(open) = self.0.get_mut(&event.head.frame) {
                        open.yields += 1;
                    }
                }
                // What has begun before the first time asked for is not a row.
                _ => {
                    if let Some(open) = self.0.remove(&event.head.frame) {
                        close(&open, Some(&event), &mut rows);
                    }
                }
            }
        }
        rows
    }

    /// Those that do not end.
    pub(super) fn open(self) -> Rows {
        let mut rows = Rows::default();
        let mut all: Vec<Open> = self.0.into_values().collect();
        all.sort_unstable_by_key(|o| o.head.time);
        all.iter().for_each(|o| close(o, None, &mut rows));
        rows
    }

    fn enter(&mut self, event: &Row<'_>, rows: &mut Rows) {
        let open = Open {
            head: event.head,
            arguments: event.cells.iter().map(|c| c.1.to_string()).collect(),
            yields: 0,
        };
        // A frame begins again whose end was not seen: a generator that was given up.
        if let Some(before) = self.0.insert(event.head.frame, open) {
            close(&before, None, rows);
        }
    }
}

fn close(open: &Open, end: Option<&Row<'_>>, rows: &mut Rows) {
    let time = end.map(|e| e.head.time);
    rows.cell(true, &time.map(|t| t.to_string()).unwrap_or_default());
    rows.cell(true, &open.head.depth.to_string());
    rows.cell(true, &time.map(|t| (t.0 - open.head.time.0).to_string()).unwrap_or_default());
    rows.cell(true, &open.yields.to_string());
    let result = end.and_then(|e| e.cells.first().map(|c| (e.head.kind == RowKind::Return && c.0, c.1)));
    rows.cell(result.is_none_or(|r| r.0), result.map_or("", |r| r.1));
    open.arguments.iter().for_each(|a| rows.cell(true, a));
    rows.close(Head {
        kind: RowKind::Call,
        cells: 5 + u32::try_from(open.arguments.len()).unwrap_or(0),
        ..open.head
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_protocol::Time;

    fn event(rows: &mut Rows, time: u64, frame: u64, kind: RowKind, cells: &[&str]) {
        cells.iter().for_each(|c| rows.cell(true, c));
        rows.close(Head {
            time: Time(time),
            thread: 0,
            kind,
            frame,
            depth: 1,
            cells: u32::try_from(cells.len()).unwrap(),
        });
    }

    #[test]
    fn ends_find_their_beginnings() {
        let (mut calls, mut events) = (Calls::default(), Rows::default());
        event(&mut events, 3, 7, RowKind::Return, &["'begun before'"]);
        event(&mut events, 10, 1, RowKind::Enter, &["n", "2"]);
        event(&mut events, 12, 2, RowKind::Enter, &["n", "1"]);
        event(&mut events, 13, 2, RowKind::Yield, &[]);
        event(&mut events, 15, 2, RowKind::Unwind, &["Odd: x"]);
        let some = calls.paired(&events);
        let cells: Vec<_> = some.iter().map(|r| (r.head.time.0, r.cells)).collect();
        let inner = vec![
            (true, "15"),
            (true, "1"),
            (true, "3"),
            (true, "1"),
            (false, "Odd: x"),
            (true, "n"),
            (true, "1"),
        ];
        assert_eq!(cells, [(12, inner)]);
        let open = calls.open();
        assert_eq!(
            open.iter().next().map(|r| (r.head.time.0, r.cells[0], r.cells[4])),
            Some((10, (true, ""), (true, "")))
        );
    }
}
