"""A fake database and a fake place for tiles, in memory: what survives a crash is in `Disk`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tallystick.kernels import Batch
from tallystick.storage.ports import (
    BalanceRow,
    CheckpointRow,
    EntryRow,
    Finding,
    Head,
    HeadMoved,
    IdExists,
    NotAppendOnly,
    RemainderRow,
)


@dataclass
class Disk:
    """What one ledger's database holds."""

    rows: list[EntryRow] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    head: Head | None = None
    balances: dict[tuple[str, str], BalanceRow] = field(default_factory=dict)
    definitions: dict[str, bytes] = field(default_factory=dict)
    remainders: dict[str, tuple[RemainderRow, int]] = field(default_factory=dict)
    assets: dict[str, int] = field(default_factory=dict)
    checkpoints: list[CheckpointRow] = field(default_factory=list)


class MemoryStore:
    """`LedgerStore` over a `Disk`; several may share one, as processes share a database. No projections."""

    def __init__(self, origin: str, disk: Disk) -> None:
        self.origin = origin
        self.disk = disk

    def head(self) -> Head | None:
        return self.disk.head

    def commit(self, batch: Batch) -> None:
        disk = self.disk
        at = (disk.head.size, disk.head.hash) if disk.head else (0, bytes(32))
        if batch.previous != at:
            raise HeadMoved("the head moved", expected=batch.previous[0], found=at[0])
        rows = [EntryRow(*row) for row in batch.entries()]
        if any(row.id in disk.ids for row in rows if row.id is not None):
            raise IdExists("an id is taken")
        disk.rows += rows
        disk.ids.update({row.id: row.seq for row in rows if row.id is not None})
        for account, asset, *totals in batch.balances():
            disk.balances[account, asset] = BalanceRow(account, asset, *map(int, totals))
        disk.definitions.update({name: definition.encode() for name, definition in batch.definitions()})
        for key, kind, remaining, expires, seq in batch.remainders():
            row = RemainderRow(key, kind, tuple(map(int, json.loads(remaining))), expires)
            disk.remainders[key] = (row, seq)
        disk.assets.update(batch.assets())
        disk.head = Head(*batch.head)

    def assets(self) -> dict[str, int]:
        return dict(self.disk.assets)

    def expiring(self) -> list[tuple[str, int, int]]:
        return [(r.id, seq, r.expires) for r, seq in self.disk.remainders.values() if r.expires is not None]

    def definitions(self, names: Sequence[str]) -> dict[str, bytes]:
        return {name: self.disk.definitions[name] for name in names if name in self.disk.definitions}

    def balances(self, names: Sequence[str]) -> list[BalanceRow]:
        return [row for (account, _), row in sorted(self.disk.balances.items()) if account in names]

    def all_balances(self, prefix: str = "", after: tuple[str, str] = ("", ""), limit: int = 1000) -> list[BalanceRow]:
        found = [row for key, row in sorted(self.disk.balances.items()) if key[0].startswith(prefix) and key > after]
        return found[:limit]

    def all_definitions(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        found = [(n, d) for n, d in sorted(self.disk.definitions.items()) if n.startswith(prefix) and n > after]
        return found[:limit]

    def remainders(self, ids: Sequence[str]) -> list[RemainderRow]:
        return [self.disk.remainders[key][0] for key in ids if key in self.disk.remainders]

    def by_id(self, ids: Sequence[str]) -> list[EntryRow]:
        return [self.disk.rows[self.disk.ids[key]] for key in dict.fromkeys(ids) if key in self.disk.ids]

    def entries(self, first: int, end: int, *, bodies: bool = True) -> Iterator[list[EntryRow]]:
        found = [row for row in self.disk.rows if first <= row.seq < end]
        for i in range(0, len(found), 100):
            yield found[i : i + 100]

    def stubs(self, first: int, end: int) -> Iterator[tuple[int, bytes, Sequence[int]]]:
        for rows in self.entries(first, end):
            for _, numbered in groupby(enumerate(rows), lambda pair: pair[1].seq - pair[0]):
                run = [row for _, row in numbered]
                yield run[0].seq, b"".join(row.stub for row in run), [len(row.stub) for row in run]

    def checkpoint(self, at_least: int | None = None) -> CheckpointRow | None:
        if at_least is None:
            return self.disk.checkpoints[-1] if self.disk.checkpoints else None
        return next((row for row in self.disk.checkpoints if row.size >= at_least), None)

    def checkpoints(self) -> Iterator[CheckpointRow]:
        return iter(list(self.disk.checkpoints))

    def add_checkpoint(self, row: CheckpointRow, previous: int | None) -> None:
        newest = self.checkpoint()
        if (newest.size if newest else None) != previous:
            raise HeadMoved("another checkpoint came first", expected=previous, found=newest and newest.size)
        self.disk.checkpoints.append(row)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if sql == "SELECT count(*) FROM {remainder} AS r":
            return [(len(self.disk.remainders),)]
        return []  # the reading tables are empty

    def project(self, name: str, position: int, end: int, rows: dict[str, Sequence[tuple[object, ...]]]) -> None:
        raise AssertionError("no projections in memory")

    def projected(self, name: str) -> int:
        return 0

    def reset_projection(self, name: str, tables: Sequence[str]) -> None:
        raise AssertionError("no projections in memory")

    def close(self) -> None:
        return


class MemoryTiles:
    """`TileStore` over a dict that survives a crash."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def get(self, path: str) -> bytes | None:
        return self.objects.get(path)

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        if not replace and self.objects.get(path, data) != data:
            raise NotAppendOnly("a published object would change", path=path)
        self.objects[path] = data

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> None:
        for path, data in objects:
            self.put(path, data)

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)

    def paths(self, prefix: str) -> Iterator[str]:
        return iter(sorted(path for path in self.objects if path.startswith(prefix)))

    def diagnose(self) -> list[Finding]:
        return []
