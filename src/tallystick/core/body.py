"""The body: the private half of an entry, a small Merkle tree of salted parts.

    part       = canonical JSON [salt, path, value]     ; salt 32 hex digits, path 1*512 characters, value any JSON
    part hash  = SHA-256(0x02 || part)
    node       = SHA-256(0x03 || left || right)         ; shape of the tree as RFC 9162 §2.1.1

    body       = "" / canonical JSON [part / hash, …]   ; as stored, at most 16 MiB; a destroyed part leaves its 64 hex
    disclosure = canonical JSON {"parts":[shown, …],"stub":stub,"v":1}
    shown      = {"index":i,"part":part,"path":[hash, …]}      ; some parts, each with its path, leaf to root
               / {"index":i,"part":part}                       ; all parts, no paths
               ; "hash":hash in place of "part":part for a part that was destroyed or is withheld

In a disclosure stub and parts are strings that hold the stored bytes, so that nothing is serialised a second time
before it is hashed; indexes increase; either every part of the entry stands there and none has a path, or every shown
one has a path. An entry without parts (genesis, key, seal) has an empty body and a disclosure with no parts.

The salt makes the hash of an undisclosed part useless for guessing its value. 0x02 and 0x03 keep parts and nodes of
bodies apart from those of the log (0x00, 0x01) and from each other.

>>> part = Part.parse(b'["00000000000000000000000000000000","by","user:1"]')
>>> body = Body((part, Digest(bytes(32))))
>>> Body.parse(body.format()) == body
True
>>> root_of_path(part.hash, 0, 2, body.path(0), part_node) == body.root
True
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import InitVar, dataclass
from typing import Any, Final

from tallystick import kernels
from tallystick.core.digest import EMPTY_ROOT, Digest, parse_hex_digest, split_digests
from tallystick.core.encoding import canonical, members, parse_canonical
from tallystick.core.merkle import PATH_HASHES_MAX, ProofRefused, root_of_path
from tallystick.core.stub import OPEN_KINDS, Stub
from tallystick.errors import IntegrityViolation, Malformed, Rejected

__all__ = [
    "BODY_BYTES_MAX",
    "Body",
    "Disclosure",
    "Part",
    "ShownPart",
    "VerifiedDisclosure",
    "disclose",
    "part_node",
    "verify_disclosure",
]

BODY_BYTES_MAX: Final = 16 << 20
_DISCLOSURE_BYTES_MAX: Final = 4 * BODY_BYTES_MAX  # quotes are escaped, and each part may bring a path
_SALT: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PART_PATH_CHARACTERS_MAX: Final = 512


def part_node(left: Digest, right: Digest) -> Digest:
    """An inner node of a body tree."""
    return Digest(hashlib.sha256(b"\x03" + left + right).digest())


@dataclass(frozen=True, slots=True)
class Part:
    """One part as stored (`raw`), and what it says."""

    raw: bytes
    path: str
    value: Any

    @classmethod
    def parse(cls, raw: bytes) -> Part:
        """`Malformed` unless `raw` is a canonical `[salt, path, value]`."""
        return cls.of_value(raw, parse_canonical(raw, "part"))

    @classmethod
    def of_value(cls, raw: bytes, part: object) -> Part:
        """The part whose canonical bytes `raw` were parsed to `part` already."""
        match part:
            case [str(salt), str(path), value] if _SALT.fullmatch(salt) and 1 <= len(path) <= _PART_PATH_CHARACTERS_MAX:
                return cls(raw, path, value)
        raise Malformed("not a part", expected="[32 hex, path, value]", found=f"{len(raw)} bytes")

    @property
    def hash(self) -> Digest:
        return Digest(kernels.part_hash(self.raw))


def _hash_of(part: Part | Digest) -> Digest:
    return part.hash if isinstance(part, Part) else part


@dataclass(frozen=True, slots=True)
class Body:
    """The parts of an entry in order; of a destroyed one only its hash is left."""

    parts: tuple[Part | Digest, ...]

    @classmethod
    def parse(cls, data: bytes) -> Body:
        """`Malformed` unless `data` is what `format` prints. Empty for an entry without parts."""
        if len(data) > BODY_BYTES_MAX:
            raise Malformed("a body is too long", expected=f"at most {BODY_BYTES_MAX} bytes", found=len(data))
        if not data:
            return cls(())
        values = parse_canonical(data, "body")
        if not isinstance(values, list) or not values:
            raise Malformed("a body is not a list of parts", found=type(values).__name__)
        return cls(tuple(_stored(value) for value in values))

    def format(self) -> bytes:
        if not self.parts:
            return b""
        return b"[%b]" % b",".join(p.raw if isinstance(p, Part) else b'"%b"' % p.hex().encode() for p in self.parts)

    @property
    def hashes(self) -> bytes:
        """The part hashes, 32 bytes each."""
        return b"".join(map(_hash_of, self.parts))

    @property
    def root(self) -> Digest:
        return Digest(kernels.body_root_of_hashes(self.hashes)) if self.parts else EMPTY_ROOT

    def path(self, index: int) -> list[Digest]:
        """The path of part `index` to the root, leaf to root."""
        return split_digests(kernels.body_path(self.hashes, index))

    def destroy(self, indexes: Collection[int]) -> Body:
        """The body without the contents of these parts; its root, and every proof about it, stay as they are."""
        if not all(0 <= i < len(self.parts) for i in indexes):
            raise Rejected("no such part", parts=len(self.parts), asked=sorted(indexes))
        return Body(tuple(_hash_of(part) if i in indexes else part for i, part in enumerate(self.parts)))


def _stored(value: object) -> Part | Digest:
    if isinstance(value, str):
        return parse_hex_digest(value, "hash of a destroyed part")
    return Part.of_value(canonical(value), value)


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A part in a disclosure: a hash if it was destroyed or is withheld. `path` is None in a full disclosure."""

    index: int
    part: Part | Digest
    path: tuple[Digest, ...] | None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A stub and some or all of its parts, as shown to somebody. Nothing about it has been verified."""

    stub: bytes
    shown: tuple[ShownPart, ...]

    @classmethod
    def parse(cls, data: bytes) -> Disclosure:
        """`Malformed` unless `data` is what `format` prints. Whether it is true is for `verify_disclosure`."""
        if len(data) > _DISCLOSURE_BYTES_MAX:
            raise Malformed("a disclosure is too long", expected=f"at most {_DISCLOSURE_BYTES_MAX}", found=len(data))
        value = members(parse_canonical(data, "disclosure"), {"parts": list, "stub": str, "v": int}, "disclosure")
        if value["v"] != 1:
            raise Malformed("a disclosure has an unknown version", expected=1, found=value["v"])
        raw = value["stub"].encode()
        stub = Stub.parse(raw)
        shown = tuple(_parse_shown(part) for part in value["parts"])
        indexes = [part.index for part in shown]
        if indexes != sorted(set(indexes)) or (indexes and not 0 <= indexes[0] <= indexes[-1] < stub.parts):
            raise Malformed("the indexes of shown parts do not increase, or exceed the parts", parts=stub.parts)
        without_path = sum(part.path is None for part in shown)
        if without_path and not without_path == len(shown) == stub.parts:
            raise Malformed("parts without paths, but not all are shown", expected=stub.parts, found=len(shown))
        return cls(raw, shown)

    def format(self) -> bytes:
        return canonical({"parts": [_format_shown(part) for part in self.shown], "stub": self.stub.decode(), "v": 1})


def _parse_shown(value: object) -> ShownPart:
    names = set(value) if isinstance(value, dict) else set()
    content = "hash" if "hash" in names else "part"
    kinds: dict[str, type] = {"index": int, content: str} | ({"path": list} if "path" in names else {})
    shown = members(value, kinds, "shown part")
    path: tuple[Digest, ...] | None = None
    if "path" in shown:
        if len(shown["path"]) > PATH_HASHES_MAX or not all(isinstance(item, str) for item in shown["path"]):
            raise Malformed("a path is not a short list of hashes", index=shown["index"])
        path = tuple(parse_hex_digest(item, "path") for item in shown["path"])
    part = parse_hex_digest(shown["hash"], "part hash") if content == "hash" else Part.parse(shown["part"].encode())
    return ShownPart(shown["index"], part, path)


def _format_shown(shown: ShownPart) -> dict[str, object]:
    value: dict[str, object] = {"index": shown.index}
    if isinstance(shown.part, Part):
        value["part"] = shown.part.raw.decode()
    else:
        value["hash"] = shown.part.hex()
    if shown.path is not None:
        value["path"] = [item.hex() for item in shown.path]
    return value


def disclose(stub: bytes, body: Body, indexes: Iterable[int] | None = None) -> Disclosure:
    """Show these parts of an entry, or all of them. A part that is not shown leaves no byte but hashes on the paths."""
    if indexes is None:
        return Disclosure(stub, tuple(ShownPart(i, part, None) for i, part in enumerate(body.parts)))
    chosen = sorted(set(indexes))
    if not all(0 <= i < len(body.parts) for i in chosen):
        raise Rejected("no such part", parts=len(body.parts), asked=chosen)
    return Disclosure(stub, tuple(ShownPart(i, body.parts[i], tuple(body.path(i))) for i in chosen))


_VERIFIED: Final = object()


@dataclass(frozen=True, slots=True)
class VerifiedDisclosure:
    """A stub and parts that belong to it. That the stub stands in a ledger is another question (receipt.py).

    `parts` by index; `hidden` are the indexes shown by hash only: destroyed, or withheld by whoever shows them.
    """

    stub: Stub
    raw_stub: bytes
    parts: dict[int, Part]
    hidden: tuple[int, ...]
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _VERIFIED:
            raise TypeError("a VerifiedDisclosure comes from verify_disclosure alone")

    @property
    def complete(self) -> bool:
        """Every part of the entry is readable."""
        return len(self.parts) == self.stub.parts

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts.values())


def verify_disclosure(disclosure: Disclosure) -> VerifiedDisclosure:
    """Check shown parts against the stub.

    1. The stub is of the format.
    2. All parts are shown: the root of their hashes is the stub's `body`.
    3. Some are shown: each path leads from the part's hash to the stub's `body`.
    """
    # 1.
    stub = Stub.parse(disclosure.stub)
    everything = len(disclosure.shown) == stub.parts and all(shown.path is None for shown in disclosure.shown)
    if everything and stub.kind not in OPEN_KINDS:
        # 2.
        found = Body(tuple(shown.part for shown in disclosure.shown)).root
        if found != stub.body:
            raise IntegrityViolation(
                "the parts are not those of the entry", seq=stub.seq, expected=_shown_root(stub), found=found.hex()
            )
    for shown in disclosure.shown:
        if shown.path is not None:
            # 3.
            found = root_of_path(_hash_of(shown.part), shown.index, stub.parts, shown.path, part_node)
            if found != stub.body:
                raise ProofRefused(
                    "a part is not one of the entry",
                    seq=stub.seq,
                    part=shown.index,
                    expected=_shown_root(stub),
                    found=found.hex(),
                )
    return VerifiedDisclosure(
        stub,
        disclosure.stub,
        {shown.index: shown.part for shown in disclosure.shown if isinstance(shown.part, Part)},
        tuple(shown.index for shown in disclosure.shown if not isinstance(shown.part, Part)),
        _VERIFIED,
    )


def _shown_root(stub: Stub) -> str:
    return stub.body.hex() if isinstance(stub.body, bytes) else "a body in the stub"
