"""The published schemas against entries of every kind, and against what they must refuse."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import samples
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from tallystick.core.encoding import parse_canonical
from tallystick.core.stub import OPEN_KINDS

SCHEMAS: dict[str, dict[str, Any]] = {
    path.name.removesuffix(".json"): json.loads(path.read_text("utf-8"))
    for path in files("tallystick.core.schema").iterdir()
    if path.name.endswith(".json")
}
REGISTRY: Registry[Any] = Registry().with_resources(
    [(schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()]
)
KINDS = sorted(SCHEMAS.keys() - {"values"})

LEG = {"amount": "1050", "asset": "EUR/2", "credit": "customers:0001", "debit": "bank:settlement"}
BALANCES = {
    f"balances/{i}": {
        "account": account,
        "asset": "EUR/2",
        "credits": "0",
        "debits": "170141183460469231731687303715884105727",
        "pending_credits": "0",
        "pending_debits": "0",
    }
    for i, account in enumerate((LEG["debit"], LEG["credit"]))
}
BALANCING = {"requested": "2000", "side": "both"}
MOVES = {"legs/0": LEG, **BALANCES}
TARGETED = {"legs/0": LEG | {"of": 3}, **BALANCES}
WHO = {"by": "service:payments", "id": "pay-0001 €"}
MORE = {"effective": "2026-11-24T09:00:00.5Z", "reference": "R 17", "metadata/invoice": "", "metadata/a/b": "x"}

PARTS: dict[str, list[dict[str, Any]]] = {
    "transaction": [
        WHO | MOVES,
        WHO | MOVES | MORE,
        WHO | BALANCES | {"legs/0": LEG, "legs/999": LEG, "balancing/999": BALANCING},
    ],
    "pending": [WHO | MOVES | MORE | {"expires": "2027-01-01T00:00:00Z"}],
    "post": [WHO | TARGETED | MORE | {"pending": "p-1"}],
    "void": [WHO | TARGETED | {"pending": "p-1", "reason": "cancelled", "reference": "x", "metadata/x": "y"}],
    "expire": [TARGETED | {"by": "system:expiry", "pending": "p-1"}],
    "reversal": [WHO | TARGETED | MORE | {"reverses": "pay-0000", "reason": "refund"}],
    "adjustment": [WHO | MOVES | MORE | {"reason": "rounding"}],
    "event": [WHO | MORE | {"event": "statement sent"}],
    "account": [
        {"by": "user:1", "account": {"name": "customers:0001"}},
        WHO
        | {
            "action": "freeze",
            "reason": "court order",
            "metadata/x": "y",
            "account": {
                "name": "a",
                "assets": ["BTC/8", "EUR/2"],
                "limit": "debits_must_not_exceed_credits",
                "normal": "credit",
                "overdraft": {"EUR/2": "5000"},
                "state": "frozen",
            },
        },
    ],
    "policy": [WHO | {"policy": {"closed_before": "2026-01-01T00:00:00Z"}, "reason": "year end"}],
    "genesis": [{}],
    "key": [{}],
    "seal": [{}],
}


def stub(kind: str, parts: int) -> dict[str, Any]:
    seq = {"genesis": 0, "seal": 4}.get(kind, 1)
    value: dict[str, Any] = parse_canonical(samples.ledger().stubs[seq], "stub")
    if kind == "genesis":
        value["body"]["keys"] = [
            samples.both_keys().logs[0].key.format(),
            samples.both_keys().witnesses[0].key.format(),
        ]
    if kind == "key":
        value |= {"body": {"keys": []}, "parts": 0}
    return value | {"kind": kind} | ({} if kind in OPEN_KINDS else {"parts": parts})


def entries() -> list[tuple[str, dict[str, Any]]]:
    return [(kind, {"parts": parts, "stub": stub(kind, len(parts))}) for kind in KINDS for parts in PARTS[kind]]


def check(kind: str, entry: dict[str, Any]) -> None:
    Draft202012Validator(SCHEMAS[kind], registry=REGISTRY).validate(entry)


def test_every_kind_has_a_schema_that_is_one() -> None:
    assert PARTS.keys() == set(KINDS)
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"urn:tallystick:schema:1:{name}"


@pytest.mark.parametrize("kind, entry", entries())
def test_entries_of_every_kind(kind: str, entry: dict[str, Any]) -> None:
    check(kind, entry)


@pytest.mark.parametrize("kind, entry", entries())
def test_every_member_counts(kind: str, entry: dict[str, Any]) -> None:
    """Of the stub each member is required and has its type; no part of another kind, and no other member, is let in."""
    for name in entry["stub"]:
        with pytest.raises(ValidationError):
            check(kind, entry | {"stub": {k: v for k, v in entry["stub"].items() if k != name}})
        with pytest.raises(ValidationError):
            check(kind, entry | {"stub": entry["stub"] | {name: 1.5}})
    for wrong in (
        entry | {"stub": entry["stub"] | {"x": 1}},
        entry | {"stub": entry["stub"] | {"kind": "other"}},
        entry | {"parts": entry["parts"] | {"x": 1}},
        entry | {"x": 1},
    ):
        with pytest.raises(ValidationError):
            check(kind, wrong)
    for path in entry["parts"]:
        with pytest.raises(ValidationError):
            check(kind, entry | {"parts": entry["parts"] | {path: 1}})


WRONG_PARTS = [
    {"by": "robot:1"},
    {"by": "user:"},
    {"by": "user:1\n"},
    {"id": ""},
    {"id": "x" * 129},
    {"id": "a\nb"},
    {"effective": "2026-13-01T00:00:00Z"},
    {"effective": "2026-01-01T00:00:60Z"},
    {"effective": "2026-01-01T00:00:00.50Z"},
    {"effective": "2026-01-01T00:00:00+00:00"},
    {"effective": "1969-12-31T23:59:59Z"},
    {"legs/0": LEG | {"amount": "0"}},
    {"legs/0": LEG | {"amount": "01"}},
    {"legs/0": LEG | {"amount": 1}},
    {"legs/0": LEG | {"amount": "1\n"}},
    {"legs/0": LEG | {"amount": "1" * 40}},
    {"legs/0": LEG | {"asset": "EUR/19"}},
    {"legs/0": LEG | {"asset": "eur/2"}},
    {"legs/0": LEG | {"debit": "a::b"}},
    {"legs/0": LEG | {"debit": "a" * 65}},
    {"legs/0": LEG | {"of": 0}},
    {"legs/0": LEG | {"balancing": "debit"}},
    {"legs/0": LEG | {"requested": "1"}},
    {"balancing/0": {"requested": "1"}},
    {"balancing/0": {"side": "debit"}},
    {"balancing/0": BALANCING | {"side": "none"}},
    {"balancing/0": BALANCING | {"requested": "0"}},
    {"balancing/0": BALANCING | {"amount": "1"}},
    {"balancing/00": BALANCING},
    {"balancing/1000": BALANCING},
    {"legs/00": LEG},
    {"legs/1000": LEG},
    {"balances/0": BALANCES["balances/0"] | {"debits": "-1"}},
    {"balances/0": {"account": "a", "asset": "EUR/2"}},
    {"metadata/": "x"},
    {"metadata/x": "y" * 4097},
    {"expires": "2027-01-01T00:00:00Z"},
    {"pending": "p-1"},
]


@pytest.mark.parametrize("change", WRONG_PARTS, ids=str)
def test_values_that_are_none(change: dict[str, Any]) -> None:
    parts = WHO | MOVES | change
    with pytest.raises(ValidationError):
        check("transaction", {"parts": parts, "stub": stub("transaction", len(parts))})


@pytest.mark.parametrize("path", sorted(WHO | MOVES))
def test_parts_that_a_transaction_needs(path: str) -> None:
    parts = {name: value for name, value in (WHO | MOVES).items() if name != path}
    with pytest.raises(ValidationError):
        check("transaction", {"parts": parts, "stub": stub("transaction", len(parts))})


def test_the_worked_example(foreign_vectors: Path) -> None:
    for entry in json.loads((foreign_vectors / "tallystick" / "entry.json").read_text())["entries"]:
        parts = {path: value for _, path, value in map(json.loads, entry["parts"])}
        value = {"parts": parts, "stub": json.loads(entry["stub"])}
        if entry["kind"] == "genesis":  # the example says of itself that its body is not a real one
            value["stub"]["body"] = stub("genesis", 0)["body"]
        check(entry["kind"], value)
