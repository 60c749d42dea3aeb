"""Durable writes that go wrong: lost, landed but reported failed, or the process killed before or after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tallystick.errors import RetryLater
from tallystick.kernels import Batch
from tallystick.storage.ports import CheckpointRow, LedgerStore, TileStore

Fault = Literal["lost", "landed", "killed before", "killed after"]
FAULTS: tuple[Fault, ...] = ("lost", "landed", "killed before", "killed after")


class WriteFailed(RetryLater):
    """What an adapter would raise: the caller cannot know whether the write landed."""


class Killed(BaseException):
    """The process ends here: whoever catches it may only throw everything in memory away."""


class Faults:
    """Counts durable writes over the whole life of a ledger; the write with a number in `plan` goes wrong, once."""

    def __init__(
        self, plan: Mapping[int, Fault] | None = None, decide: Callable[[], Fault | None] = lambda: None
    ) -> None:
        self.plan = dict(plan or {})
        self.decide = decide
        self.writes: list[str] = []

    def write(self, name: str, action: Callable[[], None]) -> None:
        self.writes.append(name)
        fault = self.plan.pop(len(self.writes), None) or self.decide()
        if fault == "killed before":
            raise Killed(name)
        if fault == "lost":
            raise WriteFailed("the write failed", write=name)
        action()
        if fault == "killed after":
            raise Killed(name)
        if fault == "landed":
            raise WriteFailed("the write failed, it seems", write=name)


class FaultyStore:
    """A `LedgerStore` whose durable writes pass through `Faults`."""

    def __init__(self, inner: LedgerStore, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, batch: Batch) -> None:
        self._faults.write("commit", lambda: self._inner.commit(batch))

    def add_checkpoint(self, row: CheckpointRow, previous: int | None) -> None:
        self._faults.write("checkpoint", lambda: self._inner.add_checkpoint(row, previous))


class FaultyTiles:
    """A `TileStore` whose durable writes pass through `Faults`; of several objects any number may have landed."""

    def __init__(self, inner: TileStore, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        self._faults.write(f"put {path}", lambda: self._inner.put(path, data, replace=replace))

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> None:
        half = len(objects) // 2
        if objects[:half]:
            self._faults.write("put the first half", lambda: self._inner.put_many(objects[:half]))
        if objects[half:]:
            self._faults.write("put the second half", lambda: self._inner.put_many(objects[half:]))

    def delete(self, path: str) -> None:
        self._faults.write("delete", lambda: self._inner.delete(path))
