"""C2SP tlog-tiles: where hashes and entries of a tree lie, and proofs read from there.

    path    = "tile/" level "/" n [".p/" width]
    level   = "entries" / decimal 0-63         ; no leading zero
    n       = *("x" 3DIGIT "/") 3DIGIT         ; no leading "x000/"
    width   = decimal 1-255                    ; only on a partial tile

    tile    = 1*256 (32-byte hash)             ; level l: roots of full subtrees of 256^l leaves
    bundle  = 1*256 (uint16 length, entry)     ; big-endian

A tree of `size` has floor(size / 256^l) hashes at level l; the last tile is partial unless they fill it. A partial tile
is never hashed upward, and an empty one never exists.

>>> str(Tile(0, 1234067))
'tile/0/x001/x234/067'
>>> Tile.parse("tile/entries/273.p/112")
Tile(level=None, index=273, width=112)
>>> [str(tile) for tile in tiles_of(TreeSize(257)) if tile.level != 0]
['tile/entries/000', 'tile/entries/001.p/1', 'tile/1/000.p/1']
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick import kernels
from tallystick.core.digest import DIGEST_BYTES, Digest, LeafIndex, TreeSize, parse_decimal
from tallystick.core.merkle import (
    Frontier,
    consistency_path,
    full_subtrees,
    inclusion_path,
    range_root,
    verify_consistency,
    verify_inclusion,
)
from tallystick.errors import IntegrityViolation, Malformed, Rejected, RetryLater

__all__ = [
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Tile",
    "TileMissing",
    "TileReader",
    "format_bundle",
    "format_bundles",
    "new_tiles",
    "parse_bundle",
    "tiles_of",
]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
_LEVEL_MAX: Final = 63
_INDEX_LIMIT: Final = 1 << 63

_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class TileMissing(RetryLater):
    """Neither the partial tile nor the full one is there: nothing could be checked."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Address of a tile of hashes, or of a bundle of entries (`level` None). `width` counts hashes or entries."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        level_fits = self.level is None or 0 <= self.level <= _LEVEL_MAX
        if not (level_fits and 0 <= self.index < _INDEX_LIMIT and 1 <= self.width <= TILE_WIDTH):
            raise Malformed("no such tile", level=self.level, index=self.index, width=self.width)

    @classmethod
    def parse(cls, path: str) -> Tile:
        """The tile at `path`; `Malformed` unless the path is one that `str` prints."""
        match = _PATH.fullmatch(path)
        if not match:
            raise Malformed("not a tile path", expected="tile/<level>/<n>[.p/<width>]", found=repr(path[:80]))
        level = None if match["level"] == "entries" else parse_decimal(match["level"], "tile level")
        index = parse_decimal(re.sub("[x/]", "", match["index"]).lstrip("0") or "0", "tile index")
        tile = cls(level, index, parse_decimal(match["width"], "tile width") if match["width"] else TILE_WIDTH)
        if str(tile) != path:
            raise Malformed("not a tile path", expected=str(tile), found=repr(path[:80]))
        return tile

    def __str__(self) -> str:
        level = "entries" if self.level is None else self.level
        digits = f"{self.index:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        n = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return f"tile/{level}/{n}" + (f".p/{self.width}" if self.is_partial else "")

    @property
    def is_partial(self) -> bool:
        return self.width < TILE_WIDTH

    @property
    def full(self) -> Tile:
        """The full tile at the same place, which replaces this one for good."""
        return Tile(self.level, self.index)

    @property
    def first(self) -> int:
        """Position within its level of the first hash or entry."""
        return self.index * TILE_WIDTH


def tiles_of(size: TreeSize) -> Iterator[Tile]:
    """All tiles of a tree of `size`, bundles first, then level by level."""
    return new_tiles(TreeSize(0), size)


