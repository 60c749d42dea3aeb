use std::sync::{Arc, Mutex, PoisonError};

use ::journal::{balance_row, Chunk, Existing, Fault, Head, Loaded, Outcome, Refusal};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::{arrow, objects};

pub(crate) type HeadTuple<'py> = (u64, Bound<'py, PyBytes>, u64, u64, u64, Option<u64>);

pub(crate) fn raised(fault: Fault) -> PyErr {
    match fault {
        Fault::Contradiction { seq, message } => contradiction(seq, message),
        Fault::By(_) | Fault::Body(_) => PyValueError::new_err(fault.to_string()),
        Fault::Misuse(message) => PyRuntimeError::new_err(message),
    }
}

/// `tallystick.errors.IntegrityViolation`
fn contradiction(seq: Option<u64>, message: String) -> PyErr {
    Python::attach(|py| {
        let raise = || {
            let facts = PyDict::new(py);
            facts.set_item("seq", seq)?;
            let next_step = "Stop writing; audit the ledger to see what else was changed.";
            facts.set_item("next_step", next_step)?;
            py.import("tallystick.errors")?.getattr("IntegrityViolation")?.call((message,), Some(&facts))
        };
        raise().map_or_else(|error| error, PyErr::from_value)
    })
}

fn hash_of(bytes: &[u8]) -> PyResult<[u8; 32]> {
    bytes.try_into().map_err(|_| PyValueError::new_err(format!("a hash has 32 bytes, found {}", bytes.len())))
}

/// Text of a request, ready to be parsed without Python.
pub(crate) enum Piece {
    Json(PyBackedBytes),
    Ndjson(PyBackedBytes),
    /// JSON written here, from Python values.
    Written(Vec<u8>),
    /// A command that could not be written.
    Malformed(String),
}

#[pyclass(frozen, module = "tallystick.kernels")]
struct Requests(Arc<::journal::Requests>);

#[pymethods]
impl Requests {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn counts(&self) -> Vec<usize> {
        self.0.counts().collect()
    }

    fn ids(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        self.0.ids().filter(|id| seen.insert(*id)).collect()
    }
}

#[pyclass(frozen, module = "tallystick.kernels")]
pub(crate) struct Batch(pub(crate) ::journal::Batch);

#[pymethods]
impl Batch {
    #[getter]
    fn first(&self) -> u64 {
        self.0.first()
    }

    #[getter]
    fn count(&self) -> usize {
        self.0.count()
    }

    #[getter]
    fn previous<'py>(&self, py: Python<'py>) -> (u64, Bound<'py, PyBytes>) {
        let (size, hash) = self.0.previous();
        (size, PyBytes::new(py, &hash))
    }

    #[getter]
    fn head<'py>(&self, py: Python<'py>) -> HeadTuple<'py> {
        let head = py.detach(|| self.0.head());
        (head.size, PyBytes::new(py, &head.hash), head.at, head.batch, head.batch_first, head.closed_before)
    }

    #[getter]
    fn refused(&self) -> usize {
        self.0.refused()
    }

    #[getter]
    fn replayed(&self) -> usize {
        self.0.replayed()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn outcome<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        if index >= self.0.len() {
            return Err(PyIndexError::new_err(index));
        }
        let outcome = if self.0.is_built() { self.0.outcome(index) } else { py.detach(|| self.0.outcome(index)) };
        outcome_object(py, outcome)
    }

    fn outcomes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        py.detach(|| self.0.head());
        let outcomes = (0..self.0.len()).map(|index| outcome_object(py, self.0.outcome(index)));
        PyList::new(py, outcomes.collect::<PyResult<Vec<_>>>()?)
    }

    fn refused_ids(&self) -> Vec<&str> {
        self.0.refused_ids().collect()
    }

    fn entries(&self) -> Entries {
        Entries(Mutex::new(Rows { chunks: self.0.chunks(), current: None }))
    }

    fn copy_entries(&self, ledger: i32) -> CopyEntries {
        CopyEntries(Mutex::new(self.0.copy_image(ledger)))
    }

    fn balances<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.0.balances().map(|row| {
            let balance = row.balance;
            let totals = [balance.debits, balance.credits, balance.pending_debits, balance.pending_credits];
            let [debits, credits, pending_debits, pending_credits] = totals.map(|total| total.to_string());
            (row.account, row.asset, debits, credits, pending_debits, pending_credits)
        });
        PyList::new(py, rows)
    }

    fn definitions(&self) -> Vec<(&str, &str)> {
        self.0.definitions().collect()
    }

    fn remainders(&self) -> Vec<(&str, &str, &str, Option<u64>, u64)> {
        let rows = self.0.remainders().iter();
        rows.map(|row| (row.id.as_str(), row.kind, row.remaining.as_str(), row.expires, row.seq)).collect()
    }

    fn assets(&self) -> Vec<(&str, u32)> {
        self.0.assets().map(|(code, scale)| (code, u32::from(scale))).collect()
    }
}

