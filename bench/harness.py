"""What every benchmark here shares: the workload, the closed loop, the JSON line.

The line has the members peer, client, batch, n, tx_per_s, p50_ms, p99_ms, disk_bytes_per_tx, server_rss_mb, durability,
so that lines of other products measured by the same loop stand beside ours. Bounded: `BENCH_SECONDS` (default 5) and
`BENCH_MAX_N` (default 1,000,000) per line. `BENCH_BATCHES` chooses the sizes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ACCOUNTS = 1000
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
MAX_N = min(int(os.environ.get("BENCH_MAX_N", "1000000")), 1_000_000)
BATCHES = [int(size) for size in os.environ.get("BENCH_BATCHES", "1,50,1000,8189").split(",")]
DURABLE = "fsync per commit"


T = TypeVar("T")


class Workload:
    """Endless one-leg transactions over 1,000 accounts, uniform, debit other than credit; same seed, same stream."""

    def __init__(self, seed: int = 42) -> None:
        self._random = random.Random(seed)
        self.made = 0

    def take(self, count: int) -> list[dict[str, object]]:
        """Commands as Python objects."""
        draw, commands = self._random.random, []
        for _ in range(count):
            debit = int(draw() * ACCOUNTS)
            credit = (debit + 1 + int(draw() * (ACCOUNTS - 1))) % ACCOUNTS
            self.made += 1
            leg = {
                "amount": str(int(draw() * 1000) + 1),
                "asset": "EUR/2",
                "credit": f"customers:{credit:06}",
                "debit": f"customers:{debit:06}",
            }
            commands.append({"id": f"tx-{self.made:012}", "legs": [leg]})
        return commands

    def take_json(self, count: int) -> bytes:
        """The same as a JSON array."""
        return json.dumps(self.take(count), separators=(",", ":")).encode()


@dataclass
class Measured:
    """One loop's figures."""

    n: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Transactions a second."""
        return self.n / self.seconds


def run(batch: int, prepare: Callable[[int], T], commit: Callable[[T], object]) -> Measured:
    """Closed loop, one batch at a time: `prepare` outside the clock, `commit` inside."""
    latencies: list[float] = []
    n, spent = 0, 0.0
    while spent < SECONDS and n + batch <= MAX_N:
        work = prepare(batch)
        start = time.perf_counter()
        commit(work)
        took = time.perf_counter() - start
        latencies.append(took)
        spent += took
        n += batch
    return Measured(n, spent, latencies)


def percentile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def emit(
    peer: str,
    client: str,
    batch: int,
    measured: Measured,
    disk_bytes: float | None,
    rss_mb: float | None,
    durability: str,
) -> None:
    """One JSON line on standard output."""
    line = {
        "peer": peer,
        "client": client,
        "batch": batch,
        "n": measured.n,
        "tx_per_s": round(measured.rate, 1),
        "p50_ms": round(percentile(measured.latencies, 0.5) * 1e3, 3),
        "p99_ms": round(percentile(measured.latencies, 0.99) * 1e3, 3),
        "disk_bytes_per_tx": None if disk_bytes is None else round(disk_bytes / measured.n, 1),
        "server_rss_mb": None if rss_mb is None else round(rss_mb, 1),
        "durability": durability,
    }
    print(json.dumps(line), flush=True)


def report(**members: object) -> None:
    """Any other figure as a JSON line."""
    print(json.dumps(members), flush=True)


def note(*words: object) -> None:
    """A remark for whoever watches."""
    print("#", *words, file=sys.stderr, flush=True)


def disk_bytes(folder: Path) -> int:
    """Per file the smaller of size and allocated blocks."""
    total = 0
    for path in folder.rglob("*"):
        if path.is_file():
            stat = path.lstat()
            total += min(stat.st_size, stat.st_blocks * 512)
    return total


def peak_rss_mb() -> float:
    """Highest resident memory of this process since `reset_peak_rss`."""
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1]) / 1024
    return 0.0


def reset_peak_rss() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder of our own in `BENCH_DIR` (default: the working folder's `.cache`, which must be on a real disk)."""
    base = Path(os.environ.get("BENCH_DIR", ".cache/bench"))
    base.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=name + "-", dir=base))
    path.chmod(0o755)  # a database server may run as somebody else
    try:
        yield path
    finally:
        shutil.rmtree(path)
