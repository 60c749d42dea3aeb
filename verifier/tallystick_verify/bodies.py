"""Bodies as an auditor gets them, read one at a time.

    bodies/<N>.jsonl   256 lines; line i is the body of entry 256 N + i: the JSON array of its parts, `[]` for genesis,
                       key and seal. N as in tile paths: 000, 001, … x001/x234/067

A single file with a line for every entry does as well. Each line ends with a newline.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from tallystick_verify.entry import MAX_BODY_BYTES
from tallystick_verify.errors import Incomplete
from tallystick_verify.merkle import TILE_WIDTH, tile_number
from tallystick_verify.source import LineSource

__all__ = ["read_bodies", "read_body_file"]

Bodies = Generator[bytes | None, None, None]


def read_bodies(source: LineSource, folder: str, size: int) -> Bodies:
    """The bodies of a ledger of `size` entries from the files under `folder` ("" or "…/"); None for each absent one."""
    for number in range(0, size, TILE_WIDTH):
        count = min(TILE_WIDTH, size - number)
        lines = source.lines(f"{folder}{tile_number(number // TILE_WIDTH)}.jsonl", MAX_BODY_BYTES)
        yield from [None] * count if lines is None else _exactly(count, lines, number)


def read_body_file(source: LineSource, path: str, size: int) -> Bodies:
    """The same from one file with a line for every entry."""
    lines = source.lines(path, MAX_BODY_BYTES)
    yield from [None] * size if lines is None else _exactly(size, lines, 0)


def _exactly(count: int, lines: Generator[bytes, None, None], first: int) -> Bodies:
    found = 0
    with closing(lines):
        for found, line in enumerate(lines, start=1):
            if found > count:
                message = (
                    "the bodies are those of a larger ledger than the checkpoint's; verify them with a newer checkpoint"
                )
                raise Incomplete(message, step=10, expected=first + count, found=f"more than {first + count}")
            yield line
    yield from [None] * (count - found)
