"""What became of each command: accepted (perhaps long ago), or refused with a stable code.

The codes and their precedence stand in docs/reference/entries.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from tallystick.errors import Rejected
from tallystick.kernels import Batch

__all__ = ["Accepted", "CommandRefused", "Outcome", "Recorded", "Refused"]


class CommandRefused(Rejected):
    """A command broke a rule; `facts` hold the refusal's members."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The entry of a command. `replayed`: it was recorded by an earlier command with the same id and content."""

    seq: int
    hash: bytes
    at: int  # microseconds since 1970 UTC
    replayed: bool

    def entry(self) -> Accepted:
        """Itself: the counterpart of `Refused.entry`, which raises."""
        return self


@dataclass(frozen=True, slots=True)
class Refused:
    """A stable code, a sentence, and the members that apply (account, asset, needed, available, …)."""

    code: str
    message: str
    facts: Mapping[str, Any]

    def entry(self) -> Accepted:
        """Raise `CommandRefused`."""
        raise CommandRefused(self.message, code=self.code, **self.facts)


Outcome = Accepted | Refused


def _outcome(raw: tuple[int, bytes, int, bool] | dict[str, Any]) -> Outcome:
    if isinstance(raw, dict):
        facts = dict(raw)
        return Refused(facts.pop("code"), facts.pop("message"), facts)
    return Accepted(*raw)


class Recorded(Sequence[Outcome]):
    """The outcomes of one call, one per command, in order; members of a group count each. Made when looked at."""

    def __init__(self, batch: Batch, first: int, count: int) -> None:
        self._batch, self._first, self._count = batch, first, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> list[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | list[Outcome]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return _outcome(self._batch.outcome(self._first + index % self._count))

    def __iter__(self) -> Iterator[Outcome]:
        return (self[i] for i in range(self._count))

    @property
    def refused(self) -> list[tuple[int, Refused]]:
        """(position, refusal) of every command that was refused."""
        if not self._batch.refused:
            return []
        return [(i, outcome) for i, outcome in enumerate(self) if isinstance(outcome, Refused)]

    def accepted(self) -> list[Accepted]:
        """All entries, or `CommandRefused` of the first refusal."""
        return [outcome.entry() for outcome in self]
