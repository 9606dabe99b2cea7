//! Rows as a Parquet file. A column whose values are all whole numbers, or all numbers, is one of these; else it is text, as `repr` gives it. That is
//! known once all rows are there: they are kept until then.
//!
//! An error is no value, and is told in the last column, `errors`.

use super::Sink;
use super::columns::{Columns, Field, Kind, Record};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

/// Rows in a group: what a reader has in its memory at once.
const GROUP: usize = 1 << 20;
/// Whole numbers beyond this are not all told apart as doubles.
const EXACT: i64 = 1 << 53;

/// Texts in a row, some of which are not there.
#[derive(Debug, Default)]
struct Texts {
    text: String,
    /// Where each ends, and whether it is there.
    ends: Vec<(usize, bool)>,
}

impl Texts {
    fn push(&mut self, text: Option<&str>) {
        self.text.push_str(text.unwrap_or_default());
        self.ends.push((self.text.len(), text.is_some()));
    }

    /// Those from one number to another.
    fn iter(&self, from: usize, to: usize) -> impl Iterator<Item = Option<&str>> {
        let mut start = from.checked_sub(1).map_or(0, |before| self.ends[before].0);
        self.ends[from..to].iter().map(move |&(end, there)| {
            let text = &self.text[start..end];
            start = end;
            there.then_some(text)
        })
    }
}

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Whole,
    Real,
    Text,
}

impl Shape {
    fn of(column: &Texts) -> Shape {
        let mut shape = Shape::Whole;
        let mut is_empty = true;
        let mut exact = true;
        for text in column.iter(0, column.ends.len()).flatten() {
            is_empty = false;
            match text.parse::<i64>() {
                Ok(n) => exact &= (-EXACT..=EXACT).contains(&n),
                // Digits alone are a whole number that has no room.
                Err(_) if is_real(text) => shape = Shape::Real,
                Err(_) => return Shape::Text,
            }
        }
        if is_empty || shape == Shape::Real && !exact {
            Shape::Text
        } else {
            shape
        }
    }
}

/// Whether it is what Python shows of a float.
fn is_real(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_marked = digits.contains(['.', 'e']) && digits.starts_with(|c: char| c.is_ascii_digit());
    (is_marked || matches!(digits, "inf" | "nan")) && text.parse::<f64>().is_ok()
}

pub(super) struct Parquet<W: Write + Send> {
    out: Option<W>,
    names: Vec<String>,
    kinds: Vec<Kind>,
    columns: Vec<Texts>,
    rows: usize,
    /// Expressions may raise.
    errors: bool,
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn new(out: W, columns: &Columns) -> Parquet<W> {
        let errors = columns.all.iter().any(|c| c.1 == Kind::Value);
        let mut names: Vec<String> = columns.all.iter().map(|c| c.0.clone()).collect();
        names.extend(errors.then(|| "errors".to_owned()));
        // Two columns of one name cannot be told apart.
        for i in 1..names.len() {
            let again = names[..i].iter().filter(|n| **n == names[i]).count();
            if again > 0 {
                names[i] = format!("{} ({})", names[i], again + 1);
            }
        }
        Parquet {
            out: Some(out),
            columns: names.iter().map(|_| Texts::default()).collect(),
            names,
            kinds: columns.all.iter().map(|c| c.1).collect(),
            rows: 0,
            errors,
        }
    }

