"""What the log asks of a database and of a place for tiles.

The rows mean the same on every adapter; `tests/contract` runs one suite against all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tallystick.errors import IntegrityViolation, RetryLater
from tallystick.kernels import Batch

__all__ = [
    "BalanceRow",
    "CheckpointRow",
    "EntryRow",
    "Finding",
    "Head",
    "HeadMoved",
    "IdExists",
    "LedgerStore",
    "NotAppendOnly",
    "RemainderRow",
    "StoreFactory",
    "TileStore",
]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a ledger stands. `hash` is that of entry `size - 1`; `batch` the open one, `batch_first` its first seq."""

    size: int
    hash: bytes
    at: int  # microseconds since 1970 UTC
    batch: int
    batch_first: int
    closed_before: int | None  # microseconds since 1970 UTC


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One stored entry. `body` is the JSON array of the parts' own bytes, empty for genesis, key and seal.

    A destroyed part stands in `body` as the string of its 64 hex hash.
    """

    seq: int
    id: str | None
    stub: bytes
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """Totals in minor units, as Python integers, each below 2^127."""

    account: str
    asset: str
    debits: int
    credits: int
    pending_debits: int
    pending_credits: int


@dataclass(frozen=True, slots=True)
class RemainderRow:
    """What remains of a pending or reversible entry: `remaining` one total a leg; `expires` only for open pendings."""

    id: str
    kind: str  # "pending" or "reversible"
    remaining: tuple[int, ...]
    expires: int | None  # microseconds since 1970 UTC


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A signed checkpoint. `frontier` are the roots of the full subtrees of `size`, largest first, 32 bytes each."""

    size: int
    root: bytes
    note: bytes
    frontier: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """What `diagnose` saw of one setting: `error` breaks a promise of this page, `warning` weakens one."""

    level: Literal["ok", "warning", "error"]
    what: str
    found: str
    next_step: str = ""


class HeadMoved(RetryLater):
    """The compare-and-set on the head failed: another writer was faster. Nothing was written."""


class IdExists(RetryLater):
    """At least one id of the batch is taken. Nothing was written; look the ids up and apply the batch again."""


class NotAppendOnly(IntegrityViolation):
    """A tile that was published would change."""


