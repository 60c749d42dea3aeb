"""A stored checkpoint counts only if our own keys signed it and the tree stored with it is the signed one."""

from __future__ import annotations

from tallystick import kernels
from tallystick.core.policy import Policy
from tallystick.errors import IntegrityViolation, TallystickError
from tallystick.storage.ports import CheckpointRow

__all__ = ["CheckpointForged", "check_row"]


class CheckpointForged(IntegrityViolation):
    """A stored checkpoint is not one that our keys signed, or does not fit the tree stored with it."""


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
