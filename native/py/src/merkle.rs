use ::merkle::{Hash, Invalid, Tree, HASH_SIZE, TILE_WIDTH};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::detached;

fn raised(error: Invalid) -> PyErr {
    PyValueError::new_err(error.0)
}

pub(crate) fn hashes(data: &[u8]) -> PyResult<&[Hash]> {
    match data.as_chunks::<HASH_SIZE>() {
        (hashes, []) => Ok(hashes),
        _ => Err(PyValueError::new_err(format!("{} bytes are no sequence of 32-byte hashes", data.len()))),
    }
}

pub(crate) fn hash(data: &[u8]) -> PyResult<&Hash> {
    data.try_into().map_err(|_| PyValueError::new_err(format!("a hash has 32 bytes, found {}", data.len())))
}

fn flat<'py>(py: Python<'py>, hashes: &[Hash]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, hashes.as_flattened())
}

/// New bytes of `count` hashes, filled in place.
fn filled<'py>(
    py: Python<'py>,
    count: usize,
    work_bytes: usize,
    fill: impl Send + FnOnce(&mut [Hash]) -> Result<(), Invalid>,
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, count * HASH_SIZE, |out| {
        let (out, _) = out.as_chunks_mut();
        detached(py, work_bytes, || fill(out)).map_err(raised)
    })
}

/// SHA-256(00 || data).
#[pyfunction]
fn leaf_hash<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &detached(py, data.len(), || Tree::Log.leaf(data)))
}

/// Leaf hashes of consecutive items of `data`, on all cores.
#[pyfunction]
fn leaf_hashes<'py>(py: Python<'py>, data: &[u8], lengths: Vec<usize>) -> PyResult<Bound<'py, PyBytes>> {
    filled(py, lengths.len(), data.len(), |out| {
        ::merkle::hash_items(Tree::Log, &::merkle::split_items(data, &lengths)?, out);
        Ok(())
    })
}

/// SHA-256(01 || left || right).
#[pyfunction]
fn node_hash<'py>(py: Python<'py>, left: &[u8], right: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &Tree::Log.node(hash(left)?, hash(right)?)))
}

fn root_of<'py>(py: Python<'py>, tree: Tree, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let hashes = hashes(data)?;
    Ok(PyBytes::new(py, &detached(py, data.len(), || ::merkle::root(tree, hashes))))
}

fn path_of<'py>(py: Python<'py>, tree: Tree, data: &[u8], index: usize) -> PyResult<Bound<'py, PyBytes>> {
    let hashes = hashes(data)?;
    let path = detached(py, data.len(), || ::merkle::inclusion_path(tree, hashes, index));
    Ok(flat(py, &path.map_err(raised)?))
}

/// RFC 6962 section 2.1 root of leaf (or subtree) hashes; SHA-256("") for none.
#[pyfunction]
fn tree_root<'py>(py: Python<'py>, hashes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    root_of(py, Tree::Log, hashes)
}

/// Audit path of a leaf, leaf to root.
#[pyfunction]
fn inclusion_path<'py>(py: Python<'py>, hashes: &[u8], index: usize) -> PyResult<Bound<'py, PyBytes>> {
    path_of(py, Tree::Log, hashes, index)
}

/// Proof that the tree of the first `size1` leaves, 0 < `size1` <= n, is a prefix; empty for n.
#[pyfunction]
#[pyo3(name = "consistency_path")]
fn consistency<'py>(py: Python<'py>, hashes: &[u8], size1: usize) -> PyResult<Bound<'py, PyBytes>> {
    let leaves = self::hashes(hashes)?;
    let path = detached(py, hashes.len(), || ::merkle::consistency_path(Tree::Log, leaves, size1));
    Ok(flat(py, &path.map_err(raised)?))
}

/// Root of the tree of `size` whose full subtrees, largest first, are `frontier`.
#[pyfunction]
fn frontier_root<'py>(py: Python<'py>, size: u64, frontier: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let root = ::merkle::frontier_root(Tree::Log, size, hashes(frontier)?).map_err(raised)?;
    Ok(PyBytes::new(py, &root))
}

