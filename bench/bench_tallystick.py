"""Transactions a second, called from Python, durable: Tallystick on both databases beside the bare databases.

    python bench/bench_tallystick.py [sqlite] [postgres]

One JSON line per (product, database, batch), and ratios at the end. PostgreSQL is started for the run.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bare import Bare, postgres_writer, sqlite_writer
from harness import (
    BATCHES,
    SECONDS,
    Measured,
    Workload,
    disk_bytes,
    emit,
    note,
    peak_rss_mb,
    report,
    reset_peak_rss,
    run,
    scratch,
)

from tallystick.log.ledger import Ledger
from tallystick.wiring import create_installation

ORIGIN = "bench.example/ledger/customers"
DURABILITY = {"sqlite": "wal, synchronous=full, fsync per commit", "postgres": "fsync=on, synchronous_commit=on"}
CALLERS = 64


@contextmanager
def database(kind: str, folder: Path) -> Iterator[tuple[str, str | None]]:
    """(URL for Tallystick, dsn for the bare table)."""
    if kind == "sqlite":
        yield "sqlite:database", None
        return
    from postgres import server

    with server(folder / "postgres") as dsn:
        yield dsn, dsn


def row_bytes(ledger: Ledger) -> int:
    """Bytes that the newest entry's row holds."""
    entry = next(ledger.entries(ledger.head().size - 1))
    rows = [row for page in ledger._store.entries(entry.seq, entry.seq + 1) for row in page]
    return len(rows[0].stub) + len(rows[0].body) + len(rows[0].id or "")


def one_batch_size(kind: str, batch: int) -> dict[str, float]:
    rates: dict[str, float] = {}
    size = 0
    with scratch(kind) as folder, database(kind, folder) as (url, dsn):
        for form in ("json", "objects"):
            home = folder / form
            with create_installation(home, url) as installation:
                ledger = installation.create(f"{ORIGIN}/{form}", by="service:bench")
                load = Workload()
                prepare = load.take_json if form == "json" else load.take
                before = disk_bytes(home)
                reset_peak_rss()
                measured = run(batch, prepare, lambda work, f=form: ledger.record(work, format=f, by="service:bench"))
                size = row_bytes(ledger)
                written = disk_bytes(home) - before if kind == "sqlite" else None
                emit("tallystick", f"python, {kind}, {form}", batch, measured, written, peak_rss_mb(), DURABILITY[kind])
                rates[form] = measured.rate
                ledger.close()
        bare = Bare(size)
        load = Workload()
        writer = sqlite_writer(folder) if kind == "sqlite" else postgres_writer(str(dsn))
        measured = run(batch, lambda count: bare.prepare(load.take(count)), writer)
        emit(f"bare {kind}, rows of {size} bytes", "python", batch, measured, None, None, DURABILITY[kind])
        rates["bare"] = measured.rate
    return rates


def group_commit(kind: str) -> None:
    """64 callers with one transaction each."""
    with (
        scratch(kind) as folder,
        database(kind, folder) as (url, _),
        create_installation(folder / "home", url) as installation,
    ):
        ledger = installation.create(ORIGIN, by="service:bench")
        load = Workload()
        work = [[load.take_json(1) for _ in range(20_000)] for _ in range(CALLERS)]
        stop = time.perf_counter() + SECONDS
        latencies: list[list[float]] = [[] for _ in range(CALLERS)]

        def call(caller: int) -> None:
            for payload in work[caller]:
                start = time.perf_counter()
                if start > stop:
                    return
                ledger.record(payload, format="json", by="service:bench")
                latencies[caller].append(time.perf_counter() - start)

        threads = [threading.Thread(target=call, args=(i,)) for i in range(CALLERS)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        every = [latency for some in latencies for latency in some]
        emit(
            "tallystick",
            f"python, {kind}, {CALLERS} callers",
            1,
            Measured(len(every), seconds, every),
            None,
            None,
            DURABILITY[kind],
        )
        ledger.close()


def main() -> None:
    for kind in sys.argv[1:] or ["sqlite", "postgres"]:
        for batch in BATCHES:
            note(kind, batch)
            rates = one_batch_size(kind, batch)
            report(
                ratio=f"tallystick / bare {kind}",
                batch=batch,
                **{form: round(rates[form] / rates["bare"], 2) for form in ("json", "objects")},
            )
        group_commit(kind)


if __name__ == "__main__":
    main()
