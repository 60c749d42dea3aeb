"""The import workflow: whole or not at all, listed, and nothing twice."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cli.conftest import Tallystick
from importing.mappings import OXFORD, SIMPLE

GOOD = "Date,Code,Supplier,Amount,Note\n07/04/2015,D1,A,1.00,x\n07/04/2015,D1,A,1.00,x\n07/04/2015,D2,B,-2.50,y\n"
BAD = GOOD + "31/02/2015,D1,A,1.00,broken\n07/04/2015,D1,A,,empty\n"


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_bytes(SIMPLE)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "spend.csv"
    path.write_text(GOOD)
    return path


def entries(tallystick: Tallystick) -> int:
    return len([row for row in tallystick.ok("entries", "--json").rows if row["kind"] == "transaction"])


def test_an_import_books_every_line_and_a_second_one_nothing_twice(
    tallystick: Tallystick, file: Path, mapping: Path
) -> None:
    first = tallystick.ok("import", file, "--mapping", mapping, "--json").row
    assert (first["booked"], first["replayed"], first["refused"], first["recorded"]) == (3, 0, [], True)
    again = tallystick.ok("import", file, "--mapping", mapping, "--json").row
    assert (again["booked"], again["replayed"]) == (0, 3)
    assert entries(tallystick) == 3
    assert tallystick.ok("balance", "expense:D1", "--json").row["debits"] == "2.00"
    assert tallystick.ok("balance", "expense:D2", "--json").row["credits"] == "2.50"


def test_one_bad_line_stops_all(tallystick: Tallystick, file: Path, mapping: Path) -> None:
    file.write_text(BAD)
    ran = tallystick.run("import", file, "--mapping", mapping)
    assert ran.code == 64
    assert "line 5: effective: '31/02/2015' is no date of the form" in ran.out
    assert "line 6: amount: the amount is empty" in ran.out
    assert "5 lines: 3 good, 2 bad, 0 skipped; nothing was recorded" in ran.out
    assert entries(tallystick) == 0
    rows = list(csv.DictReader((file.parent / "spend.csv.refused.csv").read_text().splitlines()))
    assert [(row["line"], row["Note"]) for row in rows] == [("5", "broken"), ("6", "empty")]
    assert all(row["reason"] for row in rows)


def test_skip_bad_books_the_others(tallystick: Tallystick, file: Path, mapping: Path, tmp_path: Path) -> None:
    file.write_text(BAD)
    refused = tmp_path / "no"
    ran = tallystick.ok("import", file, "--mapping", mapping, "--skip-bad", "--refused", refused, "--json").row
    assert (ran["booked"], [bad["line"] for bad in ran["refused"]], ran["refused_file"]) == (3, [5, 6], str(refused))
    assert refused.read_text().startswith("line,reason,Date,Code,Supplier,Amount,Note")
    file.write_text(BAD.replace("31/02", "28/02").replace(",,empty", ",4,empty"))
    mended = tallystick.ok("import", file, "--mapping", mapping, "--json").row
    assert (mended["booked"], mended["replayed"]) == (2, 3)


def test_a_dry_run_records_nothing_and_writes_no_file(tallystick: Tallystick, file: Path, mapping: Path) -> None:
    file.write_text(BAD)
    ran = tallystick.run("import", file, "--mapping", mapping, "--dry-run", "--json")
    assert ran.code == 64
    assert [bad["line"] for bad in ran.row["refused"]] == [5, 6]
    assert (ran.row["good"], ran.row["recorded"]) == (3, False)
    assert entries(tallystick) == 0
    assert not (file.parent / "spend.csv.refused.csv").exists()


def test_refusals_of_the_ledger_stop_all_too(tallystick: Tallystick, file: Path, mapping: Path) -> None:
    tallystick.ok("account", "open", "expense:D2", "--limit", "credits_must_not_exceed_debits")
    for arguments in (("--dry-run",), ()):
        ran = tallystick.run("import", file, "--mapping", mapping, "--json", *arguments)
        assert ran.code == 64
        (bad,) = ran.row["refused"]
        assert (bad["line"], bad["code"]) == (4, "insufficient_funds")
        assert "available" in bad["reason"]
        assert entries(tallystick) == 0
    skipped = tallystick.ok("import", file, "--mapping", mapping, "--skip-bad", "--json").row
    assert (skipped["booked"], len(skipped["refused"])) == (2, 1)


def test_balances_are_followed_through_the_whole_file(tallystick: Tallystick, tmp_path: Path) -> None:
    tallystick.ok("account", "open", "a", "--limit", "debits_must_not_exceed_credits")
    moves = [("b", "a", "5"), ("a", "c", "5"), ("a", "c", "1")]
    commands = [
        {"id": str(i), "legs": [{"debit": debit, "credit": credit, "asset": "EUR/2", "amount": amount}]}
        for i, (debit, credit, amount) in enumerate(moves)
    ]
    commands += [{"group": [{**commands[0], "id": "g"}, {**commands[1], "id": "h"}]}, {"group": []}]
    file = tmp_path / "commands.jsonl"
    file.write_text("\n".join(map(json.dumps, commands)))
    ran = tallystick.run("import", file, "--json", "--dry-run")
    assert [(bad["line"], bad["code"]) for bad in ran.row["refused"]] == [(3, "insufficient_funds"), (5, "malformed")]
    ran = tallystick.run("import", file, "--json", "--skip-bad")
    assert (ran.row["booked"], len(ran.row["refused"])) == (3, 2)
    refused = [json.loads(line) for line in (tmp_path / "commands.jsonl.refused.jsonl").read_text().splitlines()]
    assert [row["line"] for row in refused] == [3, 5]
    assert json.loads(refused[0]["original"]) == commands[2]


def test_what_is_no_text_is_refused_by_line(tallystick: Tallystick, tmp_path: Path) -> None:
    leg = '"legs":[{"debit":"a","credit":"b","asset":"EUR/2","amount":"1"}]'
    file = tmp_path / "commands.jsonl"
    file.write_bytes(
        b'{"id":"\\ud800",%b}\n{"id":"\xff\x81",%b}\n{"id":1.5,%b}\n{"id":"x",%b}\n' % ((leg.encode(),) * 4)
    )
    ran = tallystick.run("import", file, "--json", "--skip-bad")
    assert ran.code == 0, ran
    assert [bad["line"] for bad in ran.row["refused"]] == [1, 2, 3]


def test_a_refused_file_that_cannot_be_written_is_said_before_anything_is_recorded(
    tallystick: Tallystick, file: Path, mapping: Path
) -> None:
    file.write_text(BAD)
    ran = tallystick.run("import", file, "--mapping", mapping, "--skip-bad", "--refused", "/proc/nothing/x")
    assert ran.code == 2
    assert entries(tallystick) == 0


@pytest.mark.parametrize(
    "name, text, balance",
    [
        ("a.journal", "2024-05-01 rent\n  home:rent  500.00 EUR\n  bank\n", ("home:rent", "500.00")),
        ("a.beancount", '2024-05-01 * "rent"\n  Home:Rent  500.00 EUR\n  Bank:Main\n', ("Home:Rent", "500.00")),
    ],
)
def test_journals(tallystick: Tallystick, tmp_path: Path, name: str, text: str, balance: tuple[str, str]) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert tallystick.ok("import", file, "--json").row["booked"] == 1
    assert tallystick.ok("balance", balance[0], "--json").row["debits"] == balance[1]
    other = tmp_path / "a.txt"
    other.write_text(text)
    assert tallystick.run("import", other).code == 64


def test_oxford_quarters_import_whole_and_once(tallystick: Tallystick, oxford: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "oxford.toml"
    mapping.write_bytes(OXFORD)
    rows = {"apr-jun-2015": 3993, "oct-dec-2016": 3847, "apr-jun-2017": 4052}
    for quarter, count in rows.items():
        ran = tallystick.ok("import", oxford / f"{quarter}.csv", "--mapping", mapping, "--json").row
        assert (ran["booked"], ran["replayed"], ran["refused"]) == (count, 0, [])
    again = tallystick.ok("import", oxford / "oct-dec-2016.csv", "--mapping", mapping, "--json").row
    assert (again["booked"], again["replayed"]) == (0, 3847)
    total = tallystick.ok("trial-balance", "--json").row
    assert total["debits"] == total["credits"]
    tallystick.ok("seal")
    assert tallystick.ok("ledger", "audit", "--json").row["entries"] == sum(rows.values()) + 2
