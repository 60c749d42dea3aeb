use std::sync::Mutex;

use ::journal::{Contradiction, Head, StoredRow};
use ::merkle::Hash;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use crate::detached;
use crate::journal::HeadTuple;
use crate::merkle::{hash, hashes};

pyo3::create_exception!(
    tallystick.kernels,
    ReplayError,
    PyValueError,
    "`args` = (what, seq, column, expected, found): the first entry that contradicts itself or the entries before it."
);

fn raised(contradiction: Contradiction) -> PyErr {
    let Contradiction { what, seq, column, expected, found } = contradiction;
    ReplayError::new_err((what, seq, column, expected, found))
}

type BalanceTuple = (String, String, String, String, String, String);
type RemainderTuple = (String, &'static str, String, Option<u64>, u64);

/// (seq, id, stub, body, hash)
#[derive(FromPyObject)]
pub(crate) struct RowTuple(i64, Option<PyBackedStr>, PyBackedBytes, PyBackedBytes, PyBackedBytes);

impl RowTuple {
    pub(crate) fn row(&self) -> StoredRow<'_> {
        let RowTuple(seq, id, stub, body, hash) = self;
        StoredRow { seq: *seq, id: id.as_deref(), stub, body, hash }
    }
}

/// Re-derives from stored rows what they must amount to: the other half of `Journal`, for the audit.
#[pyclass(frozen, module = "tallystick.kernels")]
struct Replay(Mutex<::journal::Replay>);

impl Replay {
    /// With the GIL released.
    fn with<T: Send>(&self, py: Python<'_>, look: impl Send + FnOnce(&mut ::journal::Replay) -> T) -> PyResult<T> {
        py.detach(|| match self.0.lock() {
            Ok(mut replay) => Ok(look(&mut replay)),
            Err(_) => Err(PyRuntimeError::new_err("an earlier call to this replay failed")),
        })
    }
}

#[pymethods]
impl Replay {
    #[new]
    fn new(ledger: &str) -> Self {
        Replay(Mutex::new(::journal::Replay::new(ledger)))
    }

    /// (seq, id, stub, body, hash), in order; returns the leaf hashes computed from the stubs.
    fn feed<'py>(&self, py: Python<'py>, rows: Vec<RowTuple>) -> PyResult<Bound<'py, PyBytes>> {
        let stored: Vec<StoredRow<'_>> = rows.iter().map(RowTuple::row).collect();
        let hashes = self.with(py, |replay| replay.feed(&stored))?.map_err(raised)?;
        Ok(PyBytes::new(py, hashes.as_flattened()))
    }

    fn head<'py>(&self, py: Python<'py>) -> PyResult<HeadTuple<'py>> {
        let head = self.with(py, |replay| replay.head())?;
        Ok((head.size, PyBytes::new(py, &head.hash), head.at, head.batch, head.batch_first, head.closed_before))
    }

    fn balances(&self, py: Python<'_>) -> PyResult<Vec<BalanceTuple>> {
        self.with(py, |replay| {
            let rows = replay.balances().into_iter().map(|row| {
                let balance = row.balance;
                let totals = [balance.debits, balance.credits, balance.pending_debits, balance.pending_credits];
                let [debits, credits, pending_debits, pending_credits] = totals.map(|total| total.to_string());
                (row.account.into(), row.asset.into(), debits, credits, pending_debits, pending_credits)
            });
            rows.collect()
        })
    }

    fn unknown(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        self.with(py, |replay| owned(replay.unknown()))
    }

    fn definitions(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        self.with(py, |replay| owned(replay.definitions()))
    }

    fn remainders(&self, py: Python<'_>) -> PyResult<Vec<RemainderTuple>> {
        self.with(py, |replay| {
            let rows = replay.remainders().into_iter();
            rows.map(|row| (row.id, row.kind, row.remaining, row.expires, row.seq)).collect()
        })
    }

    fn assets(&self, py: Python<'_>) -> PyResult<Vec<(String, u32)>> {
        self.with(py, |replay| replay.assets().into_iter().map(|(code, scale)| (code.into(), scale.into())).collect())
    }

    fn destroyed(&self, py: Python<'_>) -> PyResult<Vec<(u64, u32)>> {
        self.with(py, |replay| replay.destroyed().to_vec())
    }

    fn obscured(&self, py: Python<'_>) -> PyResult<Vec<&'static str>> {
        self.with(py, |replay| replay.obscured())
    }
}

/// (size, hash, at, batch, batch_first, full subtrees over the open batch)
type ChainTuple<'py> = (u64, Bound<'py, PyBytes>, u64, u64, u64, Bound<'py, PyBytes>);

/// Follow the chain through the consecutive stubs of `data` that come after `chain`; their leaf hashes and the chain
/// after them.
#[pyfunction]
fn follow<'py>(
    py: Python<'py>,
    ledger: &str,
    chain: (u64, PyBackedBytes, u64, u64, u64, PyBackedBytes),
    data: &[u8],
    lengths: Vec<usize>,
) -> PyResult<(Bound<'py, PyBytes>, ChainTuple<'py>)> {
    let (size, last, at, batch, batch_first, open) = chain;
    let open = hashes(&open)?.to_vec();
    if size.checked_sub(batch_first).map(u64::count_ones) != u32::try_from(open.len()).ok() {
        let message = format!("{} subtrees are not those of entries {batch_first} to {size}", open.len());
        return Err(PyValueError::new_err(message));
    }
    let head = Head { size, hash: *hash(&last)?, at, batch, batch_first, closed_before: None };
    let stubs = ::merkle::split_items(data, &lengths).map_err(|error| PyValueError::new_err(error.0))?;
    let followed = detached(py, data.len(), || ::journal::follow(ledger, head, open, &stubs));
    let (hashes, head, open) = followed.map_err(raised)?;
    let bytes = |hashes: &[Hash]| PyBytes::new(py, hashes.as_flattened());
    let chain = (head.size, PyBytes::new(py, &head.hash), head.at, head.batch, head.batch_first, bytes(&open));
    Ok((bytes(&hashes), chain))
}

fn owned(pairs: Vec<(&str, &str)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(left, right)| (left.into(), right.into())).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ReplayError", module.py().get_type::<ReplayError>())?;
    module.add_function(wrap_pyfunction!(follow, module)?)?;
    module.add_class::<Replay>()
}
