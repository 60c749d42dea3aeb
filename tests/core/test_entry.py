"""Stubs, bodies and the chain between entries, byte for byte against the worked example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import samples
import strategies
from hypothesis import given
from hypothesis import strategies as st

from tallystick import kernels
from tallystick.core.body import Body, Disclosure, Part, VerifiedDisclosure, disclose, verify_disclosure
from tallystick.core.chain import Chain, ChainBroken
from tallystick.core.encoding import canonical, parse_canonical
from tallystick.core.stub import PARTS_MAX, Stub, entry_hash
from tallystick.errors import IntegrityViolation, Malformed, Rejected


@pytest.fixture(scope="module")
def example(foreign_vectors: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((foreign_vectors / "tallystick" / "entry.json").read_text())
    return found


def test_the_worked_example(example: dict[str, Any]) -> None:
    chain, leaves, roots = Chain("bank.example/ledger/customers"), b"", [kernels.tree_root(b"").hex()]
    for entry in example["entries"]:
        raw = entry["stub"].encode()
        stub = chain.add(raw)
        assert stub.format() == raw
        assert stub.kind == entry["kind"]
        assert chain.hash.hex() == entry_hash(raw).hex() == entry["hash"]
        leaves += chain.hash
        roots.append(kernels.tree_root(leaves).hex())
        parts = tuple(Part.parse(part.encode()) for part in entry["parts"])
        body = Body(parts)
        assert [part.hash.hex() for part in parts] == entry["part_hashes"]
        assert not parts or body.root == stub.body
        assert Body.parse(body.format()) == body
        assert verify_disclosure(disclose(raw, body)).complete
    assert roots == example["log_roots"]
    assert (chain.size, chain.batch, chain.seals) == (6, 2, 2)


# --- stub

STUB = samples.ledger().stubs[1]


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"v": 1.0},
        {"at": -1},
        {"at": "1"},
        {"batch": -1},
        {"seq": -1},
        {"seq": 0},  # with a `prev`
        {"parts": PARTS_MAX + 1},
        {"parts": -1},
        {"kind": "Transaction"},
        {"kind": ""},
        {"kind": "x" * 33},
        {"kind": "genesis"},
        {"kind": "seal"},
        {"prev": "0" * 63},
        {"prev": "A" * 64},
        {"prev": None},
        {"body": "0" * 62},
        {"body": {}},
        {"body": None},
        {"ledger": ""},
        {"ledger": "a b"},
        {"ledger": "a+b"},
        {"ledger": "a\nb"},
        {"ledger": "ä" * 128},
        {"extra": 1},
    ],
    ids=str,
)
def test_stubs_that_are_none(change: dict[str, Any]) -> None:
    value = parse_canonical(STUB, "stub") | change
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(Malformed):
        Stub.parse(raw)


def test_stubs_have_every_member_once_and_in_order() -> None:
    value = parse_canonical(STUB, "stub")
    for name in value:
        with pytest.raises(Malformed):
            Stub.parse(canonical({k: v for k, v in value.items() if k != name}))
    for raw in (STUB.replace(b"{", b"{ "), STUB + b"\n", STUB.replace(b'"v":1', b'"v":1,"v":1'), b"[]", b"{}", b""):
        with pytest.raises(Malformed):
            Stub.parse(raw)


def test_a_stub_fits_an_entry_bundle() -> None:
    value = parse_canonical(samples.ledger().stubs[0], "stub")
    Stub.parse(canonical(value | {"body": {"x": "a" * 65_000}}))
    with pytest.raises(Malformed, match="too long"):
        Stub.parse(canonical(value | {"body": {"x": "a" * 65_535}}))


def test_the_body_of_a_seal() -> None:
    seal = Stub.parse(samples.ledger().stubs[4])
    assert (seal.seal.batch, seal.seal.first, seal.seal.count) == (0, 0, 4)
    assert parse_canonical(seal.seal.format(), "seal") == seal.body
    with pytest.raises(Malformed, match="not a seal"):
        _ = Stub.parse(STUB).seal


# --- body


@given(strategies.disclosures())
def test_every_true_disclosure_verifies(disclosure: Disclosure) -> None:
    shown = verify_disclosure(disclosure)
    assert shown.stub.format() == disclosure.stub
    assert len(shown.parts) + len(shown.hidden) == len(disclosure.shown)
    assert [part.raw for part in shown] == [part.raw for part in shown.parts.values()]


@given(strategies.bodies(), st.data())
def test_destroying_parts_leaves_the_root_and_no_byte_of_them(body: Body, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, len(body.parts) - 1)))
    left = body.destroy(gone)
    assert left.root == body.root
    assert left.hashes == body.hashes
    assert Body.parse(left.format()) == left
    for i in gone:
        found = body.parts[i]
        assert not isinstance(found, Part) or found in left.parts or found.raw not in left.format()


@given(strategies.bodies(destroyed=False))
def test_roots_are_the_kernels(body: Body) -> None:
    assert body.root == kernels.body_root([part.raw for part in body.parts if isinstance(part, Part)])


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{}",
        b"null",
        b"[1]",
        b'["x"]',
        b'["' + b"A" * 64 + b'"]',
        b'[["00","by","x"]]',
        b'[["' + b"0" * 32 + b'","","x"]]',
        b'[["' + b"0" * 32 + b'","by"]]',
        b'[["' + b"A" * 32 + b'","by","x"]]',
        b'[["' + b"0" * 32 + b'", "by","x"]]',
        b'[["' + b"0" * 32 + b'","by","x"]]\n',
    ],
)
def test_bodies_that_are_none(raw: bytes) -> None:
    with pytest.raises(Malformed):
        Body.parse(raw)


def test_parts_that_do_not_exist() -> None:
    body = samples.ledger().bodies[1]
    for index in (-1, len(body.parts)):
        with pytest.raises(Rejected):
            disclose(STUB, body, [index])
        with pytest.raises(Rejected):
            body.destroy([index])


def shown(**changes: Any) -> bytes:
    value = parse_canonical(samples.ledger().disclosure(1, [0, 2]).format(), "disclosure")
    return canonical(value | changes)


PARTS = parse_canonical(samples.ledger().disclosure(1, [0, 2]).format(), "disclosure")["parts"]


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"x": 1},
        {"stub": "{}"},
        {"parts": {}},
        {"parts": [1]},
        {"parts": [PARTS[1], PARTS[0]]},
        {"parts": [PARTS[0], PARTS[0]]},
        {"parts": [PARTS[0] | {"index": 7}]},
        {"parts": [PARTS[0] | {"index": -1}]},
        {"parts": [PARTS[0] | {"index": True}]},
        {"parts": [PARTS[0] | {"hash": "0" * 64}]},
        {"parts": [PARTS[0] | {"path": ["x"]}]},
        {"parts": [PARTS[0] | {"path": [1]}]},
        {"parts": [PARTS[0] | {"path": ["0" * 64] * 64}]},
        {"parts": [PARTS[0] | {"part": PARTS[0]["part"] + " "}]},
        {"parts": [{"index": 0, "part": PARTS[0]["part"]}]},
        {"parts": [{"index": 0, "part": PARTS[0]["part"]}, PARTS[1]]},
    ],
    ids=map(str, range(17)),
)
def test_disclosures_that_are_none(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Disclosure.parse(shown(**changes))


def test_a_path_of_another_length_is_refused() -> None:
    for path in ([], PARTS[0]["path"][:-1], [*PARTS[0]["path"], "0" * 64]):
        with pytest.raises(IntegrityViolation):
            verify_disclosure(Disclosure.parse(shown(parts=[PARTS[0] | {"path": path}])))


def test_nothing_else_makes_a_verified_disclosure() -> None:
    with pytest.raises(TypeError):
        VerifiedDisclosure(Stub.parse(STUB), STUB, {}, (), object())


# --- chain


def restubbed(seq: int, /, **changes: Any) -> bytes:
    return canonical(parse_canonical(samples.ledger().stubs[seq], "stub") | changes)


SEAL = parse_canonical(samples.ledger().stubs[4], "stub")["body"]


@pytest.mark.parametrize(
    "raw, reason",
    [
        (restubbed(1, seq=2), "seq is false; .*seq 1; expected 1; found 2"),
        (restubbed(1, ledger="bank.example/other"), "ledger is false"),
        (restubbed(1, prev="0" * 64), "prev is false"),
        (restubbed(1, at=samples.START), "at is false"),
        (restubbed(1, batch=1), "batch is false"),
        (restubbed(1, kind="genesis", body={}, parts=0), "kind is false"),
        (b"{}", "not a stub"),
    ],
)
def test_the_first_broken_link_is_named(raw: bytes, reason: str) -> None:
    chain = Chain(samples.ORIGIN)
    chain.add(samples.ledger().stubs[0])
    with pytest.raises(ChainBroken, match=reason):
        chain.add(raw)


@pytest.mark.parametrize(
    "body, reason",
    [
        (SEAL | {"batch": 1}, "seal batch is false"),
        (SEAL | {"first": 1}, "seal first is false"),
        (SEAL | {"count": 3}, "seal count is false; .*expected 4; found 3"),
        (SEAL | {"root": "0" * 64}, "seal root is false"),
        ({"batch": 0}, "seal has no form"),
    ],
)
def test_a_false_seal_is_named(body: dict[str, Any], reason: str) -> None:
    chain = Chain(samples.ORIGIN)
    for raw in samples.ledger().stubs[:4]:
        chain.add(raw)
    with pytest.raises(ChainBroken, match=reason):
        chain.add(restubbed(4, body=body))


def test_a_ledger_starts_with_genesis() -> None:
    with pytest.raises(ChainBroken, match="kind is false"):
        Chain(samples.ORIGIN).add(restubbed(1, seq=0, prev="0" * 64, batch=0))


@pytest.mark.parametrize("attack", ["edited", "deleted", "inserted", "reordered", "duplicated"])
def test_what_a_superuser_does_to_rows(attack: str) -> None:
    """Threats 1 to 3, as far as stubs alone show them."""
    stubs = list(samples.ledger().stubs)
    match attack:
        case "edited":
            stubs[3] = stubs[3].replace(b'"parts":7', b'"parts":6')
        case "deleted":
            del stubs[3]
        case "inserted":
            stubs.insert(3, stubs[3].replace(b'"parts":7', b'"parts":6'))
        case "reordered":
            stubs[2], stubs[3] = stubs[3], stubs[2]
        case "duplicated":
            stubs.insert(3, stubs[3])
    chain = Chain(samples.ORIGIN)
    with pytest.raises(ChainBroken) as broken:
        list(map(chain.add, stubs))
    assert broken.value.facts["seq"] in {2, 3, 4}
