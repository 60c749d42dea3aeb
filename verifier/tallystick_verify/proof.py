r"""Inclusion proofs as files: C2SP tlog-proof.

    proof = "c2sp.org/tlog-proof@v1\n" [ "extra " base64 "\n" ]
            "index " decimal "\n" *( base64(hash) "\n" ) "\n" checkpoint

Hashes go from the leaf's sibling to the root's child. `extra` is not authenticated and is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick_verify.errors import Malformed
from tallystick_verify.note import parse_base64, parse_decimal

__all__ = ["TlogProof", "parse_proof"]

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PROOF = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An inclusion proof and the checkpoint it leads to, none of it verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    has_extra: bool


def parse_proof(raw: bytes) -> TlogProof:
    """The parts of a tlog-proof; `Malformed` if it would not print back to the same bytes."""
    head, blank, checkpoint = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("a tlog-proof is ASCII before its checkpoint", position=error.start) from None
    if not blank or lines[0] != _HEADER:
        raise Malformed("not a tlog-proof", expected=_HEADER, found=lines[0][:80])
    has_extra = len(lines) > 1 and lines[1].startswith("extra ")
    if has_extra:
        parse_base64(lines.pop(1).removeprefix("extra "))
    if len(lines) < 2 or not lines[1].startswith("index "):
        raise Malformed("a tlog-proof names the index of its entry")
    index = parse_decimal(lines[1].removeprefix("index "))
    hashes = tuple(parse_base64(line) for line in lines[2:])
    if len(hashes) > _MAX_PROOF or any(len(one) != 32 for one in hashes):
        raise Malformed("an inclusion proof has at most 63 hashes of 32 bytes")
    return TlogProof(index, hashes, checkpoint, has_extra)
