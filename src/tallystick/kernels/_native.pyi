"""The compiled module: bytes in, bytes out; every function that works on more than a few kilobytes releases the GIL."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, Self, TypeAlias, final

# --- json: strict parse (RFC 8259, no duplicate keys, no lone surrogates, no floats, |integer| < 2^53) and RFC 8785

class JsonError(ValueError):
    """`args` = (reason, byte position)."""

def json_canonical(data: bytes) -> bytes:
    """Strict parse, then RFC 8785."""

def json_is_canonical(data: bytes) -> None:
    """Raise `JsonError` at the first byte that strict parsing or RFC 8785 forbids."""

def json_loads(data: bytes) -> Any:
    """Strict parse to Python values."""

def json_dumps(value: Any) -> bytes:
    """RFC 8785 of None, bool, int (|n| < 2^53), str, list, tuple, dict with str keys; else `JsonError`."""

# --- merkle: RFC 6962 over SHA-256. `hashes` is n * 32 bytes.

def leaf_hash(data: bytes) -> bytes: ...
def leaf_hashes(data: bytes, lengths: Sequence[int]) -> bytes:
    """Leaf hashes of consecutive items of `data`, on all cores."""

def node_hash(left: bytes, right: bytes) -> bytes: ...
def tree_root(hashes: bytes) -> bytes:
    """RFC 6962 section 2.1 root of leaf (or subtree) hashes; SHA-256("") for none."""

def inclusion_path(hashes: bytes, index: int) -> bytes: ...
def consistency_path(hashes: bytes, size1: int) -> bytes: ...
def frontier_root(size: int, frontier: bytes) -> bytes:
    """Root of the tree of `size` whose full subtrees, largest first, are `frontier`."""

def frontier_extend(size: int, frontier: bytes, hashes: bytes) -> bytes:
    """The frontier after appending leaf hashes."""

def tile_hashes(hashes: bytes) -> bytes:
    """One hash per full 256 of `hashes` (the next tile level up); a remainder gives none."""

def entry_bundle(items: Sequence[bytes]) -> bytes:
    """C2SP tlog-tiles: big-endian uint16 length and bytes, repeated; `ValueError` above 65,535 bytes."""

def entry_bundles(data: bytes, lengths: Sequence[int]) -> list[bytes]:
    """Consecutive items of `data` in bundles of 256, what is left over in a last one."""

def bundle_hashes(bundle: bytes) -> bytes:
    """Leaf hashes of the items of an entry bundle; `ValueError` if it is truncated."""

def body_root(parts: Sequence[bytes]) -> bytes:
    """Root of a body tree (0x02 parts, 0x03 nodes)."""

def body_root_of_hashes(hashes: bytes) -> bytes: ...
def body_path(hashes: bytes, index: int) -> bytes: ...
def part_hash(part: bytes) -> bytes: ...

# --- journal: docs/reference/entries.md

_Format: TypeAlias = Literal["json", "ndjson", "objects", "arrow"]

@final
class Requests:
    """Parsed commands of one or more callers, in order; groups are flattened."""

    def __len__(self) -> int: ...
    @property
    def counts(self) -> list[int]:
        """Commands per request, in the order given."""

    def ids(self) -> list[str]:
        """The ids of all well-formed commands, without repetition."""

@final
class Batch:
    """An applied batch: entries that are being built in the background and handed on in chunks."""

    @property
    def first(self) -> int: ...
    @property
    def count(self) -> int:
        """Entries, those that the log adds itself (expiries) included."""

    @property
    def previous(self) -> tuple[int, bytes]:
        """(size, hash) of the head that this batch extends."""

    @property
    def head(self) -> tuple[int, bytes, int, int, int, int | None]:
        """(size, hash, at, batch, batch_first, closed_before) after the batch; waits until all entries are built."""

    @property
    def refused(self) -> int: ...
    @property
    def replayed(self) -> int: ...
    def __len__(self) -> int:
        """Commands."""

    def outcome(self, index: int) -> tuple[int, bytes, int, bool] | dict[str, Any]:
        """Of command `index`: (seq, hash, at, replayed), or the refusal's members."""

    def outcomes(self) -> list[tuple[int, bytes, int, bool] | dict[str, Any]]: ...
    def refused_ids(self) -> list[str]:
        """The ids of refused commands, `malformed` and `id_conflict` apart, for the caller to look up.

        One of them may be a replay whose first answer must be given again although the rules would refuse it today.
        """

    def entries(self) -> Iterator[tuple[int, str | None, bytes, bytes, bytes]]:
        """(seq, id, stub, body, hash)."""

    def copy_entries(self, ledger: int) -> Iterator[bytes]:
        """PostgreSQL binary COPY image of (ledger int4, seq int8, id text, stub text, body text, hash bytea)."""

    def balances(self) -> list[tuple[str, str, str, str, str, str]]:
        """(account, asset, debits, credits, pending_debits, pending_credits), the last state of each touched."""

    def definitions(self) -> list[tuple[str, str]]:
        """(account name, canonical JSON of its `account` part)."""

    def remainders(self) -> list[tuple[str, str, str, int | None, int]]:
        """(id, kind, JSON array of totals, expires or None, seq)."""

    def assets(self) -> list[tuple[str, int]]:
        """(code, scale) fixed by this batch."""

