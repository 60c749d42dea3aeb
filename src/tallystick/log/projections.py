"""What is derived from entries for reading: which entries touch an account, which carry a metadata value.

A projection has a position of its own. It follows the log before every query, is rebuilt at will, and the audit
holds it against the entries. Nothing that is decided depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallystick import kernels
from tallystick.errors import IntegrityViolation
from tallystick.storage.ports import EntryRow, HeadMoved, LedgerStore

__all__ = ["ProjectionContradicts", "Projections", "Seen"]

NAME = "reading"
TABLES = ("posting", "metadata")
ROWS_AT_ONCE = 50_000  # a transaction for each few entries would cost a flush each
SEQS = (-(2**63), 2**63 - 1)  # what a column can hold
Rows = dict[str, list[tuple[Any, ...]]]


class ProjectionContradicts(IntegrityViolation):
    """A derived table does not follow from the entries."""


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
        derived: Rows = {table: [] for table in TABLES}
        for rows in self._store.entries(position, end):
            for table, made in _derived(rows).items():
                derived[table] += made
        return Seen(position, tuple(derived["posting"]), tuple(derived["metadata"]))

    def follow(self) -> int:
        """Bring the tables up to the head; how many entries they show then."""
        position, end = self._gap()
        derived: Rows = {table: [] for table in TABLES}
        for rows in self._store.entries(position, end):
            upto = rows[-1].seq + 1
            for table, made in _derived(rows).items():
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
        position = self._store.projected(NAME)
        head = self._store.head()  # afterwards: another process may record and follow between the two
        end = head.size if head else 0
        if position > end:
            raise ProjectionContradicts(
                "the reading tables show more entries than are stored",
                ledger=self._store.origin,
                table="projection",
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
        first, last = SEQS  # no row may stand where no entry can be
        for rows in self._store.entries(0, self._gap()[0]):
            for table, expected in _derived(rows).items():
                self._must_be(table, first, rows[-1].seq, expected)
            first = rows[-1].seq + 1
        for table in TABLES:
            self._must_be(table, first, last, [])

    def _must_be(self, table: str, first: int, last: int, expected: list[tuple[object, ...]]) -> None:
        columns, order = COLUMNS[table]
        sql = f"SELECT {columns} FROM {{{table}}} AS t WHERE seq BETWEEN ? AND ? ORDER BY {order}"  # noqa: S608 (constants)
        found = self._store.query(sql, (first, last))
        if found != expected:
            raise self._contradiction(table, set(found), set(expected))

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


# What the tables hold, and the order in which the kernel derives it.
COLUMNS = {
    "posting": ("account, asset, seq, effective, debits, credits", "seq, account, asset"),
    "metadata": ("key, value, seq", "seq, key, value"),
}


def _derived(rows: Sequence[EntryRow]) -> Rows:
    postings, metadata = kernels.derive([(row.seq, row.id, row.stub, row.body, row.hash) for row in rows])
    return {"posting": postings, "metadata": metadata}
