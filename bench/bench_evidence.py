"""Sealing, tiles, proofs and receipts: beside bare SHA-256 over the same bytes, in the same run.

python bench/bench_evidence.py [entries, default 1,000,000] [tree size for proofs, default 10,000,000]
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Workload, note, peak_rss_mb, percentile, report, reset_peak_rss, scratch

from tallystick import kernels
from tallystick.core.digest import LeafIndex, TreeSize
from tallystick.core.policy import Policy
from tallystick.core.receipt import verify_receipt
from tallystick.core.tiles import TILE_WIDTH, Tile, TileReader
from tallystick.log.tiling import TileBuilder
from tallystick.storage.files import FileTileStore
from tallystick.wiring import create_installation

ORIGIN = "bench.example/ledger/evidence"
CORES = os.cpu_count() or 1


def timed(action: object) -> float:
    start = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - start


def bare_sha256(data: bytes) -> float:
    """Seconds for SHA-256 over `data`, cut in as many pieces as there are cores, one thread each."""
    view, step = memoryview(data), -(-len(data) // CORES)
    pieces = [view[i : i + step] for i in range(0, len(data), step)]
    with ThreadPoolExecutor(CORES) as pool:
        return timed(lambda: list(pool.map(lambda piece: hashlib.sha256(piece).digest(), pieces)))


def hashing(stubs: list[bytes]) -> None:
    """Leaf hashes, batch root, and all tiles and bundles, in memory: what sealing computes."""
    data, lengths = b"".join(stubs), [len(stub) for stub in stubs]
    bare = min(bare_sha256(data) for _ in range(5))
    leaves = min(timed(lambda: kernels.tree_root(kernels.leaf_hashes(data, lengths))) for _ in range(5))
    tiles = min(timed(lambda: TileBuilder().feed(data, lengths, kernels.leaf_hashes(data, lengths))) for _ in range(3))
    rates = {"bare_sha256_gb_s": len(data) / bare / 1e9, "leaves_and_root_gb_s": len(data) / leaves / 1e9}
    report(
        figure="hashing",
        entries=len(stubs),
        stub_bytes=len(data) // len(stubs),
        **{name: round(rate, 2) for name, rate in rates.items()},
        share_of_sha256=round(bare / leaves, 2),
        tiles_and_bundles_share_of_sha256=round(bare / tiles, 2),
        durability="in memory",
    )


def sealing(entries: int) -> None:
    """Record, then seal and publish at once, from and to disk."""
    with scratch("evidence") as folder, create_installation(folder / "home") as installation:
        ledger = installation.create(ORIGIN, by="service:bench")
        load = Workload()
        for _ in range(entries // 10_000):
            ledger.record(load.take_json(10_000), format="json", by="service:bench")
        reset_peak_rss()
        seal = timed(ledger.seal)
        publish = timed(ledger.publish)
        stubs = [row.stub for rows in ledger._store.entries(0, entries, bodies=False) for row in rows]
        bare = bare_sha256(b"".join(stubs))
        report(
            figure="seal and publish",
            entries=entries,
            seal_s=round(seal, 2),
            publish_s=round(publish, 2),
            seal_share_of_sha256=round(bare / seal, 3),
            peak_rss_mb=round(peak_rss_mb()),
            durability="tiles fsynced, SQLite synchronous=full",
        )
        hashing(stubs)
        receipts(ledger, installation.policy(ORIGIN), entries)
        report(
            figure="audit",
            entries=entries,
            seconds=round(audit := timed(ledger.audit), 2),
            per_s=round(entries / audit),
        )
        ledger.close()


def receipts(ledger: object, policy: Policy, entries: int) -> None:
    draw = random.Random(5)
    made, verified, size = [], [], []
    for _ in range(500):
        seq = draw.randrange(1, entries)
        start = time.perf_counter()
        receipt = ledger.receipt(seq)  # type: ignore[attr-defined]
        made.append(time.perf_counter() - start)
        start = time.perf_counter()
        verify_receipt(receipt.proof, receipt.disclosure, policy)
        verified.append(time.perf_counter() - start)
        size.append(len(receipt.proof) + len(receipt.disclosure))
    report(
        figure="receipt",
        entries=entries,
        bytes=sum(size) // len(size),
        make_p50_ms=round(percentile(made, 0.5) * 1e3, 2),
        make_p99_ms=round(percentile(made, 0.99) * 1e3, 2),
        verify_p50_ms=round(percentile(verified, 0.5) * 1e3, 2),
        verify_p99_ms=round(percentile(verified, 0.99) * 1e3, 2),
    )


def proofs(size: int) -> None:
    """Inclusion proofs out of tiles in a folder, each read anew."""
    with scratch("proofs") as folder:
        hashes, level = os.urandom(32 * size), 0
        while hashes:
            count = len(hashes) // 32
            for index in range(-(-count // TILE_WIDTH)):
                width = min(TILE_WIDTH, count - index * TILE_WIDTH)
                path = folder / str(Tile(level, index, width))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(hashes[32 * TILE_WIDTH * index : 32 * (TILE_WIDTH * index + width)])
            hashes, level = kernels.tile_hashes(hashes), level + 1
        note("tiles of", size, "entries are there")
        store = FileTileStore(Path(folder))
        draw, took = random.Random(4), []
        for _ in range(2000):
            seq = draw.randrange(size)
            start = time.perf_counter()
            TileReader(store.get, TreeSize(size)).inclusion(LeafIndex(seq))
            took.append(time.perf_counter() - start)
        report(
            figure="inclusion proof from tiles in a folder",
            entries=size,
            p50_ms=round(percentile(took, 0.5) * 1e3, 3),
            p99_ms=round(percentile(took, 0.99) * 1e3, 3),
        )


if __name__ == "__main__":
    sealing(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    proofs(int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000)
