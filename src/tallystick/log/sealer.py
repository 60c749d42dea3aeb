"""Sealing: close the open batch, sign the whole tree.

1. Read the newest checkpoint and check it: our own signatures, that its frontier has the signed root, and that the
   last signed entry is in it: whatever is signed next continues that entry. It must extend the last tree that this
   process saw signed: rows taken away or exchanged while we run must not make us sign a second root of one size.
2. Read back every entry since, hash the stored bytes again, follow the chain to the head.
3. Append the seal entry with the batch's root. Crash after: the seal is there without a checkpoint; the next run
   finds nothing in the new batch and goes on with step 4.
4. Sign the tree that ends with the seal. The time that is signed is the seal's own, so that signing again signs the
   same message.
5. Store the checkpoint by compare-and-set on the newest one. Crash before: nothing was shown to anybody; step 4 runs
   again. Two checkpoints of one size cannot both be stored.
"""

from __future__ import annotations

import threading
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
from tallystick.log.ending import HeadContradicts
from tallystick.log.recorder import Recorder, WentBack
from tallystick.log.signed import CheckpointForged, check_row
from tallystick.log.tree import EMPTY, Growth, grow, resume
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
        self._turn = threading.Lock()
        self._known = self._checked()  # never goes back while we run
        self._signed: Growth | None = None if self._known else EMPTY  # its tree, once its last entry was looked at

    def seal(self) -> Sealed | None:
        """Close the open batch and sign; None if everything is sealed already."""
        with self._turn:
            return self._seal()

    def _seal(self) -> Sealed | None:
        signed = self._last_signed()  # 1
        head = self._store.head()
        if head is None or head.size == signed.size:
            with self._recorder.exclusive():  # "nothing to seal" must not hide entries that were cut off since
                return None
        tree, hashes = grow(self._store, signed, head.size)  # 2: the bulk, while others record
        with self._recorder.exclusive() as head:
            tree, more = grow(self._store, tree, head.size)  # 2: what came meanwhile
            if tree.last != head.hash:
                raise HeadContradicts(
                    "the head does not name the hash of the last entry",
                    ledger=self._store.origin,
                    seq=head.size - 1,
                    expected=tree.last.hex(),
                    found=head.hash.hex(),
                    next_step="The entry or the table head was changed: do not write, run the audit.",
                )
            batch = None
            if head.batch_first < head.size:
                batch = head.batch
                tree = self._append_seal(head, tree, (hashes + more)[32 * (head.batch_first - signed.size) :])  # 3
            return self._sign(tree, batch, signed.size or None)  # 4, 5

    def _checked(self) -> CheckpointRow | None:
        row = self._store.checkpoint()
        if row is not None:
            check_row(self._store.origin, row, self._policy)
        return row

    def _last_signed(self) -> Growth:
        row, known = self._checked(), self._known
        if known is not None and (row is None or row.size < known.size):
            raise WentBack(
                "the newest stored checkpoint is behind the last one that was signed",
                ledger=self._store.origin,
                expected=f">= {known.size}",
                found=row.size if row else 0,
                next_step="Do not write. Checkpoints were taken away or the database was rolled back: run the audit.",
            )
        if self._signed is None and known is not None:
            self._signed = resume(self._store, known.size, known.frontier)
        tree = self._signed or EMPTY
        if row is not None:
            tree, _ = grow(self._store, tree, row.size)  # what another process sealed
            if tree.root != row.root:
                raise CheckpointForged(
                    "the newest stored checkpoint does not extend the last one that was signed",
                    ledger=self._store.origin,
                    size=row.size,
                    expected=tree.root,
                    found=row.root,
                    next_step="Two histories were signed, or rows were changed: do not write, run the audit.",
                )
        self._known, self._signed = row, tree
        return tree

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
        self._known, self._signed = row, tree
        return Sealed(row.size, row.root, row.note, batch)
