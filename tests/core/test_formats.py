"""Every format, both ways: what is printed parses to the same value, what parses prints back to the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.body import Body, Disclosure, Part
from tallystick.core.bundle import Manifest
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.cosignature import TimestampedSignature
from tallystick.core.digest import format_base64, parse_base64, parse_decimal, parse_hex
from tallystick.core.encoding import canonical, parse_canonical
from tallystick.core.note import Note, SignatureLine, VerifierKey
from tallystick.core.policy import Policy
from tallystick.core.proof import Proof
from tallystick.core.stub import Stub
from tallystick.core.tiles import Tile, format_bundle, parse_bundle
from tallystick.errors import Malformed

FORMATS: dict[str, tuple[Any, st.SearchStrategy[Any], str]] = {
    "checkpoint": (Checkpoint.parse, strategies.checkpoints(), "format"),
    "timestamped signature": (TimestampedSignature.parse, strategies.timestamped_signatures, "format"),
    "vkey": (VerifierKey.parse, strategies.verifier_keys(), "format"),
    "note": (Note.parse, strategies.notes(), "format"),
    "proof": (Proof.parse, strategies.proofs, "format"),
    "policy": (Policy.parse, strategies.policies(), "format"),
    "stub": (Stub.parse, strategies.stubs() | strategies.bodies().flatmap(strategies.stubs), "format"),
    "body": (Body.parse, strategies.bodies(), "format"),
    "disclosure": (Disclosure.parse, strategies.disclosures(), "format"),
    "manifest": (Manifest.parse, strategies.manifests, "format"),
    "tile": (Tile.parse, strategies.tiles, "__str__"),
}


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_what_is_printed_parses_to_the_same_value(name: str, data: st.DataObject) -> None:
    parse, values, method = FORMATS[name]
    value = data.draw(values)
    assert parse(getattr(value, method)()) == value


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"policy"}))
@given(data=st.data())
def test_what_parses_prints_back_to_the_same_bytes(name: str, data: st.DataObject) -> None:
    """One byte of a printed value is changed, inserted or left out; what still parses is canonical too."""
    parse, values, method = FORMATS[name]
    printed = getattr(data.draw(values), method)()
    raw = printed.encode() if isinstance(printed, str) else printed
    at = data.draw(st.integers(0, len(raw)))
    gone = data.draw(st.integers(0, 1))
    new = data.draw(st.binary(max_size=1) | st.sampled_from([b"0", b" ", b"\n", b"+", b"=", b'"', b"x"]))
    mutated: Any = raw[:at] + new + raw[at + gone :]
    if isinstance(printed, str):
        mutated = mutated.decode("utf-8", "surrogateescape")
    try:
        value = parse(mutated)
    except Malformed:
        return
    assert getattr(value, method)() == mutated


@given(strategies.policies(), st.sampled_from([" ", "\t", "  ", " \t "]), st.sampled_from(["", "# note\n", " \t\n"]))
def test_a_policy_means_the_same_however_it_is_spaced(policy: Policy, space: str, extra: str) -> None:
    lines = policy.format().decode().splitlines()
    loose = extra + "".join(f"{space}{line.replace(' ', space)}{space}\n{extra}" for line in lines)
    assert Policy.parse(loose.encode()) == policy


@given(strategies.json_values)
def test_canonical_json_both_ways(value: object) -> None:
    assert parse_canonical(canonical(value), "value") == value


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_entry_bundles_both_ways(entries: list[bytes]) -> None:
    assert parse_bundle(format_bundle(entries)) == entries


@given(st.integers(0, 2**63 - 1), st.binary(max_size=40))
def test_numbers_hex_and_base64_both_ways(number: int, data: bytes) -> None:
    assert parse_decimal(str(number), "n") == number
    assert parse_hex(data.hex(), "h") == data
    assert parse_base64(format_base64(data), "b") == data


@pytest.mark.parametrize("lax", ["", "+1", "-1", "01", "1_0", " 1", "1 ", "1\n", "٤٢", "²", "0x1", "1.0", str(2**63)])
def test_decimals_that_python_takes_or_nearly(lax: str) -> None:
    with pytest.raises(Malformed, match="plain decimal"):
        parse_decimal(lax, "size")


@pytest.mark.parametrize(
    "lax", ["AQJ=", "AQ", "AQI", "AQI=\n", " AQI=", "AQ I=", "AQI==", "_w==", "=AQI", "AQI=AQI=", "é"]
)
def test_base64_that_python_takes_or_nearly(lax: str) -> None:
    with pytest.raises(Malformed, match="canonical base64"):
        parse_base64(lax, "hash")


@pytest.mark.parametrize("lax", ["0", "AB", "0 0", "00 ", "٠٠", "0x00"])
def test_hex_that_python_takes_or_nearly(lax: str) -> None:
    with pytest.raises(Malformed, match="lower-case hex"):
        parse_hex(lax, "hash")


@pytest.mark.parametrize(
    "raw, position",
    [
        (b'{"a":1,"a":2}', 7),
        (b'{"b":1,"a":2}', 7),
        (b'{"a": 1}', 5),
        (b'{"a":NaN}', 5),
        (b'{"a":1.0}', None),
        (b'{"a":1e2}', None),
        (b'{"a":9007199254740992}', None),
        (b'{"a":"\\ud800"}', None),
        (b'{"a":"\\u0041"}', None),
        (b'{"a":"\xff"}', None),
        (b'{"a":1}\n', 7),
        (b"", 0),
    ],
)
def test_ambiguous_json_is_refused_with_its_position(raw: bytes, position: int | None) -> None:
    with pytest.raises(Malformed, match="not canonical JSON") as refusal:
        parse_canonical(raw, "stub")
    found = refusal.value.facts["position"]
    assert isinstance(found, int) and (position is None or found == position)


@pytest.mark.parametrize("value", [1.5, 2**53, b"x", {1: 2}, {"a": {3}}, "\ud800", float("nan")])
def test_values_without_canonical_json(value: object) -> None:
    with pytest.raises(Malformed):
        canonical(value)


@given(strategies.parts())
def test_parts_keep_their_bytes(part: Part) -> None:
    assert Part.parse(part.raw) == part


@given(strategies.signature_lines)
def test_signature_lines_both_ways(line: SignatureLine) -> None:
    assert SignatureLine.parse(str(line).removesuffix("\n")) == line
