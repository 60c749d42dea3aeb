r"""JSON that has one reading and one spelling: RFC 8785, without floats.

    parse(raw)  -> value   any JSON that is not ambiguous: UTF-8, no duplicate member, no float, no NaN,
                           no lone surrogate, integers within ±(2^53 - 1)
    read(raw)   -> value   the same, and `raw` must be the canonical spelling, byte for byte
    write(value) -> bytes  the canonical spelling

Canonical (RFC 8785 §3.2): no white space, members ordered by the UTF-16 code units of their names, strings escape only
`"`, `\` and U+0000–U+001F, with the short forms where JSON has them.

>>> write({"b": [1, True], "a": "€\n"})
b'{"a":"\xe2\x82\xac\\n","b":[1,true]}'
>>> read(b'{"a":1}')
{'a': 1}
>>> read(b'{"a": 1}')
Traceback (most recent call last):
tallystick_verify.errors.Malformed: not canonical JSON (RFC 8785); position 5
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from tallystick_verify.errors import Malformed

__all__ = ["MAX_INTEGER", "parse", "read", "write"]

MAX_INTEGER = 2**53 - 1


class _AmbiguousError(Exception):
    """A token that has more than one reading, or none: (what, token, which occurrence)."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _AmbiguousError(f"duplicate member {twice!r}", json.dumps(twice, ensure_ascii=False) + ":", 1)
    return members


def _integer(token: str) -> int:
    if len(token) > 17 or abs(int(token)) > MAX_INTEGER:
        raise _AmbiguousError("integer outside ±(2^53 - 1)", token, 0)
    return int(token)


def _refused(token: str) -> NoReturn:
    raise _AmbiguousError("number that is not an integer", token, 0)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_refused, parse_constant=_refused, strict=True
)


def parse(raw: bytes) -> Any:
    """The value of `raw`; `Malformed` names what is ambiguous and where."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("JSON is not UTF-8", position=error.start) from None
    try:
        value = _DECODER.decode(text)
        if b"\\u" in raw:  # only an escape can spell a surrogate alone: UTF-8 cannot
            _check(value)
    except _AmbiguousError as error:
        what, token, skip = error.args
        raise Malformed(f"ambiguous JSON: {what}", position=_place(raw, token, skip)) from None
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg}", position=len(text[: error.pos].encode())) from None
    except RecursionError:
        raise Malformed("JSON is nested too deeply", position=0) from None
    return value


def _place(raw: bytes, token: str, skip: int) -> int:
    """Where the token stands (its occurrence number `skip`), or 0 where it is spelled with escapes."""
    place = raw.find(token.encode("utf-8", "surrogatepass"))
    return max(raw.find(token.encode("utf-8", "surrogatepass"), place + 1) if skip and place >= 0 else place, 0)


def _check(value: object) -> None:
    """Refuse lone surrogates, which Python's decoder lets through."""
    if isinstance(value, str):
        lone = next((char for char in value if "\ud800" <= char <= "\udfff"), None)
        if lone is not None:
            raise _AmbiguousError("lone surrogate", f"\\u{ord(lone):04x}", 0)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name)
            _check(item)


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value, key=_utf16)}  # RFC 8785 §3.2.3
    return [_ordered(item) for item in value] if isinstance(value, list) else value


_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_ENCODE_SORTED = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


def write(value: object) -> bytes:
    """`value` in its one spelling; made of dict, list, str, int, bool and None."""
    text = _ENCODE_SORTED(value)
    # By code points and by UTF-16 code units the order is the same, unless there is a character beyond U+FFFF.
    if not text.isascii() and max(text) > "\uffff":
        text = _ENCODE(_ordered(value))
    return text.encode()


def read(raw: bytes) -> Any:
    """The value of `raw`, which must be the canonical spelling."""
    value = parse(raw)
    try:
        printed = write(value)
    except RecursionError:
        raise Malformed("JSON is nested too deeply", position=0) from None
    if printed != raw:
        pairs = zip(raw, printed, strict=False)
        place = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(raw), len(printed)))
        raise Malformed("not canonical JSON (RFC 8785)", position=place)
    return value
