"""The real thing fails: no room, no right to write, no database, another process.

Each time: an error of the right family that says what to do, writing stops cleanly, reading goes on, nothing that was
acknowledged is lost, and afterwards all works again.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from servers import PostgresServer

from tallystick import Ledger, RetryLater, create_installation, open_installation
from tallystick.ledger.outcome import Accepted

from .conftest import ORIGIN

NOBODY = 65534
PATIENCE = 60


def pay(key: str, amount: int = 1, note: str = "") -> dict[str, Any]:
    leg = {"debit": "bank", "credit": "customers:a", "asset": "EUR/2", "amount": str(amount)}
    return {"id": key, "legs": [leg], **({"metadata": {"note": note}} if note else {})}


class Room(ABC):
    """A place on a disk that can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self) -> None: ...

    @abstractmethod
    def free(self) -> None: ...


class SmallDisk(Room):
    """A file system of a few megabytes, filled by a file of no use."""

    def fill(self) -> None:
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def free(self) -> None:
        (self.folder / "ballast").unlink()


class SmallFiles(Room):
    """No file may grow: the limit of this process."""

    def fill(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, self.before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


class SmallServerFiles(Room):
    """No file of a server that is ours may grow past 17 MiB; its write-ahead log has segments of 16."""

    def fill(self) -> None:
        self.pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        self.before = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (17 << 20, self.before[1]))

    def free(self) -> None:
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, self.before)


@contextmanager
def small_disk(folder: Path, size: str = "8m") -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def can_mount() -> bool:
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(OSError, subprocess.CalledProcessError),
        small_disk(Path(folder)),
    ):
        return True
    return False


MAY_MOUNT = can_mount()


@pytest.fixture(params=["files", *(["disk"] if MAY_MOUNT else [])])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    if request.param == "files":
        yield SmallFiles(tmp_path)
    else:
        (tmp_path / "disk").mkdir()
        with small_disk(tmp_path / "disk"):
            yield SmallDisk(tmp_path / "disk")


def test_a_full_disk_while_recording_sealing_and_publishing(room: Room) -> None:
    with (
        create_installation(room.folder / "home") as installation,
        closing(installation.create(ORIGIN, by="user:test")) as ledger,
    ):
        before = ledger.record([pay(f"before-{i}") for i in range(300)], by="service:test").accepted()
        ledger.seal()
        ledger.publish()
        ledger.record([pay(f"between-{i}") for i in range(300)], by="service:test").accepted()
        room.fill()
        try:
            for _ in range(3):
                with pytest.raises(RetryLater) as caught:
                    ledger.record([pay(f"during-{i}", note="x" * 500) for i in range(200)], by="service:test")
                assert caught.value.next_step
                with pytest.raises(RetryLater):
                    ledger.seal()
                assert ledger.head().size == 602
                assert [b.credits for b in ledger.balances("customers:a")] == [600]
                assert ledger.entry("before-7").hash == before[7].hash
                ledger.receipt("before-7")
                assert ledger.record([pay("dry")], by="service:test", dry_run=True)[0].entry().seq == 602
        finally:
            room.free()
        ledger.seal()
        assert ledger.head().size == 603
        room.fill()
        try:
            for _ in range(2):
                with pytest.raises(RetryLater, match="tile folder") as caught:
                    ledger.publish()
                assert caught.value.facts["object"]
            ledger.receipt("before-7")
            with open_installation(room.folder / "home") as other, closing(other.open(ORIGIN)) as reader:
                assert reader.audit().published == 302
        finally:
            room.free()
        assert [left for left in installation.tiles_folder(ORIGIN).rglob(".*") if left.is_file()] == []
        during = ledger.record([pay(f"during-{i}", note="x" * 500) for i in range(200)], by="service:test").accepted()
        assert {accepted.replayed for accepted in during} == {False}
        ledger.seal()
        published = ledger.publish()
        assert published is not None
        assert published.size == ledger.audit().published == 804
        assert [b.credits for b in ledger.balances("customers:a")] == [800]


