"""One connection to the bundled SQLite, and the transaction that stores a batch."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tallystick.kernels import Batch, Journal, SqliteConnection, SqliteError
from tallystick.storage import migrations

ORIGIN = "bank.example/ledger/test"
NOW = 1_795_478_400_000_000
TABLES = ("entry", "balance", "account", "remainder", "asset", "head")


def refusal(call: object, *args: object) -> str:
    assert callable(call)
    with pytest.raises(SqliteError) as error:
        call(*args)
    code, message = error.value.args
    assert message
    return str(code)


def test_values_go_in_and_come_out(tmp_path: Path) -> None:
    db = SqliteConnection(str(tmp_path / "a.db"), mode="rwc")
    values = (None, 0, -(2**63), 2**63 - 1, "", "a\0é\U0001f600", b"", b"\0\xff")
    assert db.execute("SELECT ?, ?, ?, ?, ?, ?, ?, ?", values) == [values]
    kinds = db.execute("SELECT typeof(?), typeof(?), typeof(?), typeof(?)", [1, "1", b"1", None])
    assert kinds == [("integer", "text", "blob", "null")]
    with pytest.raises(TypeError, match="found float"):
        db.execute("SELECT ?", (1.5,))
    with pytest.raises(OverflowError):
        db.execute("SELECT ?", (2**63,))
    with pytest.raises(ValueError, match="mode"):
        SqliteConnection(str(tmp_path / "a.db"), mode="w")  # type: ignore[arg-type]


def test_a_statement_takes_what_it_says(tmp_path: Path) -> None:
    db = SqliteConnection(str(tmp_path / "a.db"), mode="rwc")
    assert db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)") == []
    assert db.execute("INSERT INTO t VALUES (1, 'x') RETURNING a") == [(1,)]
    assert refusal(db.execute, "SELECT ?, ?", (1,)) == "SQLITE_RANGE"
    assert refusal(db.execute, "SELECT 1", (1,)) == "SQLITE_RANGE"
    assert refusal(db.execute, "SELECT 1; SELECT 2") == "SQLITE_MISUSE"
    assert refusal(db.execute, "") == "SQLITE_MISUSE"
    assert refusal(db.execute, "SELEC") == "SQLITE_ERROR"
    assert refusal(db.execute, "SELECT * FROM nowhere") == "SQLITE_ERROR"
    assert refusal(db.execute, "INSERT INTO t VALUES (1, 'y')") == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert refusal(db.execute, "INSERT INTO t VALUES (2, 'x')") == "SQLITE_CONSTRAINT_UNIQUE"


def test_runs_of_rows_are_packed(tmp_path: Path) -> None:
    db = SqliteConnection(str(tmp_path / "a.db"), mode="rwc")
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
    db.execute_many("INSERT INTO t VALUES (?, ?)", [(n, b"%d" % n * (n % 4)) for n in (3, 4, 5, 8, 9)])
    pack = "SELECT a, CAST(b AS BLOB) FROM t WHERE a >= ? ORDER BY a LIMIT ?"
    assert db.pack(pack, (0, 9)) == (3, b"3335", [3, 0, 1])
    assert db.pack(pack, (4, 2)) == (4, b"5", [0, 1])
    assert db.pack(pack, (6, 9)) == (8, b"9", [0, 1])
    assert db.pack(pack, (10, 9)) is None
    assert db.pack("SELECT 9223372036854775807, x'' UNION ALL SELECT -9223372036854775808, x'01'") == (
        2**63 - 1,
        b"",
        [0],
    )
    assert refusal(db.pack, "SELECT a FROM t") == "SQLITE_RANGE"
    assert refusal(db.pack, pack, (1,)) == "SQLITE_RANGE"
    for bad in ("SELECT 1, 'text'", "SELECT NULL, x''", "SELECT 1, NULL"):
        assert refusal(db.pack, bad) == "SQLITE_CORRUPT"


def test_many_rows_are_all_or_none(tmp_path: Path) -> None:
    db = SqliteConnection(str(tmp_path / "a.db"), mode="rwc")
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    assert db.execute_many("INSERT INTO t VALUES (?)", [(n,) for n in range(5)]) == 5
    assert refusal(db.execute_many, "INSERT INTO t VALUES (?)", [(9,), (3,)]) == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert refusal(db.execute_many, "INSERT INTO t VALUES (?)", [(9,), ()]) == "SQLITE_RANGE"
    assert db.execute("SELECT count(*), max(a) FROM t") == [(5, 4)]
    db.execute("BEGIN")
    assert db.execute_many("DELETE FROM t WHERE a < ?", [[2], [4]]) == 4
    db.execute("ROLLBACK")
    assert db.execute("SELECT count(*) FROM t") == [(5,)]


def test_modes_and_the_end_of_a_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    assert refusal(SqliteConnection, path) == "SQLITE_CANTOPEN"
    with closing(SqliteConnection(path, mode="rwc")) as db:
        db.execute("CREATE TABLE t (a)")
    reader = SqliteConnection(path, mode="ro")
    assert refusal(reader.execute, "INSERT INTO t VALUES (1)") == "SQLITE_READONLY"
    reader.close()
    reader.close()
    assert refusal(reader.execute, "SELECT 1") == "SQLITE_MISUSE"
    (tmp_path / "b.db").write_bytes(b"this is no database" * 100)
    assert refusal(SqliteConnection(str(tmp_path / "b.db")).execute, "SELECT * FROM sqlite_schema") == "SQLITE_NOTADB"


def test_text_that_is_not_utf8_is_corruption(tmp_path: Path) -> None:
    db = SqliteConnection(str(tmp_path / "a.db"), mode="rwc")
    assert refusal(db.execute, "SELECT CAST(x'ff' AS TEXT)") == "SQLITE_CORRUPT"


def test_a_locked_database_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    holder = SqliteConnection(path, mode="rwc")
    holder.execute("CREATE TABLE t (a)")
    holder.execute("BEGIN IMMEDIATE")
    assert refusal(SqliteConnection(path, busy_timeout_ms=1).execute, "BEGIN IMMEDIATE") == "SQLITE_BUSY"
    waiting = SqliteConnection(path, busy_timeout_ms=60_000)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(waiting.execute, "BEGIN IMMEDIATE")
        holder.execute("COMMIT")
        assert begun.result() == []


def test_one_connection_serves_many_threads(tmp_path: Path) -> None:
    db = SqliteConnection(str(tmp_path / "a.db"), mode="rwc")
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    barrier = threading.Barrier(4)

    def insert(first: int) -> None:
        barrier.wait()
        for n in range(first, 200, 4):
            db.execute("INSERT INTO t VALUES (?)", (n,))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(insert, range(4)))
    assert db.execute("SELECT count(*) FROM t") == [(200,)]


# --- append


@pytest.fixture
def db(tmp_path: Path) -> SqliteConnection:
    path = tmp_path / "ledger.db"
    migrations.upgrade_sqlite(path)
    return SqliteConnection(str(path))


class Ledger:
    """A journal and what it needs, without the log."""

    def __init__(self) -> None:
        self.journal = Journal(ORIGIN)
        self.journal.reset(None, False, [], [])
        self.now = NOW

    def genesis(self) -> Batch:
        return self.journal.append("genesis", b'{"accounts":"implicit","by":"user:test","keys":[]}', self.now)

    def apply(self, *commands: dict[str, object]) -> Batch:
        self.now += 1000
        requests = self.journal.parse([("user:test", "objects", list(commands))])
        accounts, targets = self.journal.missing(requests, self.now)
        if accounts or targets:
            self.journal.load(accounts, [], [], targets, [], [])
        return self.journal.apply(requests, self.now, bytes(32))


def transfer(id: str, kind: str = "transaction", asset: str = "EUR/2") -> dict[str, object]:
    return {"kind": kind, "id": id, "legs": [{"debit": "a", "credit": "b", "asset": asset, "amount": "5"}]}


def rows(db: SqliteConnection) -> dict[str, list[tuple[object, ...]]]:
    return {table: db.execute(f"SELECT * FROM {table}") for table in TABLES}


def test_a_batch_is_stored_whole(db: SqliteConnection) -> None:
    ledger = Ledger()
    batch = ledger.genesis()
    db.append(batch)
    ledger.journal.commit(batch)
    commands = [transfer(f"tx-{n}") for n in range(3000)]
    pending = {**transfer("hold", "pending"), "expires": "2026-12-24T00:00:00Z"}
    batch = ledger.apply({"kind": "account", "name": "a", "limit": "none"}, *commands, pending)
    db.append(batch)
    ledger.journal.commit(batch)

    stored = db.execute("SELECT seq, id, CAST(stub AS BLOB), CAST(body AS BLOB), hash FROM entry ORDER BY seq")
    assert stored[1:] == list(batch.entries())
    assert stored[0][1] is None
    assert db.execute("SELECT DISTINCT typeof(stub), typeof(body), typeof(hash) FROM entry") == [
        ("text", "text", "blob")
    ]
    assert sorted(db.execute("SELECT * FROM balance")) == sorted(batch.balances())
    assert db.execute("SELECT * FROM balance WHERE account = 'a'") == [("a", "EUR/2", "15000", "0", "5", "0")]
    assert db.execute("SELECT * FROM account") == batch.definitions()
    assert db.execute("SELECT id, kind, remaining, expires, seq FROM remainder") == batch.remainders()
    assert db.execute("SELECT * FROM asset") == [("EUR", 2)]
    assert db.execute("SELECT size, hash, at, batch, batch_first, closed_before FROM head") == [batch.head]


def test_a_head_that_moved_is_refused(db: SqliteConnection) -> None:
    first, second = Ledger(), Ledger()
    assert refusal(db.append, after_genesis(first).apply(transfer("t"))) == "HEAD_MOVED"
    assert rows(db) == {table: [] for table in TABLES}
    db.append(Ledger().genesis())
    before = rows(db)
    assert refusal(db.append, second.genesis()) == "HEAD_MOVED"
    assert rows(db) == before


def after_genesis(ledger: Ledger) -> Ledger:
    ledger.journal.commit(ledger.genesis())
    return ledger


def test_a_taken_id_is_refused_and_the_connection_goes_on(db: SqliteConnection) -> None:
    db.append(Ledger().genesis())
    knows, knows_not = after_genesis(Ledger()), after_genesis(Ledger())
    batch = knows.apply(transfer("tx"))
    db.append(batch)
    batch = knows_not.apply(transfer("other"))
    knows_not.journal.rollback(batch)
    head = db.execute("SELECT size, hash, at, batch, batch_first, closed_before FROM head")[0]
    knows_not.journal.reset(head, False, [("EUR", 2)], [])
    before = rows(db)
    batch = knows_not.apply(transfer("fresh"), transfer("tx"))
    assert refusal(db.append, batch) == "ID_EXISTS"
    assert rows(db) == before
    knows_not.journal.rollback(batch)
    db.append(knows_not.apply(transfer("fresh")))
    assert db.execute("SELECT size FROM head") == [(3,)]


def test_rows_that_contradict_the_head_are_no_taken_id(db: SqliteConnection) -> None:
    ledger = Ledger()
    db.execute("INSERT INTO entry VALUES (0, NULL, '', '', x'')")
    assert refusal(db.append, ledger.genesis()).startswith("SQLITE_CONSTRAINT")
    assert db.execute("SELECT * FROM head") == []


def test_append_needs_a_transaction_of_its_own(db: SqliteConnection) -> None:
    batch = Ledger().genesis()
    db.execute("BEGIN")
    assert refusal(db.append, batch) == "SQLITE_ERROR"
    db.execute("COMMIT")
    db.append(batch)
    assert db.execute("SELECT count(*) FROM entry") == [(1,)]


def test_a_full_database_leaves_nothing_behind(db: SqliteConnection) -> None:
    ledger = Ledger()
    batch = ledger.genesis()
    db.append(batch)
    ledger.journal.commit(batch)
    pages = db.execute("PRAGMA page_count")[0][0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    before = rows(db)
    batch = ledger.apply(*(transfer(f"tx-{n}") for n in range(2000)))
    assert refusal(db.append, batch) == "SQLITE_FULL"
    assert rows(db) == before
    db.execute("PRAGMA max_page_count = 1000000")
    db.append(batch)
    assert db.execute("SELECT size FROM head") == [(2001,)]


def test_a_checkpoint_moves_the_wal_while_readers_look_on(db: SqliteConnection, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    db.execute("PRAGMA wal_autocheckpoint = 0")
    ledger = Ledger()
    batch = ledger.genesis()
    db.append(batch)
    ledger.journal.commit(batch)
    db.append(ledger.apply(*(transfer(f"tx-{n}") for n in range(1000))))
    before = path.stat().st_size
    other = SqliteConnection(str(path))
    other.checkpoint()
    assert path.stat().st_size > before
    assert other.execute("SELECT count(*) FROM entry") == [(1001,)]
