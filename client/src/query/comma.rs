//! Rows as comma-separated values, with a line of names first; the last column names the expressions that raised, whose errors are in
//! place of their values.

use super::Sink;
use super::columns::{Columns, Field, Kind, Record};
use csv::Writer;
use std::io::{self, Write};

pub(super) struct Csv<W: Write> {
    out: Writer<W>,
    names: Vec<String>,
    /// Expressions may raise.
    errors: bool,
    /// The names were written.
    begun: bool,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(out: W, columns: &Columns) -> Csv<W> {
        Csv {
            out: Writer::from_writer(out),
            names: columns.all.iter().map(|c| c.0.clone()).collect(),
            errors: columns.all.iter().any(|c| c.1 == Kind::Value),
            begun: false,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let names = self.names.iter().map(String::as_str);
            self.out.write_record(names.chain(self.errors.then_some("errors")))?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Csv<W> {
    fn row(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.begin()?;
        for field in record {
            self.out.write_field(field.shown().as_bytes())?;
        }
        if self.errors {
            let raised = record.iter().zip(&self.names).filter(|(f, _)| matches!(f, Field::Error(_)));
            let names: Vec<&str> = raised.map(|(_, name)| name.as_str()).collect();
            self.out.write_field(names.join("; "))?;
        }
        self.out.write_record(None::<&[u8]>)?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.begin()?;
        self.flush()
    }

    fn cut(&mut self) -> io::Result<()> {
        self.flush()
    }
}