/// The frontier after appending leaf hashes.
#[pyfunction]
fn frontier_extend<'py>(py: Python<'py>, size: u64, frontier: &[u8], hashes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let (roots, leaves) = (self::hashes(frontier)?, self::hashes(hashes)?);
    let extended = detached(py, hashes.len(), || ::merkle::frontier_extend(Tree::Log, size, roots, leaves));
    Ok(flat(py, &extended.map_err(raised)?))
}

/// One hash per full 256 of `hashes` (the next tile level up); a remainder gives none.
#[pyfunction]
fn tile_hashes<'py>(py: Python<'py>, hashes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let leaves = self::hashes(hashes)?;
    filled(py, leaves.len() / TILE_WIDTH, hashes.len(), |out| ::merkle::tile_hashes(Tree::Log, leaves, out))
}

/// C2SP tlog-tiles: big-endian uint16 length and bytes, repeated; `ValueError` above 65,535 bytes.
#[pyfunction]
fn entry_bundle<'py>(py: Python<'py>, items: Vec<PyBackedBytes>) -> PyResult<Bound<'py, PyBytes>> {
    let items: Vec<&[u8]> = items.iter().map(|item| &**item).collect();
    Ok(PyBytes::new(py, &::merkle::entry_bundle(&items).map_err(raised)?))
}

/// Consecutive items of `data` in bundles of 256, what is left over in a last one.
#[pyfunction]
fn entry_bundles<'py>(py: Python<'py>, data: &[u8], lengths: Vec<usize>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let items = ::merkle::split_items(data, &lengths).map_err(raised)?;
    let bundles = detached(py, data.len(), || ::merkle::entry_bundles(&items)).map_err(raised)?;
    Ok(bundles.iter().map(|bundle| PyBytes::new(py, bundle)).collect())
}

/// Leaf hashes of the items of an entry bundle; `ValueError` if it is truncated.
#[pyfunction]
fn bundle_hashes<'py>(py: Python<'py>, bundle: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let items = ::merkle::bundle_items(bundle).map_err(raised)?;
    filled(py, items.len(), bundle.len(), |out| {
        ::merkle::hash_items(Tree::Log, &items, out);
        Ok(())
    })
}

/// Root of a body tree (02 parts, 03 nodes).
#[pyfunction]
fn body_root<'py>(py: Python<'py>, parts: Vec<PyBackedBytes>) -> Bound<'py, PyBytes> {
    let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
    let bytes = parts.iter().map(|part| part.len()).sum();
    let root = detached(py, bytes, || {
        let mut hashes = vec![[0; HASH_SIZE]; parts.len()];
        ::merkle::hash_items(Tree::Body, &parts, &mut hashes);
        ::merkle::root(Tree::Body, &hashes)
    });
    PyBytes::new(py, &root)
}

#[pyfunction]
fn body_root_of_hashes<'py>(py: Python<'py>, hashes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    root_of(py, Tree::Body, hashes)
}

#[pyfunction]
fn body_path<'py>(py: Python<'py>, hashes: &[u8], index: usize) -> PyResult<Bound<'py, PyBytes>> {
    path_of(py, Tree::Body, hashes, index)
}

/// SHA-256(02 || part).
#[pyfunction]
fn part_hash<'py>(py: Python<'py>, part: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &detached(py, part.len(), || Tree::Body.leaf(part)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(leaf_hash, module)?)?;
    module.add_function(wrap_pyfunction!(leaf_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(node_hash, module)?)?;
    module.add_function(wrap_pyfunction!(tree_root, module)?)?;
    module.add_function(wrap_pyfunction!(inclusion_path, module)?)?;
    module.add_function(wrap_pyfunction!(consistency, module)?)?;
    module.add_function(wrap_pyfunction!(frontier_root, module)?)?;
    module.add_function(wrap_pyfunction!(frontier_extend, module)?)?;
    module.add_function(wrap_pyfunction!(tile_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(entry_bundle, module)?)?;
    module.add_function(wrap_pyfunction!(entry_bundles, module)?)?;
    module.add_function(wrap_pyfunction!(bundle_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(body_root, module)?)?;
    module.add_function(wrap_pyfunction!(body_root_of_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(body_path, module)?)?;
    module.add_function(wrap_pyfunction!(part_hash, module)?)
}
