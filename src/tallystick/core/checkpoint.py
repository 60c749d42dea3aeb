r"""C2SP tlog-checkpoint: the text that a log signs, its origin, size and root.

    checkpoint = origin LF size LF base64(root) LF
    origin     = 1*255 bytes of UTF-8, no control character, no Unicode space, no "+"
    size       = decimal                       ; digest.py
    root       = 32 bytes                      ; of the empty tree if the size is 0

Extension lines, which the specification allows and advises against, are refused: the ML-DSA-44 signature would not
cover them. The origin is also the name of the log's keys, so it obeys the rules for key names.

>>> Checkpoint("bank.example/ledger", TreeSize(0), EMPTY_ROOT).format()
b'bank.example/ledger\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n'
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from tallystick.core.digest import (
    EMPTY_ROOT,
    Digest,
    TreeSize,
    digest,
    format_base64,
    parse_base64_digest,
    parse_decimal,
)
from tallystick.errors import Malformed

__all__ = ["Checkpoint", "check_name"]

_NAME_BYTES_MAX: Final = 255  # C2SP tlog-cosignature: opaque cosigner_name<1..2^8-1>, log_origin<1..2^8-1>


def check_name(name: str, what: str = "key name") -> str:
    """`name` if it may be an origin or a key name (C2SP signed-note), else `Malformed`."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        length = 0
    if not 1 <= length <= _NAME_BYTES_MAX or any(c == "+" or c < " " or c.isspace() for c in name):
        raise Malformed(
            f"not a {what}", expected="1 to 255 bytes of UTF-8 without control, space or +", found=repr(name[:80])
        )
    return name


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's claim: the tree of `size` leaves has this root."""

    origin: str
    size: TreeSize
    root: Digest

    def __post_init__(self) -> None:
        check_name(self.origin, "origin")
        digest(self.root, "root")
        if self.size == 0 and self.root != EMPTY_ROOT:  # C2SP tlog-witness, RFC 9162 §2.1.1
            raise Malformed("the empty tree has another root", expected=EMPTY_ROOT.hex(), found=self.root.hex())

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """`Malformed` unless `text` is what `format` prints."""
        try:
            lines = text.decode().split("\n")
        except UnicodeDecodeError as error:
            raise Malformed("checkpoint is not UTF-8", position=error.start) from None
        if len(lines) != 4 or lines[3]:
            raise Malformed("checkpoint is not three lines", expected="origin, size, root", found=len(lines) - 1)
        origin, size, root, _ = lines
        return cls(origin, TreeSize(parse_decimal(size, "tree size")), parse_base64_digest(root, "root hash"))

    def format(self) -> bytes:
        return f"{self.origin}\n{self.size}\n{format_base64(self.root)}\n".encode()

    @property
    def anchor(self) -> Digest:
        """What is anchored: SHA-256 of the text, signatures left out."""
        return Digest(hashlib.sha256(self.format()).digest())
