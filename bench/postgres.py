"""A PostgreSQL of our own for a benchmark: the tests' server, with fsync and synchronous_commit on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from servers import PostgresServer, free_port, postgres_binaries

SETTINGS = {"synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The dsn of a fresh server's superuser."""
    folder.mkdir(parents=True)
    started = PostgresServer(folder.resolve(), postgres_binaries(), free_port(), SETTINGS)
    for above in started.folder.parents:
        if not above.stat().st_mode & 0o001:
            raise SystemExit(f"the server's user cannot pass through {above}: set BENCH_DIR to a folder it can")
    started.initialise()
    started.start()
    try:
        yield started.dsn()
    finally:
        started.stop()
