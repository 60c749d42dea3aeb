use merkle::{hash_items, Hash, Tree, HASH_SIZE};

use super::stub::{Content, Stub};
use super::{Contradiction, Replay};
use crate::{Head, Kind};

/// Follow the chain through the stubs that come after `head`: each has exactly its form and is the next one, later than
/// the one before and linked to it, of the open batch; a seal fits its batch. `open` are the full subtrees over the open
/// batch so far. Returns the stubs' hashes, and `head` and `open` after them.
pub fn follow(
    ledger: &str,
    head: Head,
    open: Vec<Hash>,
    stubs: &[&[u8]],
) -> Result<(Vec<Hash>, Head, Vec<Hash>), Contradiction> {
    let mut hashes = vec![[0; HASH_SIZE]; stubs.len()];
    hash_items(Tree::Log, stubs, &mut hashes);
    let mut replay = Replay::new(ledger);
    (replay.batch_size, replay.batch, replay.head) = (head.size - head.batch_first, open, head);
    let mut fresh = 0;
    for (index, (stub, &hash)) in stubs.iter().zip(&hashes).enumerate() {
        let seq = replay.head.size;
        let stub = Stub::read(stub, &replay.ledger).and_then(|stub| {
            replay.check_stub(&stub)?;
            if let (Kind::Seal, Content::Object(body)) = (stub.kind, &stub.content) {
                replay.extend_batch(&hashes[fresh..index]);
                replay.check_seal(body)?;
                fresh = index + 1;
            }
            Ok(stub)
        });
        let stub = stub.map_err(|blame| blame.at(seq))?;
        replay.advance(stub.kind, stub.at, hash);
    }
    replay.extend_batch(&hashes[fresh..]);
    Ok((hashes, replay.head, replay.batch))
}