def new_tiles(size1: TreeSize, size2: TreeSize) -> Iterator[Tile]:
    """The tiles of a tree of `size2` that a tree of `size1` has not: what growing from one to the other publishes."""
    if not 0 <= size1 <= size2:
        raise Rejected("the old tree is not smaller than the new one", size1=size1, size2=size2)
    level: int | None
    for level in (None, *range(_LEVEL_MAX + 1)):
        shift = TILE_HEIGHT * (level or 0)
        old, new = size1 >> shift, size2 >> shift
        if new == 0:
            return
        for index in range(old // TILE_WIDTH, new // TILE_WIDTH):
            yield Tile(level, index)
        if new % TILE_WIDTH and new > old:
            yield Tile(level, new // TILE_WIDTH, new % TILE_WIDTH)


def format_bundle(entries: Sequence[bytes]) -> bytes:
    """The bundle of 1 to 256 entries, each at most 65,535 bytes."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise Malformed("an entry bundle holds 1 to 256 entries", found=len(entries))
    try:
        return kernels.entry_bundle(entries)
    except ValueError as error:
        raise Malformed("an entry does not fit an entry bundle", expected=str(error)) from None


def format_bundles(entries: bytes, lengths: Sequence[int]) -> list[bytes]:
    """The bundles of consecutive entries: 256 in each, what is left over in a last one."""
    try:
        return kernels.entry_bundles(entries, lengths)
    except ValueError as error:
        raise Malformed("an entry does not fit an entry bundle", expected=str(error)) from None


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle, in order."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + 2
        end = start + int.from_bytes(data[position:start], "big")
        if end > len(data):
            raise Malformed("an entry bundle ends inside an entry", position=position, entry=len(entries))
        entries.append(data[start:end])
        position = end
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise Malformed("an entry bundle holds 1 to 256 entries", found=len(entries))
    return entries


class TileReader:
    """The tree of `size` leaves, read from tiles: `get(path)` gives an object's bytes, or None if there is none.

    Each tile is read once and kept, so a reader is made for one answer or a few. With `root`, a proof is checked
    against that root before it is given out. `IntegrityViolation` names the tile or the proof that is wrong;
    `TileMissing` the tile that is in neither of its two forms.
    """

    def __init__(self, get: Callable[[str], bytes | None], size: TreeSize, root: Digest | None = None) -> None:
        self._get = get
        self._tiles: dict[tuple[int, int], bytes] = {}
        self.size = size
        self._root = root

    def hashes(self, level: int, index: int) -> bytes:
        """The hashes of a tile as far as this tree reaches; from the full tile once the partial one is gone."""
        cached = self._tiles.get((level, index))
        if cached is None:
            width = min((self.size >> TILE_HEIGHT * level) - index * TILE_WIDTH, TILE_WIDTH)
            cached = self._tiles[level, index] = self._read(Tile(level, index, width))
        return cached

    def node(self, height: int, n: int) -> Digest:
        """Root of the full subtree over leaves [n * 2^height, (n + 1) * 2^height)."""
        level, above = divmod(height, TILE_HEIGHT)
        count = 1 << above
        index, offset = divmod(n * count, TILE_WIDTH)
        tile = self.hashes(level, index)
        wanted = tile[offset * DIGEST_BYTES : (offset + count) * DIGEST_BYTES]
        return Digest(wanted if count == 1 else kernels.tree_root(wanted))

    def leaf(self, index: LeafIndex) -> Digest:
        if not 0 <= index < self.size:
            raise Rejected("no such leaf in this tree", index=index, size=self.size)
        return self.node(0, index)

    def root(self, size1: TreeSize | None = None) -> Digest:
        """The root now, or when the tree had `size1` leaves."""
        return range_root(self.node, 0, self._old(size1))

    def frontier(self, size1: TreeSize | None = None) -> Frontier:
        """The frontier now, or when the tree had `size1` leaves."""
        size = self._old(size1)
        return Frontier(size, b"".join(self.node(height, n) for height, n in full_subtrees(0, size)))

    def inclusion(self, index: LeafIndex) -> list[Digest]:
        """The inclusion path of leaf `index`."""
        path = inclusion_path(self.node, index, self.size)
        if self._root is not None:
            verify_inclusion(self.leaf(index), index, self.size, path, self._root)
        return path

    def consistency(self, size1: TreeSize) -> list[Digest]:
        """The proof that this tree extends the one of `size1` leaves."""
        path = consistency_path(self.node, size1, self.size)
        if self._root is not None:
            verify_consistency(size1, self.size, self.root(size1), self._root, path)
        return path

    def entries(self, index: int) -> list[bytes]:
        """The entries of bundle `index` as far as this tree reaches, each checked against its hash at level 0."""
        width = min(self.size - index * TILE_WIDTH, TILE_WIDTH)
        data = self._fetch(Tile(None, index, width))
        leaves = self.hashes(0, index)
        try:
            entries = parse_bundle(data)
        except Malformed as error:
            raise IntegrityViolation("an entry bundle is broken", bundle=index, found=str(error)) from None
        if len(entries) < width:
            raise IntegrityViolation("an entry bundle is too short", bundle=index, expected=width, found=len(entries))
        found = kernels.bundle_hashes(data)
        for i in range(width):
            at = slice(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
            if found[at] != leaves[at]:
                raise IntegrityViolation(
                    "an entry is not the one in the tree",
                    seq=index * TILE_WIDTH + i,
                    expected=leaves[at].hex(),
                    found=found[at].hex(),
                )
        return entries[:width]

    def _old(self, size1: TreeSize | None) -> TreeSize:
        if size1 is None:
            return self.size
        if not 0 <= size1 <= self.size:
            raise Rejected("the tree has not reached this size", size=self.size, asked=size1)
        return size1

    def _read(self, tile: Tile) -> bytes:
        data = self._fetch(tile)
        if len(data) not in (tile.width * DIGEST_BYTES, TILE_WIDTH * DIGEST_BYTES):
            raise IntegrityViolation(
                "a tile has the wrong length", tile=str(tile), expected=tile.width * DIGEST_BYTES, found=len(data)
            )
        return data[: tile.width * DIGEST_BYTES]

    def _fetch(self, tile: Tile) -> bytes:
        data = self._get(str(tile))
        if data is None and tile.is_partial:  # C2SP tlog-tiles: a partial tile may go once the full one is there
            data = self._get(str(tile.full))
        if data is None:
            raise TileMissing("a tile is missing", next_step="Publish it again", tile=str(tile))
        return data
