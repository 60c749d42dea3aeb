"""What holds between one stub and the next: sequence, time, chain, batches.

A `Chain` takes the entries of one ledger in order and keeps no more than the last one's hash and the frontier of the
open batch. The numbers at the checks are those of the steps in `ledger.py`.
"""

from __future__ import annotations

from typing import Any

from tallystick_verify.entry import Stub, StubReader
from tallystick_verify.errors import Malformed, Tampering
from tallystick_verify.merkle import Frontier

__all__ = ["NO_ENTRY", "Chain"]

NO_ENTRY = "0" * 64


class Chain:
    """State after the entries so far."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.size = 0
        self.at = -1
        self.batch = 0
        self.seals = 0
        self.open_since = 0  # first entry of the batch that is not sealed yet
        self._prev = NO_ENTRY
        self._leaves = Frontier()
        self._read = StubReader(origin).read

    def take(self, raw: bytes, leaf: bytes) -> Stub:
        """The next entry, whose hash is `leaf`; `Tampering` if it does not belong here."""
        try:
            stub = self._read(raw)
        except Malformed as error:
            error.add(step=3, ledger=self.origin, seq=self.size)
            raise
        # 3. Of this ledger, numbered without gaps, later than the one before.
        if stub.ledger != self.origin:
            raise self._wrong(3, "the entry is of another ledger", self.origin, stub.ledger)
        if stub.seq != self.size:
            if stub.seq > self.size:
                what = f"entries {self.size} to {stub.seq - 1} are missing"
            else:
                what = "entries are repeated or out of order"
            raise self._wrong(3, what, self.size, stub.seq)
        if stub.at <= self.at:
            raise self._wrong(3, "time anomaly: the entry is not later than the one before", f"> {self.at}", stub.at)
        # 4. Linked to the one before; the first is the genesis, and nothing else is.
        if stub.prev != self._prev:
            reset = stub.prev == NO_ENTRY
            what = (
                "chain reset: the entry names no entry before it" if reset else "the chain is broken before this entry"
            )
            raise self._wrong(4, what, self._prev, stub.prev)
        if (stub.kind == "genesis") != (self.size == 0):
            expected = "genesis" if self.size == 0 else "any kind but genesis"
            raise self._wrong(4, "chain reset: a ledger begins once, with its genesis", expected, stub.kind)
        # 5. Batches are numbered in order, and a seal states what it closes.
        if stub.batch != self.batch:
            raise self._wrong(5, "the entry is of another batch", self.batch, stub.batch)
        if stub.kind == "seal":
            self._seal(stub)
        else:
            self._leaves.append(leaf)
        self.size += 1
        self.at = stub.at
        self._prev = leaf.hex()
        return stub

    def _seal(self, stub: Stub) -> None:
        expected: dict[str, Any] = {
            "batch": self.batch,
            "count": self.size - self.open_since,
            "first": self.open_since,
            "root": self._leaves.root().hex(),
        }
        if stub.body != expected:
            raise self._wrong(5, "the seal states another batch than the one it closes", expected, stub.body)
        self.seals += 1
        self.batch += 1
        self.open_since = self.size + 1
        self._leaves = Frontier()

    def _wrong(self, step: int, message: str, expected: object, found: object) -> Tampering:
        return Tampering(message, step=step, ledger=self.origin, seq=self.size, expected=expected, found=found)