fn outcome_object(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Outcome::Recorded { seq, hash, at, replayed } => {
            Ok((seq, PyBytes::new(py, &hash), at, replayed).into_pyobject(py)?.into_any())
        }
        Outcome::Refused(refusal) => Ok(refusal_dict(py, &refusal)?.into_any()),
    }
}

fn refusal_dict<'py>(py: Python<'py>, refusal: &Refusal) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("code", refusal.code.as_str())?;
    dict.set_item("message", &refusal.message)?;
    let texts = [
        ("member", &refusal.member),
        ("account", &refusal.account),
        ("asset", &refusal.asset),
        ("needed", &refusal.needed),
        ("available", &refusal.available),
        ("expected", &refusal.expected),
        ("found", &refusal.found),
        ("target", &refusal.target),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            dict.set_item(name, text)?;
        }
    }
    if let Some(position) = refusal.position {
        dict.set_item("position", position)?;
    }
    if let Some(leg) = refusal.leg {
        dict.set_item("leg", leg)?;
    }
    if let Some(culprit) = refusal.culprit {
        dict.set_item("target", culprit)?;
    }
    Ok(dict)
}

type EntryTuple<'py> =
    (u64, Option<Bound<'py, PyString>>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pyclass(frozen, module = "tallystick.kernels")]
struct Entries(Mutex<Rows>);

struct Rows {
    chunks: ::journal::Chunks,
    /// The chunk at hand, and the index of its next row.
    current: Option<(Arc<Chunk>, usize)>,
}

#[pymethods]
impl Entries {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<EntryTuple<'py>> {
        // Nobody waits for the lock with the GIL held, which the one who has the lock may want.
        let (chunk, index) = py.detach(|| {
            let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Rows { chunks, current } = &mut *guard;
            if current.as_ref().is_none_or(|(chunk, next)| *next == chunk.len()) {
                *current = chunks.next().map(|chunk| (chunk, 0));
            }
            let (chunk, next) = current.as_mut()?;
            *next += 1;
            Some((Arc::clone(chunk), *next - 1))
        })?;
        let row = chunk.row(index);
        let id = row.id.map(|id| PyString::new(py, id));
        let [stub, body] = [row.stub, row.body].map(|bytes| PyBytes::new(py, bytes));
        Some((row.seq, id, stub, body, PyBytes::new(py, &row.hash)))
    }
}

#[pyclass(frozen, module = "tallystick.kernels")]
struct CopyEntries(Mutex<::journal::CopyImage>);

#[pymethods]
impl CopyEntries {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let piece = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).next())?;
        Some(PyBytes::new(py, &piece))
    }
}

#[pyclass(frozen, module = "tallystick.kernels")]
struct Journal(Mutex<::journal::Journal>);

impl Journal {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Send + FnOnce(&mut ::journal::Journal) -> Result<T, Fault>,
    ) -> PyResult<T> {
        let done = py.detach(|| match self.0.lock() {
            Ok(mut journal) => work(&mut journal),
            Err(_) => Err(Fault::Misuse("the journal failed in the middle of a call: reset it".into())),
        });
        done.map_err(raised)
    }
}

type BalanceTuple = (PyBackedStr, PyBackedStr, PyBackedStr, PyBackedStr, PyBackedStr, PyBackedStr);

#[pymethods]
impl Journal {
    #[new]
    fn new(ledger: &str) -> Self {
        Journal(Mutex::new(::journal::Journal::new(ledger)))
    }

    fn reset(
        &self,
        py: Python<'_>,
        head: Option<(u64, PyBackedBytes, u64, u64, u64, Option<u64>)>,
        explicit_accounts: bool,
        assets: Vec<(PyBackedStr, u8)>,
        expiring: Vec<(PyBackedStr, u64, u64)>,
    ) -> PyResult<()> {
        let head = head.map(|(size, hash, at, batch, batch_first, closed_before)| {
            Ok::<_, PyErr>(Head { size, hash: hash_of(&hash)?, at, batch, batch_first, closed_before })
        });
        let head = head.transpose()?;
        self.0.clear_poison();
        self.with(py, |journal| {
            let assets = assets.iter().map(|(code, scale)| (&**code, *scale));
            let expiring = expiring.iter().map(|(id, seq, expires)| (&**id, *seq, *expires));
            journal.reset(head, explicit_accounts, assets, expiring);
            Ok(())
        })
    }

