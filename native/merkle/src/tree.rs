use crate::parallel::for_each;
use crate::{Hash, Invalid, Tree};

/// SHA-256(""): RFC 6962 section 2.1.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// What hashing a node costs, in bytes: two blocks of SHA-256. A leaf costs about as much beside its bytes.
pub(crate) const NODE_BYTES: usize = 128;

/// Leaves per task. A power of two, so that every full task is a subtree of the tree.
const SUBTREE: usize = 1024;

/// Bytes per task: enough to hide its hand-over, few enough to keep all cores busy to the end.
const BYTES_PER_TASK: usize = 32 * 1024;

/// The root of the tree whose leaves (or equally large full subtrees) have these hashes.
pub fn root(tree: Tree, hashes: &[Hash]) -> Hash {
    if hashes.len() <= SUBTREE {
        return fold(tree, hashes);
    }
    let mut subtrees = vec![EMPTY_ROOT; hashes.len().div_ceil(SUBTREE)];
    let tasks = hashes.chunks(SUBTREE).zip(&mut subtrees);
    for_each(hashes.len() * NODE_BYTES, tasks, |(leaves, subtree)| *subtree = fold(tree, leaves));
    root(tree, &subtrees)
}

/// Level by level; a node without a right neighbour rises as it is, which is the split of RFC 6962 section 2.1.
pub(crate) fn fold(tree: Tree, hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_ROOT,
        [only] => *only,
        _ => {
            let mut level = raise(tree, hashes);
            while level.len() > 1 {
                raise_in_place(tree, &mut level);
            }
            level[0]
        }
    }
}

fn raise(tree: Tree, hashes: &[Hash]) -> Vec<Hash> {
    hashes.chunks(2).map(|pair| if let [left, right] = pair { tree.node(left, right) } else { pair[0] }).collect()
}

fn raise_in_place(tree: Tree, level: &mut Vec<Hash>) {
    let half = level.len().div_ceil(2);
    for index in 0..half {
        level[index] = match level.get(2 * index + 1) {
            Some(right) => tree.node(&level[2 * index], right),
            None => level[2 * index],
        };
    }
    level.truncate(half);
}

/// Leaf (or part) hashes of items, into `out`, which has one place for each.
pub fn hash_items(tree: Tree, items: &[&[u8]], out: &mut [Hash]) {
    assert_eq!(items.len(), out.len(), "one place for each hash");
    let bytes: usize = items.iter().map(|item| item.len() + NODE_BYTES).sum();
    let items_per_task = (items.len() * BYTES_PER_TASK / bytes.max(1)).max(1);
    let tasks = items.chunks(items_per_task).zip(out.chunks_mut(items_per_task));
    for_each(bytes, tasks, |(items, out)| {
        items.iter().zip(out).for_each(|(item, hash)| *hash = tree.leaf(item));
    });
}

/// The consecutive items of `data` that have these lengths.
pub fn split_items<'a>(data: &'a [u8], lengths: &[usize]) -> Result<Vec<&'a [u8]>, Invalid> {
    let mut rest = data;
    let mut items = Vec::with_capacity(lengths.len());
    for &length in lengths {
        let Some((item, after)) = rest.split_at_checked(length) else { break };
        items.push(item);
        rest = after;
    }
    if items.len() < lengths.len() || !rest.is_empty() {
        return Err(Invalid(format!("{} lengths do not add up to {} bytes", lengths.len(), data.len())));
    }
    Ok(items)
}
