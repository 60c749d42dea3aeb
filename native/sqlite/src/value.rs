use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::Error;

/// A value that a statement takes or gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    /// Never taken: amounts are exact. Given only by expressions and by columns that hold what they should not.
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(integer),
            Value::Real(real) => ValueRef::Real(real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What a statement gave: all text and all blobs one after the other, which saves an allocation for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    columns: usize,
    cells: Vec<Cell>,
    text: String,
    blobs: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// Where it starts and ends.
    Text(usize, usize),
    Blob(usize, usize),
}

impl Rows {
    pub(crate) fn new(columns: usize) -> Self {
        Rows { columns, ..Rows::default() }
    }

    pub(crate) fn push(&mut self, value: ValueRef<'_>) -> Result<(), Error> {
        let cell = match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(integer) => Cell::Integer(integer),
            ValueRef::Real(real) => Cell::Real(real),
            ValueRef::Text(bytes) => {
                let text = std::str::from_utf8(bytes)
                    .map_err(|error| Error::new("SQLITE_CORRUPT", format!("text is not UTF-8: {error}")))?;
                self.text.push_str(text);
                Cell::Text(self.text.len() - text.len(), self.text.len())
            }
            ValueRef::Blob(bytes) => {
                self.blobs.extend_from_slice(bytes);
                Cell::Blob(self.blobs.len() - bytes.len(), self.blobs.len())
            }
        };
        self.cells.push(cell);
        Ok(())
    }

    /// The rows, each as its values; none of a statement without columns.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = impl ExactSizeIterator<Item = Value<'_>>> {
        self.cells.chunks_exact(self.columns.max(1)).map(|row| row.iter().map(|&cell| self.value(cell)))
    }

    fn value(&self, cell: Cell) -> Value<'_> {
        match cell {
            Cell::Null => Value::Null,
            Cell::Integer(integer) => Value::Integer(integer),
            Cell::Real(real) => Value::Real(real),
            Cell::Text(start, end) => Value::Text(&self.text[start..end]),
            Cell::Blob(start, end) => Value::Blob(&self.blobs[start..end]),
        }
    }
}

/// Bytes that are known to be UTF-8, bound as text.
pub(crate) struct Text<'a>(pub &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
