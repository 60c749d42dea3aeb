"""A checkpoint, stored or published, counts only if our own keys signed it, and what is stored with it is its tree."""

from __future__ import annotations

from tallystick import kernels
from tallystick.core.policy import AcceptedCheckpoint, Policy
from tallystick.errors import IntegrityViolation, TallystickError
from tallystick.storage.ports import CheckpointRow, TileStore

__all__ = ["CheckpointForged", "check_row", "published_checkpoint"]


class CheckpointForged(IntegrityViolation):
    """A checkpoint is not one that our keys signed, or does not fit the tree stored with it."""


def check_row(origin: str, row: CheckpointRow, policy: Policy) -> None:
    """Check the note's signatures against `policy`, and size, root and frontier of the row against the note."""
    try:
        checkpoint = policy.accept(row.note).checkpoint
        root = kernels.frontier_root(row.size, row.frontier)
    except (TallystickError, ValueError, OverflowError) as error:
        raise CheckpointForged(
            f"the stored checkpoint of size {row.size} is not one that our keys signed: {error}",
            ledger=origin,
            table="checkpoint",
            row=row.size,
            next_step="Compare the table checkpoint with the published checkpoint.",
        ) from error
    for what, expected, found in (
        ("origin", checkpoint.origin, origin),
        ("size", checkpoint.size, row.size),
        ("root", checkpoint.root, row.root),
        ("frontier", checkpoint.root, root),
    ):
        if expected != found:
            raise CheckpointForged(
                f"the {what} of a stored checkpoint contradicts its signed note",
                ledger=origin,
                table="checkpoint",
                row=row.size,
                expected=expected,
                found=found,
                next_step="Compare the table checkpoint with the published checkpoint.",
            )


def published_checkpoint(origin: str, tile_store: TileStore, policy: Policy) -> AcceptedCheckpoint | None:
    """The checkpoint that the tiles show, if any; `CheckpointForged` unless `policy` accepts it."""
    note = tile_store.get("checkpoint")
    if note is None:
        return None
    try:
        return policy.accept(note)
    except TallystickError as error:
        raise CheckpointForged(
            f"the published checkpoint is not one that our keys signed: {error}",
            ledger=origin,
            path="checkpoint",
            next_step="Compare it with the newest row of the table checkpoint, and find out who changed the file.",
        ) from error
