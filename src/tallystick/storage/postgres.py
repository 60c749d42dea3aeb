"""All ledgers of an installation in one PostgreSQL database: schema `tallystick`, a ledger number in each table's key.

A small batch is one statement, one round trip and one flush of the write-ahead log: the statement moves the head by
compare-and-set, and everything else that it inserts hangs on the row which that update returned. A larger batch locks
the head, streams the kernel's COPY image of its entries while the kernel builds the rest, and ends with the same
statement. Either way the writers of one ledger queue at its row in `head`: of two batches on one head, one lands.

Rights are PostgreSQL's own: see migrations/postgres. Needs the package psycopg 3; importing this module without it is
`Misconfigured`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tallystick.errors import IntegrityViolation, Misconfigured
from tallystick.kernels import Batch
from tallystick.storage import migrations
from tallystick.storage.ports import (
    BalanceRow,
    CheckpointRow,
    EntryRow,
    Finding,
    Head,
    HeadMoved,
    IdExists,
    RemainderRow,
)
from tallystick.storage.postgres_doctor import diagnose
from tallystick.storage.postgres_pool import (
    READING,
    WRITING,
    Connection,
    Pool,
    UniqueViolation,
    connect,
    named_errors,
)
from tallystick.storage.rows import BEFORE_ALL, balance_row, remainder_row
from tallystick.storage.sql import PROJECTIONS, TABLES, after_prefix, expand, storable, storable_rows

__all__ = ["PostgresStore", "PostgresStores"]

INLINE_MAX = 64  # entries; above it a COPY's extra round trips cost less than the arrays
CHUNK_ENTRIES = 512  # a body has up to 16 MiB
CHUNK_STUBS = 4096
CHUNK_CHECKPOINTS = 1024
MIGRATION_LOCK = 0x74616C6C79  # "tally"

HEAD = "SELECT size, hash, at, batch, batch_first, closed_before FROM tallystick.head WHERE ledger = %s"
LOCK_HEAD = "SELECT 1 FROM tallystick.head WHERE ledger = %s AND size = %s AND hash = %s FOR UPDATE"
COPY_ENTRIES = "COPY tallystick.entry (ledger, seq, id, stub, body, hash) FROM STDIN (FORMAT binary)"

# Each takes part in the one statement that stores a batch, on the row that `moved` returned, or does nothing.
MOVE_HEAD = """UPDATE tallystick.head
    SET size = %s, hash = %s, at = %s, batch = %s, batch_first = %s, closed_before = %s
    WHERE ledger = %s AND size = %s AND hash = %s RETURNING ledger"""
FIRST_HEAD = """INSERT INTO tallystick.head (size, hash, at, batch, batch_first, closed_before, ledger)
    VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING ledger"""
ADD_ENTRIES = """INSERT INTO tallystick.entry (ledger, seq, id, stub, body, hash)
    SELECT ledger, seq, id, convert_from(stub, 'UTF8'), convert_from(body, 'UTF8'), hash
    FROM moved,
        unnest(%s::int8[], %b::text[], %b::bytea[], %b::bytea[], %b::bytea[]) AS e (seq, id, stub, body, hash)"""
SET_BALANCES = """INSERT INTO tallystick.balance
        (ledger, account, asset, debits, credits, pending_debits, pending_credits)
    SELECT ledger, b.* FROM moved,
        unnest(%b::text[], %b::text[], %b::numeric[], %b::numeric[], %b::numeric[], %b::numeric[]) AS b
    ON CONFLICT (ledger, account, asset) DO UPDATE SET debits = excluded.debits, credits = excluded.credits,
        pending_debits = excluded.pending_debits, pending_credits = excluded.pending_credits"""
SET_DEFINITIONS = """INSERT INTO tallystick.account (ledger, name, definition)
    SELECT ledger, a.* FROM moved, unnest(%b::text[], %b::text[]) AS a
    ON CONFLICT (ledger, name) DO UPDATE SET definition = excluded.definition"""
SET_REMAINDERS = """INSERT INTO tallystick.remainder (ledger, id, kind, remaining, expires, seq)
    SELECT ledger, r.* FROM moved, unnest(%b::text[], %b::text[], %b::text[], %s::int8[], %s::int8[]) AS r
    ON CONFLICT (ledger, id) DO UPDATE
    SET kind = excluded.kind, remaining = excluded.remaining, expires = excluded.expires, seq = excluded.seq"""
ADD_ASSETS = """INSERT INTO tallystick.asset (ledger, code, scale)
    SELECT ledger, a.* FROM moved, unnest(%b::text[], %s::int4[]) AS a"""

ENTRY = "SELECT seq, id, convert_to(stub, 'UTF8'), convert_to(body, 'UTF8'), hash FROM tallystick.entry"
STUB = "SELECT seq, id, convert_to(stub, 'UTF8'), ''::bytea, hash FROM tallystick.entry"
# Runs of rows without a gap have one difference between position and number. Lengths as bytes: big-endian int4.
STUBS = """SELECT min(seq), string_agg(stub, '' ORDER BY seq), string_agg(int4send(length(stub)), '' ORDER BY seq)
    FROM (SELECT seq, convert_to(stub, 'UTF8') AS stub, seq - row_number() OVER (ORDER BY seq) AS run
        FROM tallystick.entry WHERE ledger = %s AND seq >= %s AND seq < %s ORDER BY seq LIMIT %s) AS e
    GROUP BY run ORDER BY 1"""
BALANCE = "SELECT account, asset, debits, credits, pending_debits, pending_credits FROM tallystick.balance"
CHECKPOINT = "SELECT size, root, note, frontier FROM tallystick.checkpoint"


# Roles belong to the whole server and may be there already, or be made by another database's migration at this moment.
ROLES = """DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tallystick_owner', 'tallystick_writer', 'tallystick_reader'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN CONTINUE;
        END;
        IF name = 'tallystick_owner' AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);
        END IF;
    END LOOP;
