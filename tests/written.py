"""Random ledgers as the recorder writes them, for tests of what reads them."""

from __future__ import annotations

from random import Random

from histories import History
from memory_store import Disk, MemoryStore

from tallystick import kernels
from tallystick.core.encoding import canonical
from tallystick.log.recorder import Recorder

ORIGIN = "replay.example/ledger"
START = 1_795_478_400_000_000

Row = tuple[int, str | None, bytes, bytes, bytes]


def rows_of(disk: Disk) -> list[Row]:
    return [(row.seq, row.id, row.stub, row.body, row.hash) for row in disk.rows]


def written(seed: int, commands: int = 60) -> Disk:
    """A random history of one ledger, with seals, and the tables that its batches left."""
    random, disk, now = Random(seed), Disk(), [START]
    recorder = Recorder(MemoryStore(ORIGIN, disk), lambda: now[0], random.randbytes, floor=0)
    kind = random.choice(["implicit", "implicit", "explicit"])
    recorder.append("genesis", canonical({"accounts": kind, "by": "user:a", "keys": []}))
    history = History(random)
    for _ in range(commands // 4):
        now[0] += random.choice([1, 1000, 10**6])
        recorder.record([history.command(now[0]) for _ in range(4)], format="objects", by="user:a")
        if random.random() < 0.3:
            recorder.append("seal", seal(disk))
    return disk


def seal(disk: Disk) -> bytes:
    assert disk.head is not None
    hashes = b"".join(row.hash for row in disk.rows[disk.head.batch_first :])
    root = kernels.tree_root(hashes).hex()
    body = {"batch": disk.head.batch, "count": len(hashes) // 32, "first": disk.head.batch_first, "root": root}
    return canonical(body)
