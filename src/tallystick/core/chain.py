"""The rules that hold between the stubs of one ledger, readable by anybody who has the stubs.

    seq     counts from 0 without gaps; `ledger` is the same throughout
    prev    is the hash of the entry before
    at      strictly increases
    batch   is that of the entry before, or one more after a seal; the first entry, the genesis, opens batch 0
    seal    closes its batch: names its number, its first entry, how many entries it has and their Merkle root

`Chain.add` takes the next stub, and raises `ChainBroken` at the first one that does not follow, naming what was
expected and found. What the parts say (double entry, balances) is for the auditor's depth, not for this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tallystick.core.digest import ZERO_DIGEST, Digest, LeafIndex, Microseconds
from tallystick.core.merkle import EMPTY_FRONTIER, Frontier
from tallystick.core.stub import Stub, entry_hash
from tallystick.errors import IntegrityViolation, Malformed

__all__ = ["Chain", "ChainBroken"]


class ChainBroken(IntegrityViolation):
    """An entry does not follow the one before it."""


@dataclass(slots=True)
class Chain:
    """A ledger as far as it has been read. `size` entries have been added."""

    ledger: str
    size: int = 0
    hash: Digest = ZERO_DIGEST
    at: Microseconds | None = None
    batch: int = 0
    batch_first: LeafIndex = field(default=LeafIndex(0))
    seals: int = 0
    _open: Frontier = EMPTY_FRONTIER

    def add(self, raw: bytes) -> Stub:
        """The next stub, from its stored bytes."""
        # 1. The bytes are a stub.
        try:
            stub = Stub.parse(raw)
        except Malformed as error:
            raise ChainBroken("an entry is not a stub", ledger=self.ledger, seq=self.size, found=str(error)) from None
        # 2. It stands where it says, in the ledger that it says.
        self._same("ledger", self.ledger, stub.ledger)
        self._same("seq", self.size, stub.seq)
        # 3. It names the entry before it.
        self._same("prev", self.hash.hex(), stub.prev.hex())
        # 4. Time goes on.
        if self.at is not None and stub.at <= self.at:
            raise self._broken("at", f"later than {self.at}", stub.at)
        # 5. The first entry, and no other, opens the ledger.
        if (stub.kind == "genesis") != (self.size == 0):
            raise self._broken("kind", "genesis at 0, and nowhere else", stub.kind)
        # 6. It belongs to the open batch, and a seal tells the truth about that.
        self._same("batch", self.batch, stub.batch)
        leaf = entry_hash(raw)
        if stub.kind == "seal":
            self._close(stub)
        else:
            self._open = self._open.extend(leaf)
        self.size, self.hash, self.at = self.size + 1, leaf, stub.at
        if stub.kind == "seal":
            self.batch, self.batch_first = self.batch + 1, LeafIndex(self.size)
        return stub

    def _close(self, stub: Stub) -> None:
        try:
            seal = stub.seal
        except Malformed as error:
            raise ChainBroken("a seal has no form", ledger=self.ledger, seq=self.size, found=str(error)) from None
        self._same("seal batch", self.batch, seal.batch)
        self._same("seal first", self.batch_first, seal.first)
        self._same("seal count", self._open.size, seal.count)
        self._same("seal root", self._open.root.hex(), seal.root.hex())
        self.seals, self._open = self.seals + 1, EMPTY_FRONTIER

    def _same(self, what: str, expected: object, found: object) -> None:
        if expected != found:
            raise self._broken(what, expected, found)

    def _broken(self, what: str, expected: object, found: object) -> ChainBroken:
        return ChainBroken(f"{what} is false", ledger=self.ledger, seq=self.size, expected=expected, found=found)
