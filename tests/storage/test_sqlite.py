from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from journals import Writing, begun, transfer

from tallystick.errors import IntegrityViolation, Misconfigured, RetryLater
from tallystick.storage.ports import EntryRow, LedgerStore
from tallystick.storage.sqlite import SqliteStore, SqliteStores
from tallystick.storage.sqlite_connection import closed_here

ORIGIN = "bank.example/ledger"
NOBODY = 65534
PRELUDE = """
import os, resource, sys
from pathlib import Path
from journals import Writing, begun, transfer
from tallystick.errors import RetryLater, TallystickError
from tallystick.storage.sqlite import SqliteStores
stores = SqliteStores(Path(sys.argv[1]))
"""

Open = Callable[..., SqliteStore]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledgers"


@pytest.fixture
def open_store(folder: Path) -> Iterator[Open]:
    """Opens the ledger, and closes it in the end."""
    with ExitStack() as after:
        stores = SqliteStores(folder)
        yield lambda write=True: after.enter_context(closing(stores.open(ORIGIN, write=write, create=write)))


def in_a_process(folder: Path, script: str, *, code: int = 0) -> str:
    """What a script prints in a process of its own; `stores` and the tests' journals are there."""
    ran = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(folder)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert ran.returncode == code, ran.stderr
    return ran.stdout


def file_of(folder: Path) -> Path:
    (path,) = folder.glob("*.sqlite")
    return path