@final
class Journal:
    """The rules of double entry over loaded state, for one ledger. One applied batch may be open at a time.

    After `apply` or `append` the caller stores the batch, then calls `commit`; `rollback` undoes it in memory (dry run,
    `IdExists`). When it is not known what was stored, `reset` and load again.
    """

    def __new__(cls, ledger: str) -> Self: ...
    def reset(
        self,
        head: tuple[int, bytes, int, int, int, int | None] | None,
        explicit_accounts: bool,
        assets: Sequence[tuple[str, int]],
        expiring: Sequence[tuple[str, int, int]],
    ) -> None:
        """Forget everything and start at a head (None: before genesis)."""

    def parse(self, requests: Sequence[tuple[str, _Format, Any]]) -> Requests:
        """(by, format, payload). Never raises for a bad command: that command is refused as `malformed`.

        `ValueError` for a `by` without its form and for a table with a wrong column; `TypeError` for a payload that is
        no bytes.

        A text that is not strict JSON (a whole payload, or one line of NDJSON) is one malformed command.

        json: an object or an array of objects. ndjson: one object a line, empty lines skipped. objects: a sequence of
        dicts. arrow: anything with `__arrow_c_stream__`, columns named like the members of a one-leg transaction.
        """

    def missing(self, requests: Requests, now: int) -> tuple[list[str], list[str]]:
        """(accounts, target ids) that `apply` at `now` needs and that are not loaded, due expiries included."""

    def load(
        self,
        accounts: Sequence[str],
        definitions: Sequence[tuple[str, bytes]],
        balances: Sequence[tuple[str, str, str, str, str, str]],
        targets: Sequence[str],
        entries: Sequence[tuple[str, int, bytes, bytes]],
        remainders: Sequence[tuple[str, str, Sequence[int], int | None]],
    ) -> tuple[list[str], list[str]]:
        """State of `accounts` and of the entries (id, seq, stub, body) of `targets`; a target not given does not exist.

        Returns what is missing now: the accounts of the targets' legs.
        """

    def apply(
        self,
        requests: Requests,
        now: int,
        seed: bytes,
        existing: Sequence[tuple[str, int, bytes, bytes, bytes]] = ...,
    ) -> Batch:
        """Apply commands at `now` (microseconds). `seed` (32 unpredictable bytes, used once) gives the salts.

        `RuntimeError` if something `missing` was not loaded; `IntegrityViolation` if a stored row contradicts itself;
        after either the journal is as it was.

        `existing`: (id, seq, stub, body, hash) of entries whose id occurs in `requests`, after an `IdExists`.
        """

    def append(self, kind: str, body: bytes, now: int) -> Batch:
        """One entry of the log itself (`genesis`, `key`, `seal`) whose canonical JSON body stands in the stub.

        A seal closes its batch: the head after it opens the next one.
        """

    def commit(self, batch: Batch) -> None: ...
    def rollback(self, batch: Batch) -> None: ...

class ReplayError(ValueError):
    """`args` = (what, seq, column, expected, found): the first entry that contradicts itself or those before it."""

