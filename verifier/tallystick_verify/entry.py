r"""Entries: a public stub that is hashed, over a private body of salted parts.

    stub   = {"at":µs,"batch":n,"body":root,"kind":word,"ledger":origin,"parts":n,"prev":hash,"seq":n,"v":1}
    part   = [salt, path, value]          salt 32 hex digits, path text, value JSON
    body   = [part, …]                    a destroyed part is its hash, 64 hex digits

All are RFC 8785 JSON. `genesis`, `key` and `seal` keep their body object in the stub and have 0 parts. Entry hash =
SHA-256(0x00 ‖ stub); part hash = SHA-256(0x02 ‖ part); inner nodes of the body tree take 0x03.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallystick_verify import strictjson
from tallystick_verify.errors import Malformed, Tampering
from tallystick_verify.merkle import body_node, part_hash, tree_root
from tallystick_verify.note import is_name

__all__ = [
    "BODY_IN_STUB",
    "MAX_STUB_BYTES",
    "Part",
    "Stub",
    "StubReader",
    "check_body",
    "check_part",
    "parse_body",
    "split_bundle",
]

BODY_IN_STUB = frozenset({"genesis", "key", "seal"})
MAX_STUB_BYTES = 65_535
MAX_PARTS = 65_536
MAX_BODY_BYTES = 16 << 20
_HASH = re.compile("[0-9a-f]{64}")
_SALT = re.compile("[0-9a-f]{32}")
_KIND = re.compile("[a-z][a-z_]{0,31}")

Part = list[Any] | str
"""`[salt, path, value]`, or the hash (64 hex digits) of a destroyed part."""


@dataclass(slots=True)
class Stub:
    """An entry's public face. `body` is the body tree's root in hex, or the body object itself."""

    at: int
    batch: int
    body: str | dict[str, Any]
    kind: str
    ledger: str
    parts: int
    prev: str
    seq: int


_MEMBERS = ["at", "batch", "body", "kind", "ledger", "parts", "prev", "seq", "v"]


def parse_stub(raw: bytes) -> Stub:
    """The stub in `raw`, canonical and with exactly its members; else `Malformed`."""
    if len(raw) > MAX_STUB_BYTES:
        raise Malformed("stub is longer than an entry bundle can hold", found=len(raw))
    value = strictjson.read(raw)
    if not isinstance(value, dict) or list(value) != _MEMBERS:
        found = ",".join(value) if isinstance(value, dict) else type(value).__name__
        raise Malformed("stub has other members", expected=",".join(_MEMBERS), found=found)
    for name, top in (("at", None), ("batch", None), ("seq", None), ("parts", MAX_PARTS)):
        number = value[name]
        if type(number) is not int or number < 0 or (top is not None and number > top):
            raise Malformed(f"stub: {name} is not a count", found=number)
    if type(value["v"]) is not int or value["v"] != 1:
        raise Malformed("stub of an unknown version", expected=1, found=value["v"])
    for name, form in (("prev", _HASH), ("kind", _KIND)):
        if not isinstance(value[name], str) or not form.fullmatch(value[name]):
            raise Malformed(f"stub: {name} has another form", expected=form.pattern, found=value[name])
    if not isinstance(value["ledger"], str) or not is_name(value["ledger"]):
        raise Malformed("stub: ledger is not an origin", found=value["ledger"])
    if value["kind"] in BODY_IN_STUB:
        if not isinstance(value["body"], dict) or value["parts"] != 0:
            raise Malformed(f"stub: a {value['kind']} holds its body object itself and has no parts")
    elif not isinstance(value["body"], str) or not _HASH.fullmatch(value["body"]):
        raise Malformed("stub: body is not a root", expected=_HASH.pattern, found=value["body"])
    value.pop("v")
    return Stub(**value)


class StubReader:
    """Reads many stubs of one ledger fast.

    What matches the template is canonical: every member has one spelling there, and JSON cannot spell it otherwise.
    Whatever does not match goes the long way, through `parse_stub`, which decides.
    """

    def __init__(self, origin: str) -> None:
        number = rb"(0|[1-9][0-9]{0,14})"  # 15 digits stay below 2^53; `at` has 16
        self._match = re.compile(
            rb'\{"at":(0|[1-8]?[0-9]{1,15}),"batch":'
            + number
            + rb',"body":"([0-9a-f]{64})","kind":"([a-z]{1,32})","ledger":'
            + re.escape(strictjson.write(origin))
            + rb',"parts":(0|[1-9][0-9]{0,4}),"prev":"([0-9a-f]{64})","seq":'
            + number
            + rb',"v":1\}'
        ).fullmatch
        self._origin = origin

    def read(self, raw: bytes) -> Stub:
        """As `parse_stub`."""
        match = self._match(raw)
        if match is None:
            return parse_stub(raw)
        at, batch, body, kind, parts, prev, seq = match.groups()
        word = kind.decode()
        if word in BODY_IN_STUB or (at[:1] == b"0" and len(at) > 1) or int(parts) > MAX_PARTS:
            return parse_stub(raw)
        return Stub(int(at), int(batch), body.decode(), word, self._origin, int(parts), prev.decode(), int(seq))


def split_bundle(raw: bytes, width: int) -> list[bytes]:
    """The `width` stubs of an entry bundle: big-endian uint16 length ‖ stub, repeated (C2SP tlog-tiles)."""
    stubs: list[bytes] = []
    at = 0
    while at < len(raw):
        start = at + 2
        at = start + int.from_bytes(raw[at:start], "big")
        if at > len(raw) or start > len(raw):
            raise Malformed("entry bundle ends inside an entry", entries=len(stubs), position=len(raw))
        stubs.append(raw[start:at])
    if len(stubs) != width:
        raise Tampering("entry bundle holds another number of entries", expected=width, found=len(stubs))
    return stubs


def check_part(part: object, number: int) -> None:
    """The form `[salt, path, value]`; what the value may be is the rules' affair."""
    if not isinstance(part, list) or len(part) != 3:
        raise Malformed("a part is [salt, path, value]", part=number)
    if not isinstance(part[0], str) or not _SALT.fullmatch(part[0]):
        raise Malformed("a part's salt is 32 hex digits", part=number)
    if not isinstance(part[1], str) or not 1 <= len(part[1]) <= 512:
        raise Malformed("a part's path has 1 to 512 characters", part=number)


def parse_body(raw: bytes) -> list[Part]:
    """The parts of a body from its canonical JSON array."""
    if len(raw) > MAX_BODY_BYTES:
        raise Malformed("a body is at most 16 MiB", found=len(raw))
    value = strictjson.read(raw)
    if not isinstance(value, list):
        raise Malformed("a body is an array of parts")
    for number, part in enumerate(value):
        if isinstance(part, str):
            if not _HASH.fullmatch(part):
                raise Malformed("a destroyed part leaves its hash", part=number, found=part[:80])
        else:
            check_part(part, number)
    return value


def check_body(stub: Stub, parts: Sequence[Part]) -> None:
    """Nothing, or `Tampering`: these are all the parts that the stub commits to."""
    if len(parts) != stub.parts:
        raise Tampering("the body has another number of parts", expected=stub.parts, found=len(parts))
    if isinstance(stub.body, str):
        hashes = [bytes.fromhex(part) if isinstance(part, str) else part_hash(strictjson.write(part)) for part in parts]
        root = tree_root(hashes, body_node).hex()
        if root != stub.body:
            raise Tampering("the parts are not those that were recorded", expected=stub.body, found=root)
