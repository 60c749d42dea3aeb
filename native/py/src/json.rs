use ::json::{compare_keys, write_integer, write_string, Error, Reader, Reason, Token, DEPTH_MAX, INTEGER_MAX};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::detached;

pyo3::create_exception!(tallystick.kernels, JsonError, PyValueError, "`args` = (reason, byte position).");

fn raised(error: Error) -> PyErr {
    JsonError::new_err((error.reason.as_str(), error.position))
}

/// Strict parse, then RFC 8785.
#[pyfunction]
fn json_canonical<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let printed = detached(py, data.len(), || ::json::canonical(data)).map_err(raised)?;
    Ok(PyBytes::new(py, &printed))
}

/// Raise `JsonError` at the first byte that strict parsing or RFC 8785 forbids.
#[pyfunction]
fn json_is_canonical(py: Python<'_>, data: &[u8]) -> PyResult<()> {
    detached(py, data.len(), || ::json::check_canonical(data)).map_err(raised)
}

/// Strict parse to Python values.
#[pyfunction]
fn json_loads<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader::new(data);
    let value = read(py, &mut reader)?;
    reader.end().map_err(raised)?;
    Ok(value)
}

fn read<'py>(py: Python<'py>, reader: &mut Reader<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match reader.value().map_err(raised)? {
        Token::Null => py.None().into_bound(py),
        Token::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Token::Integer(value) => value.into_pyobject(py)?.into_any(),
        Token::String(value) => PyString::new(py, &value).into_any(),
        Token::Array => {
            let list = PyList::empty(py);
            while reader.element().map_err(raised)? {
                list.append(read(py, reader)?)?;
            }
            list.into_any()
        }
        Token::Object => {
            let dict = PyDict::new(py);
            while let Some(key) = reader.key().map_err(raised)? {
                dict.set_item(&*key, read(py, reader)?)?;
            }
            dict.into_any()
        }
    })
}

/// RFC 8785 of None, bool, int (|n| < 2^53), str, list, tuple, dict with str keys; else `JsonError`, whose position is
/// that in the text up to there.
#[pyfunction]
fn json_dumps<'py>(py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out, 0)?;
    Ok(PyBytes::new(py, &out))
}

fn refused(reason: Reason, out: &[u8]) -> PyErr {
    raised(Error { reason, position: out.len() })
}

fn write(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> PyResult<()> {
    if let Ok(text) = value.cast::<PyString>() {
        write_string(out, text.to_str().map_err(|_| refused(Reason::LoneSurrogate, out))?);
    } else if let Ok(dict) = value.cast::<PyDict>() {
        write_dict(dict, out, depth)?;
    } else if let Ok(list) = value.cast::<PyList>() {
        write_items(list.iter(), out, depth)?;
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        write_items(tuple.iter(), out, depth)?;
    } else if value.is_none() {
        out.extend_from_slice(b"null");
    } else if let Ok(value) = value.cast::<PyBool>() {
        out.extend_from_slice(if value.is_true() { b"true" } else { b"false" });
    } else if let Ok(integer) = value.cast::<PyInt>() {
        match integer.extract::<i64>() {
            Ok(integer) if (-INTEGER_MAX..=INTEGER_MAX).contains(&integer) => write_integer(out, integer),
            _ => return Err(refused(Reason::IntegerOutOfRange, out)),
        }
    } else {
        let reason = format!("{} is no JSON value", value.get_type().name()?);
        return Err(JsonError::new_err((reason, out.len())));
    }
    Ok(())
}

fn write_items<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, out: &mut Vec<u8>, depth: usize) -> PyResult<()> {
    if depth == DEPTH_MAX {
        return Err(refused(Reason::TooDeep, out));
    }
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&item, out, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn write_dict(dict: &Bound<'_, PyDict>, out: &mut Vec<u8>, depth: usize) -> PyResult<()> {
    if depth == DEPTH_MAX {
        return Err(refused(Reason::TooDeep, out));
    }
    let members: Vec<_> = dict.iter().collect();
    let mut sorted = Vec::with_capacity(members.len());
    for (key, value) in &members {
        let key = key.cast::<PyString>().map_err(|_| refused(Reason::KeyExpected, out))?;
        sorted.push((key.to_str().map_err(|_| refused(Reason::LoneSurrogate, out))?, value));
    }
    sorted.sort_unstable_by(|(left, _), (right, _)| compare_keys(left, right));
    out.push(b'{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, key);
        out.push(b':');
        write(value, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("JsonError", module.py().get_type::<JsonError>())?;
    module.add_function(wrap_pyfunction!(json_canonical, module)?)?;
    module.add_function(wrap_pyfunction!(json_is_canonical, module)?)?;
    module.add_function(wrap_pyfunction!(json_loads, module)?)?;
    module.add_function(wrap_pyfunction!(json_dumps, module)?)
}
