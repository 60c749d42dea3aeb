r"""C2SP tlog-proof: an inclusion proof with its checkpoint, in one file (`.tlog-proof`).

    proof = "c2sp.org/tlog-proof@v1" LF
            ["extra " base64(1*octet) LF]
            "index " decimal LF
            0*63 (base64(hash) LF)            ; from the leaf's sibling to the children of the root
            LF
            note                              ; a checkpoint with its signatures (note.py), verbatim

`extra` is not authenticated: nothing here looks at it.

>>> raw = b"c2sp.org/tlog-proof@v1\nindex 0\n\nlog\n1\nAAAA\n\n\xe2\x80\x94 log AAAAAAE=\n"
>>> Proof.parse(raw).format() == raw
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.core.digest import Digest, LeafIndex, format_base64, parse_base64, parse_base64_digest, parse_decimal
from tallystick.core.merkle import PATH_HASHES_MAX
from tallystick.core.note import Note
from tallystick.errors import Malformed

__all__ = ["Proof"]

_HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """The claim that a leaf stands at `index` of the tree of a checkpoint. Nothing about it has been verified."""

    index: LeafIndex
    path: tuple[Digest, ...]
    checkpoint: Note
    extra: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Proof:
        """`Malformed` unless `raw` is what `format` prints."""
        head, blank, note = raw.partition(b"\n\n")
        try:
            lines = head.decode().split("\n")
        except UnicodeDecodeError as error:
            raise Malformed("a proof is not UTF-8", position=error.start) from None
        if lines.pop(0) != _HEADER or not blank:
            raise Malformed("not a proof", expected=f"{_HEADER}, index, hashes, an empty line, a checkpoint")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = parse_base64(lines.pop(0).removeprefix("extra "), "extra")
            if not extra:
                raise Malformed("an empty extra is left out")
        if not lines or not lines[0].startswith("index "):
            raise Malformed("a proof has no index", expected="index <n>", found=repr(lines[:1])[:80])
        index = parse_decimal(lines.pop(0).removeprefix("index "), "index")
        if len(lines) > PATH_HASHES_MAX:
            raise Malformed("a proof has too many hashes", expected=f"at most {PATH_HASHES_MAX}", found=len(lines))
        path = tuple(parse_base64_digest(line, "inclusion proof") for line in lines)
        return cls(LeafIndex(index), path, Note.parse(note), extra)

    def format(self) -> bytes:
        lines = [_HEADER, f"index {self.index}", *map(format_base64, self.path)]
        if self.extra:
            lines.insert(1, f"extra {format_base64(self.extra)}")
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint.format()
