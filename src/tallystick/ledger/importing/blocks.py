"""The shape that hledger and beancount share: a line at the margin opens a block, indented lines belong to it.

A block that cannot be booked does not disturb the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tallystick.ledger.importing.lines import Command, Line, Occurrences, Problem, Skipped, Unbookable, physical_lines

__all__ = ["Block", "blocks", "lines_of"]


@dataclass(frozen=True, slots=True)
class Block:
    """`first` is its line number, from 1; `head` the line at the margin, `rest` the indented ones, not empty."""

    first: int
    head: str
    rest: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join((self.head, *self.rest))


def blocks(text: str, comment_marks: str) -> Iterator[Block]:
    """The blocks of a journal. Lines at the margin that start with one of `comment_marks` are left out."""
    first, head, rest = 0, "", []
    for number, line in enumerate(physical_lines(text), start=1):
        if not line.strip():
            continue
        if line[0] in " \t":
            rest.append(line.strip()) if head else None
            continue
        if head:
            yield Block(first, head, tuple(rest))
        first, head, rest = number, "" if line[0] in comment_marks else line.rstrip(), []
    if head:
        yield Block(first, head, tuple(rest))


def lines_of(found: Iterator[Block], format: str, read: Callable[[Block], Command | Skipped]) -> Iterator[Line]:
    """Lines with an id each, `format:digest:occurrence` over the command's content."""
    seen = Occurrences()
    for block in found:
        try:
            outcome: Command | Problem | Skipped = read(block)
        except Unbookable as error:
            outcome = error.problem
        if isinstance(outcome, dict):
            content: Sequence[object] = sorted(outcome.items())
            digest, occurrence = seen.number(content)
            outcome = {"id": f"{format}:{digest}:{occurrence}", **outcome}
        yield Line(block.first, outcome, block.text)
