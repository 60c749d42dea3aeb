"""Making the tiles and entry bundles of a growing log (C2SP tlog-tiles), in order, each exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from tallystick import kernels
from tallystick.core.tiles import TILE_WIDTH, Tile, format_bundles

__all__ = ["TileBuilder", "frontier_of"]

Object = tuple[str, bytes]


class TileBuilder:
    """Takes stubs in order and gives the bundles and tiles that they complete, then the partial ones.

    `levels` are the hashes of the partial tile of each level at `size`, all of whose whole bundles exist already;
    building goes on at the start of the unfinished bundle, `position`.
    """

    def __init__(self, size: int = 0, levels: Sequence[bytes] = ()) -> None:
        self.position = size - size % TILE_WIDTH
        self._levels = [b"", *levels[1:]]  # level 0 is made again with its bundle
        self._stubs, self._lengths = b"", list[int]()  # of the unfinished bundle

    @property
    def size(self) -> int:
        """Entries in the tree so far."""
        return self.position + len(self._lengths)

    @property
    def frontier(self) -> bytes:
        """The full subtrees of `size`, largest first."""
        return frontier_of(self._levels)

    def feed(self, stubs: bytes, lengths: Sequence[int], hashes: bytes) -> list[Object]:
        """The full bundles and tiles completed by the next stubs, one after the other, and their leaf hashes."""
        self._raise_levels(hashes, made := [])
        stubs, lengths = self._stubs + stubs, [*self._lengths, *lengths]
        full = len(lengths) - len(lengths) % TILE_WIDTH
        end = sum(lengths[:full])
        for bundle in format_bundles(stubs[:end], lengths[:full]):
            made.append((str(Tile(None, self.position // TILE_WIDTH)), bundle))
            self.position += TILE_WIDTH
        self._stubs, self._lengths = stubs[end:], lengths[full:]
        return made

    def partials(self) -> list[Object]:
        """The partial bundle and tiles at `size`."""
        made = [
            (str(Tile(None, self.position // TILE_WIDTH, len(self._lengths))), bundle)
            for bundle in format_bundles(self._stubs, self._lengths)
        ]
        for level, hashes in enumerate(self._levels):
            if hashes:
                made.append((str(Tile(level, (self.size >> 8 * level) // TILE_WIDTH, len(hashes) // 32)), hashes))
        return made

    def _raise_levels(self, hashes: bytes, made: list[Object]) -> None:
        index, level = self.size, 0  # position of the first of `hashes` in its level
        while hashes:
            if level == len(self._levels):
                self._levels.append(b"")
            index -= len(self._levels[level]) // 32
            hashes = self._levels[level] + hashes
            full = len(hashes) // (32 * TILE_WIDTH)
            for i in range(full):
                tile = hashes[32 * TILE_WIDTH * i : 32 * TILE_WIDTH * (i + 1)]
                made.append((str(Tile(level, index // TILE_WIDTH + i)), tile))
            self._levels[level] = hashes[32 * TILE_WIDTH * full :]
            hashes, index, level = kernels.tile_hashes(hashes), index // TILE_WIDTH, level + 1


def frontier_of(levels: Sequence[bytes]) -> bytes:
    """The full subtrees, largest first, of the tree whose partial tiles are `levels`."""
    return b"".join(kernels.frontier_extend(0, b"", hashes) for hashes in reversed(levels))
