//! Commands given as dicts, written as the JSON that the one parser of commands reads.

use ::json::{write_string, DEPTH_MAX};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::journal::Piece;

/// Each item is a command or a group; one that cannot be written is malformed and leaves the others alone.
pub(crate) fn pieces(payload: &Bound<'_, PyAny>) -> PyResult<Vec<Piece>> {
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    for item in payload.try_iter()? {
        let start = out.len();
        out.push(if start == 0 { b'[' } else { b',' });
        if let Err(message) = write(&mut out, &item?, 2) {
            out.truncate(start);
            flush(&mut pieces, &mut out);
            pieces.push(Piece::Malformed(message));
        }
    }
    flush(&mut pieces, &mut out);
    Ok(pieces)
}

fn flush(pieces: &mut Vec<Piece>, out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b']');
        pieces.push(Piece::Written(std::mem::take(out)));
    }
}

fn write(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested more than {DEPTH_MAX} deep"));
    }
    if let Ok(text) = value.cast::<PyString>() {
        write_text(out, text)
    } else if let Ok(dict) = value.cast::<PyDict>() {
        out.push(b'{');
        for (index, (key, value)) in dict.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let key =
                key.cast::<PyString>().map_err(|_| format!("expected a key of type str, found {}", type_of(&key)))?;
            write_text(out, key)?;
            out.push(b':');
            write(out, &value, depth + 1)?;
        }
        out.push(b'}');
        Ok(())
    } else if let Ok(list) = value.cast::<PyList>() {
        write_items(out, list.iter(), depth)
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        write_items(out, tuple.iter(), depth)
    } else {
        // No member of a command is one of these: the parser names the member that has one.
        out.extend_from_slice(match value {
            value if value.is_none() => b"null",
            value if value.is_instance_of::<PyBool>() => b"true",
            value if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() => b"0",
            other => return Err(format!("expected str, dict or list, found {}", type_of(other))),
        });
        Ok(())
    }
}

fn write_items<'py>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
) -> Result<(), String> {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, &item, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &Bound<'_, PyString>) -> Result<(), String> {
    write_string(out, text.to_str().map_err(|_| "lone surrogate in a string".to_owned())?);
    Ok(())
}

fn type_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "another type".into(), |name| name.to_string())
}
