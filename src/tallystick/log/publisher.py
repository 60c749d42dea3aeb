"""Publishing: the entries under a signed checkpoint become tiles that anybody may read (C2SP tlog-tiles).

1. Read the published size P and the newest stored checkpoint C. The tiles at P must have P's signed frontier.
2. Read the entries from P to C back, hash them, and check that they extend P's tree to C's root: no tile ever holds
   what was not under a signed root.
3. Read them again (from P's unfinished bundle on), compare with the hashes of step 2, write bundles and tiles of every
   level, durable. Crash: the same bytes are written again.
4. Remove partials that their full tile has replaced. Crash: done again.
5. Replace `checkpoint`. Before this nobody was told of the new tiles, after it all that it names is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick import kernels
from tallystick.core.policy import Policy
from tallystick.core.tiles import TILE_WIDTH, Tile, TileReader
from tallystick.errors import IntegrityViolation
from tallystick.log.signed import check_row, published_checkpoint
from tallystick.log.tiling import TileBuilder, frontier_of
from tallystick.log.tree import gap, grow, resume
from tallystick.storage.ports import CheckpointRow, LedgerStore, TileStore

__all__ = ["Published", "Publisher", "TilesContradict"]


class TilesContradict(IntegrityViolation):
    """Published tiles and stored entries tell two histories."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the tiles show now, and what they showed before."""

    size: int
    before: int


class Publisher:
    """Publishes one ledger; `policy` is what any verifier would demand of our own checkpoint."""

    def __init__(self, store: LedgerStore, tile_store: TileStore, policy: Policy) -> None:
        self._store, self._tiles, self._policy = store, tile_store, policy

    def publish(self) -> Published | None:
        """Publish up to the newest checkpoint; None if there is none."""
        target = self._store.checkpoint()
        if target is None:
            return None
        check_row(self._store.origin, target, self._policy)
        before, levels = self._published()  # 1
        if before < target.size:
            signed = self._must_extend(before, levels, target)  # 2
            self._write(before, levels, target, signed)  # 3
            self._collect(before, target.size)  # 4
            self._tiles.put("checkpoint", target.note, replace=True)  # 5
        return Published(max(before, target.size), before)

    def _published(self) -> tuple[int, list[bytes]]:
        """The published size and, per tile level, the hashes of its partial tile."""
        accepted = published_checkpoint(self._store.origin, self._tiles, self._policy)
        if accepted is None:
            return 0, []
        published = accepted.checkpoint
        size = published.size
        row = self._store.checkpoint(at_least=size)
        if row is None or (row.size, row.root) != (size, published.root):
            raise TilesContradict(
                "the published checkpoint is not one that the database stores",
                ledger=self._store.origin,
                expected=size,
                found=None if row is None else row.size,
                next_step="The database may have been rolled back: do not write; run the audit.",
            )
        check_row(self._store.origin, row, self._policy)
        reader = TileReader(self._tiles.get, published.size)
        levels = []
        for level in range(-(-size.bit_length() // 8)):
            index, width = divmod(size >> 8 * level, TILE_WIDTH)
            levels.append(reader.hashes(level, index) if width else b"")
        if frontier_of(levels) != row.frontier:
            raise TilesContradict(
                "the published tiles do not have the published root",
                ledger=self._store.origin,
                expected=row.root,
                found=kernels.frontier_root(size, frontier_of(levels)),
                next_step="Rebuild the tiles from the database into an empty folder, after an audit of the database.",
            )
        return size, levels

    def _must_extend(self, before: int, levels: list[bytes], target: CheckpointRow) -> bytes:
        """The leaf hashes from the start of the unfinished bundle on, as they were signed."""
        tree, added = grow(self._store, resume(self._store, before, frontier_of(levels)), target.size)
        if tree.root != target.root:
            raise TilesContradict(
                "the stored entries do not extend the published tree to the signed root",
                ledger=self._store.origin,
                expected=target.root,
                found=tree.root,
                next_step=f"One of the entries {before} to {target.size - 1} was changed after it was signed: audit.",
            )
        return (levels[0] if levels else b"") + added

    def _write(self, before: int, levels: list[bytes], target: CheckpointRow, signed: bytes) -> None:
        builder = TileBuilder(before, levels)
        start = builder.position
        for first, stubs, lengths in self._store.stubs(start, target.size):
            if first != builder.size:  # before a tile is made of what follows the gap
                raise gap(self._store.origin, builder.size, first)
            hashes = kernels.leaf_hashes(stubs, lengths)
            if hashes != signed[32 * (first - start) : 32 * (first - start + len(lengths))]:
                raise TilesContradict(
                    "entries changed while their tiles were being made",
                    ledger=self._store.origin,
                    seq=f"{first}..{first + len(lengths) - 1}",
                    next_step="Run the audit.",
                )
            self._tiles.put_many(builder.feed(stubs, lengths, hashes))
        if builder.size != target.size:
            raise gap(self._store.origin, builder.size, target.size)
        self._tiles.put_many(builder.partials())

    def _collect(self, before: int, size: int) -> None:
        """Delete the partials of every tile and bundle that has become full, also those of a publication cut short."""
        for level in range(-(-size.bit_length() // 8)):
            for index in range((before >> 8 * level) // TILE_WIDTH, (size >> 8 * level) // TILE_WIDTH):
                for tile in (Tile(level, index), *((Tile(None, index),) if level == 0 else ())):
                    for partial in list(self._tiles.paths(f"{tile}.p/")):
                        self._tiles.delete(partial)