class LedgerStore(Protocol):
    """One ledger's rows.

    Durability: when `commit` or `add_checkpoint` return, what they wrote survives the loss of power.
    Atomicity: `commit` writes entries, ids, balances, definitions, remainders, asset scales and the head in one
    database transaction, or nothing. If it raises, the caller does not know whether it landed unless the error is
    `HeadMoved` or `IdExists`, and must read `head()` before it writes again.
    Consistency: reads see the last commit of this process. Entries are never updated or deleted through this port.
    Threads: any method from any thread; `commit` from one at a time.
    Errors: `RetryLater` when the database is away, full or read-only; `IntegrityViolation` when rows contradict each
    other; `Rejected` for text that holds U+0000.
    """

    @property
    def origin(self) -> str: ...

    def head(self) -> Head | None:
        """The head, or None before genesis."""
        ...

    def commit(self, batch: Batch) -> None:
        """Store a batch if the head is still `batch.previous`, else `HeadMoved`; `IdExists` if an id is taken."""
        ...

    def assets(self) -> dict[str, int]:
        """Scale of each asset code in use."""
        ...

    def expiring(self) -> list[tuple[str, int, int]]:
        """(id, seq, expires) of every open pending entry that has a time-out."""
        ...

    def definitions(self, names: Sequence[str]) -> dict[str, bytes]:
        """The canonical JSON of the `account` part of each named account that was ever defined."""
        ...

    def balances(self, names: Sequence[str]) -> list[BalanceRow]:
        """All balances of the named accounts."""
        ...

    def all_balances(self, prefix: str = "", after: tuple[str, str] = ("", ""), limit: int = 1000) -> list[BalanceRow]:
        """Balances in order of (account, asset), strictly after a key, of accounts whose name starts with `prefix`."""
        ...

    def all_definitions(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Definitions in order of name, strictly after a name."""
        ...

    def remainders(self, ids: Sequence[str]) -> list[RemainderRow]: ...

    def by_id(self, ids: Sequence[str]) -> list[EntryRow]:
        """The entries with these ids, those that exist, in any order."""
        ...

    def entries(self, first: int, end: int, *, bodies: bool = True) -> Iterator[list[EntryRow]]:
        """The rows with first <= seq < end that exist, in order of seq, in chunks; a missing row is not there."""
        ...

    def stubs(self, first: int, end: int) -> Iterator[tuple[int, bytes, Sequence[int]]]:
        """The stubs with first <= seq < end that exist, in order of seq, in runs of some thousands.

        A run is (seq of its first stub, the stubs one after the other, their lengths in bytes). It ends before a
        missing row; the next one starts after it.
        """
        ...

    def checkpoint(self, at_least: int | None = None) -> CheckpointRow | None:
        """The newest checkpoint, or the oldest one with size >= `at_least`; None if there is none."""
        ...

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """All, oldest first."""
        ...

    def add_checkpoint(self, row: CheckpointRow, previous: int | None) -> None:
        """Store a checkpoint if the newest one has size `previous` (None: there is none), else `HeadMoved`."""
        ...

    # Projections: derived from entries, rebuilt at will.
    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """A read. `?` marks parameters; `{table} AS name` (the alias is needed) is a table's rows of this ledger.

        `posting(account, asset, seq, effective, debits, credits)`: what entry `seq` posted (pendings not counted) to a
        balance; `effective` in microseconds; found by (account, asset, seq) and by seq.
        `metadata(key, value, seq)`: `value` as `kernels.searchable` makes it; found by (key, value, seq) and by seq.
        Also entry, balance, account, remainder, asset and checkpoint (`sql.TABLES` has the columns). A table named
        without the braces is an error where ledgers share a database. Totals (`debits`, …) come as decimal strings on
        every adapter and are summed by the caller: SQLite has no integers of 128 bits. Text sorts by its UTF-8 bytes.
        """
        ...

    def project(self, name: str, position: int, end: int, rows: dict[str, Sequence[tuple[object, ...]]]) -> None:
        """Insert rows into the projection's tables and move its position from `position` to `end`, else `HeadMoved`.

        `rows`: table → tuples of its columns in the order above. All in one transaction.
        """
        ...

    def projected(self, name: str) -> int:
        """How many entries the projection has seen."""
        ...

    def reset_projection(self, name: str, tables: Sequence[str]) -> None:
        """Empty the projection's tables for this ledger and set its position to 0."""
        ...

    def close(self) -> None: ...


class StoreFactory(Protocol):
    """An installation's ledgers in one database."""

    def ledgers(self) -> list[str]:
        """The origins, sorted."""
        ...

    def open(self, origin: str, *, write: bool, create: bool = False) -> LedgerStore:
        """A ledger's store; the tables are migrated to this release when `write`.

        `Misconfigured` when it does not exist and `create` is false, and when its tables are of another release and may
        not be migrated here; `RetryLater` when another process writes it (SQLite).
        """
        ...

    def diagnose(self) -> list[Finding]:
        """What `tallystick doctor` says about this database; never raises for what it can name instead."""
        ...

    def close(self) -> None: ...


class TileStore(Protocol):
    """Bytes under slash-separated paths (`tile/0/x001/067`, `checkpoint`), for one ledger.

    `put` is durable when it returns and atomic: a reader sees the old bytes or the new, never a part. With
    `replace=False` an existing object with the same bytes is success, with other bytes `NotAppendOnly`.
    Errors: `Rejected` for a path of another form, `RetryLater` when the place is away, full or read-only.
    """

    def get(self, path: str) -> bytes | None: ...

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None: ...

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> None:
        """Several immutable objects, durable together when it returns."""
        ...

    def delete(self, path: str) -> None:
        """Remove a partial tile that its full tile has replaced; absent is success."""
        ...

    def paths(self, prefix: str) -> Iterator[str]:
        """The paths that start with `prefix`, sorted."""
        ...

    def diagnose(self) -> list[Finding]:
        """What `tallystick doctor` says about this place."""
        ...
