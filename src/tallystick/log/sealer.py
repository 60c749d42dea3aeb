"""Sealing: close the open batch, sign the whole tree.

1. Read the newest checkpoint and check it: our own signatures, that its frontier has the signed root, and that the
   last signed entry is in it: whatever is signed next continues that entry.
2. Read back every entry since, hash the stored bytes again, follow the chain.
3. Append the seal entry with the batch's root. Crash after: the seal is there without a checkpoint; the next run
   finds nothing in the new batch and goes on with step 4.
4. Sign the tree that ends with the seal. The time that is signed is the seal's own, so that signing again signs the
   same message.
5. Store the checkpoint by compare-and-set on the newest one. Crash before: nothing was shown to anybody; step 4 runs
   again. Two checkpoints of one size cannot both be stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick import kernels
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import Digest, Seconds, TreeSize
from tallystick.core.encoding import canonical
from tallystick.core.policy import Policy
from tallystick.core.stub import Stub
from tallystick.custody.checkpoints import sign_checkpoint
from tallystick.custody.ports import Signer
from tallystick.log.recorder import Recorder
from tallystick.log.signed import check_row
from tallystick.log.tree import EMPTY, Growth, grow, last_of
from tallystick.storage.ports import CheckpointRow, Head, HeadMoved, LedgerStore

__all__ = ["Sealed", "Sealer"]


@dataclass(frozen=True, slots=True)
class Sealed:
    """The checkpoint that covers everything recorded before it was asked for."""

    size: int
    root: bytes
    note: bytes
    batch: int | None  # the batch that was closed; None if there was nothing to close


class Sealer:
    """Seals one ledger with its signers; `policy` is what any verifier would demand of our own checkpoint."""

    def __init__(self, store: LedgerStore, recorder: Recorder, signers: Sequence[Signer], policy: Policy) -> None:
        self._store, self._recorder, self._signers, self._policy = store, recorder, signers, policy

    def seal(self) -> Sealed | None:
        """Close the open batch and sign; None if everything is sealed already."""
        signed = self._last_signed()  # 1
        head = self._store.head()
        if head is None or head.size == signed.size:
            return None
        tree, hashes = grow(self._store, signed, head.size)  # 2: the bulk, while others record
        with self._recorder.exclusive() as head:
            tree, more = grow(self._store, tree, head.size)  # 2: what came meanwhile
            batch = None
            if head.batch_first < head.size:
                batch = head.batch
                tree = self._append_seal(head, tree, (hashes + more)[32 * (head.batch_first - signed.size) :])  # 3
            return self._sign(tree, batch, signed.size or None)  # 4, 5

    def _last_signed(self) -> Growth:
        row = self._store.checkpoint()
        if row is None:
            return EMPTY
        check_row(self._store.origin, row, self._policy)
        return Growth(row.size, row.frontier, last_of(self._store, row.size, row.frontier))

    def _append_seal(self, head: Head, tree: Growth, hashes: bytes) -> Growth:
        seal = {
            "batch": head.batch,
            "count": head.size - head.batch_first,
            "first": head.batch_first,
            "root": kernels.tree_root(hashes).hex(),
        }
        after = self._recorder.append("seal", canonical(seal))
        return grow(self._store, tree, after.size)[0]

    def _sign(self, tree: Growth, batch: int | None, previous: int | None) -> Sealed:
        (rows,) = self._store.entries(tree.size - 1, tree.size, bodies=False)
        seal = Stub.parse(rows[0].stub)
        checkpoint = Checkpoint(self._store.origin, TreeSize(tree.size), Digest(tree.root))
        note = sign_checkpoint(self._signers, checkpoint, Seconds(seal.at // 1_000_000))
        row = CheckpointRow(tree.size, tree.root, note, tree.frontier)
        check_row(self._store.origin, row, self._policy)
        try:
            self._store.add_checkpoint(row, previous)
        except HeadMoved:
            stored = self._store.checkpoint(at_least=tree.size)
            if stored is None or (stored.size, stored.root) != (tree.size, tree.root):
                raise
            row = stored
        return Sealed(row.size, row.root, row.note, batch)
