"""The stub: the public, hashed half of an entry.

    stub = canonical JSON (encoding.py) of exactly these members, at most 65,535 bytes

    at      integer     microseconds since 1970 UTC, strictly increasing within a ledger
    batch   integer     number of the batch that the entry belongs to; a seal closes its own
    body    64 hex      root of the body tree (body.py); for `genesis`, `key` and `seal` the body object itself
    kind    string      1*32 of a-z and "_", the first a letter
    ledger  string      the origin (checkpoint.py)
    parts   integer     0-65,536, how many parts the body has; 0 when the body stands in the stub
    prev    64 hex      hash of entry seq - 1; 64 zeros at seq 0
    seq     integer     from 0, without gaps: the leaf index
    v       1

    entry hash = RFC 6962 leaf hash of the stored bytes: the link of the chain and the leaf of the tree at once

>>> raw = (b'{"at":1,"batch":0,"body":{"keys":[]},"kind":"genesis","ledger":"bank.example/l","parts":0,"prev":"'
...        + b"0" * 64 + b'","seq":0,"v":1}')
>>> stub = Stub.parse(raw)
>>> stub.kind, stub.seq, stub.body, stub.format() == raw
('genesis', 0, {'keys': []}, True)
>>> entry_hash(raw).hex()[:16]
'8066f72c699e38c4'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tallystick.core.checkpoint import check_name
from tallystick.core.digest import ZERO_DIGEST, Digest, LeafIndex, Microseconds, parse_hex_digest
from tallystick.core.encoding import canonical, members, parse_canonical
from tallystick.core.merkle import leaf_hash
from tallystick.errors import Malformed

__all__ = ["ENTRY_BYTES_MAX", "OPEN_KINDS", "PARTS_MAX", "Seal", "Stub", "entry_hash"]

ENTRY_BYTES_MAX: Final = 65_535  # C2SP tlog-tiles: the length of an entry is a uint16
PARTS_MAX: Final = 65_536
OPEN_KINDS: Final = frozenset({"genesis", "key", "seal"})
"""Kinds that hold nothing private: their body stands in the stub."""

_KIND: Final = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)
_MEMBERS: Final[Mapping[str, type]] = {
    "at": int,
    "batch": int,
    "body": object,
    "kind": str,
    "ledger": str,
    "parts": int,
    "prev": str,
    "seq": int,
    "v": int,
}


def entry_hash(stub: bytes) -> Digest:
    """The hash of an entry from the stored bytes of its stub."""
    return leaf_hash(stub)


@dataclass(frozen=True, slots=True)
class Stub:
    """`body` is the root of the body tree, or for an open kind the body object."""

    at: Microseconds
    batch: int
    body: Digest | Mapping[str, Any]
    kind: str
    ledger: str
    parts: int
    prev: Digest
    seq: LeafIndex

    @classmethod
    def parse(cls, data: bytes) -> Stub:
        """`Malformed` unless `data` is what `format` prints."""
        if len(data) > ENTRY_BYTES_MAX:
            raise Malformed("a stub is too long", expected=f"at most {ENTRY_BYTES_MAX} bytes", found=len(data))
        stub = members(parse_canonical(data, "stub"), _MEMBERS, "stub")
        if stub["v"] != 1:
            raise Malformed("a stub has an unknown version", expected=1, found=stub["v"])
        for name in ("at", "batch", "parts", "seq"):
            if stub[name] < 0:
                raise Malformed(f"stub: {name} is negative", found=stub[name])
        if not _KIND.fullmatch(stub["kind"]):
            raise Malformed("stub: kind has the wrong form", expected=_KIND.pattern, found=repr(stub["kind"][:80]))
        if stub["parts"] > PARTS_MAX:
            raise Malformed("stub: too many parts", expected=f"at most {PARTS_MAX}", found=stub["parts"])
        prev = parse_hex_digest(stub["prev"], "stub: prev")
        if stub["seq"] == 0 and prev != ZERO_DIGEST:
            raise Malformed("stub: nothing stands before the first entry", expected=ZERO_DIGEST.hex(), found=prev.hex())
        return cls(
            at=Microseconds(stub["at"]),
            batch=stub["batch"],
            body=_body(stub),
            kind=stub["kind"],
            ledger=check_name(stub["ledger"], "origin"),
            parts=stub["parts"],
            prev=prev,
            seq=LeafIndex(stub["seq"]),
        )

    def format(self) -> bytes:
        return canonical(
            {
                "at": self.at,
                "batch": self.batch,
                "body": self.body.hex() if isinstance(self.body, bytes) else self.body,
                "kind": self.kind,
                "ledger": self.ledger,
                "parts": self.parts,
                "prev": self.prev.hex(),
                "seq": self.seq,
                "v": 1,
            }
        )

    @property
    def seal(self) -> Seal:
        """The body of a seal; `Malformed` when this entry is none, or its body has another form."""
        if self.kind != "seal" or isinstance(self.body, bytes):
            raise Malformed("the entry is not a seal", seq=self.seq, found=self.kind)
        body = members(self.body, {"batch": int, "count": int, "first": int, "root": str}, "seal")
        root = parse_hex_digest(body["root"], "seal: root")
        return Seal(body["batch"], LeafIndex(body["first"]), body["count"], root)


def _body(stub: dict[str, Any]) -> Digest | dict[str, Any]:
    body = stub["body"]
    if stub["kind"] in OPEN_KINDS:
        if not isinstance(body, dict) or stub["parts"] != 0:
            raise Malformed("stub: the body of an open kind is an object, and it has no parts", kind=stub["kind"])
        return body
    if not isinstance(body, str):
        raise Malformed("stub: body is not the root of a body tree", kind=stub["kind"], expected="64 hex")
    return parse_hex_digest(body, "stub: body")


@dataclass(frozen=True, slots=True)
class Seal:
    """What a seal says of the batch that it closes: `count` entries from `first`, the seal itself not among them."""

    batch: int
    first: LeafIndex
    count: int
    root: Digest  # RFC 9162 §2.1.1 over the leaf hashes of the batch

    def format(self) -> bytes:
        """The body object of the seal."""
        return canonical({"batch": self.batch, "count": self.count, "first": self.first, "root": self.root.hex()})
