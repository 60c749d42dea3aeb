r"""Typed quantities, and the strict text forms in which they are written.

    decimal = "0" / (%x31-39 *DIGIT)      ; below 2^63, no sign, no leading zero, ASCII only
    hex     = *(2("0"-"9" / "a"-"f"))     ; lower case
    base64  = RFC 4648 section 4          ; padded, trailing bits zero

Each parser accepts exactly what its printer prints. Python's own are too lax for a format: `int()` takes "+42", "4_2"
and Arabic digits, `b64decode(validate=True)` takes dirty trailing bits, `bytes.fromhex` takes spaces.

>>> parse_decimal("20852163", "tree size")
20852163
>>> parse_decimal("020", "tree size")
Traceback (most recent call last):
tallystick.errors.Malformed: tree size is not a plain decimal below 2^63; found '020'
>>> parse_base64("AQI=", "hash")
b'\x01\x02'
>>> parse_base64("AQJ=", "hash")
Traceback (most recent call last):
tallystick.errors.Malformed: hash is not canonical base64; found 'AQJ='
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final, NewType

from tallystick.errors import Malformed

__all__ = [
    "DIGEST_BYTES",
    "EMPTY_ROOT",
    "ZERO_DIGEST",
    "Digest",
    "LeafIndex",
    "Microseconds",
    "Seconds",
    "TreeSize",
    "digest",
    "format_base64",
    "parse_base64",
    "parse_base64_digest",
    "parse_decimal",
    "parse_hex",
    "parse_hex_digest",
    "split_digests",
]

Digest = NewType("Digest", bytes)
"""32 bytes of SHA-256."""
LeafIndex = NewType("LeafIndex", int)
"""Position of an entry in its ledger, from 0; its `seq`."""
TreeSize = NewType("TreeSize", int)
"""How many leaves a tree has."""
Seconds = NewType("Seconds", int)
"""POSIX time, as cosignatures carry it."""
Microseconds = NewType("Microseconds", int)
"""Microseconds since 1970 UTC, as entries carry it."""

DIGEST_BYTES: Final = 32
ZERO_DIGEST: Final = Digest(bytes(DIGEST_BYTES))
EMPTY_ROOT: Final = Digest(hashlib.sha256(b"").digest())  # RFC 9162 §2.1.1: the tree of no leaves

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_SHOWN: Final = 80  # characters of a foreign value that an error repeats


def digest(data: bytes, what: str = "hash") -> Digest:
    """`data` as a digest; `Malformed` unless it is 32 bytes."""
    if len(data) != DIGEST_BYTES:
        raise Malformed(f"{what} is not {DIGEST_BYTES} bytes", found=f"{len(data)} bytes")
    return Digest(data)


def split_digests(data: bytes) -> list[Digest]:
    """Concatenated digests, apart."""
    if len(data) % DIGEST_BYTES:
        raise Malformed(f"hashes do not fill {DIGEST_BYTES} bytes each", found=f"{len(data)} bytes")
    return [Digest(data[i : i + DIGEST_BYTES]) for i in range(0, len(data), DIGEST_BYTES)]


def parse_decimal(text: str, what: str) -> int:
    """A decimal without sign or leading zero, below 2^63."""
    if not _DECIMAL.fullmatch(text) or (value := int(text)) >= 1 << 63:
        raise Malformed(f"{what} is not a plain decimal below 2^63", found=repr(text[:_SHOWN]))
    return value


def parse_hex(text: str, what: str) -> bytes:
    """Lower-case hex, two digits a byte."""
    if not _HEX.fullmatch(text):
        raise Malformed(f"{what} is not lower-case hex", found=repr(text[:_SHOWN]))
    return bytes.fromhex(text)


def parse_hex_digest(text: str, what: str) -> Digest:
    """64 lower-case hex digits."""
    return digest(parse_hex(text, what), what)


def parse_base64(text: str, what: str) -> bytes:
    """RFC 4648 section 4, padded, with zero trailing bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        data = None
    if data is None or format_base64(data) != text:
        raise Malformed(f"{what} is not canonical base64", found=repr(text[:_SHOWN]))
    return data


def parse_base64_digest(text: str, what: str) -> Digest:
    """Base64 of 32 bytes."""
    return digest(parse_base64(text, what), what)


def format_base64(data: bytes) -> str:
    """RFC 4648 section 4."""
    return base64.b64encode(data).decode("ascii")
