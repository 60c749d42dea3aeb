use std::borrow::Cow;

use ::journal::{derive as derived, searchable as shortened, Metadatum, Posting, StoredRow};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString, PyTuple};

use crate::journal::raised;
use crate::replay::RowTuple;

/// The rows of `posting` and of `metadata` that entries (seq, id, stub, body, hash) amount to.
#[pyfunction]
fn derive<'py>(py: Python<'py>, rows: Vec<RowTuple>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
    let stored: Vec<StoredRow<'_>> = rows.iter().map(RowTuple::row).collect();
    let derived = py.detach(|| derived(&stored)).map_err(raised)?;
    let postings = derived.postings.iter().map(|posting| {
        let Posting { account, asset, seq, effective, debits, credits } = posting;
        let texts = [text(py, account), text(py, asset)];
        let numbers = [PyInt::new(py, seq).into_any(), PyInt::new(py, effective).into_any()];
        let totals = [debits, credits].map(|total| text(py, &total.to_string()));
        PyTuple::new(py, texts.into_iter().chain(numbers).chain(totals).collect::<Vec<_>>())
    });
    let metadata = derived.metadata.iter().map(|Metadatum { key, value, seq }| (key, value, seq).into_pyobject(py));
    let postings = PyList::new(py, postings.collect::<PyResult<Vec<_>>>()?)?;
    Ok((postings, PyList::new(py, metadata.collect::<PyResult<Vec<_>>>()?)?))
}

/// What `metadata` holds of a value.
#[pyfunction]
fn searchable(value: &str) -> Cow<'_, str> {
    shortened(Cow::Borrowed(value))
}

fn text<'py>(py: Python<'py>, text: &str) -> Bound<'py, PyAny> {
    PyString::new(py, text).into_any()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(derive, module)?)?;
    module.add_function(wrap_pyfunction!(searchable, module)?)
}
