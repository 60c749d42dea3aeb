"""Reading entries back as a tree: every stub is hashed again, every link followed; a stored hash is never believed."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick import kernels
from tallystick.errors import IntegrityViolation
from tallystick.storage.ports import LedgerStore

__all__ = ["EMPTY", "ZERO_HASH", "BrokenLink", "Gap", "Growth", "HistoryRewritten", "grow", "last_of"]

ZERO_HASH = bytes(32)


class Gap(IntegrityViolation):
    """Rows are missing."""


class BrokenLink(IntegrityViolation):
    """An entry does not name the hash of the entry before it: one of the two was changed."""


class HistoryRewritten(IntegrityViolation):
    """Entries are not those that were signed, or that this process recorded, though they may fit each other."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A tree of `size` entries: its frontier (full subtrees, largest first) and the hash of its last entry."""

    size: int
    frontier: bytes
    last: bytes

    @property
    def root(self) -> bytes:
        return kernels.frontier_root(self.size, self.frontier)


EMPTY = Growth(0, b"", ZERO_HASH)


def grow(store: LedgerStore, start: Growth, end: int) -> tuple[Growth, bytes]:
    """Read the entries from `start.size` to `end` back, check sequence and links, and extend the tree.

    Returns the larger tree and the leaf hashes that were added.

    Errors: `Gap`, `BrokenLink`, both with the first culprit.
    """
    seq, last, frontier = start.size, start.last, start.frontier
    added = []
    for first, data, lengths in store.stubs(seq, end):
        if first != seq:
            raise gap(store.origin, seq, first)
        hashes, culprit = kernels.link(last, seq, data, lengths)
        if culprit is not None:
            if culprit:
                last = hashes[32 * (culprit - 1) : 32 * culprit]
            at = sum(lengths[:culprit])
            raise broken_link(store.origin, seq + culprit, data[at : at + lengths[culprit]], last)
        frontier = kernels.frontier_extend(seq, frontier, hashes)
        last, seq = hashes[-32:], seq + len(lengths)
        added.append(hashes)
    if seq != end:
        raise gap(store.origin, seq, end)
    return Growth(end, frontier, last), b"".join(added)


def last_of(store: LedgerStore, size: int, frontier: bytes) -> bytes:
    """The hash of entry `size - 1`, believed because the newest full subtree that ends with it is the signed one.

    That subtree has as many entries as the lowest bit of `size` says: ten on average at a million.
    """
    first = size - (size & -size)
    hashes = b"".join(kernels.leaf_hashes(data, lengths) for _, data, lengths in store.stubs(first, size))
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
    return hashes[-32:]


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


def broken_link(origin: str, seq: int, stub: bytes, last: bytes) -> BrokenLink:
    """Entry `seq` was expected to name `last`."""
    return BrokenLink(
        f"entry {seq} does not continue entry {seq - 1}: one of the two was changed",
        ledger=origin,
        seq=seq,
        expected=f'"prev":"{last.hex()}" and "seq":{seq}',
        found=stub[-250:].decode("utf-8", "replace"),
        next_step=f"Compare entries {seq - 1} and {seq} with the published entry bundle.",
    )
