"""Disclosures: an entry's stub and those of its parts that somebody may see (docs/reference/formats.md).

    disclosure = {"parts":[shown,…],"stub":text,"v":1}       canonical JSON; `stub` is the text of the stub's own bytes
    shown = {"index":i,"part":text,"path":[hex,…]}           the part's own bytes, its path in the body tree from below
          | {"hash":hex,"index":i,"path":[hex,…]}            a part that was destroyed or is withheld

A full disclosure shows all parts in order and leaves every `path` out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from tallystick_verify import strictjson
from tallystick_verify.entry import Stub, check_part
from tallystick_verify.errors import Malformed, Tampering
from tallystick_verify.merkle import body_node, part_hash, tree_root, verify_inclusion

__all__ = ["Disclosure", "ShownPart", "check_disclosure", "parse_disclosure"]

_HASH = re.compile("[0-9a-f]{64}")
_MAX_PATH = 17  # a body has at most 65,536 parts


@dataclass(frozen=True, slots=True)
class ShownPart:
    """One part at its index. `raw` is None if only its hash is there, `proof` is None in a full disclosure."""

    index: int
    raw: bytes | None
    path: str | None
    hash: bytes
    proof: tuple[bytes, ...] | None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a disclosure says; nothing of it verified."""

    stub: bytes
    parts: tuple[ShownPart, ...]

    @property
    def full(self) -> bool:
        """Whether it claims to show all parts."""
        return bool(self.parts) and self.parts[0].proof is None

    def body(self) -> bytes:
        """The body as canonical JSON array, of a full disclosure."""
        return b"[" + b",".join(b'"%s"' % p.hash.hex().encode() if p.raw is None else p.raw for p in self.parts) + b"]"


def parse_disclosure(raw: bytes) -> Disclosure:
    """The disclosure in `raw`, canonical and with exactly its members; else `Malformed`."""
    value = strictjson.read(raw)
    if (
        not isinstance(value, dict)
        or list(value) != ["parts", "stub", "v"]
        or type(value["v"]) is not int
        or value["v"] != 1
    ):
        raise Malformed("a disclosure has the members parts, stub and v, which is 1")
    if not isinstance(value["stub"], str) or not isinstance(value["parts"], list):
        raise Malformed("a disclosure's stub is text, its parts are an array")
    parts = tuple(_shown(shown, number) for number, shown in enumerate(value["parts"]))
    if any(one.index >= other.index for one, other in pairwise(parts)):
        raise Malformed("the parts of a disclosure stand in order, each once")
    if len({part.proof is None for part in parts}) > 1:
        raise Malformed("a disclosure shows all parts without paths, or each with its path")
    return Disclosure(value["stub"].encode(), parts)


def _shown(shown: object, number: int) -> ShownPart:
    if not isinstance(shown, dict) or set(shown) | {"path"} not in (
        {"index", "part", "path"},
        {"hash", "index", "path"},
    ):
        raise Malformed("a shown part has index, part or hash, and path", part=number)
    index, proof = shown["index"], shown.get("path")
    if type(index) is not int or index < 0:
        raise Malformed("a shown part's index is a count", part=number, found=index)
    hashes = [*(proof if isinstance(proof, list) else []), *([shown["hash"]] if "hash" in shown else [])]
    if not all(isinstance(one, str) and _HASH.fullmatch(one) for one in hashes):
        raise Malformed("a hash is 64 hex digits", part=number)
    if "path" in shown and (not isinstance(proof, list) or len(proof) > _MAX_PATH):
        raise Malformed("a path is an array of hashes", part=number)
    steps = None if proof is None else tuple(bytes.fromhex(step) for step in proof)
    if "hash" in shown:
        return ShownPart(index, None, None, bytes.fromhex(shown["hash"]), steps)
    if not isinstance(shown["part"], str):
        raise Malformed("a shown part is text", part=number)
    part = shown["part"].encode()
    value = strictjson.read(part)
    check_part(value, index)
    return ShownPart(index, part, value[1], part_hash(part), steps)


def check_disclosure(stub: Stub, disclosure: Disclosure) -> None:
    """Nothing, or `Tampering`: every part shown stands at its index in the body that the stub commits to."""
    if not disclosure.parts:
        return
    if not isinstance(stub.body, str):
        raise Tampering("this kind of entry has no parts", expected=0, found=len(disclosure.parts))
    root = bytes.fromhex(stub.body)
    if disclosure.full:
        if [part.index for part in disclosure.parts] != list(range(stub.parts)):
            raise Tampering(
                "the disclosure shows another number of parts", expected=stub.parts, found=len(disclosure.parts)
            )
        found = tree_root([part.hash for part in disclosure.parts], body_node)
        if found != root:
            raise Tampering("the parts are not those that were recorded", expected=root, found=found)
        return
    for part in disclosure.parts:
        try:
            verify_inclusion(part.hash, part.index, stub.parts, part.proof or (), root, body_node)
        except Tampering as error:
            error.add(part=part.index, path=part.path)
            raise
