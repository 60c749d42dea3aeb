"""One SQLite database file per ledger, in one folder, through the kernel's library only.

    <32 hex of SHA-256(origin)>.sqlite        tables of migrations/sqlite; the origin stands in `meta`
    <the same>.sqlite-wal, .sqlite-shm        SQLite's
    <the same>.lock                           held by the one writer; see `WriterLock`

A ledger opened for writing has two connections: one that writes, and one that reads the last commit without waiting.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Literal

from tallystick.errors import IntegrityViolation, Misconfigured, RetryLater
from tallystick.kernels import Batch
from tallystick.storage import migrations
from tallystick.storage.folders import flush_folder, make_folder
from tallystick.storage.ports import (
    BalanceRow,
    CheckpointRow,
    EntryRow,
    Finding,
    Head,
    HeadMoved,
    RemainderRow,
)
from tallystick.storage.rows import BEFORE_ALL, balance_row, remainder_row
from tallystick.storage.sql import PROJECTIONS, after_prefix, expand, storable, storable_rows
from tallystick.storage.sqlite_connection import Connection, WriterLock, closed_here, make_durable
from tallystick.storage.sqlite_doctor import diagnose

__all__ = ["SqliteStore", "SqliteStores"]

CHUNK_ENTRIES = 512  # a body has up to 16 MiB
CHUNK_STUBS = 4096
CHUNK_CHECKPOINTS = 1024

# 64 MiB of pages of 16 KiB: a batch of thousands fills SQLite's usual 1,000 pages by itself, and would move them into
# the file each time. Moving them in a second thread was measured too: no gain worth a WAL that may grow for ever.
WAL_PAGES = 4_000

# 64 MiB: ids and accounts come in no order, and with SQLite's usual 2 MB a page is written anew for each.
CACHE_KIB = 65_536

# Text as its bytes, which is what is hashed; nothing decodes it on the way.
ENTRY = "SELECT seq, id, CAST(stub AS BLOB), CAST(body AS BLOB), hash FROM entry"
STUB = "SELECT seq, id, CAST(stub AS BLOB), x'', hash FROM entry"
STUBS = "SELECT seq, CAST(stub AS BLOB) FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
BALANCE = "SELECT account, asset, debits, credits, pending_debits, pending_credits FROM balance"
DEFINITION = "SELECT name, CAST(definition AS BLOB) FROM account"
REMAINDER = "SELECT id, kind, remaining, expires FROM remainder"
CHECKPOINT = "SELECT size, root, note, frontier FROM checkpoint"

AMONG = "IN (SELECT value FROM json_each(?))"  # one text for any number of values

# Only a file in which nothing was recorded can still become a ledger's.
CLAIM = "INSERT INTO meta (origin) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM meta UNION ALL SELECT 1 FROM head)"


class SqliteStore:
    """One ledger's rows; see `ports.LedgerStore`. Closes what it is given."""

    def __init__(
        self, origin: str, read: Connection, write: Connection | None = None, lock: WriterLock | None = None
    ) -> None:
        self._origin = origin
        self._read = read
        self._write = write
        self._lock = lock

    @property
    def origin(self) -> str:
        return self._origin

    # --- what a decision needs

    def head(self) -> Head | None:
        rows = self._read.execute("SELECT size, hash, at, batch, batch_first, closed_before FROM head")
        return Head(*rows[0]) if rows else None

    def commit(self, batch: Batch) -> None:
        self._writing().append(batch)

    def assets(self) -> dict[str, int]:
        return dict(self._read.execute("SELECT code, scale FROM asset"))

    def expiring(self) -> list[tuple[str, int, int]]:
        return self._read.execute("SELECT id, seq, expires FROM remainder WHERE expires IS NOT NULL")

    def definitions(self, names: Sequence[str]) -> dict[str, bytes]:
        sql = f"{DEFINITION} WHERE name {AMONG}"
        return dict(self._read.execute(sql, (_array(names),)))

    def balances(self, names: Sequence[str]) -> list[BalanceRow]:
        sql = f"{BALANCE} WHERE account {AMONG}"
        return _balances(self._read.execute(sql, (_array(names),)))

    def all_balances(self, prefix: str = "", after: tuple[str, str] = ("", ""), limit: int = 1000) -> list[BalanceRow]:
        sql = f"""{BALANCE} WHERE (account, asset) > (?, ?) AND account >= ? AND account < ?
            ORDER BY account, asset LIMIT ?"""
        return _balances(self._read.execute(sql, (*storable((*after, prefix, after_prefix(prefix))), limit)))

    def all_definitions(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        sql = f"{DEFINITION} WHERE name > ? AND name >= ? AND name < ? ORDER BY name LIMIT ?"
        return self._read.execute(sql, (*storable((after, prefix, after_prefix(prefix))), limit))

    def remainders(self, ids: Sequence[str]) -> list[RemainderRow]:
        sql = f"{REMAINDER} WHERE id {AMONG}"
        return [remainder_row(*row) for row in self._read.execute(sql, (_array(ids),))]

    # --- entries and checkpoints

    def by_id(self, ids: Sequence[str]) -> list[EntryRow]:
        rows = self._read.execute(f"{ENTRY} WHERE id {AMONG}", (_array(ids),))
        return [EntryRow(*row) for row in rows]

    def entries(self, first: int, end: int, *, bodies: bool = True) -> Iterator[list[EntryRow]]:
        chunk = CHUNK_ENTRIES if bodies else CHUNK_STUBS
        sql = f"{ENTRY if bodies else STUB} WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
        while rows := self._read.execute(sql, (first, end, chunk)):
            yield [EntryRow(*row) for row in rows]
            first = rows[-1][0] + 1

    def stubs(self, first: int, end: int) -> Iterator[tuple[int, bytes, Sequence[int]]]:
        while run := self._read.pack(STUBS, (first, end, CHUNK_STUBS)):
            yield run
            first = run[0] + len(run[2])

    def checkpoint(self, at_least: int | None = None) -> CheckpointRow | None:
        if at_least is None:
            rows = self._read.execute(f"{CHECKPOINT} ORDER BY size DESC LIMIT 1")
        else:
            rows = self._read.execute(f"{CHECKPOINT} WHERE size >= ? ORDER BY size LIMIT 1", (at_least,))
        return CheckpointRow(*rows[0]) if rows else None

    def checkpoints(self) -> Iterator[CheckpointRow]:
        sql = f"{CHECKPOINT} WHERE size > ? ORDER BY size LIMIT ?"
        size = BEFORE_ALL
        while rows := self._read.execute(sql, (size, CHUNK_CHECKPOINTS)):
            yield from (CheckpointRow(*row) for row in rows)
            size = rows[-1][0]

    def add_checkpoint(self, row: CheckpointRow, previous: int | None) -> None:
        if previous is not None and row.size <= previous:
            raise IntegrityViolation("a checkpoint must grow", ledger=self._origin, previous=previous, found=row.size)
        sql = """INSERT INTO checkpoint (size, root, note, frontier)
            SELECT ?, ?, ?, ? WHERE (SELECT max(size) FROM checkpoint) IS ? RETURNING size"""
        write = self._writing()
        with write.transaction():
            stored = write.execute(sql, (row.size, row.root, row.note, row.frontier, previous))
        if not stored:
            raise HeadMoved("another process stored a checkpoint", ledger=self._origin, expected=previous)

    # --- projections

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self._read.execute(expand(sql, str), storable(parameters))

    def project(self, name: str, position: int, end: int, rows: dict[str, Sequence[tuple[object, ...]]]) -> None:
        write = self._writing()
        with write.transaction():
            if position == 0:
                write.execute("INSERT INTO projection (name, position) VALUES (?, 0) ON CONFLICT DO NOTHING", (name,))
            sql = "UPDATE projection SET position = ? WHERE name = ? AND position = ? RETURNING 1"
            if not write.execute(sql, (end, name, position)):
                raise HeadMoved("another process moved the projection", ledger=self._origin, projection=name)
            for table, table_rows in rows.items():
                columns = PROJECTIONS[table]
                marks = ", ".join("?" * len(columns))
                insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 # looked up
                write.execute_many(insert, storable_rows(table_rows))

    def projected(self, name: str) -> int:
        rows = self._read.execute("SELECT position FROM projection WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def reset_projection(self, name: str, tables: Sequence[str]) -> None:
        write = self._writing()
        with write.transaction():
            write.execute("UPDATE projection SET position = 0 WHERE name = ?", (name,))
            for table in tables:
                if table not in PROJECTIONS:
                    raise ValueError(f"{table} is no projection; there are {', '.join(PROJECTIONS)}")
                write.execute(f"DELETE FROM {table}")  # noqa: S608 # looked up

    def close(self) -> None:
        """Close the connections, then let the next writer in. A second call does nothing."""
        self._read.close()
        if self._write is not None:
            self._write.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _writing(self) -> Connection:
        if self._write is None:
            raise Misconfigured("this ledger was opened for reading", next_step="Open it with write=True.")
        return self._write


def _array(values: Sequence[str]) -> str:
    return json.dumps(storable(values), ensure_ascii=False)


def _balances(rows: Sequence[tuple[Any, ...]]) -> list[BalanceRow]:
    return [balance_row(*row) for row in rows]


class SqliteStores:
    """The ledgers of one folder, which is made with the first; see `ports.StoreFactory`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ledgers(self) -> list[str]:
        found = []
        for path in self._folder.glob("*.sqlite"):
            if _revision(path, "ro") is not None:
                with closing(Connection(path, "ro")) as connection:
                    found.append(_origin(connection, path))
        return sorted(origin for origin in found if origin is not None)

    def open(self, origin: str, *, write: bool, create: bool = False) -> SqliteStore:
        storable((origin,))
        path = self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.sqlite"
        try:
            if write and (create or path.exists()):
                return self._open_to_write(origin, path, create=create)
            if path.exists():
                return self._open_to_read(origin, path)
        except OSError as error:
            family = RetryLater if error.errno in (errno.ENOSPC, errno.EDQUOT) else Misconfigured
            next_step = "Give this user room and the right to write there."
            raise family(
                f"the folder of ledgers: {error.strerror}", next_step=next_step, path=error.filename
            ) from error
        raise _absent(origin)

    def diagnose(self) -> list[Finding]:
        return diagnose(self._folder)

    def close(self) -> None:
        """Nothing is held: each store closes its own connections."""

    def _open_to_write(self, origin: str, path: Path, *, create: bool) -> SqliteStore:
        make_folder(self._folder, 0o700)
        with ExitStack() as undo:
            lock = WriterLock(path.with_suffix(".lock"))
            undo.callback(lock.release)
            # The order matters: docs/adr/0003-one-sqlite-library.md
            if migrations.is_behind("sqlite", _revision(path, "rw") if path.exists() else None):
                with closed_here(path):
                    migrations.upgrade_sqlite(path)
                    flush_folder(self._folder)
            connection = undo.enter_context(closing(Connection(path, "rw")))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            make_durable(connection)
            if create:
                connection.execute(CLAIM, (origin,))
            read = undo.enter_context(closing(_reader_of(origin, path)))
            undo.pop_all()
            return SqliteStore(origin, read, connection, lock)

    def _open_to_read(self, origin: str, path: Path) -> SqliteStore:
        found = _revision(path, "ro")
        if migrations.is_behind("sqlite", found):
            raise Misconfigured(
                "the tables are of an older release, or absent",
                next_step="Run a command that writes, such as `tallystick seal`.",
                expected=migrations.REVISIONS["sqlite"][-1],
                found=found,
                path=str(path),
            )
        return SqliteStore(origin, _reader_of(origin, path))


def _reader_of(origin: str, path: Path) -> Connection:
    """A connection that reads, if the file is this ledger's: a file can be moved over another."""
    with ExitStack() as undo:
        connection = undo.enter_context(closing(Connection(path, "ro")))
        found = _origin(connection, path)
        if found is None:
            raise _absent(origin)
        if found != origin:
            next_step = "Put the right file back; the name is made of the origin's SHA-256."
            raise IntegrityViolation(
                "the file holds another ledger", next_step=next_step, path=str(path), expected=origin, found=found
            )
        undo.pop_all()
        return connection


def _origin(connection: Connection, path: Path) -> str | None:
    """Whose file it is; None if its making was interrupted before anything was recorded."""
    rows = connection.execute("SELECT origin FROM meta")
    if len(rows) == 1:
        return str(rows[0][0])
    if rows or connection.execute("SELECT 1 FROM head"):
        raise IntegrityViolation(
            "the file does not say whose ledger it is", path=str(path), expected=1, found=len(rows)
        )
    return None


def _revision(path: Path, mode: Literal["ro", "rw"]) -> str | None:
    with closing(Connection(path, mode)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'"):
            return None
        rows = connection.execute("SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if rows else None


def _absent(origin: str) -> Misconfigured:
    return Misconfigured(
        "there is no such ledger", next_step="Create it: tallystick ledger create ORIGIN", ledger=origin
    )
