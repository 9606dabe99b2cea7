//! Rows as JSON, one object a line. Values are text, as `repr` gives it.

use super::Sink;
use super::columns::{Columns, Field, Kind, Record};
use serde_json::to_string;
use std::io::{self, Write};

#[derive(Debug)]
pub(super) struct JsonLines<W> {
    out: W,
    /// Quoted names, and kinds.
    columns: Vec<(String, Kind)>,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(out: W, columns: &Columns) -> JsonLines<W> {
        let quoted = |c: &(String, Kind)| (quote(&c.0), c.1);
        JsonLines {
            out,
            columns: columns.all.iter().map(quoted).collect(),
        }
    }
}

fn quote(text: &str) -> String {
    to_string(text).unwrap_or_default()
}

impl<W: Write> Sink for JsonLines<W> {
    fn row(&mut self, record: &Record<'_>) -> io::Result<()> {
        let (mut line, mut values, mut errors) = (String::from("{"), String::new(), String::new());
        let add = |to: &mut String, name: &str, value: &str| {
            if !to.is_empty() && !to.ends_with('{') {
                to.push(',');
            }
            to.push_str(name);
            to.push(':');
            to.push_str(value);
        };
        for ((name, kind), field) in self.columns.iter().zip(record) {
            match (kind, field) {
                (Kind::Value, Field::Error(error)) => add(&mut errors, name, &quote(error)),
                (Kind::Value, field) => add(&mut values, name, &quote(&field.shown())),
                (_, Field::Named(all)) => {
                    let mut object = String::from("{");
                    all.iter().for_each(|(n, v)| add(&mut object, &quote(n), &quote(v)));
                    add(&mut line, name, &(object + "}"));
                }
                (_, Field::Text(text)) if text.is_empty() => add(&mut line, name, "null"),
                (Kind::Number, field) => add(&mut line, name, &field.shown()),
                (_, field) => add(&mut line, name, &quote(&field.shown())),
            }
        }
        if self.columns.iter().any(|c| c.1 == Kind::Value) {
            add(&mut line, "\"values\"", &format!("{{{values}}}"));
        }
        if !errors.is_empty() {
            add(&mut line, "\"errors\"", &format!("{{{errors}}}"));
        }
        writeln!(self.out, "{line}}}")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
