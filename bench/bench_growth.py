"""Time and memory per entry as a ledger grows: flat, or not.

python bench/bench_growth.py [entries, default 1,000,000]   10,000,000 takes about 15 GB of disk
"""

from __future__ import annotations

import sys
import time

from harness import Workload, disk_bytes, peak_rss_mb, report, reset_peak_rss, scratch

from tallystick.wiring import create_installation

BATCH = 10_000
FIRST = 10_000


def main(entries: int) -> None:
    with scratch("growth") as folder, create_installation(folder / "home") as installation:
        ledger = installation.create("bench.example/ledger/growth", by="service:bench")
        load = Workload()
        done, mark, spent, since = 0, FIRST, 0.0, 0
        reset_peak_rss()
        while done < entries:
            payload = load.take_json(BATCH)
            start = time.perf_counter()
            ledger.record(payload, format="json", by="service:bench")
            spent += time.perf_counter() - start
            done += BATCH
            if done >= mark:
                report(
                    figure="growth",
                    entries=done,
                    us_per_entry=round(spent / (done - since) * 1e6, 2),
                    peak_rss_mb=round(peak_rss_mb()),
                    disk_bytes_per_entry=round(disk_bytes(folder) / done),
                    durability="SQLite wal, synchronous=full, fsync per commit of 10,000",
                )
                reset_peak_rss()
                spent, since, mark = 0.0, done, mark * 10 if mark * 10 <= entries else mark + entries
        ledger.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
