"""How entries could lie in a database: a row each, or one value for up to 256; written from Python, or from the kernel.

    python bench/bench_layout.py [sqlite] [postgres]

The same batches (built by the kernel outside the clock, but for the product's own way, which builds as it writes) are
stored in four ways; each commit is durable. Ids, balances and the head are written in all of them. For the ADR.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
from harness import BATCHES, Workload, emit, note, report, run, scratch
from postgres import server

from tallystick import kernels
from tallystick.kernels import Batch
from tallystick.storage.postgres import PostgresStores
from tallystick.storage.sqlite import SqliteStores

ORIGIN = "bench.example/ledger/layout"
VALUE = 256
Entries = list[tuple[int, str | None, bytes, bytes, bytes]]
Store = Callable[[Batch, Entries], None]

SQLITE = """CREATE TABLE entry(seq INTEGER PRIMARY KEY, id TEXT, stub TEXT NOT NULL, body TEXT NOT NULL,
    hash BLOB NOT NULL);
CREATE UNIQUE INDEX entry_id ON entry(id) WHERE id IS NOT NULL;
CREATE TABLE bundle(first INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE ids(id TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE balance(account TEXT, asset TEXT, d TEXT, c TEXT, pd TEXT, pc TEXT,
    PRIMARY KEY(account, asset)) WITHOUT ROWID;
CREATE TABLE head(one INTEGER PRIMARY KEY, size INTEGER, hash BLOB);"""
POSTGRES = """DROP TABLE IF EXISTS entry, bundle, ids, balance, head;
CREATE TABLE entry(seq int8 PRIMARY KEY, id text UNIQUE, stub text NOT NULL, body text NOT NULL, hash bytea NOT NULL);
CREATE TABLE bundle(first int8 PRIMARY KEY, value bytea NOT NULL); ALTER TABLE bundle ALTER value SET STORAGE external;
CREATE TABLE ids(id text PRIMARY KEY, seq int8 NOT NULL);
CREATE TABLE balance(account text, asset text, d numeric, c numeric, pd numeric, pc numeric,
    PRIMARY KEY(account, asset));
CREATE TABLE head(one int4 PRIMARY KEY, size int8, hash bytea);"""


def values(entries: Entries) -> list[tuple[int, bytes]]:
    """One value for up to 256 entries of one batch."""
    return [
        (entries[i][0], b"".join(stub + body + digest for _, _, stub, body, digest in entries[i : i + VALUE]))
        for i in range(0, len(entries), VALUE)
    ]


def sqlite_python(folder: Path, *, bundled: bool) -> Store:
    db = sqlite3.connect(folder / f"{bundled}.db", isolation_level=None)
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SQLITE)

    def store(batch: Batch, entries: Entries) -> None:
        db.execute("BEGIN IMMEDIATE")
        if bundled:
            db.executemany("INSERT INTO bundle VALUES(?,?)", values(entries))
            db.executemany("INSERT INTO ids VALUES(?,?)", [(entry[1], entry[0]) for entry in entries if entry[1]])
        else:
            rows = [(seq, key, stub.decode(), body.decode(), digest) for seq, key, stub, body, digest in entries]
            db.executemany("INSERT INTO entry VALUES(?,?,?,?,?)", rows)
        db.executemany("INSERT OR REPLACE INTO balance VALUES(?,?,?,?,?,?)", batch.balances())
        db.execute("INSERT OR REPLACE INTO head VALUES(1,?,?)", batch.head[:2])
        db.execute("COMMIT")

    return store


def postgres_python(dsn: str, *, bundled: bool) -> Store:
    db = psycopg.connect(dsn, autocommit=True)
    for statement in POSTGRES.split(";")[:-1]:
        db.execute(statement)  # type: ignore[call-overload]
    cursor = db.cursor()

    def store(batch: Batch, entries: Entries) -> None:
        with db.transaction():
            if bundled:
                with cursor.copy("COPY bundle FROM STDIN (FORMAT binary)") as copy:
                    copy.set_types(["int8", "bytea"])
                    for row in values(entries):
                        copy.write_row(row)
                with cursor.copy("COPY ids FROM STDIN (FORMAT binary)") as copy:
                    copy.set_types(["text", "int8"])
                    for entry in entries:
                        if entry[1]:
                            copy.write_row((entry[1], entry[0]))
            else:
                with cursor.copy("COPY entry FROM STDIN (FORMAT binary)") as copy:
                    copy.set_types(["int8", "text", "text", "text", "bytea"])
                    for seq, key, stub, body, digest in entries:
                        copy.write_row((seq, key, stub.decode(), body.decode(), digest))
            balances = batch.balances() or [("", "", "0", "0", "0", "0")]
            cursor.execute(
                "INSERT INTO balance SELECT * FROM unnest(%s::text[],%s::text[],%s::numeric[],%s::numeric[],"
                "%s::numeric[],%s::numeric[]) ON CONFLICT(account, asset) DO UPDATE "
                "SET d=excluded.d, c=excluded.c, pd=excluded.pd, pc=excluded.pc",
                [list(column) for column in zip(*balances, strict=True)],
            )
            cursor.execute(
                "INSERT INTO head VALUES(1,%s,%s) ON CONFLICT(one) DO UPDATE "
                "SET size=excluded.size, hash=excluded.hash",
                batch.head[:2],
            )

    return store


def product(stores: SqliteStores | PostgresStores) -> Store:
    """The kernel's rows: SQLite written by the kernel, PostgreSQL by a COPY image made in the kernel."""
    ledger = stores.open(ORIGIN, write=True, create=True)
    return lambda batch, _: ledger.commit(batch)


def measure(name: str, batch_size: int, store: Store, *, prebuilt: bool) -> float:
    journal = kernels.Journal(ORIGIN)
    journal.reset(None, False, [], [])  # noqa: FBT003 (a compiled function)
    load = Workload()
    genesis = journal.append("genesis", b'{"accounts":"implicit","by":"user:bench","keys":[]}', 1)
    store(genesis, list(genesis.entries()))
    journal.commit(genesis)
    now = 10

    def prepare(count: int) -> tuple[Batch, Entries]:
        nonlocal now
        now += 10_000
        requests = journal.parse([("user:bench", "json", load.take_json(count))])
        accounts, _ = journal.missing(requests, now)
        journal.load(accounts, [], [], [], [], [])
        batch = journal.apply(requests, now, bytes(32))
        return batch, list(batch.entries()) if prebuilt else []

    def commit(work: tuple[Batch, Entries]) -> None:
        store(*work)
        journal.commit(work[0])

    measured = run(batch_size, prepare, commit)
    emit(name, "python", batch_size, measured, None, None, "fsync per commit")
    return measured.rate


def main() -> None:
    for kind in sys.argv[1:] or ["sqlite", "postgres"]:
        for batch_size in BATCHES:
            rates = {}
            with scratch("layout") as folder:
                if kind == "sqlite":
                    for bundled in (False, True):
                        name = "sqlite, executemany, " + ("value per 256" if bundled else "row per entry")
                        rates[name] = measure(name, batch_size, sqlite_python(folder, bundled=bundled), prebuilt=True)
                    stores = SqliteStores(folder / "product")
                    name = "sqlite, kernel, row per entry"
                    rates[name] = measure(name, batch_size, product(stores), prebuilt=False)
                    stores.close()
                else:
                    with server(folder / "postgres") as dsn:
                        for bundled in (False, True):
                            name = "postgres, psycopg COPY, " + ("value per 256" if bundled else "row per entry")
                            store = postgres_python(dsn, bundled=bundled)
                            rates[name] = measure(name, batch_size, store, prebuilt=True)
                        name = "postgres, kernel's COPY image, row per entry"
                        rates[name] = measure(name, batch_size, product(PostgresStores(dsn)), prebuilt=False)
            best = max(rates.values())
            shares = {name: round(rate / best, 2) for name, rate in rates.items()}
            report(figure="layout", database=kind, batch=batch_size, share_of_best=shares)
        note(kind, "done")


if __name__ == "__main__":
    main()
