//! `tallystick.kernels._native`: Python's view of the kernels. `src/tallystick/kernels/_native.pyi` is its contract.

use pyo3::prelude::*;

mod arrow;
mod journal;
mod json;
mod merkle;
mod objects;
mod reading;
mod replay;
mod sqlite;

/// Bytes up to which work is not worth releasing the GIL for.
const BYTES_ATTACHED_MAX: usize = 4096;

/// Run `work` with the GIL released if it has more than a little to do.
fn detached<T: Send>(py: Python<'_>, bytes: usize, work: impl Send + FnOnce() -> T) -> T {
    if bytes > BYTES_ATTACHED_MAX {
        py.detach(work)
    } else {
        work()
    }
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    json::register(module)?;
    merkle::register(module)?;
    journal::register(module)?;
    replay::register(module)?;
    reading::register(module)?;
    sqlite::register(module)
}
