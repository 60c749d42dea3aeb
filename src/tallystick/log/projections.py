"""What is derived from entries for reading: which entries touch an account, which carry a metadata value.

A projection has a position of its own. It follows the log before every query, is rebuilt at will, and the audit
holds it against the entries. Nothing that is decided depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallystick.errors import IntegrityViolation
from tallystick.storage.ports import EntryRow, HeadMoved, LedgerStore, searchable

__all__ = ["ProjectionContradicts", "Projections", "Seen", "Values", "effective_us", "values_of"]

NAME = "reading"
TABLES = ("posting", "metadata")
ROWS_AT_ONCE = 50_000  # a transaction for each few entries would cost a flush each
Values = dict[str, Any]
Rows = dict[str, list[tuple[object, ...]]]

POSTED = frozenset({"transaction", "adjustment", "reversal", "post"})


class ProjectionContradicts(IntegrityViolation):
    """A derived table does not follow from the entries."""


def values_of(row: EntryRow) -> tuple[Values, Values]:
    """The stub's members, and path → value of the parts that are not destroyed."""
    stub = json.loads(row.stub)
    parts = json.loads(row.body) if row.body else []
    return stub, {part[1]: part[2] for part in parts if isinstance(part, list)}


def effective_us(stub: Values, values: Values) -> int:
    """Microseconds since 1970 UTC at which the entry takes effect."""
    text = values.get("effective")
    if text is None:
        return int(stub["at"])
    moment = datetime.fromisoformat(text)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to read: the tables' rows with seq < `position`, and the rows of all later entries."""

    position: int
    postings: tuple[tuple[Any, ...], ...] = ()
    metadata: tuple[tuple[Any, ...], ...] = ()


class Projections:
    """The reading tables of one ledger. Whoever may not `write` them derives what they do not show yet in memory."""

    def __init__(self, store: LedgerStore, *, write: bool = True) -> None:
        self._store, self._write = store, write

    def seen(self) -> Seen:
        """All that was recorded so far, as tables and rows."""
        if self._write:
            return Seen(self.follow())
        position, end = self._gap()
        postings: list[tuple[object, ...]] = []
        metadata: list[tuple[object, ...]] = []
        for rows in self._store.entries(position, end):
            derived = self._derive(rows)
            postings += derived["posting"]
            metadata += derived["metadata"]
        return Seen(position, tuple(postings), tuple(metadata))

    def follow(self) -> int:
        """Bring the tables up to the head; how many entries they show then."""
        position, end = self._gap()
        derived: Rows = {table: [] for table in TABLES}
        for rows in self._store.entries(position, end):
            upto = rows[-1].seq + 1
            for table, made in self._derive(rows).items():
                derived[table] += made
            if upto < end and len(derived["posting"]) < ROWS_AT_ONCE:
                continue
            try:
                self._store.project(NAME, position, upto, dict(derived))
            except HeadMoved:  # another process follows as well
                return self.follow()
            position, derived = upto, {table: [] for table in TABLES}
        return position

    def _gap(self) -> tuple[int, int]:
        """How many entries the tables show, and how many there are."""
        head = self._store.head()
        end = head.size if head else 0
        position = self._store.projected(NAME)
        if position > end:
            raise ProjectionContradicts(
                "the reading tables show more entries than are stored",
                ledger=self._store.origin,
                expected=f"<= {end}",
                found=position,
                next_step="The newest rows were cut off or the database was rolled back: run the audit.",
            )
        return position, end

    def rebuild(self) -> int:
        """Empty the tables and derive them again."""
        self._store.reset_projection(NAME, TABLES)
        return self.follow()

    def must_agree(self) -> None:
        """Hold every row that is there against the entries it was derived from, and the other way round."""
        position = self._store.projected(NAME)
        for rows in self._store.entries(0, position):
            for table, expected in self._derive(rows).items():
                self._must_be(table, rows[0].seq, rows[-1].seq + 1, expected)
        for table in TABLES:
            self._must_be(table, position, 0, [], outside=True)

    def _must_be(
        self, table: str, first: int, end: int, expected: list[tuple[object, ...]], *, outside: bool = False
    ) -> None:
        between = "OR" if outside else "AND"
        sql = f"SELECT {COLUMNS[table]} FROM {{{table}}} AS t WHERE seq >= ? {between} seq < ?"  # noqa: S608 (constants)
        found = self._store.query(sql, (first, end))
        if set(found) != set(expected) or len(found) != len(expected):
            raise self._contradiction(table, set(found), set(expected))

    def _derive(self, rows: list[EntryRow]) -> Rows:
        postings: list[tuple[object, ...]] = []
        metadata: list[tuple[object, ...]] = []
        for row in rows:
            stub, values = values_of(row)
            postings += _postings(stub, values)
            metadata += [
                (path.removeprefix("metadata/"), searchable(value), row.seq)
                for path, value in values.items()
                if path.startswith("metadata/")
            ]
        return {"posting": postings, "metadata": metadata}

    def _contradiction(
        self, table: str, found: set[tuple[object, ...]], expected: set[tuple[object, ...]]
    ) -> ProjectionContradicts:
        return ProjectionContradicts(
            f"table {table} does not follow from the entries",
            ledger=self._store.origin,
            table=table,
            expected=sorted(expected - found, key=str)[:3],
            found=sorted(found - expected, key=str)[:3],
            next_step="Rebuild the projection (`tallystick ledger rebuild`) and find out who changed it.",
        )


COLUMNS = {"posting": "account, asset, seq, effective, debits, credits", "metadata": "key, value, seq"}


def _postings(stub: Values, values: Values) -> Iterator[tuple[object, ...]]:
    """(account, asset, seq, effective, debits, credits) for every balance that the entry touched."""
    sums: dict[tuple[str, str], list[int]] = {}
    posted = stub["kind"] in POSTED
    for path, leg in values.items():
        if path.startswith("legs/"):
            amount = int(leg["amount"]) if posted else 0
            sums.setdefault((leg["debit"], leg["asset"]), [0, 0])[0] += amount
            sums.setdefault((leg["credit"], leg["asset"]), [0, 0])[1] += amount
    effective = effective_us(stub, values) if sums else 0
    for (account, asset), (debits, credits) in sums.items():
        yield account, asset, stub["seq"], effective, str(debits), str(credits)
