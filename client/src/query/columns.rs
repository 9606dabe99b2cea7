//! What a row has, by the kind of the question.

use rdb_protocol::client::QueryOf;
use rdb_protocol::rows::Row;
use std::borrow::Cow;

/// How a column's text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, or empty.
    Number,
    /// Text.
    Text,
    /// The `repr` of what an expression is worth, or the error it raises.
    Value,
    /// Names and values in turn.
    Named,
}

/// The columns of a query.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Name and kind of each.
    pub(super) all: Vec<(String, Kind)>,
    trace: bool,
    calls: bool,
}

/// What a column has in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// Text, by the column's kind.
    Text(Cow<'a, str>),
    /// An error.
    Error(&'a str),
    /// Names and values.
    Named(Vec<(&'a str, &'a str)>),
}

/// A row, a field for each column.
pub(super) type Record<'a> = Vec<Field<'a>>;

impl Columns {
    /// Those of a question; with one for the trace where there are several.
    pub(super) fn of(of: &QueryOf, trace: bool) -> Columns {
        let plain = |names: &[(&str, Kind)]| names.iter().map(|(n, k)| (n.to_string(), *k)).collect::<Vec<_>>();
        let mut all = if trace { plain(&[("trace", Kind::Text)]) } else { Vec::new() };
        match of {
            QueryOf::At { expressions, .. } => {
                all.extend(plain(&[("time", Kind::Number), ("thread", Kind::Number)]));
                all.extend(expressions.iter().map(|e| (e.clone(), Kind::Value)));
            }
            QueryOf::Calls { .. } => all.extend(plain(&[
                ("time", Kind::Number),
                ("end", Kind::Number),
                ("thread", Kind::Number),
                ("depth", Kind::Number),
                ("duration", Kind::Number),
                ("yields", Kind::Number),
                ("arguments", Kind::Named),
                ("result", Kind::Text),
                ("exception", Kind::Text),
            ])),
            QueryOf::Raises { .. } => all.extend(plain(&[
                ("time", Kind::Number),
                ("class", Kind::Text),
                ("message", Kind::Text),
                ("file", Kind::Text),
                ("line", Kind::Number),
                ("function", Kind::Text),
            ])),
        }
        let calls = matches!(of, QueryOf::Calls { .. });
        Columns { all, trace, calls }
    }

    /// A row's fields.
    pub(super) fn record<'a>(&self, trace: &'a str, row: Row<'a>) -> Record<'a> {
        let text = |text: &'a str| Field::Text(Cow::Borrowed(text));
        let number = |n: u64| Field::Text(Cow::Owned(n.to_string()));
        let mut fields = Vec::with_capacity(self.all.len());
        fields.extend(self.trace.then(|| text(trace)));
        fields.push(number(row.head.time.0));
        if self.calls {
            let cell = |i: usize| row.cells.get(i).copied().unwrap_or((true, ""));
            fields.extend([
                text(cell(0).1),
                number(row.head.thread.into()),
                text(cell(1).1),
                text(cell(2).1),
                text(cell(3).1),
            ]);
            let named = row.cells.get(5..).unwrap_or_default().chunks_exact(2).map(|c| (c[0].1, c[1].1));
            fields.push(Field::Named(named.collect()));
            fields.extend(match cell(4) {
                (true, result) => [text(result), text("")],
                (false, exception) => [text(""), text(exception)],
            });
            return fields;
        }
        if self.all.iter().any(|c| c.0 == "thread") {
            fields.push(number(row.head.thread.into()));
        }
        let cells = row.cells.iter().map(|&(ok, t)| if ok { text(t) } else { Field::Error(t) });
        fields.extend(cells);
        fields
    }
}

impl Field<'_> {
    /// For people, on one line.
    pub(super) fn shown(&self) -> Cow<'_, str> {
        match self {
            Field::Text(text) => Cow::Borrowed(text),
            Field::Error(error) => Cow::Borrowed(error),
            Field::Named(all) => Cow::Owned(all.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(", ")),
        }
    }
}
