"""The journal from Python: four formats of one command, and what a wrong call raises. The rules are tested in Rust."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tallystick.errors import IntegrityViolation
from tallystick.kernels import Batch, Journal, Requests
from tallystick.kernels import leaf_hash as hash_of

LEDGER = "bank.example/ledger/customers"
NOW = 1_795_478_400_000_000
SEED = bytes(32)
COMMANDS: list[dict[str, Any]] = [
    {
        "id": f"pay-{i}",
        "legs": [{"debit": "bank", "credit": f"customers:{i % 7}", "asset": "EUR/2", "amount": str(i + 1)}],
        **({"reference": 'a "quoted" €'} if i % 3 == 0 else {}),
        **({"metadata": {"invoice": f"R-{i}"}} if i % 2 == 0 else {}),
    }
    for i in range(300)
]


@pytest.fixture
def journal() -> Journal:
    journal = Journal(LEDGER)
    journal.reset(None, False, [], [])
    journal.commit(journal.append("genesis", b'{"accounts":"implicit"}', NOW))
    return journal


def applied(journal: Journal, requests: Requests) -> Batch:
    accounts, targets = journal.missing(requests, NOW)
    while accounts or targets:
        accounts, targets = journal.load(accounts, [], [], targets, [], [])
    return journal.apply(requests, NOW, SEED)


def table(**changed: Any) -> pa.Table:
    legs = [command["legs"][0] for command in COMMANDS]
    columns: dict[str, Any] = {
        "id": [command["id"] for command in COMMANDS],
        "debit": [leg["debit"] for leg in legs],
        "credit": pa.array([leg["credit"] for leg in legs], pa.large_string()),
        "asset": pa.array([leg["asset"] for leg in legs], pa.string_view()),
        "amount": pa.array([int(leg["amount"]) for leg in legs], pa.int64()),
        "reference": [command.get("reference") for command in COMMANDS],
        "metadata/invoice": [command.get("metadata", {}).get("invoice") for command in COMMANDS],
    }
    return pa.table({name: column for name, column in (columns | changed).items() if column is not None})


def test_every_format_gives_the_same_bytes(journal: Journal) -> None:
    amounts = [leg["amount"] for command in COMMANDS for leg in command["legs"]]
    payloads: list[tuple[Any, Any]] = [
        ("json", json.dumps(COMMANDS).encode()),
        ("ndjson", b"\n".join(json.dumps(command).encode() for command in COMMANDS)),
        ("objects", COMMANDS),
        ("objects", tuple(COMMANDS)),
        ("arrow", table()),
        ("arrow", table(amount=pa.array([Decimal(amount) for amount in amounts], pa.decimal128(38, 0)))),
        ("arrow", table(amount=pa.array([int(amount) for amount in amounts], pa.uint64()))),
        ("arrow", table(amount=amounts)),
    ]
    written = []
    for format, payload in payloads:
        requests = journal.parse([("service:payments", format, payload)])
        assert (len(requests), requests.counts) == (300, [300])
        batch = applied(journal, requests)
        assert (batch.refused, batch.count, batch.first) == (0, 300, 1)
        rows = list(batch.entries())
        assert rows == list(batch.entries())
        assert all(hash == hash_of(stub) for _, _, stub, _, hash in rows)
        assert batch.outcomes() == [(seq, hash, NOW + seq, False) for seq, _, _, _, hash in rows]
        assert batch.head == (301, rows[-1][4], NOW + 300, 0, 0, None)
        written.append(rows)
        journal.rollback(batch)
    assert all(rows == written[0] for rows in written)


def test_dicts_that_are_no_commands_are_refused_alone(journal: Journal) -> None:
    good = COMMANDS[0]
    bad: list[Any] = [
        5,
        {1: "a"},
        {"id": "\ud800"},
        {"id": object()},
        {"id": "x", "legs": [{**good["legs"][0], "amount": 1.5}]},
        {"id": "x", "legs": [{**good["legs"][0], "amount": 5}]},
        {"id": "x", "legs": [{**good["legs"][0], "amount": None}]},
    ]
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    bad.append({"id": deep})
    batch = applied(journal, journal.parse([("user:a", "objects", [good, *bad, COMMANDS[1]])]))
    outcomes = batch.outcomes()
    assert [outcome[0] for outcome in outcomes if isinstance(outcome, tuple)] == [1, 2]
    refused = [outcome for outcome in outcomes[1:-1] if isinstance(outcome, dict)]
    assert [refusal["code"] for refusal in refused] == ["malformed"] * len(bad)
    assert refused[4]["member"] == "legs/0/amount"
    assert all("position" not in refusal for refusal in refused)


@pytest.mark.parametrize(
    "changed, column",
    [
        ({"id": None}, "id"),
        ({"amount": None}, "amount"),
        ({"amount": [1.5] * 300}, "amount"),
        ({"amount": pa.array([1] * 300, pa.decimal128(9, 2))}, "amount"),
        ({"debit": [1] * 300}, "debit"),
        ({"metadata/invoice": [1] * 300}, "metadata/invoice"),
        ({"note": ["n"] * 300}, "note"),
    ],
)
def test_a_table_of_another_schema_names_its_column(journal: Journal, changed: dict[str, Any], column: str) -> None:
    with pytest.raises(ValueError, match=f"column {column}:"):
        journal.parse([("user:a", "arrow", table(**changed))])


def test_nulls_in_a_table_leave_members_out(journal: Journal) -> None:
    holes = table(credit=pa.array([None, *["c"] * 299]), amount=pa.array([1, None, -3, 0, *[5] * 296]))
    outcomes = applied(journal, journal.parse([("user:a", "arrow", holes)])).outcomes()
    members = [outcome["member"] for outcome in outcomes[:4] if isinstance(outcome, dict)]
    assert members == ["legs/0/credit", "legs/0/amount", "legs/0/amount", "legs/0/amount"]
    assert not any(isinstance(outcome, dict) for outcome in outcomes[4:])


def test_wrong_calls_raise(journal: Journal) -> None:
    payload = json.dumps(COMMANDS[0]).encode()
    for by in ("", "root", "user:", "user:" + "x" * 128):
        with pytest.raises(ValueError, match="by: expected"):
            journal.parse([(by, "json", payload)])
    with pytest.raises(ValueError, match="format: expected"):
        journal.parse([("user:a", "xml", payload)])  # type: ignore[list-item]
    for format in ("json", "ndjson", "arrow"):
        with pytest.raises(TypeError):
            journal.parse([("user:a", format, 5)])
    requests = journal.parse([("user:a", "json", payload)])
    with pytest.raises(RuntimeError, match="not loaded"):
        journal.apply(requests, NOW, SEED)
    with pytest.raises(ValueError, match="32 bytes"):
        journal.apply(requests, NOW, b"short")
    batch = applied(journal, requests)
    with pytest.raises(RuntimeError, match="a batch is open"):
        journal.missing(requests, NOW)
    with pytest.raises(IndexError):
        batch.outcome(1)
    journal.commit(batch)
    with pytest.raises(RuntimeError, match="not the open one"):
        journal.rollback(batch)
    with pytest.raises(ValueError, match="canonical"):
        journal.append("seal", b"{ }", NOW)


def test_rows_that_contradict_themselves_are_tampering(journal: Journal) -> None:
    pending = {"kind": "pending", **COMMANDS[0]}
    batch = applied(journal, journal.parse([("user:a", "objects", [pending])]))
    [(seq, id, stub, body, _)] = batch.entries()
    [(of, kind, remaining, expires, _)] = batch.remainders()
    journal.commit(batch)
    post = journal.parse([("user:a", "objects", [{"kind": "post", "id": "post", "pending": id}])])
    assert journal.missing(post, NOW) == ([], [id])
    remainder = (of, kind, [int(total) for total in json.loads(remaining)], expires)
    with pytest.raises(IntegrityViolation) as error:
        journal.load([], [], [], [str(id)], [(str(id), seq, stub, body.replace(b'"1"', b'"2"'))], [remainder])
    assert error.value.facts == {"seq": seq}
    with pytest.raises(IntegrityViolation):
        journal.load(["x"], [("x", b'{"name":"y"}')], [], [], [], [])
    with pytest.raises(IntegrityViolation):
        journal.load(["z"], [], [("z", "EUR/2", "-1", "0", "0", "0")], [], [], [])
    assert journal.load([], [], [], [str(id)], [(str(id), seq, stub, body)], [remainder]) == ([], [])
    assert [isinstance(outcome, tuple) for outcome in journal.apply(post, NOW, SEED).outcomes()] == [True]