END$$"""
SESSION_OF_OWNER = "SET search_path = pg_catalog; SET ROLE tallystick_owner"


class PostgresStore:
    """One ledger's rows; see `ports.LedgerStore`."""

    def __init__(self, origin: str, number: int, read: Pool, write: Pool | None) -> None:
        self._origin = origin
        self._number = number
        self._read = read
        self._write = write

    @property
    def origin(self) -> str:
        return self._origin

    # --- what a decision needs

    def head(self) -> Head | None:
        rows = self._select(HEAD, (self._number,))
        return Head(*rows[0]) if rows else None

    def commit(self, batch: Batch) -> None:
        size, head = batch.previous
        with self._writing().use() as connection, self._conflicts_named(size):
            if batch.count <= INLINE_MAX:
                if not self._advance(connection, batch, size, head, with_entries=True):
                    raise self._moved(size)
                return
            with connection.transaction():
                if connection.execute(LOCK_HEAD, (self._number, size, head)).fetchone() is None:
                    raise self._moved(size)
                with connection.cursor().copy(COPY_ENTRIES) as copy:
                    for chunk in batch.copy_entries(self._number):
                        copy.write(chunk)
                if not self._advance(connection, batch, size, head, with_entries=False):
                    raise self._moved(size)

    def _advance(self, connection: Connection, batch: Batch, size: int, head: bytes, *, with_entries: bool) -> bool:
        """Move the head from (size, head) and store what hangs on it, in one statement; whether it was there."""
        parts: list[str] = []
        values: list[object] = []

        def add(part: str, rows: Sequence[tuple[object, ...]]) -> None:
            if rows:
                parts.append(part)
                values.extend([list(column) for column in zip(*rows, strict=True)])

        moved = MOVE_HEAD if size else FIRST_HEAD
        values += [*batch.head, self._number, *((size, head) if size else ())]
        if with_entries:
            add(ADD_ENTRIES, list(batch.entries()))
        add(SET_BALANCES, batch.balances())
        add(SET_DEFINITIONS, batch.definitions())
        add(SET_REMAINDERS, batch.remainders())
        add(ADD_ASSETS, batch.assets())
        hanging = "".join(f", w{number} AS ({part})" for number, part in enumerate(parts))
        sql = f"WITH moved AS ({moved}){hanging} SELECT 1 FROM moved"  # noqa: S608 # constants above
        done = connection.execute(sql.encode(), values)
        return done.fetchone() is not None

    @contextmanager
    def _conflicts_named(self, size: int) -> Iterator[None]:
        """The head is locked when an entry is inserted, so a key that is taken was not taken by a faster writer."""
        try:
            yield
        except UniqueViolation as error:
            if error.diag.constraint_name == "entry_id":
                raise IdExists("an id of the batch is taken", ledger=self._origin) from error
            raise IntegrityViolation(
                "rows stand beyond the head",
                next_step="Stop writing and run `tallystick ledger audit`.",
                ledger=self._origin,
                head=size,
                found=error.diag.message_detail,
            ) from error

    def _moved(self, size: int) -> HeadMoved:
        return HeadMoved("another writer moved the head", ledger=self._origin, expected=size)

    def assets(self) -> dict[str, int]:
        return dict(self._select("SELECT code, scale FROM tallystick.asset WHERE ledger = %s", (self._number,)))

    def expiring(self) -> list[tuple[str, int, int]]:
        sql = "SELECT id, seq, expires FROM tallystick.remainder WHERE ledger = %s AND expires IS NOT NULL"
        return self._select(sql, (self._number,))

    def definitions(self, names: Sequence[str]) -> dict[str, bytes]:
        sql = "SELECT name, convert_to(definition, 'UTF8') FROM tallystick.account WHERE ledger = %s AND name = ANY(%b)"
        return dict(self._select(sql, (self._number, _texts(names))))

    def balances(self, names: Sequence[str]) -> list[BalanceRow]:
        sql = f"{BALANCE} WHERE ledger = %s AND account = ANY(%b)"
        return _balances(self._select(sql, (self._number, _texts(names))))

    def all_balances(self, prefix: str = "", after: tuple[str, str] = ("", ""), limit: int = 1000) -> list[BalanceRow]:
        sql = f"""{BALANCE} WHERE ledger = %s AND (account, asset) > (%s, %s) AND account >= %s AND account < %s
            ORDER BY account, asset LIMIT %s"""
        return _balances(self._select(sql, (self._number, *storable((*after, prefix, after_prefix(prefix))), limit)))

    def all_definitions(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        sql = """SELECT name, convert_to(definition, 'UTF8') FROM tallystick.account
            WHERE ledger = %s AND name > %s AND name >= %s AND name < %s ORDER BY name LIMIT %s"""
        return self._select(sql, (self._number, *storable((after, prefix, after_prefix(prefix))), limit))

    def remainders(self, ids: Sequence[str]) -> list[RemainderRow]:
        sql = "SELECT id, kind, remaining, expires FROM tallystick.remainder WHERE ledger = %s AND id = ANY(%b)"
        return [remainder_row(*row) for row in self._select(sql, (self._number, _texts(ids)))]

    # --- entries and checkpoints

    def by_id(self, ids: Sequence[str]) -> list[EntryRow]:
        rows = self._select(f"{ENTRY} WHERE ledger = %s AND id = ANY(%b)", (self._number, _texts(ids)), binary=True)
        return [EntryRow(*row) for row in rows]

    def entries(self, first: int, end: int, *, bodies: bool = True) -> Iterator[list[EntryRow]]:
        chunk = CHUNK_ENTRIES if bodies else CHUNK_STUBS
        sql = f"{ENTRY if bodies else STUB} WHERE ledger = %s AND seq >= %s AND seq < %s ORDER BY seq LIMIT %s"
        while rows := self._select(sql, (self._number, first, end, chunk), binary=True):
            yield [EntryRow(*row) for row in rows]
            first = rows[-1][0] + 1

    def stubs(self, first: int, end: int) -> Iterator[tuple[int, bytes, Sequence[int]]]:
        while runs := self._select(STUBS, (self._number, first, end, CHUNK_STUBS), binary=True):
            for start, stubs, packed in runs:
                lengths = struct.unpack(f">{len(packed) // 4}i", packed)
                yield start, stubs, lengths
                first = start + len(lengths)

    def checkpoint(self, at_least: int | None = None) -> CheckpointRow | None:
        if at_least is None:
            rows = self._select(f"{CHECKPOINT} WHERE ledger = %s ORDER BY size DESC LIMIT 1", (self._number,))
        else:
            sql = f"{CHECKPOINT} WHERE ledger = %s AND size >= %s ORDER BY size LIMIT 1"
            rows = self._select(sql, (self._number, at_least))
        return CheckpointRow(*rows[0]) if rows else None

    def checkpoints(self) -> Iterator[CheckpointRow]:
        sql = f"{CHECKPOINT} WHERE ledger = %s AND size > %s ORDER BY size LIMIT %s"
        size = BEFORE_ALL
        while rows := self._select(sql, (self._number, size, CHUNK_CHECKPOINTS)):
            yield from (CheckpointRow(*row) for row in rows)
            size = rows[-1][0]

    def add_checkpoint(self, row: CheckpointRow, previous: int | None) -> None:
        if previous is not None and row.size <= previous:
            raise IntegrityViolation("a checkpoint must grow", ledger=self._origin, previous=previous, found=row.size)
        sql = """INSERT INTO tallystick.checkpoint (ledger, size, root, note, frontier)
            SELECT %s, %s, %s, %s, %s WHERE %s IS NOT DISTINCT FROM
                (SELECT max(size) FROM tallystick.checkpoint WHERE ledger = %s)
            RETURNING size"""
        values = (self._number, row.size, row.root, row.note, row.frontier, previous, self._number)
        with self._writing().use() as connection, connection.pipeline(), connection.transaction():
            # Two sealers queue here; the statement after it sees what the first one stored.
            connection.execute("SELECT 1 FROM tallystick.head WHERE ledger = %s FOR UPDATE", (self._number,))
            stored = connection.execute(sql, values).fetchone()
        if stored is None:
            raise HeadMoved("another process stored a checkpoint", ledger=self._origin, expected=previous)

    # --- projections

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        def rows_of_ledger(table: str) -> str:
            columns = ", ".join(TABLES[table])
            return f"(SELECT {columns} FROM tallystick.{table} WHERE ledger = {self._number})"  # noqa: S608 # ours

        translated = expand(sql.replace("%", "%%").replace("?", "%s"), rows_of_ledger)
        return self._select(translated, tuple(storable(parameters)))

    def project(self, name: str, position: int, end: int, rows: dict[str, Sequence[tuple[object, ...]]]) -> None:
        key = (self._number, name)
        first = "INSERT INTO tallystick.projection (ledger, name, position) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING"
        move = """UPDATE tallystick.projection SET position = %s
            WHERE ledger = %s AND name = %s AND position = %s RETURNING 1"""
        with self._writing().use() as connection, connection.transaction():
            if position == 0:
                connection.execute(first, key)
            if connection.execute(move, (end, *key, position)).fetchone() is None:
                raise HeadMoved("another process moved the projection", ledger=self._origin, projection=name)
            for table, table_rows in rows.items():
                copy_in = f"COPY tallystick.{table} (ledger, {', '.join(PROJECTIONS[table])}) FROM STDIN"
                with connection.cursor().copy(copy_in.encode()) as copy:
                    for row in storable_rows(table_rows):
                        copy.write_row((self._number, *row))

    def projected(self, name: str) -> int:
        sql = "SELECT position FROM tallystick.projection WHERE ledger = %s AND name = %s"
        rows = self._select(sql, (self._number, name))
        return int(rows[0][0]) if rows else 0

    def reset_projection(self, name: str, tables: Sequence[str]) -> None:
        with self._writing().use() as connection, connection.transaction():
            # Its position first: a projection that is being written waits here, or makes this wait.
            sql = "UPDATE tallystick.projection SET position = 0 WHERE ledger = %s AND name = %s"
            connection.execute(sql, (self._number, name))
            for table in tables:
                if table not in PROJECTIONS:
                    raise ValueError(f"{table} is no projection; there are {', '.join(PROJECTIONS)}")
                delete = f"DELETE FROM tallystick.{table} WHERE ledger = %s"  # noqa: S608 # looked up above
                connection.execute(delete.encode(), (self._number,))

    def close(self) -> None:
        """Nothing is held: the connections belong to the factory."""

    def _select(self, sql: str, values: Sequence[object], *, binary: bool = False) -> list[Any]:
        with self._read.use() as connection:
            return connection.execute(sql.encode(), values, binary=binary).fetchall()

    def _writing(self) -> Pool:
        if self._write is None:
            raise Misconfigured("this ledger was opened for reading", next_step="Open it with write=True.")
        return self._write


def _texts(values: Sequence[str]) -> list[object]:
    return list(storable(values))


def _balances(rows: Sequence[tuple[Any, ...]]) -> list[BalanceRow]:
    return [balance_row(*row) for row in rows]


class PostgresStores:
    """The ledgers of one database; see `ports.StoreFactory`. At most `connections` to read and one to write with."""

    def __init__(self, dsn: str, *, connections: int = 8) -> None:
        self._dsn = dsn
        self._read = Pool(dsn, READING, connections)
        self._write = Pool(dsn, WRITING, 2)

    def ledgers(self) -> list[str]:
        with self._read.use() as connection:
            if self._revision(connection) is None:
                return []
            return sorted(origin for (origin,) in connection.execute("SELECT origin FROM tallystick.ledger"))

    def open(self, origin: str, *, write: bool, create: bool = False) -> PostgresStore:
        storable((origin,))
        with self._read.use() as connection:
            found = self._revision(connection)
        if migrations.is_behind("postgres", found):
            if not write:
                raise Misconfigured(
                    "the tables are of an older release, or absent",
                    next_step="Run a command that writes, such as `tallystick seal`, as a member of tallystick_owner.",
                    expected=migrations.REVISIONS["postgres"][-1],
                    found=found,
                )
            self._migrate()
        number = self._number(origin)
        if number is None and write and create:
            with self._write.use() as connection:
                sql = "INSERT INTO tallystick.ledger (origin) VALUES (%s) ON CONFLICT DO NOTHING"
                connection.execute(sql, (origin,))
            number = self._number(origin)
        if number is None:
            raise Misconfigured(
                "there is no such ledger", next_step="Create it: tallystick ledger create ORIGIN", ledger=origin
            )
        return PostgresStore(origin, number, self._read, self._write if write else None)

    def diagnose(self) -> list[Finding]:
        return diagnose(self._dsn)

    def close(self) -> None:
        self._read.close()
        self._write.close()

    def _number(self, origin: str) -> int | None:
        with self._read.use() as connection:
            row = connection.execute("SELECT number FROM tallystick.ledger WHERE origin = %s", (origin,)).fetchone()
        return None if row is None else int(row[0])

    @staticmethod
    def _revision(connection: Connection) -> str | None:
        if connection.execute("SELECT to_regclass('tallystick.alembic_version')").fetchone() == (None,):
            return None
        row = connection.execute("SELECT version_num FROM tallystick.alembic_version").fetchone()
        return None if row is None else str(row[0])

    def _migrate(self) -> None:
        """Make the roles and the schema if absent, then bring its tables to this release's revision."""
        with named_errors(), connect(self._dsn) as connection:
            # Held until the connection closes: of two processes that start at once, one migrates and one looks on.
            connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            found = self._revision(connection)
            if not migrations.is_behind("postgres", found):
                return
            if found is None:
                connection.execute(ROLES, prepare=False)
                connection.execute("CREATE SCHEMA IF NOT EXISTS tallystick AUTHORIZATION tallystick_owner")
            migrations.upgrade_postgres(lambda: connect(self._dsn, SESSION_OF_OWNER))
