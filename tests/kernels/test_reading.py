"""What the kernel derives for reading, against the rule stated once more in plain Python."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from written import Row, rows_of, written

from tallystick import kernels
from tallystick.errors import IntegrityViolation

POSTED = {"transaction", "adjustment", "reversal", "post"}


def effective(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def plainly(rows: list[Row]) -> tuple[list[Any], list[Any]]:
    postings, metadata = list[Any](), list[Any]()
    for seq, _, raw, body, _ in rows:
        stub = json.loads(raw)
        at, sums = stub["at"], dict[tuple[str, str], list[int]]()
        found = []
        for part in json.loads(body or b"[]"):
            if isinstance(part, str):
                continue
            _, path, value = part
            if path.startswith("legs/"):
                amount = int(value["amount"]) if stub["kind"] in POSTED else 0
                sums.setdefault((value["debit"], value["asset"]), [0, 0])[0] += amount
                sums.setdefault((value["credit"], value["asset"]), [0, 0])[1] += amount
            elif path.startswith("metadata/"):
                found.append((path.removeprefix("metadata/"), value[:256].replace("\0", "\ufffd"), seq))
            elif path == "effective":
                at = effective(value)
        postings += [(*key, seq, at, str(debits), str(credits)) for key, (debits, credits) in sorted(sums.items())]
        metadata += sorted(found)
    return postings, metadata


def destroyed(row: Row, wanted: str) -> Row:
    """The row without its parts whose path starts with `wanted`."""
    parts = [part if part[1].startswith(wanted) is False else "0" * 64 for part in json.loads(row[3])]
    return (*row[:3], json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode(), row[4])


@pytest.mark.parametrize("seed", range(12))
def test_random_histories(seed: int) -> None:
    rows = rows_of(written(seed, 160))
    assert kernels.derive(rows) == plainly(rows)
    assert kernels.derive([]) == ([], [])
    for wanted in ("legs/", "metadata/", "effective"):
        fewer = [destroyed(row, wanted) if row[3] else row for row in rows]
        assert kernels.derive(fewer) == plainly(fewer)


def row(parts: list[Any], *, seq: int = 7, kind: str = "transaction") -> Row:
    stub = {"at": 5, "body": {"seq": 9, "kind": "post"}, "kind": kind, "seq": seq, "v": 1}
    return seq, None, json.dumps(stub).encode(), json.dumps([["", *part] for part in parts]).encode(), b""


def leg(debit: str, credit: str, amount: str, asset: str = "EUR/2") -> dict[str, str]:
    return {"amount": amount, "asset": asset, "credit": credit, "debit": debit}


LEGS = [
    ("legs/0", leg("b", "a", "5")),
    ("legs/1", leg("a", "b", str(2**126))),
    ("balances/0", {"account": "a", "legs/9": []}),
    ("legs/2", leg("b", "a", "7")),
    ("legs/3", leg("b", "a", "1", "BTC/8")),
]


@pytest.mark.parametrize("kind", [*sorted(POSTED), "pending", "void", "expire", "capture of tomorrow"])
def test_legs_of_one_balance_are_added_up(kind: str) -> None:
    made = row(LEGS, kind=kind)
    assert kernels.derive([made]) == plainly([made])
    a = ("a", "EUR/2", 7, 5, *((str(2**126), "12") if kind in POSTED else ("0", "0")))
    assert kernels.derive([made])[0][1] == a


def test_what_an_index_holds_of_a_value() -> None:
    long, nul = "\U0001f600é" * 200, "a\0b" * 100
    made = row([("metadata/z", long), ("metadata/legs/0", nul), ("metadata/", ""), ("metadata/\uffff\t", "\u2028")])
    assert kernels.derive([made]) == plainly([made])
    assert [len(value) for _, value, _ in kernels.derive([made])[1]] == [0, 256, 256, 1]


@pytest.mark.parametrize(
    "text, micros",
    [("1970-01-01T00:00:01.5Z", 1_500_000), ("2020-01-01T00:00:00Z", 1_577_836_800_000_000), (None, 5)],
)
def test_effective_time_falls_back_to_recorded_time(text: str | None, micros: int) -> None:
    made = row([("legs/0", leg("a", "b", "1")), *([("effective", text)] if text else [])])
    assert {posting[3] for posting in kernels.derive([made])[0]} == {micros}


@pytest.mark.parametrize(
    "bad, message",
    [
        (row([("legs/0", leg("a", "b", "x"))]), "the body: expected amount.*; seq 7"),
        (row([("legs/0", {"debit": "a"})]), "the body: expected amount.*; seq 7"),
        (row([("legs/0", "a")]), "expected a leg"),
        (row([("legs/0", leg("a", "b", str(2**127)))]), "expected amount"),
        (row([(f"legs/{i}", leg("a", "b", str(2**127 - 1))) for i in range(3)]), r"below 2\^127"),
        (row([("effective", "today")]), "expected a time"),
        (row([("metadata/a", 1)]), "expected a string"),
        (row([("by", "a", "b")]), "salt, path, value"),
        ((7, None, row([])[2], b"{}", b""), "an array of parts"),
        ((7, None, row([])[2], b"[", b""), "unexpected end"),
        ((7, None, row([])[2], b"[1]", b""), "a part or its hash"),
        ((7, None, b"{}", b"", b""), "the stub: expected seq, at and kind; seq 7"),
        ((7, None, b"[]", b"", b""), "expected an object"),
        ((7, None, b"\xff", b"", b""), "not UTF-8"),
        ((8, None, row([])[2], b"", b""), "the stub names another seq; seq 8"),
    ],
)
def test_what_is_no_entry_is_named(bad: Row, message: str) -> None:
    sound = [row([], seq=seq) for seq in range(300)]
    with pytest.raises(IntegrityViolation, match=message):
        kernels.derive([*sound, bad, (9, None, b"", b"", b"")])
