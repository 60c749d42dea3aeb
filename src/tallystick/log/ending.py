"""Where a ledger stands, held against its entries before anything is written onto it.

    hash         leaf hash of entry size - 1
    at           of entry size - 1
    batch        of entry size - 1; one more if that is a seal
    batch_first  0 in batch 0; else the entry before it is the seal of the batch before

`closed_before` has no entry of its own to be looked up by: the audit derives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallystick import kernels
from tallystick.core.stub import Stub
from tallystick.errors import IntegrityViolation, Malformed
from tallystick.log.tree import HistoryRewritten
from tallystick.storage.ports import Head, LedgerStore

__all__ = ["HeadContradicts", "check_head", "check_known", "genesis"]


class HeadContradicts(IntegrityViolation):
    """The entries do not end where the head row says."""


def check_head(store: LedgerStore, head: Head) -> None:
    """The head row must be what the last entries say; `HeadContradicts` names the column."""
    seq = head.size - 1
    raw = _raw(store, seq)
    hashed = kernels.leaf_hash(raw)
    if hashed != head.hash:
        raise _contradicts(store, seq, "the head row's hash is not that of the last entry", hashed, head.hash)
    last = _stub(store, seq, raw)
    for column, expected, found in (
        ("at", last.at, head.at),
        ("batch", last.batch + (last.kind == "seal"), head.batch),
    ):
        if expected != found:
            raise _contradicts(store, seq, f"the head row's {column} is not what the last entry says", expected, found)
    if head.batch:
        before = _stub(store, head.batch_first - 1, _raw(store, head.batch_first - 1))
        found_before, expected_before = (before.kind, before.batch), ("seal", head.batch - 1)
    else:
        found_before, expected_before = ("batch_first", head.batch_first), ("batch_first", 0)
    if found_before != expected_before:
        raise _contradicts(
            store, head.batch_first, "the open batch does not begin after a seal", expected_before, found_before
        )


def check_known(store: LedgerStore, size: int, last: bytes) -> None:
    """Entry `size - 1`, which this process has recorded or read, must still have the hash `last`."""
    if size:
        found = kernels.leaf_hash(_raw(store, size - 1))
        if found != last:
            raise HistoryRewritten(
                f"entry {size - 1} is not the one that this process recorded or read before",
                ledger=store.origin,
                seq=size - 1,
                expected=last.hex(),
                found=found.hex(),
                next_step="Stop writing; run the audit, and compare with the published log and a backup.",
            )


def genesis(store: LedgerStore) -> Mapping[str, Any]:
    """What the genesis entry says: `accounts`, `by`, `keys`."""
    body = _stub(store, 0, _raw(store, 0)).body
    if not isinstance(body, Mapping) or not body.keys() >= {"accounts", "keys"} or not isinstance(body["keys"], list):
        raise _contradicts(store, 0, "the genesis entry is not one", "accounts, by, keys", body)
    return body


def _raw(store: LedgerStore, seq: int) -> bytes:
    for rows in store.entries(seq, seq + 1, bodies=False):
        return rows[0].stub
    raise _contradicts(store, seq, f"entry {seq} is missing", seq, None)


def _stub(store: LedgerStore, seq: int, raw: bytes) -> Stub:
    try:
        return Stub.parse(raw)
    except Malformed as error:
        raise _contradicts(store, seq, f"entry {seq} is not one: {error.message}", None, None) from error


def _contradicts(store: LedgerStore, seq: int, what: str, expected: object, found: object) -> HeadContradicts:
    return HeadContradicts(
        what,
        ledger=store.origin,
        seq=seq,
        expected=expected.hex() if isinstance(expected, bytes) else expected,
        found=found.hex() if isinstance(found, bytes) else found,
        next_step="Stop writing; run the audit, and compare with the published log and a backup.",
    )
