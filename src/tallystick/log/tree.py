"""Reading entries back as a tree: every stub is hashed again, every link followed; a stored hash is never believed."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick import kernels
from tallystick.core.stub import Stub
from tallystick.errors import IntegrityViolation
from tallystick.storage.ports import LedgerStore

__all__ = ["EMPTY", "ZERO_HASH", "BrokenLink", "Gap", "Growth", "HistoryRewritten", "grow", "resume"]

ZERO_HASH = bytes(32)


class Gap(IntegrityViolation):
    """Rows are missing."""


class BrokenLink(IntegrityViolation):
    """An entry does not name the hash of the entry before it: one of the two was changed."""


class HistoryRewritten(IntegrityViolation):
    """Entries are not those that were signed, or that this process recorded, though they may fit each other."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A tree of entries: its frontier (full subtrees, largest first), and where their chain stands."""

    frontier: bytes
    chain: tuple[int, bytes, int, int, int, bytes]  # kernels.follow

    @property
    def size(self) -> int:
        return self.chain[0]

    @property
    def last(self) -> bytes:
        """The hash of the last entry."""
        return self.chain[1]

    @property
    def root(self) -> bytes:
        return kernels.frontier_root(self.size, self.frontier)


EMPTY = Growth(b"", (0, ZERO_HASH, 0, 0, 0, b""))


def grow(store: LedgerStore, start: Growth, end: int) -> tuple[Growth, bytes]:
    """Read the entries from `start.size` to `end` back, check form and chain of every stub, and extend the tree.

    What would break a rule that any verifier of the public log knows is never signed.

    Returns the larger tree and the leaf hashes that were added.

    Errors: `Gap`, `BrokenLink`, both with the first culprit.
    """
    frontier, chain = start.frontier, start.chain
    added = []
    for first, data, lengths in store.stubs(start.size, end):
        if first != chain[0]:
            raise gap(store.origin, chain[0], first)
        try:
            hashes, after = kernels.follow(store.origin, chain, data, lengths)
        except kernels.ReplayError as error:
            raise broken_link(store.origin, *error.args) from None
        frontier = kernels.frontier_extend(chain[0], frontier, hashes)
        chain = after
        added.append(hashes)
    if chain[0] != end:
        raise gap(store.origin, chain[0], end)
    return Growth(frontier, chain), b"".join(added)


def resume(store: LedgerStore, size: int, frontier: bytes) -> Growth:
    """The signed tree of `size` entries, the last of them a seal, to go on from.

    That entry is believed because the newest full subtree that ends with it is the signed one. This subtree has as many
    entries as the lowest bit of `size` says: ten on average at a million.
    """
    if size == 0:
        return EMPTY
    first = size - (size & -size)
    runs = list(store.stubs(first, size))
    hashes = b"".join(kernels.leaf_hashes(data, lengths) for _, data, lengths in runs)
    root = kernels.tree_root(hashes)
    if root != frontier[-32:]:
        raise HistoryRewritten(
            f"the entries {first} to {size - 1} are not those that were signed",
            ledger=store.origin,
            seq=f"{first}..{size - 1}",
            expected=frontier[-32:].hex(),
            found=root.hex(),
            next_step="Stop writing; run the audit, and compare with the published log and a backup.",
        )
    _, data, lengths = runs[-1]
    seal = Stub.parse(data[-lengths[-1] :])
    return Growth(frontier, (size, hashes[-32:], seal.at, seal.batch + 1, size, b""))


def gap(origin: str, first: int, found: int) -> Gap:
    """Entries from `first` to before `found` are not there."""
    return Gap(
        f"entries {first} to {found - 1} are missing" if found - first > 1 else f"entry {first} is missing",
        ledger=origin,
        seq=first,
        expected=first,
        found=found,
        next_step="Stop writing; compare with a backup or with the published tiles.",
    )


def broken_link(origin: str, what: str, seq: int, column: str, expected: str, found: str) -> BrokenLink:
    """What the kernel says of the first stub that does not follow the one before."""
    return BrokenLink(
        f"entry {seq} does not continue entry {seq - 1}: {what}",
        ledger=origin,
        seq=seq,
        column=column,
        expected=expected,
        found=found,
        next_step=f"Compare entries {seq - 1} and {seq} with the published entry bundle.",
    )
