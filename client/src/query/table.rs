//! Rows for people: columns as wide as the first rows need.

use super::Sink;
use super::columns::{Columns, Kind, Record};
use std::io::{self, Write};

/// So many rows say how wide the columns are.
const SAMPLE: usize = 200;
/// No column is kept wider.
const WIDEST: usize = 40;

#[derive(Debug)]
pub(super) struct Table<W> {
    out: W,
    names: Vec<String>,
    right: Vec<bool>,
    /// Rows not printed yet, while widths are not known.
    first: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, columns: &Columns) -> Table<W> {
        Table {
            out,
            names: columns.all.iter().map(|c| c.0.clone()).collect(),
            right: columns.all.iter().map(|c| c.1 == Kind::Number).collect(),
            first: Vec::new(),
            widths: None,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let names = self.names.clone();
        let rows = std::mem::take(&mut self.first);
        let width = |i: usize| {
            let cells = rows.iter().chain([&names]).map(|r| r.get(i).map_or(0, |c| c.chars().count()));
            cells.max().unwrap_or(0).min(WIDEST)
        };
        self.widths = Some((0..names.len()).map(width).collect());
        self.line(&names)?;
        rows.iter().try_for_each(|r| self.line(r))
    }

    fn line(&mut self, cells: &[String]) -> io::Result<()> {
        let widths = self.widths.as_deref().unwrap_or_default();
        let mut line = String::new();
        for (i, cell) in cells.iter().enumerate() {
            let width = widths.get(i).copied().unwrap_or(0);
            match self.right.get(i) {
                Some(true) => line.push_str(&format!("{cell:>width$}")),
                _ => line.push_str(&format!("{cell:<width$}")),
            }
            line.push_str("  ");
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

impl<W: Write> Sink for Table<W> {
    fn row(&mut self, record: &Record<'_>) -> io::Result<()> {
        let cells: Vec<String> = record.iter().map(|f| f.shown().replace('\n', "; ")).collect();
        if self.widths.is_some() {
            return self.line(&cells);
        }
        self.first.push(cells);
        if self.first.len() >= SAMPLE { self.begin() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.first.is_empty() {
            self.begin()?;
        }
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.begin()?;
        self.out.flush()
    }

    fn cut(&mut self) -> io::Result<()> {
        self.flush()
    }
}