    fn write(&self, out: W) -> Result<(), ParquetError> {
        let shapes: Vec<Shape> = (0..self.columns.len())
            .map(|i| match self.kinds.get(i) {
                Some(Kind::Number) => Shape::Whole,
                Some(Kind::Value) => Shape::of(&self.columns[i]),
                _ => Shape::Text,
            })
            .collect();
        let field = |(name, shape): (&String, &Shape)| {
            let (physical, logical) = match shape {
                Shape::Whole => (Physical::INT64, None),
                Shape::Real => (Physical::DOUBLE, None),
                Shape::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            Type::primitive_type_builder(name, physical)
                .with_logical_type(logical)
                .with_repetition(Repetition::OPTIONAL)
                .build()
                .map(Arc::new)
        };
        let fields = self.names.iter().zip(&shapes).map(field).collect::<Result<Vec<_>, _>>()?;
        let schema = Type::group_type_builder("rows").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("rdbctl ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        for from in (0..self.rows).step_by(GROUP) {
            let to = self.rows.min(from + GROUP);
            let mut group = file.next_row_group()?;
            for (column, shape) in self.columns.iter().zip(&shapes) {
                let Some(writer) = group.next_column()? else { break };
                column.write(writer, *shape, from, to)?;
            }
            group.close()?;
        }
        file.close()?;
        Ok(())
    }
}

impl Texts {
    fn write(&self, mut writer: SerializedColumnWriter<'_>, shape: Shape, from: usize, to: usize) -> Result<(), ParquetError> {
        let there: Vec<i16> = self.ends[from..to].iter().map(|e| i16::from(e.1)).collect();
        let all = self.iter(from, to).flatten();
        match shape {
            Shape::Whole => {
                let values: Vec<i64> = all.map(|t| t.parse().unwrap_or_default()).collect();
                writer.typed::<Int64Type>().write_batch(&values, Some(&there), None)?;
            }
            Shape::Real => {
                let values: Vec<f64> = all.map(|t| t.parse().unwrap_or_default()).collect();
                writer.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
            }
            Shape::Text => {
                let values: Vec<ByteArray> = all.map(ByteArray::from).collect();
                writer.typed::<ByteArrayType>().write_batch(&values, Some(&there), None)?;
            }
        }
        writer.close()
    }
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn row(&mut self, record: &Record<'_>) -> io::Result<()> {
        let mut errors = String::new();
        for (i, field) in record.iter().enumerate() {
            let text = match (self.kinds[i], field) {
                (_, Field::Error(error)) => {
                    let apart = if errors.is_empty() { "" } else { "; " };
                    errors.push_str(&format!("{apart}{}: {error}", self.names[i]));
                    None
                }
                (Kind::Named, Field::Named(all)) => {
                    let object: serde_json::Map<String, serde_json::Value> =
                        all.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
                    Some(Cow::Owned(serde_json::Value::Object(object).to_string()))
                }
                (Kind::Value, field) => Some(field.shown()),
                (_, field) => Some(field.shown()).filter(|t| !t.is_empty()),
            };
            self.columns[i].push(text.as_deref());
        }
        if let Some(last) = self.columns.last_mut().filter(|_| self.errors) {
            last.push(Some(errors.as_str()).filter(|e| !e.is_empty()));
        }
        self.rows += 1;
        Ok(())
    }

    /// Nothing can be seen before the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(out) = self.out.take() else { return Ok(()) };
        self.write(out).map_err(|e| match e {
            ParquetError::External(e) => match e.downcast::<io::Error>() {
                Ok(e) => *e,
                Err(e) => io::Error::other(e),
            },
            e => io::Error::other(e),
        })
    }

    fn cut(&mut self) -> io::Result<()> {
        // What is there is worth a file.
        if self.rows > 0 { self.end() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field as Read;
    use rdb_protocol::client::QueryOf;

    fn shape(all: &[&str]) -> Shape {
        let mut texts = Texts::default();
        all.iter().for_each(|t| texts.push(Some(t)));
        Shape::of(&texts)
    }

    #[test]
    fn columns_have_types() {
        assert_eq!(shape(&["1", "-2", "9223372036854775807"]), Shape::Whole);
        assert_eq!(shape(&["1", "2.5", "1e+16", "-inf", "nan"]), Shape::Real);
        for text in [
            &["1", "'a'"][..],
            &["9223372036854775808"],
            &["9007199254740993", "1.5"],
            &["True"],
            &["infinity", "1.0"],
            &["1e", "1.0"],
            &[],
        ] {
            assert_eq!(shape(text), Shape::Text, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let of = QueryOf::At {
            place: rdb_protocol::BreakpointPlace::Uncaught,
            condition: None,
            expressions: ["n", "x", "s", "n"].map(str::to_owned).to_vec(),
        };
        let columns = Columns::of(&of, false);
        let file = tempfile::tempfile().unwrap();
        let mut sink = Parquet::new(file.try_clone().unwrap(), &columns);
        let text = |t: &'static str| Field::Text(Cow::Borrowed(t));
        for row in [
            [text("7"), text("0"), text("1"), text("0.5"), text("'a'"), text("1")],
            [text("9"), text("2"), Field::Error("KeyError: 1"), text("3"), text("''"), text("2")],
        ] {
            sink.row(&row.to_vec()).unwrap();
        }
        sink.flush().unwrap();
        sink.end().unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 2);
        let rows: Vec<Vec<(String, Read)>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().get_column_iter().map(|(n, f)| (n.clone(), f.clone())).collect())
            .collect();
        let string = |s: &str| Read::Str(s.to_owned());
        let named = |all: [Read; 7]| {
            let names = ["time", "thread", "n", "x", "s", "n (2)", "errors"].map(str::to_owned);
            names.into_iter().zip(all).collect::<Vec<_>>()
        };
        assert_eq!(
            rows,
            [
                named([
                    Read::Long(7),
                    Read::Long(0),
                    Read::Long(1),
                    Read::Double(0.5),
                    string("'a'"),
                    Read::Long(1),
                    Read::Null
                ]),
                named([
                    Read::Long(9),
                    Read::Long(2),
                    Read::Null,
                    Read::Double(3.0),
                    string("''"),
                    Read::Long(2),
                    string("n: KeyError: 1")
                ]),
            ]
        );
    }
}
