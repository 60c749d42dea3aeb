"""What every importer yields: one `Line` for each row, object, statement entry or journal transaction of a file.

Nothing of a file is passed over in silence: a line carries the command that books it, or the `Problem` that keeps it
from being booked, or why it is no booking at all (`Skipped`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Command", "Line", "Occurrences", "Problem", "Skipped", "Unbookable", "physical_lines"]

Command = dict[str, object]
"""A command as `docs/reference/entries.md` defines it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line cannot be booked. `member` is the command's member or the file's column at fault, or empty."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a line is no booking: a rule of the mapping, an empty row, a directive."""

    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """`number` is where it starts in the file, from 1. `original` is its text, or its cells if it has columns."""

    number: int
    outcome: Command | Problem | Skipped
    original: str | tuple[str, ...]


def physical_lines(text: str) -> list[str]:
    """The lines of a text, ended by LF or CRLF only: a journal's narration may hold other separators of Unicode."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if not lines[-1] else lines


class Unbookable(Exception):
    """A line cannot become a command; the reader turns this into its `Problem`."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(member, reason)
        self.problem = Problem(member, reason)


class Occurrences:
    """Gives each line of one file the digest of its content and its number among the lines of equal content.

    Both depend on nothing but content, so a second import of the same lines gives the same ids, and equal lines of one
    file give different ones.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def number(self, content: Sequence[object]) -> tuple[str, int]:
        """(32 hex digits of SHA-256 over the content as JSON, occurrence from 1)."""
        encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(encoded).hexdigest()[:32]
        self._seen[digest] += 1
        return digest, self._seen[digest]
