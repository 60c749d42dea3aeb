"""Reading a ledger: entries, balances at a moment, statements, the trial balance.

A past balance is never computed twice: it is the balance that the last entry before that moment bound into itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from tallystick.errors import IntegrityViolation, Rejected, RetryLater
from tallystick.kernels import searchable
from tallystick.log.projections import Projections
from tallystick.storage.ports import BalanceRow, EntryRow, LedgerStore

__all__ = ["AssetTotals", "Entry", "Queries", "StatementLine"]

PAGE = 500
Values = dict[str, Any]
TRIES = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is read: the stub's members, its hash, and the values of its parts by path."""

    seq: int
    id: str | None
    at: int  # microseconds since 1970 UTC
    kind: str
    batch: int
    hash: bytes
    stub: Values
    values: Values

    @classmethod
    def of(cls, row: EntryRow) -> Entry:
        stub = json.loads(row.stub)
        parts = json.loads(row.body) if row.body else []
        values = {part[1]: part[2] for part in parts if isinstance(part, list)}  # a destroyed part is a string
        return cls(row.seq, row.id, stub["at"], stub["kind"], stub["batch"], row.hash, stub, values)

    def balance(self, account: str, asset: str) -> BalanceRow | None:
        """The balance of (account, asset) that this entry bound into itself."""
        for path, value in self.values.items():
            if path.startswith("balances/") and (value["account"], value["asset"]) == (account, asset):
                names = ("debits", "credits", "pending_debits", "pending_credits")
                return BalanceRow(account, asset, *(int(value[name]) for name in names))
        return None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What one entry did to one account in one asset, in minor units, and the balance after it."""

    entry: Entry
    effective: int  # microseconds since 1970 UTC
    debits: int
    credits: int
    after: BalanceRow


@dataclass(frozen=True, slots=True)
class AssetTotals:
    """Totals over all accounts; debits equal credits, pending totals likewise, or the ledger is not balanced."""

    asset: str
    accounts: int
    debits: int
    credits: int
    pending_debits: int
    pending_credits: int


class Queries:
    """Reads one ledger."""

    def __init__(self, store: LedgerStore, projections: Projections) -> None:
        self._store, self._projections = store, projections

    def entry(self, key: int | str) -> Entry:
        """The entry with this sequence or id; `Rejected` if there is none."""
        if isinstance(key, str):
            rows = self._store.by_id([key])
        else:
            rows = [row for page in self._store.entries(key, key + 1) for row in page]
        if not rows:
            raise Rejected("no such entry", ledger=self._store.origin, entry=key)
        return Entry.of(rows[0])

    def entries(
        self,
        first: int = 0,
        end: int | None = None,
        *,
        account: str | None = None,
        metadata: tuple[str, str] | None = None,
    ) -> Iterator[Entry]:
        """Entries in order of sequence, of one account or with one metadata value if asked for."""
        if account is None and metadata is None:
            head = self._store.head()
            for rows in self._store.entries(first, min(end or 1 << 62, head.size if head else 0)):
                yield from map(Entry.of, rows)
            return
        seen = self._projections.seen()
        wanted: list[set[int]] = []
        if account is not None:
            sql = "SELECT DISTINCT seq FROM {posting} AS p WHERE account = ? AND seq < ?"
            found = {_int(seq) for (seq,) in self._store.query(sql, (account, seen.position))}
            wanted.append(found | {row[2] for row in seen.postings if row[0] == account})
        if metadata is not None:
            pair = (metadata[0], searchable(metadata[1]))
            sql = "SELECT seq FROM {metadata} AS m WHERE key = ? AND value = ? AND seq < ?"
            found = {_int(seq) for (seq,) in self._store.query(sql, (*pair, seen.position))}
            wanted.append(found | {row[2] for row in seen.metadata if row[:2] == pair})
        for seq in sorted(set.intersection(*wanted)):
            if first <= seq < (end or 1 << 62):
                entry = self.entry(seq)
                if metadata is None or entry.values.get("metadata/" + metadata[0]) == metadata[1]:
                    yield entry

    def balances(
        self, account: str, asset: str | None = None, *, at_seq: int | None = None, at: int | None = None
    ) -> list[BalanceRow]:
        """The account's balances now, after entry `at_seq`, or after the last entry recorded at or before `at`.

        `at` in microseconds since 1970 UTC.
        """
        if at is not None:
            at_seq = self._last_before(at)
        if at_seq is None:
            found = self._store.balances([account])
        else:
            seen = self._projections.seen()
            sql = "SELECT asset, MAX(seq) FROM {posting} AS p WHERE account = ? AND seq <= ? AND seq < ? GROUP BY asset"
            last = {str(name): _int(seq) for name, seq in self._store.query(sql, (account, at_seq, seen.position))}
            last |= {row[1]: row[2] for row in seen.postings if row[0] == account and row[2] <= at_seq}
            found = []
            for name, seq in sorted(last.items()):
                balance = self.entry(seq).balance(account, name)
                if balance is None:
                    raise IntegrityViolation(
                        "a balance part is missing or was destroyed",
                        ledger=self._store.origin,
                        seq=seq,
                        account=account,
                    )
                found.append(balance)
        return [balance for balance in found if asset is None or balance.asset == asset]

    def effective_balances(self, account: str, asset: str | None, effective: int) -> list[BalanceRow]:
        """Posted balances counting what took effect at or before `effective` (microseconds), whenever it was recorded.

        Pending totals are of recorded time only and stand as 0.
        """
        seen = self._projections.seen()
        totals: dict[str, list[int]] = {}
        sql = "SELECT asset, debits, credits FROM {posting} AS p WHERE account = ? AND effective <= ? AND seq < ?"
        rows = self._store.query(sql, (account, effective, seen.position))
        rows += [(row[1], row[4], row[5]) for row in seen.postings if row[0] == account and row[3] <= effective]
        for name, debits, credits in rows:
            total = totals.setdefault(str(name), [0, 0])
            total[0] += int(str(debits))
            total[1] += int(str(credits))
        return [
            BalanceRow(account, name, debits, credits, 0, 0)
            for name, (debits, credits) in sorted(totals.items())
            if asset in (None, name)
        ]

    def statement(self, account: str, asset: str, first: int = 0, end: int | None = None) -> Iterator[StatementLine]:
        """The account's lines in one asset, in order of sequence, each with the balance bound into its entry."""
        seen = self._projections.seen()
        position, end = first - 1, end or 1 << 62
        sql = (
            "SELECT seq, effective, debits, credits FROM {posting} AS p "
            "WHERE account = ? AND asset = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?"
        )
        while page := self._store.query(sql, (account, asset, position, min(end, seen.position), PAGE)):
            for row in page:
                yield self._line(account, asset, row)
                position = _int(row[0])
        for holder, name, *rest in seen.postings:
            if (holder, name) == (account, asset) and first <= rest[0] < end:
                yield self._line(account, asset, rest)

    def _line(self, account: str, asset: str, row: Sequence[object]) -> StatementLine:
        seq, effective, debits, credits = row
        entry = self.entry(_int(seq))
        after = entry.balance(account, asset)
        if after is None:
            raise IntegrityViolation(
                "a balance part is missing or was destroyed", ledger=self._store.origin, seq=seq, account=account
            )
        return StatementLine(entry, _int(effective), int(str(debits)), int(str(credits)), after)

    def accounts(self, prefix: str = "") -> Iterator[tuple[str, bytes | None, list[BalanceRow]]]:
        """(name, definition or None, balances) of every account that was defined or used, in order of name."""
        definitions: Iterator[tuple[str, bytes | BalanceRow]] = iter(self._all_definitions(prefix))
        balances: Iterator[tuple[str, bytes | BalanceRow]] = ((row.account, row) for row in self._all_balances(prefix))
        for name, found in groupby(merge(definitions, balances, key=itemgetter(0)), key=itemgetter(0)):
            definition: bytes | None = None
            rows: list[BalanceRow] = []
            for _, item in found:
                if isinstance(item, BalanceRow):
                    rows.append(item)
                else:
                    definition = item
            yield name, definition, rows

    def _all_balances(self, prefix: str = "") -> Iterator[BalanceRow]:
        after = ("", "")
        while page := self._store.all_balances(prefix, after):
            yield from page
            after = (page[-1].account, page[-1].asset)

    def _all_definitions(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        after = ""
        while page := self._store.all_definitions(prefix, after):
            yield from page
            after = page[-1][0]

    def trial_balance(self) -> list[AssetTotals]:
        """Totals per asset over all accounts, now; `IntegrityViolation` if an asset does not balance.

        `RetryLater` if others recorded each time between the reading of one account and of another.
        """
        for _ in range(TRIES):
            head, totals = self._store.head(), self._totals()
            wrong = [t for t in totals if (t.debits, t.pending_debits) != (t.credits, t.pending_credits)]
            if not wrong:
                return totals
            if self._store.head() == head:
                raise IntegrityViolation(
                    f"{wrong[0].asset} does not balance",
                    ledger=self._store.origin,
                    expected=f"debits {wrong[0].debits}, pending {wrong[0].pending_debits}",
                    found=f"credits {wrong[0].credits}, pending {wrong[0].pending_credits}",
                    next_step="The balance table was changed: run the audit.",
                )
        raise RetryLater("the balances were written to all the while they were read", ledger=self._store.origin)

    def _totals(self) -> list[AssetTotals]:
        sums: dict[str, list[int]] = {}
        for row in self._all_balances():
            added = (1, row.debits, row.credits, row.pending_debits, row.pending_credits)
            sums[row.asset] = [a + b for a, b in zip(sums.get(row.asset, [0] * 5), added, strict=True)]
        return [AssetTotals(asset, *sum_) for asset, sum_ in sorted(sums.items())]

    def _last_before(self, at: int) -> int:
        """Sequence of the last entry with `at` or earlier, -1 if none: times increase, so by halving."""
        head = self._store.head()
        low, high = 0, head.size if head else 0
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.entry(middle).at <= at else (low, middle)
        return low - 1


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