@final
class Replay:
    """Re-derives from stored rows what they must amount to: the other half of `Journal`, for the audit.

    Per row, all cores: the stub is canonical, of this ledger, in sequence, later than the one before and linked to it;
    `hash` and `id` columns agree with stub and body; the parts' root is the stub's `body`; each `balances/i` is the
    balance before plus the effect of the legs; seals fit their batch. Keeps balances, definitions, remainders, scales.
    """

    def __new__(cls, ledger: str) -> Self: ...
    def feed(self, rows: Sequence[tuple[int, str | None, bytes, bytes, bytes]]) -> bytes:
        """(seq, id, stub, body, hash), in order; returns the leaf hashes computed from the stubs."""

    def head(self) -> tuple[int, bytes, int, int, int, int | None]: ...
    def balances(self) -> list[tuple[str, str, str, str, str, str]]:
        """Those that are known, sorted by (account, asset) in byte order."""

    def unknown(self) -> list[tuple[str, str]]:
        """(account, asset) of balances that destroyed parts leave unknown: no entry has stated them since."""

    def definitions(self) -> list[tuple[str, str]]:
        """Sorted by name in byte order."""

    def remainders(self) -> list[tuple[str, str, str, int | None, int]]:
        """In order of the entries."""

    def assets(self) -> list[tuple[str, int]]:
        """Sorted by code in byte order."""

    def destroyed(self) -> list[tuple[int, int]]:
        """(seq, part) of destroyed parts; what they held is carried forward from the other parts if possible."""

    def obscured(self) -> list[Literal["balance", "account", "remainder", "asset", "head"]]:
        """Tables that may hold more than is derived here, for destroyed parts hide even which rows they concern.

        What is derived must still be there. Of `head` it is `closed_before` that is not known.
        """

_Chain: TypeAlias = tuple[int, bytes, int, int, int, bytes]
"""Where the entries before stand: (size, hash, at, batch, batch_first, full subtrees over the open batch)."""

def follow(ledger: str, chain: _Chain, data: bytes, lengths: Sequence[int]) -> tuple[bytes, _Chain]:
    """Follow the chain through the consecutive stubs after `chain`: their leaf hashes, and the chain after them.

    Each is of the form of a stub, of this ledger, the next in sequence, later than the one before and linked to it, of
    the open batch; genesis is the first alone; a seal fits its batch. `ReplayError` names the first that is not.
    """

def derive(
    rows: Sequence[tuple[int, str | None, bytes, bytes, bytes]],
) -> tuple[list[tuple[str, str, int, int, str, str]], list[tuple[str, str, int]]]:
    """What entries (seq, id, stub, body, hash) amount to for reading, on all cores, in their order.

    First the rows of `posting`, one for each balance that a leg names, in byte order of (account, asset): (account,
    asset, seq, effective, debits, credits), totals of the legs of kinds that post, "0" of others. Then those of
    `metadata`, in byte order of the key: (key, value, seq), the value as `searchable` makes it. Destroyed parts give
    nothing. `IntegrityViolation` for a stub or body that is none; nothing else is proven.
    """

def searchable(value: str) -> str:
    """What `metadata` holds of a value: enough to find candidates; the entry's body has the whole.

    256 characters fit every database's index; PostgreSQL cannot hold U+0000 in text, so U+FFFD stands for it.
    """

# --- sqlite: the only SQLite library of the process (docs/adr/0003)

class SqliteError(OSError):
    """`args` = (extended result code name such as "SQLITE_FULL", message)."""

@final
class SqliteConnection:
    """One connection, usable from any thread, one call at a time (others wait, GIL released)."""

    def __new__(cls, path: str, *, mode: Literal["ro", "rw", "rwc"] = "rw", busy_timeout_ms: int = 5000) -> Self: ...
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """One statement; None, int, str, bytes in and out."""

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int: ...
    def pack(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[int, bytes, list[int]] | None:
        """The first run of rows (integer, blob) whose integers count up by one; None if there is no row.

        (integer of the first, blobs one after the other, their lengths).
        """

    def append(self, batch: Batch) -> None:
        """Store a batch in one transaction, writing each chunk while the next is built.

        The file's settings are the caller's; native/sqlite/src/append.rs says which were measured fastest.
        `SqliteError("HEAD_MOVED", …)` or `SqliteError("ID_EXISTS", …)` when nothing was written for that reason.
        """

    def checkpoint(self) -> None:
        """Move the WAL into the database without blocking a writer."""

    def close(self) -> None: ...

VERSION: Final[str]
