//! Rows of a query: what many stop points came to, by columns, so that a million of them is a few long vectors.

use crate::common::Time;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowKind {
    /// A hit: a cell for each expression.
    Hit,
    /// An activation begins: cells are names and values of its arguments, in turn.
    Enter,
    /// It returns: one cell, the value.
    Return,
    /// It yields: no cell.
    Yield,
    /// An exception leaves it: one cell.
    Unwind,
    /// A whole call: cells are the time of its end (empty: none), depth, stop points, yields, the result, then names and values of its
    /// arguments in turn.
    Call,
    /// An exception is raised: class, message, file, line and function.
    Raise,
}

/// One row but for its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// When.
    pub time: Time,
    /// The thread's ordinal.
    pub thread: u32,
    /// Of what.
    pub kind: RowKind,
    /// The frame it is of; 0 where that does not matter.
    pub frame: u64,
    /// Frames on the stack; 0 where that does not matter.
    pub depth: u32,
    /// How many cells.
    pub cells: u32,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Where its text ends in [`Rows::text`]; it begins where that before it ends.
    pub end: u32,
    /// False: evaluating it raised, and the text is the error.
    pub ok: bool,
}

/// Rows, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The rows.
    pub heads: Vec<Head>,
    /// Their cells.
    pub cells: Vec<Cell>,
    /// The text of these.
    pub text: String,
    /// At how many hits the condition could not be evaluated; they are no rows.
    pub failed: u64,
    /// The first such error.
    pub failure: Option<String>,
}

/// A row with its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The row.
    pub head: Head,
    /// Whether each value is one, and its text, or that of the error.
    pub cells: Vec<(bool, &'a str)>,
}

impl Rows {
    /// Without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Adds a cell to the row that [`Rows::close`] will add.
    pub fn cell(&mut self, ok: bool, text: &str) {
        self.text.push_str(text);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.cells.push(Cell { end, ok });
    }

    /// Adds a row, whose last `head.cells` cells are there.
    pub fn close(&mut self, head: Head) {
        self.heads.push(head);
    }

    /// Adds a copy of a row.
    pub fn push(&mut self, row: &Row<'_>) {
        for (ok, text) in &row.cells {
            self.cell(*ok, text);
        }
        self.close(row.head);
    }

    /// Notes that the condition failed at `count` hits.
    pub fn fail(&mut self, count: u64, error: Option<String>) {
        self.failed += count;
        if self.failure.is_none() {
            self.failure = error;
        }
    }

    /// The rows with their cells. What does not fit together, a broken peer's, has no cells.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        let (mut cell, mut begin) = (0_usize, 0_usize);
        self.heads.iter().map(move |&head| {
            let last = cell.saturating_add(head.cells as usize).min(self.cells.len());
            let cells = self.cells.get(cell..last).unwrap_or_default().iter().map(|c| {
                let end = c.end as usize;
                let text = self.text.get(begin..end).unwrap_or_default();
                begin = end;
                (c.ok, text)
            });
            let cells = cells.collect();
            cell = last;
            Row { head, cells }
        })
    }

    /// Bytes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + 8 * self.cells.len() + 40 * self.heads.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_cells() {
        let mut rows = Rows::default();
        let head = |time, cells| Head {
            time: Time(time),
            thread: 0,
            kind: RowKind::Hit,
            frame: 0,
            depth: 0,
            cells,
        };
        rows.cell(true, "1");
        rows.cell(false, "KeyError: 'ä'");
        rows.close(head(7, 2));
        rows.close(head(8, 0));
        rows.cell(true, "");
        rows.close(head(9, 1));
        let all: Vec<_> = rows.iter().collect();
        assert_eq!(all[0].cells, [(true, "1"), (false, "KeyError: 'ä'")]);
        assert_eq!((all[1].cells.len(), all[2].cells.as_slice()), (0, &[(true, "")][..]));
        let mut copy = Rows::default();
        rows.iter().for_each(|row| copy.push(&row));
        assert_eq!(copy, rows);
        rows.cells[0].end = 999;
        assert_eq!(rows.iter().count(), 3, "nonsense does no harm");
    }
}
