"""Strict JSON and RFC 8785 as Python sees them; what Rust tests of `native/json` show is not repeated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernels import JsonError, json_canonical, json_dumps, json_is_canonical, json_loads

LIMIT = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LIMIT, LIMIT) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def same(left: object, right: object) -> bool:
    """Equal, and alike in type: `True == 1` in Python."""
    return repr(left) == repr(right)


@given(VALUES)
def test_values_come_back_and_python_reads_them_alike(value: Any) -> None:
    text = json_dumps(value)
    json_is_canonical(text)
    assert json_canonical(text) == text
    assert json_loads(text) == value
    assert same(json_loads(text), json.loads(text))


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_any_spelling_has_one_canonical_form(value: Any, ascii_only: bool, indent: int | None) -> None:
    spelled = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert json_canonical(spelled) == json_dumps(value)


def test_keys_are_sorted_by_utf16_code_units() -> None:
    assert json_dumps({"\ufb33": 1, "\U0001f600": 2, "€": 3}) == '{"€":3,"\U0001f600":2,"\ufb33":1}'.encode()


def test_tuples_are_arrays_and_subclasses_are_values() -> None:
    class Name(str):
        __slots__ = ()

    assert json_dumps((1, (Name("a"),))) == b'[1,["a"]]'


@pytest.mark.parametrize(
    "value, reason, position",
    [
        (1.0, "float is no JSON value", 0),
        ([1, b"a"], "bytes is no JSON value", 3),
        ({"a": {1, 2}}, "set is no JSON value", 5),
        (2**53, "integer out of range", 0),
        (-(2**200), "integer out of range", 0),
        ({1: 2}, "key expected", 0),
        (["\ud800"], "lone surrogate", 1),
        ({"\udfff": 1}, "lone surrogate", 0),
    ],
)
def test_what_cannot_be_written_is_refused(value: object, reason: str, position: int) -> None:
    with pytest.raises(JsonError) as error:
        json_dumps(value)
    assert error.value.args == (reason, position)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(JsonError) as error:
        json_dumps(endless)
    assert error.value.args == ("nested more than 64 deep", 64)


@pytest.mark.parametrize(
    "text, reason, position",
    [
        (b'{"a":1,"a":2}', "duplicate key", 7),
        (b"[1.5]", "number is not an integer", 2),
        (b"NaN", "value expected", 0),
        (b'"\xed\xa0\x80"', "not UTF-8", 1),
        (b"\xef\xbb\xbf{}", "byte order mark", 0),
    ],
)
def test_what_is_not_strict_is_refused_with_its_position(text: bytes, reason: str, position: int) -> None:
    for judge in (json_loads, json_canonical, json_is_canonical):
        with pytest.raises(JsonError) as error:
            judge(text)
        assert error.value.args == (reason, position)
    assert issubclass(JsonError, ValueError)


def test_the_first_byte_that_is_not_canonical_is_named() -> None:
    with pytest.raises(JsonError) as error:
        json_is_canonical(b'{"b":1,"a":2}')
    assert error.value.args == ("not canonical: key order", 7)
