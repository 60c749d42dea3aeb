use std::path::PathBuf;
use std::time::Duration;

use ::sqlite::{Connection, Error, Mode, Run, Value};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::journal::Batch;

pyo3::create_exception!(tallystick.kernels, SqliteError, PyOSError, "`args` = (extended result code name, message).");

/// (first integer, blobs one after the other, their lengths)
type RunTuple<'py> = (i64, Bound<'py, PyBytes>, Vec<usize>);

fn raised(error: Error) -> PyErr {
    SqliteError::new_err((error.code, error.message))
}

/// One connection, usable from any thread, one call at a time (others wait, GIL released).
#[pyclass(frozen, module = "tallystick.kernels")]
struct SqliteConnection(Connection);

#[pymethods]
impl SqliteConnection {
    #[new]
    #[pyo3(signature = (path, *, mode = "rw", busy_timeout_ms = 5000))]
    fn new(py: Python<'_>, path: PathBuf, mode: &str, busy_timeout_ms: u64) -> PyResult<Self> {
        let mode = match mode {
            "ro" => Mode::Read,
            "rw" => Mode::Write,
            "rwc" => Mode::Create,
            _ => return Err(PyValueError::new_err(format!("mode {mode:?} is none of ro, rw, rwc"))),
        };
        let timeout = Duration::from_millis(busy_timeout_ms);
        py.detach(|| Connection::open(&path, mode, timeout)).map(SqliteConnection).map_err(raised)
    }

    /// One statement; None, int, str, bytes in and out.
    #[pyo3(signature = (sql, parameters = None), text_signature = "($self, sql, parameters=())")]
    fn execute<'py>(
        &self,
        py: Python<'py>,
        sql: &str,
        parameters: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let cells = parameters.map_or_else(|| Ok(Vec::new()), cells)?;
        let parameters = values(&cells)?;
        let rows = py.detach(|| self.0.execute(sql, &parameters)).map_err(raised)?;
        let rows = rows.iter().map(|row| PyTuple::new(py, row.map(|value| object(py, value))));
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }

    /// One statement for each row of parameters, all or none; how many rows it changed.
    fn execute_many(&self, py: Python<'_>, sql: &str, rows: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (mut all, mut ends) = (Vec::new(), vec![0]);
        for row in rows.try_iter()? {
            all.append(&mut cells(&row?)?);
            ends.push(all.len());
        }
        let values = values(&all)?;
        py.detach(|| self.0.execute_many(sql, ends.windows(2).map(|ends| &values[ends[0]..ends[1]]))).map_err(raised)
    }

    /// The first run of rows (integer, blob) whose integers count up by one: (first integer, blobs in one, lengths).
    #[pyo3(signature = (sql, parameters = None), text_signature = "($self, sql, parameters=())")]
    fn pack<'py>(
        &self,
        py: Python<'py>,
        sql: &str,
        parameters: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<RunTuple<'py>>> {
        let cells = parameters.map_or_else(|| Ok(Vec::new()), cells)?;
        let parameters = values(&cells)?;
        let run = py.detach(|| self.0.pack(sql, &parameters)).map_err(raised)?;
        Ok(run.map(|Run { first, data, lengths }| (first, PyBytes::new(py, &data), lengths)))
    }

    /// Store a batch in one transaction, writing each chunk while the next is built.
    ///
    /// `SqliteError("HEAD_MOVED", …)` or `SqliteError("ID_EXISTS", …)` when nothing was written for that reason.
    fn append(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        py.detach(|| self.0.append(&batch.0)).map_err(raised)
    }

    /// Move the WAL into the database without blocking a writer.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.checkpoint()).map_err(raised)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close()).map_err(raised)
    }
}

fn cells<'py>(row: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match row.cast::<PyTuple>() {
        Ok(row) => Ok(row.iter().collect()),
        Err(_) => row.try_iter()?.collect(),
    }
}

fn values<'a>(cells: &'a [Bound<'_, PyAny>]) -> PyResult<Vec<Value<'a>>> {
    cells.iter().map(parameter).collect()
}

fn parameter<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Value<'a>> {
    if let Ok(text) = value.cast::<PyString>() {
        Ok(Value::Text(text.to_str()?))
    } else if let Ok(integer) = value.cast::<PyInt>() {
        Ok(Value::Integer(integer.extract()?))
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        Ok(Value::Blob(bytes.as_bytes()))
    } else if value.is_none() {
        Ok(Value::Null)
    } else {
        Err(PyTypeError::new_err(format!("a parameter is None, int, str or bytes, found {}", value.get_type().name()?)))
    }
}

fn object<'py>(py: Python<'py>, value: Value<'_>) -> Bound<'py, PyAny> {
    match value {
        Value::Null => py.None().into_bound(py),
        Value::Integer(integer) => PyInt::new(py, integer).into_any(),
        Value::Real(real) => PyFloat::new(py, real).into_any(),
        Value::Text(text) => PyString::new(py, text).into_any(),
        Value::Blob(bytes) => PyBytes::new(py, bytes).into_any(),
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SqliteError", module.py().get_type::<SqliteError>())?;
    module.add_class::<SqliteConnection>()
}
