//! Commands given as an Arrow table: one one-leg transaction a row, written as the JSON that the one parser of commands
//! reads.
//!
//! ```text
//! id, debit, credit, asset    utf8, large_utf8, utf8_view
//! amount                      the same, int64, uint64, decimal128 of scale 0
//! kind, effective, reference, metadata/<key>     optional, utf8, large_utf8, utf8_view; null leaves the member out
//! ```

use std::ffi::CStr;

use ::json::write_string;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{
    Array, Decimal128Array, Int64Array, LargeStringArray, RecordBatch, RecordBatchReader, StringArray, StringViewArray,
    UInt64Array,
};
use arrow_schema::{DataType, Schema};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const STREAM: &CStr = c"arrow_array_stream";
const LEG: [&str; 4] = ["amount", "asset", "credit", "debit"];
const OPTIONAL: [&str; 3] = ["kind", "effective", "reference"];

/// A JSON array of commands.
pub(crate) fn commands(payload: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let reader = stream(payload)?;
    check(&reader.schema())?;
    payload.py().detach(|| {
        let mut out = vec![b'['];
        for batch in reader {
            write_rows(&mut out, &batch.map_err(|error| PyValueError::new_err(error.to_string()))?);
        }
        out.push(b']');
        Ok(out)
    })
}

/// Arrow PyCapsule interface, "ArrayStream export".
fn stream(payload: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let Ok(method) = payload.getattr("__arrow_c_stream__") else {
        let found = payload.get_type().name()?;
        return Err(PyTypeError::new_err(format!("expected a table with __arrow_c_stream__, found {found}")));
    };
    let capsule = method.call0()?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    #[allow(unsafe_code, reason = "the interface hands over a C structure")]
    // SAFETY: a capsule of this name holds a valid stream; `from_raw` moves it out and leaves a released one behind.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
    RecordBatchStreamReader::try_new(stream).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// `ValueError` naming the first column that is missing, unknown, there twice or of another type.
fn check(schema: &Schema) -> PyResult<()> {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let refuse = |column: &str, expected: &str, found: String| {
        Err(PyValueError::new_err(format!("column {column}: expected {expected}, found {found}")))
    };
    for name in ["id"].iter().chain(&LEG) {
        if schema.column_with_name(name).is_none() {
            return refuse(name, "a column of this name", "none".into());
        }
    }
    for (index, field) in schema.fields().iter().enumerate() {
        let (name, kind) = (field.name().as_str(), field.data_type());
        if schema.fields()[..index].iter().any(|other| other.name() == name) {
            return refuse(name, "one column of this name", "two".into());
        }
        if name == "amount" {
            let is_integer = matches!(kind, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(_, 0));
            if !is_integer && !is_text(kind) {
                return refuse(name, "utf8, large_utf8, int64, uint64 or decimal128 of scale 0", kind.to_string());
            }
        } else if name == "id" || LEG.contains(&name) || OPTIONAL.contains(&name) || name.starts_with("metadata/") {
            if !is_text(kind) {
                return refuse(name, "utf8 or large_utf8", kind.to_string());
            }
        } else {
            let known = "id, debit, credit, asset, amount, kind, effective, reference or metadata/<key>";
            return refuse(name, known, name.into());
        }
    }
    Ok(())
}

enum Column<'a> {
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    ViewedText(&'a StringViewArray),
    Signed(&'a Int64Array),
    Unsigned(&'a UInt64Array),
    Decimal(&'a Decimal128Array),
}

impl<'a> Column<'a> {
    fn of(array: &'a dyn Array) -> Option<Column<'a>> {
        let any = array.as_any();
        any.downcast_ref()
            .map(Column::Text)
            .or_else(|| any.downcast_ref().map(Column::LargeText))
            .or_else(|| any.downcast_ref().map(Column::ViewedText))
            .or_else(|| any.downcast_ref().map(Column::Signed))
            .or_else(|| any.downcast_ref().map(Column::Unsigned))
            .or_else(|| any.downcast_ref().map(Column::Decimal))
    }

    /// As a JSON string.
    fn write(&self, out: &mut Vec<u8>, row: usize) {
        match self {
            Column::Text(array) => write_string(out, array.value(row)),
            Column::LargeText(array) => write_string(out, array.value(row)),
            Column::ViewedText(array) => write_string(out, array.value(row)),
            Column::Signed(array) => write_string(out, &array.value(row).to_string()),
            Column::Unsigned(array) => write_string(out, &array.value(row).to_string()),
            Column::Decimal(array) => write_string(out, &array.value(row).to_string()),
        }
    }
}

fn write_rows(out: &mut Vec<u8>, batch: &RecordBatch) {
    let schema = batch.schema_ref();
    let (mut leg, mut metadata, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let Some(column) = Column::of(array) else { continue };
        let name = field.name().as_str();
        let (name, list) = match name.strip_prefix("metadata/") {
            Some(key) => (key, &mut metadata),
            None if LEG.contains(&name) => (name, &mut leg),
            None => (name, &mut others),
        };
        list.push((name, array, column));
    }
    for row in 0..batch.num_rows() {
        out.extend_from_slice(if out.len() > 1 { b",{" } else { b"{" });
        write_members(out, &others, row);
        out.extend_from_slice(if out.ends_with(b"{") { b"\"legs\":[{" } else { b",\"legs\":[{" });
        write_members(out, &leg, row);
        out.extend_from_slice(b"}]");
        if metadata.iter().any(|(_, array, _)| array.is_valid(row)) {
            out.extend_from_slice(b",\"metadata\":{");
            write_members(out, &metadata, row);
            out.push(b'}');
        }
        out.push(b'}');
    }
}

fn write_members(out: &mut Vec<u8>, columns: &[(&str, &arrow_array::ArrayRef, Column<'_>)], row: usize) {
    for (name, array, column) in columns {
        if array.is_null(row) {
            continue;
        }
        if !out.ends_with(b"{") {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        column.write(out, row);
    }
}
