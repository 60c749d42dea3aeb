//! The frontier of a tree of n leaves: the roots of its full subtrees, largest first, one for each bit set in n.
//! It is all that is needed to go on appending.

use crate::tree::root;
use crate::{Hash, Invalid, Tree, EMPTY_ROOT};

fn check(size: u64, frontier: &[Hash]) -> Result<(), Invalid> {
    if frontier.len() != size.count_ones() as usize {
        return Err(Invalid(format!(
            "a tree of {size} leaves has {} full subtrees, found {}",
            size.count_ones(),
            frontier.len()
        )));
    }
    Ok(())
}

/// The root of the tree of `size` leaves.
pub fn frontier_root(tree: Tree, size: u64, frontier: &[Hash]) -> Result<Hash, Invalid> {
    check(size, frontier)?;
    let right_to_left = frontier.iter().rev().copied();
    Ok(right_to_left.reduce(|right, left| tree.node(&left, &right)).unwrap_or(EMPTY_ROOT))
}

/// The frontier after appending leaf hashes.
pub fn frontier_extend(tree: Tree, size: u64, frontier: &[Hash], hashes: &[Hash]) -> Result<Vec<Hash>, Invalid> {
    check(size, frontier)?;
    if size.checked_add(hashes.len() as u64).is_none() {
        return Err(Invalid(format!("a tree cannot grow from {size} by {} leaves", hashes.len())));
    }
    let (mut size, mut frontier, mut rest) = (size, frontier.to_vec(), hashes);
    while !rest.is_empty() {
        // The largest full subtree that starts here and that the leaves fill.
        let height = rest.len().ilog2().min(size.trailing_zeros());
        let (leaves, after) = rest.split_at(1 << height);
        let mut subtree = root(tree, leaves);
        let mut left = size >> height;
        while left & 1 == 1 {
            if let Some(sibling) = frontier.pop() {
                subtree = tree.node(&sibling, &subtree);
            }
            left >>= 1;
        }
        frontier.push(subtree);
        size += 1 << height;
        rest = after;
    }
    Ok(frontier)
}
