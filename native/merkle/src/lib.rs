//! Merkle trees of RFC 6962 (section 2.1) over SHA-256, and what is cut from them.
//!
//! ```text
//! leaf = SHA-256(00 || bytes)   node = SHA-256(01 || left || right)   the log's tree
//! part = SHA-256(02 || bytes)   node = SHA-256(03 || left || right)   an entry's body
//! ```
//!
//! A tree of n > 1 leaves is split at the largest power of two below n; a tree of none has the root SHA-256("").
//! Work of more than some hundred microseconds is spread over all cores; small inputs stay on the calling thread.

mod digest;
mod frontier;
pub mod parallel;
mod proof;
mod tile;
mod tree;

pub use digest::{Hash, Tree, HASH_SIZE};
pub use frontier::{frontier_extend, frontier_root};
pub use proof::{consistency_path, inclusion_path};
pub use tile::{bundle_items, entry_bundle, entry_bundles, tile_hashes, BUNDLE_ITEM_MAX, TILE_WIDTH};
pub use tree::{hash_items, root, split_items, EMPTY_ROOT};

/// Inputs that contradict each other, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}
