from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tallystick.errors import Rejected
from tallystick.ledger.exporting import EXPORTERS, decimal_text
from tallystick.ledger.importing import read_lines

AT = 1_700_000_000_000_001


@dataclass(frozen=True)
class Given:
    """An entry as an exporter sees it."""

    seq: int
    kind: str
    values: dict[str, Any]
    destroyed: int = 0
    at: int = AT
    batch: int = 0
    hash: bytes = bytes(32)
    body: Any = "00" * 32
    stub: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stub", {"body": self.body, "parts": len(self.values) + self.destroyed})

    @property
    def id(self) -> str | None:
        return self.values.get("id")


def leg(debit: str, credit: str, amount: str, asset: str = "EUR/2") -> dict[str, str]:
    return {"debit": debit, "credit": credit, "asset": asset, "amount": amount}


RENT = {
    "by": "user:ada",
    "id": "inv, 7;\u2028x",
    "legs/0": leg("home:rent", "bank:main", "50000"),
    "legs/1": leg("home:coins", "bank:main", "5", "B2X/8"),
    "balances/0": {"account": "home:rent", "asset": "EUR/2", "debits": "50000", "credits": "0"},
    "effective": "2024-05-01T10:00:00Z",
    "reference": "rent; May",
    "metadata/note": "two\nlines ; (x)",
    "metadata/path/with/slash": "=1+1",
}
ENTRIES = [
    Given(0, "genesis", {}, body={"accounts": "implicit"}),
    Given(1, "transaction", RENT),
    Given(2, "pending", {"by": "user:ada", "id": "p", "legs/0": leg("home:rent", "bank:main", "700")}),
    Given(
        3,
        "post",
        {"by": "user:ada", "id": "q", "pending": "p", "legs/0": leg("home:rent", "bank:main", "300") | {"of": 0}},
    ),
    Given(4, "transaction", {"id": "y", "legs/0": leg("a", "b", "1200", "JPY/0")}, destroyed=2),
]


def export(format: str, entries: list[Given] = ENTRIES) -> bytes:
    out = io.BytesIO()
    assert EXPORTERS[format](entries, out) == len(entries)
    return out.getvalue()


def test_jsonl_says_everything() -> None:
    objects = [json.loads(line) for line in export("jsonl").splitlines()]
    assert [o["seq"] for o in objects] == [0, 1, 2, 3, 4]
    assert objects[0]["body"] == {"accounts": "implicit"}
    assert objects[1]["at"] == "2023-11-14T22:13:20.000001Z"
    assert objects[1]["legs"] == [RENT["legs/0"], RENT["legs/1"]]
    assert objects[1]["balances"] == [RENT["balances/0"]]
    assert objects[1]["metadata"] == {"note": "two\nlines ; (x)", "path/with/slash": "=1+1"}
    assert "destroyed" not in objects[1]
    assert objects[4]["destroyed"] == 2


def test_csv_has_a_row_for_each_leg() -> None:
    rows = list(csv.DictReader(io.StringIO(export("csv").decode(), newline="")))
    assert [(row["seq"], row["leg"], row["amount"]) for row in rows] == [
        ("0", "", ""), ("1", "0", "500.00"), ("1", "1", "0.00000005"),
        ("2", "0", "7.00"), ("3", "0", "3.00"), ("4", "0", "1200"),
    ]  # fmt: skip
    assert rows[1]["id"] == "inv, 7;\u2028x"
    assert json.loads(rows[1]["metadata"])["note"] == "two\nlines ; (x)"


def test_parquet_has_the_same_rows_with_types() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(export("parquet"))).to_pylist()
    assert [row["minor_units"] for row in table] == [None, *map(Decimal, (50000, 5, 700, 300, 1200))]
    assert table[1]["effective"].isoformat() == "2024-05-01T10:00:00+00:00"
    assert dict(table[1]["metadata"]) == {"note": "two\nlines ; (x)", "path/with/slash": "=1+1"}
    with pytest.raises(Rejected, match=r"too large.*seq 9"):
        export("parquet", [Given(9, "transaction", {"legs/0": leg("a", "b", str(2**127 - 1))})])


def test_parquet_is_written_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("tallystick.ledger.exporting.parquet.ROWS_PER_GROUP", 2)
    assert parquet.ParquetFile(io.BytesIO(export("parquet"))).metadata.num_row_groups == 3


def test_an_hledger_journal_is_read_back_by_our_importer() -> None:
    lines = read_lines(export("hledger"), "hledger")
    found = [line.outcome for line in lines]
    moved = [outcome["legs"] for outcome in found if isinstance(outcome, dict)]
    assert moved == [
        [RENT["legs/0"], RENT["legs/1"]],
        [leg("home:rent", "bank:main", "300")],
        [leg("a", "b", "1200", "JPY/0")],
    ]


@pytest.mark.skipif(shutil.which("hledger") is None, reason="needs the program hledger (apt-get install hledger)")
def test_hledger_accepts_the_journal_and_finds_the_posted_balances() -> None:
    command = ["hledger", "-f", "-", "balance", "--flat", "--no-total", "-O", "csv"]
    shown = subprocess.run(
        command, input=export("hledger"), capture_output=True, check=True, timeout=60
    ).stdout.decode()
    balances = dict(list(csv.reader(io.StringIO(shown)))[1:])
    assert balances == {
        "a": "1,200 JPY" if "," in balances["a"] else "1200 JPY",
        "b": "-1,200 JPY" if "," in balances["b"] else "-1200 JPY",
        "bank:main": '-0.00000005 "B2X", -503.00 EUR',
        "home:coins": '0.00000005 "B2X"',
        "home:rent": "503.00 EUR",
    }


@pytest.mark.parametrize(
    "units, asset, text",
    [("0", "EUR/2", "0.00"), ("1", "EUR/2", "0.01"), ("-150", "EUR/2", "-1.50"), ("7", "JPY/0", "7")],
)
def test_decimal_text(units: str, asset: str, text: str) -> None:
    assert decimal_text(units, asset) == text
