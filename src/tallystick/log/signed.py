"""A stored checkpoint counts only if our own keys signed it and the tree stored with it is the signed one."""

from __future__ import annotations

from tallystick import kernels
from tallystick.core.policy import Policy
from tallystick.errors import IntegrityViolation
from tallystick.storage.ports import CheckpointRow

__all__ = ["CheckpointForged", "check_row"]


class CheckpointForged(IntegrityViolation):
    """A stored checkpoint is not one that our keys signed, or does not fit the tree stored with it."""


def check_row(origin: str, row: CheckpointRow, policy: Policy) -> None:
    """Check the note's signatures against `policy`, and size, root and frontier of the row against the note."""
    checkpoint = policy.accept(row.note).checkpoint
    for what, expected, found in (
        ("origin", checkpoint.origin, origin),
        ("size", checkpoint.size, row.size),
        ("root", checkpoint.root, row.root),
        ("frontier", checkpoint.root, kernels.frontier_root(row.size, row.frontier)),
    ):
        if expected != found:
            raise CheckpointForged(
                f"the {what} of a stored checkpoint contradicts its signed note",
                ledger=origin,
                size=row.size,
                expected=expected,
                found=found,
                next_step="Compare the table checkpoint with the published checkpoint.",
            )
