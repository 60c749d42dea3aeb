//! SHA-256 behind a prefix byte, on the compression function itself: whole blocks are read where they lie, and a node
//! costs its two blocks and nothing else.

use sha2::block_api::compress256;

pub const HASH_SIZE: usize = 32;
pub type Hash = [u8; HASH_SIZE];

const BLOCK: usize = 64;

/// FIPS 180-4 section 5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Which tree: the prefix bytes keep a leaf from being passed off as a node, and a body from a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// RFC 6962 section 2.1: leaf 00, node 01.
    Log,
    /// An entry's body: part 02, node 03.
    Body,
}

impl Tree {
    /// Hash of a leaf of the log, or of a part of a body.
    pub fn leaf(self, data: &[u8]) -> Hash {
        prefixed(if self == Tree::Log { 0x00 } else { 0x02 }, data)
    }

    pub fn node(self, left: &Hash, right: &Hash) -> Hash {
        let mut blocks = [[0u8; BLOCK]; 2];
        blocks[0][0] = if self == Tree::Log { 0x01 } else { 0x03 };
        blocks[0][1..33].copy_from_slice(left);
        blocks[0][33..].copy_from_slice(&right[..31]);
        blocks[1][0] = right[31];
        blocks[1][1] = 0x80;
        blocks[1][56..].copy_from_slice(&(65u64 * 8).to_be_bytes());
        let mut state = INITIAL;
        compress256(&mut state, &blocks);
        output(&state)
    }
}

/// SHA-256(prefix || data).
fn prefixed(prefix: u8, data: &[u8]) -> Hash {
    let mut state = INITIAL;
    let mut tail = [[0u8; BLOCK]; 2];
    let flat = tail.as_flattened_mut();
    flat[0] = prefix;
    let mut used = 1;
    let mut rest = data;
    if let Some((head, after)) = data.split_first_chunk::<{ BLOCK - 1 }>() {
        flat[1..BLOCK].copy_from_slice(head);
        let (blocks, after) = after.as_chunks::<BLOCK>();
        compress256(&mut state, &tail[..1]);
        compress256(&mut state, blocks);
        tail[0] = [0; BLOCK];
        used = 0;
        rest = after;
    }
    // FIPS 180-4 section 5.1.1: a one bit, zeros, the length in bits.
    let flat = tail.as_flattened_mut();
    flat[used..used + rest.len()].copy_from_slice(rest);
    used += rest.len();
    flat[used] = 0x80;
    let count = if used + 9 <= BLOCK { 1 } else { 2 };
    flat[count * BLOCK - 8..count * BLOCK].copy_from_slice(&((data.len() as u64 + 1) * 8).to_be_bytes());
    compress256(&mut state, &tail[..count]);
    output(&state)
}

fn output(state: &[u32; 8]) -> Hash {
    let mut hash = [0; HASH_SIZE];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn every_length_agrees_with_plain_sha256() {
        let data: Vec<u8> = (0..400u32).map(|i| (i * 7) as u8).collect();
        for length in 0..data.len() {
            let plain = Sha256::new().chain_update([0x02]).chain_update(&data[..length]).finalize();
            assert_eq!(Tree::Body.leaf(&data[..length])[..], plain[..], "length {length}");
        }
        let (left, right) = (Tree::Log.leaf(b"left"), Tree::Log.leaf(b"right"));
        let plain = Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize();
        assert_eq!(Tree::Log.node(&left, &right)[..], plain[..]);
    }
}
