"""The bare databases: one table of rows as large as Tallystick's, hashes given, balances updated, one commit per batch.

What a ledger without proofs would pay on this machine: the measure that Tallystick is a share of.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg

ACCOUNTS = 1000
Rows = list[tuple[int, bytes, bytes]]
Sums = list[tuple[str, int, int]]


class Bare:
    """Makes rows of a given size out of the workload's commands; what it makes is written by one of the two below."""

    def __init__(self, row_bytes: int) -> None:
        self._filler = b"x" * row_bytes
        self._seq = 0

    def prepare(self, commands: list[dict[str, object]]) -> tuple[Rows, Sums]:
        """Rows and balance changes, outside the clock."""
        rows: Rows = []
        sums: dict[str, list[int]] = {}
        for command in commands:
            self._seq += 1
            data = b"%016d" % self._seq + self._filler[16:]
            rows.append((self._seq, data, hashlib.sha256(data).digest()))
            (leg,) = command["legs"]  # type: ignore[misc]
            amount = int(leg["amount"])
            sums.setdefault(leg["debit"], [0, 0])[0] += amount
            sums.setdefault(leg["credit"], [0, 0])[1] += amount
        return rows, [(name, debits, credits) for name, (debits, credits) in sorted(sums.items())]


def sqlite_writer(folder: Path) -> Callable[[tuple[Rows, Sums]], None]:
    """Python's sqlite3, executemany, WAL, synchronous=FULL."""
    db = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE raw(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, hash BLOB NOT NULL)")
    db.execute(
        "CREATE TABLE balance(account TEXT PRIMARY KEY, debits INTEGER NOT NULL, credits INTEGER NOT NULL)"
        " WITHOUT ROWID"
    )

    def commit(work: tuple[Rows, Sums]) -> None:
        rows, sums = work
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO raw VALUES(?,?,?)", rows)
        db.executemany(
            "INSERT INTO balance VALUES(?,?,?) ON CONFLICT(account) DO UPDATE SET "
            "debits=debits+excluded.debits, credits=credits+excluded.credits",
            sums,
        )
        db.execute("COMMIT")

    return commit


def postgres_writer(dsn: str) -> Callable[[tuple[Rows, Sums]], None]:
    """psycopg, binary COPY, one upsert of balances, fsync and synchronous_commit on."""
    db = psycopg.connect(dsn, autocommit=True)
    db.execute("DROP TABLE IF EXISTS raw, balance")
    db.execute("CREATE TABLE raw(seq bigint PRIMARY KEY, bytes bytea NOT NULL, hash bytea NOT NULL)")
    db.execute("ALTER TABLE raw ALTER bytes SET STORAGE plain")
    db.execute("CREATE TABLE balance(account text PRIMARY KEY, debits bigint NOT NULL, credits bigint NOT NULL)")
    cursor = db.cursor()

    def commit(work: tuple[Rows, Sums]) -> None:
        rows, sums = work
        with db.transaction():
            with cursor.copy("COPY raw FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int8", "bytea", "bytea"])
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                "INSERT INTO balance SELECT * FROM unnest(%s::text[],%s::bigint[],%s::bigint[]) ON CONFLICT(account) "
                "DO UPDATE SET debits=balance.debits+excluded.debits, credits=balance.credits+excluded.credits",
                ([s[0] for s in sums], [s[1] for s in sums], [s[2] for s in sums]),
            )

    return commit
