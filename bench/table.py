"""Writes docs/benchmarks.md from the JSON lines that `make bench` kept.

python bench/table.py FOLDER > docs/benchmarks.md
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

Line = dict[str, Any]

HEAD = """# Benchmarks

Made by `make bench` and `bench/table.py`; nothing here is typed by hand. Every figure is of one run on one machine,
called from Python in one process, and durable where it says so. Machines differ, above all in how long a flush takes,
so read the ratios: each figure stands beside a bare database, or bare SHA-256, measured in the same run.

Machine: {machine}. A flush (fdatasync of 4 KiB appended) takes {flush_ms} ms here.
"""

AIMS = {
    "sqlite": {1: 3_500, 50: 60_000, 1000: 120_000, 8189: 170_000},
    "postgres": {1: 800, 50: 18_000, 1000: 48_000, 8189: 100_000},
}


def read(folder: Path) -> dict[str, list[Line]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines() if line]
        for path in sorted(folder.glob("*.jsonl"))
    }


def table(columns: list[str], rows: list[list[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines) + "\n"


def rates(lines: list[Line]) -> str:
    """Transactions a second by batch size, and the share of the bare database."""
    text = ""
    for kind in ("sqlite", "postgres"):
        mine = [line for line in lines if line.get("client", "").startswith(f"python, {kind}, ") and line["batch"]]
        bare = {line["batch"]: line for line in lines if line.get("peer", "").startswith(f"bare {kind}")}
        if not mine:
            continue
        rows: list[list[object]] = []
        for form in ("json", "objects"):
            for line in mine:
                if line["client"].endswith(form):
                    size = line["batch"]
                    base = bare[size]["tx_per_s"]
                    rows.append([
                        form, f"{size:,}", f"{line['tx_per_s']:,.0f}", f"{base:,.0f}", f"{line['tx_per_s'] / base:.2f}",
                        f"{line['p50_ms']:.2f}", f"{line['p99_ms']:.2f}", line["disk_bytes_per_tx"] or "–",
                        f"{AIMS[kind][size]:,}" if size in AIMS[kind] else "–",
                    ])  # fmt: skip
        text += f"### {kind}: {mine[0]['durability']}; {bare[min(bare)]['peer']}\n\n"
        columns = ["payload", "tx a call", "tx/s", "bare tx/s", "share", "p50 ms", "p99 ms", "disk B/tx", "aim tx/s"]
        text += table(columns, rows)
        text += "".join(
            f"{line['client'].split(', ')[2]}, one transaction each, group commit: {line['tx_per_s']:,.0f} tx/s "
            f"(p50 {line['p50_ms']:.2f} ms, p99 {line['p99_ms']:.2f} ms).\n\n"
            for line in mine
            if line["client"].endswith("callers")
        )
    return text


def figures(lines: list[Line]) -> str:
    """Every other figure, as it was reported."""
    rows: list[list[object]] = []
    for line in lines:
        members = {name: value for name, value in line.items() if name != "figure"}
        rows.append([line["figure"], "; ".join(f"{name} {value}" for name, value in members.items())])
    return table(["figure", "values"], rows)


def main(folder: Path) -> None:
    found = read(folder)
    conditions = next(line for line in found["bench_limits"] if line["figure"] == "flush")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(HEAD.format(machine=machine, flush_ms=conditions["p50_ms"]))
    print("## Recording\n")
    print(rates(found["bench_tallystick"]))
    if memory := found.get("memory"):
        print("## Recording without a disk\n")
        print("The same on a file system in memory, **not durable**: what the code costs when flushes cost nothing.\n")
        print(rates(memory))
    print("## Limits, sealing, proofs, receipts, growth\n")
    for name in ("bench_limits", "bench_evidence", "bench_growth"):
        print(figures([line for line in found.get(name, []) if "figure" in line]))
    print("## Layouts that were weighed (ADR 0008)\n")
    print(figures([line for line in found.get("bench_layout", []) if "figure" in line]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