def tamper(folder: Path, *statements: str) -> None:
    """As somebody with an SQLite of his own would; never while this process has the ledger open."""
    with closed_here(file_of(folder)), closing(sqlite3.connect(file_of(folder), isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def rows(store: LedgerStore) -> list[EntryRow]:
    return [row for chunk in store.entries(0, 1 << 53) for row in chunk]


def test_a_second_writer_is_refused_and_told_who_writes(folder: Path, open_store: Open) -> None:
    begun(open_store())
    with pytest.raises(RetryLater, match=f"ledger is being written by process {os.getpid()}"):
        open_store()
    said = in_a_process(
        folder,
        f"""
try:
    stores.open("{ORIGIN}", write=True)
except RetryLater as error:
    print(error)
print(stores.open("{ORIGIN}", write=False).head().size, stores.ledgers())
""",
    )
    assert f"ledger is being written by process {os.getpid()}" in said
    assert said.splitlines()[-1] == f"1 ['{ORIGIN}']"


def test_the_lock_ends_with_the_process_that_held_it(folder: Path, open_store: Open) -> None:
    script = (
        PRELUDE
        + f"""
writing = begun(stores.open("{ORIGIN}", write=True, create=True))
writing.record(transfer("durable"))
print("recorded", flush=True)
sys.stdin.read()
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as writer:  # fmt: skip
        assert writer.stdout is not None
        assert writer.stdout.readline() == "recorded\n"
        with pytest.raises(RetryLater, match=f"process {writer.pid}"):
            open_store()
        reader = open_store(write=False)
        assert [row.id for row in rows(reader)] == [None, "durable"]
        writer.send_signal(signal.SIGKILL)
    reader.close()
    store = open_store()
    assert [row.id for row in rows(store)] == [None, "durable"]
    Writing(store).record(transfer("next"))


def test_closing_lets_the_next_writer_in(open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    store.close()
    Writing(open_store()).record(transfer("a"))


@pytest.mark.parametrize(
    "change",
    ["UPDATE entry SET body = 'forged'", "DELETE FROM entry", "UPDATE OR REPLACE entry SET seq = 0 WHERE seq = 1",
     "UPDATE checkpoint SET size = 9", "DELETE FROM checkpoint"],
)  # fmt: skip
def test_entries_and_checkpoints_are_append_only(folder: Path, open_store: Open, change: str) -> None:
    store = open_store()
    begun(store).record(transfer("a"))
    store.close()
    tamper(folder, "INSERT INTO checkpoint VALUES (1, x'00', x'00', x'00')")
    with pytest.raises(sqlite3.IntegrityError, match="is append-only"):
        tamper(folder, change)
    assert len(rows(open_store())) == 2


def test_a_run_of_stubs_ends_before_a_missing_row(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store).record_many([f"t{i}" for i in range(9)])
    store.close()
    tamper(folder, "DROP TRIGGER entry_no_delete", "DELETE FROM entry WHERE seq IN (3, 4, 8)")
    store = open_store()
    whole = {row.seq: row.stub for row in rows(store)}
    runs = [(first, len(lengths)) for first, _, lengths in store.stubs(0, 99)]
    assert runs == [(0, 3), (5, 3), (9, 1)]
    assert [data for _, data, _ in store.stubs(0, 99)] == [
        b"".join(whole[seq] for seq in range(first, first + count)) for first, count in runs
    ]
    assert [(first, len(lengths)) for first, _, lengths in store.stubs(4, 6)] == [(5, 1)]


def test_a_query_cannot_write(open_store: Open) -> None:
    store = open_store()
    begun(store)
    for change in ("DELETE FROM posting", "INSERT INTO asset VALUES ('EUR', 9)", "PRAGMA user_version = 7"):
        with pytest.raises(RetryLater, match="readonly"):
            store.query(change)


def test_a_full_database_refuses_and_goes_on_when_there_is_room(open_store: Open) -> None:
    store = open_store()
    writing = begun(store)
    writing.record(transfer("before"))
    assert store._write is not None
    (pages,) = store._write.execute("PRAGMA page_count")[0]
    store._write.execute(f"PRAGMA max_page_count = {pages + 2}")
    batch = writing.apply(*(transfer(f"t{i}") for i in range(500)))
    with pytest.raises(RetryLater, match="full"):
        store.commit(batch)
    with pytest.raises(RetryLater, match="full"):
        store.project("p", 0, 1, {"metadata": [("k", f"{i}", i) for i in range(5000)]})
    assert [row.id for row in rows(store)] == [None, "before"]
    store._write.execute("PRAGMA max_page_count = 1000000")
    store.commit(batch)
    assert len(rows(store)) == 502


def test_a_full_disk_refuses_and_loses_nothing(folder: Path, open_store: Open) -> None:
    said = in_a_process(
        folder,
        f"""
store = stores.open("{ORIGIN}", write=True, create=True)
writing = begun(store)
writing.record(transfer("before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
batch = writing.apply(*(transfer(f"t{{i}}") for i in range(2000)))
try:
    store.commit(batch)
except RetryLater as error:
    print(error)
print(store.head().size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.commit(batch)
print(store.head().size)
store.close()
""",
    ).splitlines()
    assert "the database cannot be used" in said[0]
    assert said[1:] == ["2", "2002"]
    assert len(rows(open_store())) == 2002


def test_a_folder_without_the_right_to_write_is_named_and_read() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's folders let no other user in
        folder = Path(name)
        with closing(SqliteStores(folder).open(ORIGIN, write=True, create=True)) as store:
            begun(store).record(transfer("a"))
            folder.chmod(0o755)
            said = in_a_process(
                folder,
                f"""
import alembic.command, alembic.config, sqlalchemy.dialects.sqlite  # of a Python that only root may read, perhaps
os.seteuid({NOBODY}) if os.geteuid() == 0 else os.chmod(sys.argv[1], 0o555)
for write, origin in ((True, "{ORIGIN}"), (True, "new.example/ledger")):
    try:
        stores.open(origin, write=write, create=True)
    except TallystickError as error:
        print(type(error).__name__, error)
print(stores.open("{ORIGIN}", write=False).head().size)
print([finding.level for finding in stores.diagnose() if "folder" in finding.what])
""",
            ).splitlines()
        folder.chmod(0o755)
    assert said[0].startswith("Misconfigured the folder of ledgers: Permission denied")
    assert said[1].startswith("Misconfigured the folder of ledgers: Permission denied")
    assert said[2:] == ["2", "['warning']"]


def test_a_schema_of_another_release_is_refused(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    tamper(folder, "UPDATE alembic_version SET version_num = '9999'")
    for write in (True, False):
        with pytest.raises(Misconfigured, match="newer release"):
            open_store(write)
    tamper(folder, "DELETE FROM alembic_version")
    with pytest.raises(Misconfigured, match="older release"):
        open_store(write=False)


def test_no_migration_while_this_process_reads(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    reader = open_store(write=False)
    with pytest.raises(RetryLater, match="this process is reading"), closed_here(file_of(folder)):
        pass
    reader.close()
    reader.close()
    with closed_here(file_of(folder)):
        pass


def test_a_file_moved_over_another_is_noticed(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    mine = file_of(folder)
    with closing(SqliteStores(folder).open("other.example/ledger", write=True, create=True)) as other:
        begun(other)
    (theirs,) = set(folder.glob("*.sqlite")) - {mine}
    theirs.replace(mine)
    for write in (True, False):
        with pytest.raises(IntegrityViolation, match="holds another ledger"):
            open_store(write)


def test_a_ledger_does_not_vanish_with_its_name(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    tamper(folder, "DELETE FROM meta")
    with pytest.raises(IntegrityViolation, match="does not say whose"):
        open_store()
    with pytest.raises(IntegrityViolation, match="does not say whose"):
        SqliteStores(folder).ledgers()


def test_a_ledger_whose_making_was_interrupted_is_made_again(folder: Path, open_store: Open) -> None:
    open_store().close()
    tamper(folder, "DELETE FROM meta")
    assert SqliteStores(folder).ledgers() == []
    with pytest.raises(Misconfigured, match="no such ledger"):
        open_store(write=False)
    begun(open_store())
    assert SqliteStores(folder).ledgers() == [ORIGIN]


def test_a_damaged_file_is_an_integrity_violation(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    path = file_of(folder)
    path.write_bytes(b"not a database, " + path.read_bytes()[16:])
    with pytest.raises(IntegrityViolation, match="damaged"):
        open_store(write=False)
    assert [finding.what for finding in SqliteStores(folder).diagnose() if finding.level == "error"] == [path.name]


def test_a_row_beyond_the_head_is_no_faster_writer(folder: Path, open_store: Open) -> None:
    store = open_store()
    begun(store)
    store.close()
    tamper(folder, "INSERT INTO entry VALUES (1, NULL, '{}', '', x'00')")
    with pytest.raises(IntegrityViolation, match="rows contradict the head"):
        Writing(open_store()).record(transfer("a"))


def test_the_doctor(folder: Path, open_store: Open) -> None:
    assert [finding.level for finding in SqliteStores(folder).diagnose()] == ["warning", "ok"]
    store = open_store()
    begun(store)
    store.close()
    assert {finding.level for finding in SqliteStores(folder).diagnose()} == {"ok"}
    tamper(folder, "DROP TRIGGER entry_no_update")
    folder.chmod(0o777)
    found = {f.level: (f.what, f.found) for f in SqliteStores(folder).diagnose() if f.level != "ok"}
    assert found["warning"][0] == "ledgers folder"
    assert "entry_no_update" in found["error"][1]


def test_the_files_are_private_to_their_user(folder: Path, open_store: Open) -> None:
    open_store()
    assert folder.stat().st_mode & 0o077 == 0