@contextmanager
def server_room(server: PostgresServer) -> Iterator[tuple[Room, str]]:
    """A database whose tables may run out of room, while the write-ahead log does not: (room, connection string)."""
    if not MAY_MOUNT:  # then the server runs as we do, and its limits are ours to set
        yield SmallServerFiles(server.folder), server.dsn()
        return
    folder = server.folder / "small"
    folder.mkdir()
    with small_disk(folder, "24m"):
        (folder / "tables").mkdir()
        if server.user:
            shutil.chown(folder / "tables", server.user)
        server.execute(f"CREATE TABLESPACE small LOCATION '{folder / 'tables'}'")
        server.execute("CREATE DATABASE small TABLESPACE small")
        yield SmallDisk(folder), server.dsn("small")
        server.execute("DROP DATABASE small WITH (FORCE)")
        server.execute("DROP TABLESPACE small")


def test_a_full_disk_under_postgresql(own_postgres_server: PostgresServer, tmp_path: Path) -> None:
    step, acknowledged = 1000, dict[str, Accepted]()
    with (
        server_room(own_postgres_server) as (room, dsn),
        create_installation(tmp_path / "home", dsn) as installation,
    ):
        ledger = installation.create(ORIGIN, by="user:test")

        def record(first: int) -> None:
            commands = [pay(f"p{i}", note="€" * 900) for i in range(first, first + step)]
            recorded = ledger.record(commands, by="service:test").accepted()
            acknowledged.update({f"p{first + i}": accepted for i, accepted in enumerate(recorded)})

        def record_all() -> None:
            for first in range(len(acknowledged), 40_000, step):
                record(first)

        record(0)
        ledger.seal()
        room.fill()
        installation._stores.close()  # the next connections are under the limit
        for _ in range(3):
            with pytest.raises(RetryLater, match=r"File too large|No space left") as caught:
                record_all()
        assert caught.value.exit_code == 2
        assert ledger.head().size == len(acknowledged) + 2
        assert [b.credits for b in ledger.balances("customers:a")] == [len(acknowledged)]
        assert ledger.entry("p0").hash == acknowledged["p0"].hash
        ledger.publish()
        room.free()
        installation._stores.close()
        record(len(acknowledged))
        ledger.seal()
        ledger.publish()
        assert ledger.audit().published == len(acknowledged) + 3
        found = {entry.id: (entry.seq, entry.hash) for entry in ledger.entries() if entry.id}
        assert found == {key: (accepted.seq, accepted.hash) for key, accepted in acknowledged.items()}


def test_a_database_that_goes_away_under_load(own_postgres_server: PostgresServer, tmp_path: Path) -> None:
    threads, each = 8, 40
    with create_installation(tmp_path / "home", own_postgres_server.dsn()) as installation:
        ledger = installation.create(ORIGIN, by="user:test")
        acknowledged: dict[str, Accepted] = {}
        up, enough = threading.Event(), threading.Event()
        gone = threading.Barrier(threads + 1)

        def caller(number: int) -> None:
            waited = False
            for i in range(each):
                while f"{number}-{i}" not in acknowledged:
                    try:
                        recorded = ledger.record([pay(f"{number}-{i}")], by="service:test")
                        acknowledged[f"{number}-{i}"] = recorded[0].entry()
                    except RetryLater:
                        if not waited:
                            waited = True
                            gone.wait(PATIENCE)
                        assert up.wait(PATIENCE)
                if len(acknowledged) > each:
                    enough.set()
                if i == each // 2 and not waited:  # all must be at work when it goes
                    assert enough.wait(PATIENCE)

        with ThreadPoolExecutor(threads) as pool:
            calls = [pool.submit(caller, number) for number in range(threads)]
            assert enough.wait(PATIENCE)
            own_postgres_server.stop("immediate")
            gone.wait(PATIENCE)
            for ask in (ledger.head, lambda: ledger.balances("bank"), ledger.seal, ledger.audit):
                with pytest.raises(RetryLater, match="the database is away"):
                    ask()
            own_postgres_server.start()
            up.set()
            for call in calls:
                call.result(PATIENCE)
        assert len(acknowledged) == threads * each
        found = {entry.id: (entry.seq, entry.hash) for entry in ledger.entries(1)}
        assert found == {key: (accepted.seq, accepted.hash) for key, accepted in acknowledged.items()}
        assert [b.credits for b in ledger.balances("customers:a")] == [threads * each]
        ledger.seal()
        ledger.publish()
        assert ledger.audit().unsealed == 0