    fn parse(&self, py: Python<'_>, requests: Vec<(PyBackedStr, PyBackedStr, Bound<'_, PyAny>)>) -> PyResult<Requests> {
        let mut callers = Vec::with_capacity(requests.len());
        for (by, format, payload) in requests {
            callers.push((by, pieces(&format, &payload)?));
        }
        let parsed = py.detach(|| {
            let mut parsed = ::journal::Requests::new();
            for (by, pieces) in &callers {
                parsed.begin(by)?;
                for piece in pieces {
                    match piece {
                        Piece::Json(text) => parsed.json(text),
                        Piece::Ndjson(text) => parsed.ndjson(text),
                        Piece::Written(text) => parsed.written(text),
                        Piece::Malformed(message) => parsed.malformed(message),
                    }
                }
            }
            Ok(parsed)
        });
        Ok(Requests(Arc::new(parsed.map_err(raised)?)))
    }

    fn missing(&self, py: Python<'_>, requests: &Requests, now: u64) -> PyResult<(Vec<String>, Vec<String>)> {
        self.with(py, |journal| journal.missing(&requests.0, now))
    }

    #[allow(clippy::too_many_arguments, reason = "the interface has six")]
    #[allow(clippy::type_complexity, reason = "the rows of the interface")]
    fn load(
        &self,
        py: Python<'_>,
        accounts: Vec<PyBackedStr>,
        definitions: Vec<(PyBackedStr, PyBackedBytes)>,
        balances: Vec<BalanceTuple>,
        targets: Vec<PyBackedStr>,
        entries: Vec<(PyBackedStr, u64, PyBackedBytes, PyBackedBytes)>,
        remainders: Vec<(PyBackedStr, PyBackedStr, Vec<u128>, Option<u64>)>,
    ) -> PyResult<(Vec<String>, Vec<String>)> {
        let missing = self.with(py, |journal| {
            let accounts: Vec<&str> = accounts.iter().map(|name| &**name).collect();
            let definitions = definitions.iter().map(|(name, json)| match std::str::from_utf8(json) {
                Ok(json) => Ok((&**name, json)),
                Err(_) => Err(Fault::Contradiction {
                    seq: None,
                    message: format!("the definition of {} is not UTF-8", &**name),
                }),
            });
            let definitions = definitions.collect::<Result<Vec<_>, _>>()?;
            let balances = balances.iter().map(|(account, asset, debits, credits, pending_debits, pending_credits)| {
                balance_row(account, asset, [debits, credits, pending_debits, pending_credits])
            });
            let balances = balances.collect::<Result<Vec<_>, _>>()?;
            let ids: Vec<&str> = targets.iter().map(|id| &**id).collect();
            let targets: Vec<_> = entries.iter().map(|(id, seq, stub, body)| (&**id, *seq, &**stub, &**body)).collect();
            let remainders: Vec<_> =
                remainders.iter().map(|(id, _, remaining, expires)| (&**id, remaining.as_slice(), *expires)).collect();
            journal.load(&Loaded {
                accounts: &accounts,
                definitions: &definitions,
                balances: &balances,
                ids: &ids,
                targets: &targets,
                remainders: &remainders,
            })
        });
        Ok((missing?, Vec::new()))
    }

    #[pyo3(signature = (requests, now, seed, existing = Vec::new()))]
    fn apply(
        &self,
        py: Python<'_>,
        requests: &Requests,
        now: u64,
        seed: &[u8],
        existing: Vec<(PyBackedStr, u64, PyBackedBytes, PyBackedBytes, PyBackedBytes)>,
    ) -> PyResult<Batch> {
        let seed: [u8; 32] = seed.try_into().map_err(|_| PyValueError::new_err("the seed has 32 bytes"))?;
        let hashes = existing.iter().map(|(.., hash)| hash_of(hash)).collect::<PyResult<Vec<_>>>()?;
        let rows = existing.iter().zip(hashes).map(|((id, seq, stub, body, _), hash)| Existing {
            id,
            seq: *seq,
            stub,
            body,
            hash,
        });
        let rows: Vec<_> = rows.collect();
        let requests = Arc::clone(&requests.0);
        self.with(py, |journal| journal.apply(requests, now, seed, &rows)).map(Batch)
    }

    fn append(&self, py: Python<'_>, kind: &str, body: &[u8], now: u64) -> PyResult<Batch> {
        self.with(py, |journal| journal.append(kind, body, now)).map(Batch)
    }

    fn commit(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        self.with(py, |journal| journal.commit(&batch.0))
    }

    fn rollback(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        self.with(py, |journal| journal.rollback(&batch.0))
    }
}

fn pieces(format: &str, payload: &Bound<'_, PyAny>) -> PyResult<Vec<Piece>> {
    let text = || match payload.extract::<PyBackedBytes>() {
        Ok(bytes) => Ok(bytes),
        Err(_) => {
            let found = payload.get_type().name()?;
            Err(PyTypeError::new_err(format!("a payload of format {format} is bytes, found {found}")))
        }
    };
    match format {
        "json" => Ok(vec![Piece::Json(text()?)]),
        "ndjson" => Ok(vec![Piece::Ndjson(text()?)]),
        "objects" => objects::pieces(payload),
        "arrow" => Ok(vec![Piece::Written(arrow::commands(payload)?)]),
        _ => Err(PyValueError::new_err(format!("format: expected json, ndjson, objects or arrow, found {format}"))),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Requests>()?;
    module.add_class::<Batch>()?;
    module.add_class::<Journal>()
}
