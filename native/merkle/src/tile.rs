//! C2SP tlog-tiles: tiles of 256 hashes and entry bundles.
//!
//! ```text
//! bundle = *( uint16 length || that many bytes )      big-endian
//! ```

use crate::parallel::for_each;
use crate::tree::{fold, NODE_BYTES};
use crate::{Hash, Invalid, Tree};

/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 256;

/// Bytes of the largest item of an entry bundle.
pub const BUNDLE_ITEM_MAX: usize = u16::MAX as usize;

/// Tiles hashed by one task.
const TILES_PER_TASK: usize = 8;

/// One hash per full tile, into `out`: the next level's. What does not fill a tile gives none.
pub fn tile_hashes(tree: Tree, hashes: &[Hash], out: &mut [Hash]) -> Result<(), Invalid> {
    let count = hashes.len() / TILE_WIDTH;
    if out.len() != count {
        return Err(Invalid(format!("{} hashes fill {count} tiles, not {}", hashes.len(), out.len())));
    }
    let (tiles, _) = hashes.as_chunks::<TILE_WIDTH>();
    let tasks = tiles.chunks(TILES_PER_TASK).zip(out.chunks_mut(TILES_PER_TASK));
    for_each(hashes.len() * NODE_BYTES, tasks, |(tiles, out)| {
        tiles.iter().zip(out).for_each(|(tile, hash)| *hash = fold(tree, tile));
    });
    Ok(())
}

/// The bundle of these items.
pub fn entry_bundle(items: &[&[u8]]) -> Result<Vec<u8>, Invalid> {
    let mut bundle = Vec::with_capacity(items.iter().map(|item| item.len() + 2).sum());
    for (index, item) in items.iter().enumerate() {
        let length = u16::try_from(item.len()).map_err(|_| {
            Invalid(format!("item {index} has {} bytes, an entry bundle takes {BUNDLE_ITEM_MAX}", item.len()))
        })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(item);
    }
    Ok(bundle)
}

/// Consecutive items in bundles of 256; what is left over in a last one.
pub fn entry_bundles(items: &[&[u8]]) -> Result<Vec<Vec<u8>>, Invalid> {
    items.chunks(TILE_WIDTH).map(entry_bundle).collect()
}

/// The items of a bundle.
pub fn bundle_items(bundle: &[u8]) -> Result<Vec<&[u8]>, Invalid> {
    let mut items = Vec::with_capacity(TILE_WIDTH);
    let mut rest = bundle;
    while !rest.is_empty() {
        let item = rest
            .split_first_chunk::<2>()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((item, after)) = item else {
            return Err(Invalid(format!("the entry bundle ends within item {}", items.len())));
        };
        items.push(item);
        rest = after;
    }
    Ok(items)
}