HOLDER = """
import sys
from pathlib import Path
from tallystick import open_installation
ledger = open_installation(Path(sys.argv[1])).open(sys.argv[2], write=True)
leg = {"debit": "bank", "credit": "customers:a", "asset": "EUR/2", "amount": "1"}
for line in sys.stdin:
    print(ledger.record([{"id": line.strip(), "legs": [leg]}], by="service:other")[0].entry().seq, flush=True)
"""


def test_a_second_process_on_sqlite_reads_and_may_not_write(tmp_path: Path) -> None:
    with create_installation(tmp_path / "home") as installation:
        installation.create(ORIGIN, by="user:test").close()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / "home"), ORIGIN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        ) as other:  # fmt: skip
            assert other.stdin is not None
            assert other.stdout is not None

            def record(key: str) -> int:
                other.stdin.write(f"{key}\n")  # type: ignore[union-attr]
                other.stdin.flush()  # type: ignore[union-attr]
                return int(other.stdout.readline())  # type: ignore[union-attr]

            assert record("one") == 1
            with pytest.raises(RetryLater, match=f"ledger is being written by process {other.pid}"):
                installation.open(ORIGIN, write=True)
            with closing(installation.open(ORIGIN)) as reader:
                assert reader.entry("one").seq == 1
                assert record("two") == 2
                assert [entry.id for entry in reader.entries(account="customers:a")] == ["one", "two"]
                assert reader.audit().size == 3
            other.stdin.close()
        with closing(installation.open(ORIGIN, write=True)) as writer:
            assert writer.record([pay("three")], by="service:test")[0].entry().seq == 3


READ_ONLY = """
import os, sys
from pathlib import Path
from tallystick import RetryLater, open_installation
import alembic.command, alembic.config, sqlalchemy.dialects.sqlite  # of a Python that only root may read, perhaps
import psycopg
home = Path(sys.argv[1])
installation = open_installation(home)
ledger = installation.open(sys.argv[2], write=True)
ledger.record([{"id": "two", "kind": "event", "event": "x"}], by="user:x").accepted()
ledger.seal()
def may_write(yes):
    if os.geteuid() == 0 or os.getuid() == 0:
        os.seteuid(0 if yes else NOBODY)
    else:
        for folder in [installation.tiles_folder(sys.argv[2]), *installation.tiles_folder(sys.argv[2]).rglob("*")]:
            if folder.is_dir():
                folder.chmod(0o755 if yes else 0o555)
may_write(False)
for _ in range(2):
    try:
        ledger.publish()
    except RetryLater as error:
        print(error)
print(ledger.record([{"id": "three", "kind": "event", "event": "x"}], by="user:x")[0].entry().seq)
print(ledger.seal().size, ledger.receipt("one").size, ledger.entry("three").seq)
may_write(True)
print(ledger.publish().size, ledger.audit().published)
""".replace("NOBODY", str(NOBODY))


def test_tiles_in_a_read_only_folder() -> None:
    """Recording and sealing go on, receipts of what is published too; later all is published."""
    with tempfile.TemporaryDirectory() as name:  # pytest's folders let no other user in
        Path(name).chmod(0o755)
        home = Path(name) / "home"
        with create_installation(home) as installation, closing(installation.create(ORIGIN, by="user:test")) as ledger:
            one(ledger)
        ran = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(home), ORIGIN],
            capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        *refused, recorded, sealed, published = ran.stdout.splitlines()
        assert len(refused) == 2
        assert all("Permission denied" in line and "right to write" in line for line in refused)
        assert (recorded, sealed, published) == ("5", "7 3 5", "7 7")


def one(ledger: Ledger) -> None:
    ledger.record([{"id": "one", "kind": "event", "event": "x"}], by="user:x").accepted()
    ledger.seal()
    ledger.publish()
