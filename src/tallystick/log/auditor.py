"""The operator's audit: everything that is stored against everything that can be derived or was signed.

1. Every entry, from genesis: form, sequence, time, link, hash, id, body root, balances (kernel `Replay`), batch roots.
2. The head row.
3. Every checkpoint ever stored: our signatures, the root of the tree at its size.
4. The published checkpoint, its root, tiles and bundles.
5. The tables beside the entries: balances, definitions, remainders, asset scales.
6. The projections.

Others may write meanwhile: entries never change, so those that came are read too before the tables are looked at again.
The audit stops at the first contradiction and names it. An auditor who trusts none of this code uses `verifier/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tallystick import kernels
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.policy import Policy
from tallystick.errors import IntegrityViolation, RetryLater
from tallystick.log.projections import NAME as READING
from tallystick.log.projections import ProjectionContradicts, Projections
from tallystick.log.publisher import TilesContradict
from tallystick.log.signed import check_row, published_checkpoint
from tallystick.log.tiling import TileBuilder
from tallystick.storage.ports import BalanceRow, EntryRow, Head, LedgerStore, RemainderRow, TileStore

__all__ = ["Audited", "Auditor", "EntryContradicts", "Progress", "TableContradicts", "TailCut"]

Progress = Callable[[int, int], None]
"""Called with (entries done, entries in all)."""


TRIES = 8


def silent(done: int, total: int) -> None:
    """Tell nobody."""


class EntryContradicts(IntegrityViolation):
    """A stored entry contradicts itself or the entries before it."""


class TableContradicts(IntegrityViolation):
    """A table beside the entries does not say what the entries amount to."""


class TailCut(IntegrityViolation):
    """A signed checkpoint covers more entries than are stored."""


@dataclass(frozen=True, slots=True)
class Audited:
    """What was checked and agreed. `unsealed` entries are only recorded: nothing outside the database covers them."""

    ledger: str
    size: int
    sealed: int
    published: int
    checkpoints: int
    destroyed: tuple[tuple[int, int], ...]  # (seq, part)
    unchecked: tuple[str, ...]  # what of the tables beside the entries destroyed parts leave unknown

    @property
    def unsealed(self) -> int:
        return self.size - self.sealed


class Auditor:
    """Audits one ledger."""

    def __init__(self, store: LedgerStore, tile_store: TileStore, projections: Projections, policy: Policy) -> None:
        self._store, self._tiles, self._projections, self._policy = store, tile_store, projections, policy

    def audit(self, progress: Progress = silent) -> Audited:
        """Check everything; evidence of what was checked, or the first contradiction.

        `RetryLater` if others wrote so fast that entries and tables were never seen at one moment.
        """
        published = self._published()  # before the head: what it covers was recorded by then
        replay, tree = kernels.Replay(self._store.origin), _Tree(self._store, self._policy)
        tile_check = _Tiles(self._store.origin, self._tiles, published)
        for _ in range(TRIES):
            seen = self._moment()
            head = seen[0]
            size = head.size if head else 0
            for rows in self._store.entries(tree.size, size):
                hashes = self._feed(replay, rows)  # 1
                tree.feed(hashes)  # 3
                tile_check.feed([row.stub for row in rows], hashes)  # 4
                progress(tree.size, size)
            try:
                tree.finish()
                self._head_must_agree(replay, head)  # 2
                self._tables_must_agree(replay)  # 5
                self._projections.must_agree()  # 6
            except (TailCut, TableContradicts, ProjectionContradicts):
                if self._moment() == seen:
                    raise
            else:
                break
        else:
            raise RetryLater(
                "the ledger was written to all the while it was audited",
                ledger=self._store.origin,
                next_step="Audit when less is recorded, or a copy of the database.",
            )
        tile_check.finish(tree.size)
        return Audited(
            self._store.origin,
            tree.size,
            tree.sealed,
            published.size if published else 0,
            tree.checkpoints,
            tuple(replay.destroyed()),
            _unchecked(replay),
        )

    def _moment(self) -> tuple[Head | None, int]:
        """What moves when somebody writes entries, or reading tables."""
        return self._store.head(), self._store.projected(READING)

    def _published(self) -> Checkpoint | None:
        accepted = published_checkpoint(self._store.origin, self._tiles, self._policy)
        return accepted.checkpoint if accepted else None

    def _feed(self, replay: kernels.Replay, rows: Sequence[EntryRow]) -> bytes:
        try:
            return replay.feed([(row.seq, row.id, row.stub, row.body, row.hash) for row in rows])
        except kernels.ReplayError as error:
            what, seq, column, expected, found = error.args
            raise EntryContradicts(
                f"entry {seq}: {what}",
                ledger=self._store.origin,
                seq=seq,
                column=column,
                expected=expected,
                found=found,
                next_step="Stop writing; compare the entry with its published bundle, its receipts and a backup.",
            ) from None

    def _head_must_agree(self, replay: kernels.Replay, head: Head | None) -> None:
        for first, end in ((-1 << 63, 0), (head.size if head else 0, (1 << 63) - 1)):
            for rows in self._store.entries(first, end, bodies=False):
                raise self._table("head", "size", rows[0].seq + 1, head.size if head else None)
        if head is None:
            return
        found = (head.size, head.hash, head.at, head.batch, head.batch_first, head.closed_before)
        hidden = {"closed_before"} if "head" in replay.obscured() else set()
        for name, expected, value in zip(Head.__dataclass_fields__, replay.head(), found, strict=True):
            if expected != value and name not in hidden:
                raise self._table("head", name, expected, value)

    def _tables_must_agree(self, replay: kernels.Replay) -> None:
        """All that the entries amount to is there, and nothing else but what destroyed parts may hide."""
        obscured = frozenset(replay.obscured())
        self._balances_must_agree(replay, obscured="balance" in obscured)
        definitions = dict(replay.definitions())
        for name, definition in self._all_definitions():
            derived = definitions.pop(name, None)
            found = definition.decode("utf-8", "backslashreplace")
            if derived != found and (derived is not None or "account" not in obscured):
                raise self._table("account", name, derived, found)
        for name, expected in definitions.items():
            raise self._table("account", name, expected, None)
        assets, stored = dict(replay.assets()), self._store.assets()
        if assets != ({code: stored.get(code) for code in assets} if "asset" in obscured else stored):
            raise self._table("asset", "scale", assets, stored)
        self._remainders_must_agree(replay, obscured="remainder" in obscured)

    def _balances_must_agree(self, replay: kernels.Replay, *, obscured: bool) -> None:
        derived, unknown = {row[:2]: row[2:] for row in replay.balances()}, frozenset(replay.unknown())
        for row in self._all_balances():
            key, expected = (row.account, row.asset), derived.pop((row.account, row.asset), None)
            if expected is None and (obscured or key in unknown):
                continue
            found = (str(row.debits), str(row.credits), str(row.pending_debits), str(row.pending_credits))
            if expected != found:
                raise self._table("balance", " ".join(key), expected, found)
        for key, expected in derived.items():
            raise self._table("balance", " ".join(key), expected, None)

    def _remainders_must_agree(self, replay: kernels.Replay, *, obscured: bool) -> None:
        derived = replay.remainders()
        for start in range(0, len(derived), 1000):
            some = derived[start : start + 1000]
            stored = {row.id: row for row in self._store.remainders([row[0] for row in some])}
            for key, kind, left, expires, _ in some:
                expected = RemainderRow(key, kind, tuple(map(int, json.loads(left))), expires)
                if stored.get(key) != expected:
                    raise self._table("remainder", key, expected, stored.get(key))
        expiring = {(key, seq, expires) for key, _, _, expires, seq in derived if expires is not None}
        found = set(self._store.expiring())
        for row in sorted(expiring - found if obscured else expiring ^ found):
            raise self._table("remainder", row[0], *(row if row in rows else None for rows in (expiring, found)))
        [(count,)] = self._store.query("SELECT count(*) FROM {remainder} AS r")
        if count != len(derived) and not obscured:
            known = {row[0] for row in derived}
            for row_id, *_ in self._store.query("SELECT r.id FROM {remainder} AS r ORDER BY r.id"):
                if row_id not in known:
                    raise self._table("remainder", str(row_id), None, "a row")

    def _all_balances(self) -> Iterator[BalanceRow]:
        after = ("", "")
        while page := self._store.all_balances(after=after):
            yield from page
            after = (page[-1].account, page[-1].asset)

    def _all_definitions(self) -> Iterator[tuple[str, bytes]]:
        after = ""
        while page := self._store.all_definitions(after=after):
            yield from page
            after = page[-1][0]

    def _table(self, table: str, row: str, expected: object, found: object) -> TableContradicts:
        return TableContradicts(
            f"table {table}, row {row}: not what the entries amount to",
            ledger=self._store.origin,
            table=table,
            row=row,
            expected=expected,
            found=found,
            next_step="Stop writing; the entries are proven, the table is not: find out who changed it.",
        )


def _unchecked(replay: kernels.Replay) -> tuple[str, ...]:
    balances = [f"balance {account} {asset}" for account, asset in replay.unknown()]
    tables = {
        "balance": "balances of accounts that no later entry touches",
        "account": "definitions recorded before one that was destroyed",
        "remainder": "what remains of some pending or reversible entries",
        "asset": "assets that no other entry names",
        "head": "the end of the closed period",
    }
    return (*balances, *(tables[table] for table in replay.obscured()))


class _Tree:
    """Step 3: grows the tree and holds it against every stored checkpoint as its size is reached."""

    def __init__(self, store: LedgerStore, policy: Policy) -> None:
        self._origin, self._policy, self._left = store.origin, policy, store.checkpoints()
        self._next = next(self._left, None)
        self._frontier = b""
        self.size = self.sealed = self.checkpoints = 0

    def feed(self, hashes: bytes) -> None:
        end = self.size + len(hashes) // 32
        while self._next is not None and self._next.size <= end:
            row = self._next
            check_row(self._origin, row, self._policy)
            frontier = kernels.frontier_extend(self.size, self._frontier, hashes[: 32 * (row.size - self.size)])
            root = kernels.frontier_root(row.size, frontier)
            if root != row.root:
                raise EntryContradicts(
                    f"the entries before {row.size} do not have the root that was signed",
                    ledger=self._origin,
                    seq=f"{self.sealed}..{row.size - 1}",
                    expected=row.root,
                    found=root,
                    next_step="History was rewritten with its links: compare with the published bundles and a backup.",
                )
            self.sealed, self.checkpoints = row.size, self.checkpoints + 1
            self._next = next(self._left, None)
        self._frontier = kernels.frontier_extend(self.size, self._frontier, hashes)
        self.size = end

    def finish(self) -> None:
        if self._next is not None:
            raise TailCut(
                "a signed checkpoint covers more entries than are stored",
                ledger=self._origin,
                expected=f">= {self._next.size} entries",
                found=self.size,
                next_step="The newest rows were cut off or the database was rolled back: stop writing.",
            )


class _Tiles:
    """Step 4: holds the published checkpoint, bundles and tiles against those that the stored entries give."""

    def __init__(self, origin: str, tile_store: TileStore, published: Checkpoint | None) -> None:
        self._origin, self._tiles, self._checkpoint = origin, tile_store, published
        self._published = self._left = published.size if published else 0
        self._builder = TileBuilder()

    def feed(self, stubs: Sequence[bytes], hashes: bytes) -> None:
        some = stubs[: self._left]
        if some:
            self._left -= len(some)
            self._compare(self._builder.feed(b"".join(some), [len(stub) for stub in some], hashes[: 32 * len(some)]))

    def finish(self, size: int) -> None:
        if self._published > size:
            raise TailCut(
                "the published checkpoint covers more entries than are stored",
                ledger=self._origin,
                expected=f">= {self._published} entries",
                found=size,
                next_step="The newest rows were cut off or the database was rolled back: stop writing.",
            )
        self._compare(self._builder.partials())
        found = kernels.frontier_root(self._published, self._builder.frontier)
        if self._checkpoint is not None and found != self._checkpoint.root:
            raise TilesContradict(
                "the published checkpoint has another root than the stored entries",
                ledger=self._origin,
                size=self._published,
                expected=found,
                found=self._checkpoint.root,
                next_step="Two histories were signed: keep the checkpoint as proof, and find out who used the keys.",
            )

    def _compare(self, objects: Sequence[tuple[str, bytes]]) -> None:
        for path, expected in objects:
            found = self._tiles.get(path)
            if found != expected:
                at = next((i for i, (a, b) in enumerate(zip(expected, found or b"", strict=False)) if a != b), None)
                raise TilesContradict(
                    f"published {path} does not show the stored entries",
                    ledger=self._origin,
                    path=path,
                    byte=at,
                    expected=f"{len(expected)} bytes, SHA-256 {sha256(expected).hexdigest()}",
                    found="nothing" if found is None else f"{len(found)} bytes, SHA-256 {sha256(found).hexdigest()}",
                    next_step="Database and published log differ: find out which of the two was changed.",
                )
