"""What this machine can do: a flush, and SHA-256 on one core and on all."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

from harness import percentile, report, scratch

BLOCK = 4096
FLUSHES = 300
HASHED = 256 << 20


def flush() -> None:
    with scratch("limits") as folder, (folder / "file").open("wb", buffering=0) as file:
        took = []
        for _ in range(FLUSHES):
            file.write(bytes(BLOCK))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    report(
        figure="flush",
        what="fdatasync after 4 KiB",
        p50_ms=round(percentile(took, 0.5) * 1e3, 3),
        p99_ms=round(percentile(took, 0.99) * 1e3, 3),
    )


def sha256() -> None:
    data = bytes(HASHED)
    for threads in dict.fromkeys((1, os.cpu_count() or 1)):
        with ThreadPoolExecutor(threads) as pool:
            start = time.perf_counter()
            list(pool.map(lambda _: hashlib.sha256(data).digest(), range(threads)))
            took = time.perf_counter() - start
        report(figure="sha-256", threads=threads, gb_per_s=round(threads * HASHED / took / 1e9, 2))


if __name__ == "__main__":
    flush()
    sha256()
