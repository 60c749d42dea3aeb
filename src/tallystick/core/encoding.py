r"""Canonical JSON: RFC 8785 over a strict subset of RFC 8259.

    UTF-8, no white space, members sorted by UTF-16 code units (RFC 8785 §3.2.3), shortest escapes (§3.2.2.2);
    no duplicate member, no lone surrogate, no fraction or exponent, |integer| < 2^53.

Bytes that are hashed or signed are always the stored bytes: `parse_canonical` accepts exactly what `canonical` prints,
so nothing is ever hashed that was serialised a second time.

>>> canonical({"b": 1, "a": "é"})
b'{"a":"\xc3\xa9","b":1}'
>>> parse_canonical(b'{"a":1}', "stub")
{'a': 1}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallystick.errors import Malformed
from tallystick.kernels import JsonError, json_dumps, json_is_canonical, json_loads

__all__ = ["canonical", "members", "parse_canonical"]


def canonical(value: object) -> bytes:
    """RFC 8785 of None, bool, int, str, list, tuple and dict; `Malformed` for anything else."""
    try:
        return json_dumps(value)
    except JsonError as error:
        raise Malformed("value has no canonical JSON", expected=str(error.args[0])) from None


def parse_canonical(data: bytes, what: str) -> Any:
    """The value of canonical JSON; `Malformed` with the byte position of the first byte that is not."""
    try:
        json_is_canonical(data)
        return json_loads(data)
    except JsonError as error:
        reason, position = error.args
        raise Malformed(f"{what} is not canonical JSON", expected=reason, position=position) from None


def members(value: object, names: Mapping[str, type], what: str) -> dict[str, Any]:
    """`value` as an object with exactly these members of exactly these types (`bool` is no `int`)."""
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object", found=type(value).__name__)
    if value.keys() != names.keys():
        raise Malformed(f"{what} does not have exactly its members", expected=sorted(names), found=sorted(value))
    for name, kind in names.items():
        found = value[name]
        if kind is not object and type(found) is not kind:
            raise Malformed(f"{what}: {name} has the wrong type", expected=kind.__name__, found=repr(found)[:80])
    return value
