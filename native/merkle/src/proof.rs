//! Proofs that are made where all hashes are at hand. RFC 6962 sections 2.1.1 and 2.1.2.

use crate::tree::root;
use crate::{Hash, Invalid, Tree};

/// The largest power of two below `size`, which is at least 2.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// PATH(index, D[n]): the siblings of a leaf, leaf to root.
pub fn inclusion_path(tree: Tree, hashes: &[Hash], index: usize) -> Result<Vec<Hash>, Invalid> {
    if index >= hashes.len() {
        return Err(Invalid(format!("leaf index {index} lies outside a tree of {} leaves", hashes.len())));
    }
    let (mut index, mut leaves) = (index, hashes);
    let mut path = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            path.push(root(tree, right));
            leaves = left;
        } else {
            path.push(root(tree, left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Ok(path)
}

/// PROOF(size1, D[n]), 0 < size1 <= n: that the tree of the first `size1` leaves is a prefix; empty for `size1` = n.
pub fn consistency_path(tree: Tree, hashes: &[Hash], size1: usize) -> Result<Vec<Hash>, Invalid> {
    if size1 == 0 || size1 > hashes.len() {
        return Err(Invalid(format!("a proof from size {size1} to {} does not exist", hashes.len())));
    }
    let (mut size1, mut leaves, mut complete) = (size1, hashes, true);
    let mut path = Vec::new();
    // SUBPROOF(m, D[n], b)
    while size1 < leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if size1 <= left.len() {
            path.push(root(tree, right));
            leaves = left;
        } else {
            path.push(root(tree, left));
            size1 -= left.len();
            leaves = right;
            complete = false;
        }
    }
    if !complete {
        path.push(root(tree, leaves));
    }
    path.reverse();
    Ok(path)
}
