"""kill -9 at random moments under load: nothing acknowledged is lost, nothing forks, the next process goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path
from random import Random

import pytest
from crash_bank import ORIGIN, work
from servers import PostgresDatabase

from tallystick.wiring import create_installation, open_installation

KILLS = int(os.environ.get("KILLS", "100"))


@pytest.fixture(params=["sqlite", "postgres"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An installation with one empty ledger."""
    url = "sqlite:database"
    if request.param == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.dsn()
    folder = tmp_path / "home"
    with create_installation(folder, url) as installation:
        installation.create(ORIGIN, by="user:test").close()
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(home: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crash_bank"])
    random = Random(9)
    acknowledged: dict[str, tuple[int, bytes]] = {}
    for kill in range(KILLS):
        reading, writing = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(str(home), 1_000_000 * kill, writing), daemon=True)
        process.start()
        writing.close()
        assert reading.poll(30), "the process does not come up after the last kill"
        threading.Timer(random.uniform(0.0, 0.06), process.kill).start()
        try:
            while True:
                for key, seq, digest in reading.recv():
                    assert key not in acknowledged
                    acknowledged[key] = (seq, digest)
        except (EOFError, OSError):  # killed, perhaps in the middle of a message
            reading.close()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    with open_installation(home) as installation:
        ledger = installation.open(ORIGIN, write=True)
        ledger.seal()
        ledger.publish()
        audited = ledger.audit()
        assert audited.unsealed == 0
        found = {entry.id: (entry.seq, entry.hash) for entry in ledger.entries() if entry.id}
        lost = {key: value for key, value in acknowledged.items() if found.get(key) != value}
        assert not lost
        ledger.close()
    assert len(acknowledged) > KILLS
