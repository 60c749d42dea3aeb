"""Each command against a real installation in a folder."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import click
import pytest
from cli.conftest import ORIGIN, Tallystick
from click.testing import CliRunner

from tallystick.cli import main
from tallystick.ledger.exporting import EXPORTERS


def test_from_first_payment_to_verified_receipt(tallystick: Tallystick, tmp_path: Path) -> None:
    tallystick.ok("account", "open", "customers:ada", "--limit", "debits_must_not_exceed_credits")
    tallystick.pay("1", "100.00")
    sealed = tallystick.ok("seal", "--json").row
    assert sealed["sealed"] == sealed["published"] == 4
    made = tallystick.ok("receipt", "get", "1", "--for", "customers:ada", "-o", tmp_path, "--json").row
    assert made == {"seq": 2, "size": 4, "proof": str(tmp_path / "2.tlog-proof"), "entry": str(tmp_path / "2.json")}
    seen = tallystick.ok("verify", made["proof"], "--json").row
    assert seen["verified"] is True
    assert seen["assurance"] == "sealed"
    assert seen["shown"]["legs/0"]["amount"] == "10000"
    assert "bank:cash" not in {value["account"] for path, value in seen["shown"].items() if path.startswith("balances")}
    assert seen["hidden"] == 1
    policy = tmp_path / "policy"
    policy.write_text(tallystick.ok("policy", "show").out)
    assert tallystick.ok("verify", made["entry"], "--policy", policy).out.startswith("verified: entry 2 (transaction)")
    audited = tallystick.ok("verify", "--json").row
    assert (audited["entries"], audited["sealed"], audited["published"]) == (4, 4, 4)
    assert tallystick.ok("ledger", "audit", "--json").row == audited == tallystick.ok("ledger", "verify", "--json").row


@pytest.mark.parametrize("followed", [False, True])
def test_reading(tallystick: Tallystick, followed: bool) -> None:
    """A reader sees everything, whether or not a writer has brought the reading tables up to date."""
    tallystick.pay("1", "100.00")
    if followed:
        tallystick.ok("ledger", "rebuild")
    tallystick.pay("2", "0.05", "customers:ada", "shops:mill")
    assert tallystick.ok("balance", "customers:ada", "--json").row == {
        "account": "customers:ada",
        "asset": "EUR/2",
        "balance": "99.95",
        "debits": "0.05",
        "credits": "100.00",
        "pending_debits": "0.00",
        "pending_credits": "0.00",
    }
    assert tallystick.ok("balance", "customers:ada", "--at-seq", "1", "--json").row["balance"] == "100.00"
    assert tallystick.ok("balance", "customers:ada", "--at", "1999-01-01", "--json").rows == []
    assert tallystick.ok("balance", "customers:ada", "--effective", "2999-01-01", "--json").row["balance"] == "99.95"
    assert "99.95" in tallystick.ok("balance", "customers:ada").out
    lines = tallystick.ok("statement", "customers:ada", "--json").rows
    assert [(line["debit"], line["credit"], line["balance"]) for line in lines] == [
        ("0.00", "100.00", "100.00"),
        ("0.05", "0.00", "99.95"),
    ]
    assert len(tallystick.ok("statement", "customers:ada", "EUR/2", "--from", "2").out.splitlines()) == 2
    assert tallystick.ok("statement", "nobody", "--json").rows == []
    entries = tallystick.ok("entries", "--json").rows
    assert [entry["kind"] for entry in entries] == ["genesis", "transaction", "transaction"]
    assert [entry["seq"] for entry in tallystick.ok("entries", "--account", "shops:mill", "--json").rows] == [2]
    assert [entry["seq"] for entry in tallystick.ok("entries", "--from", "1", "--to", "1", "--json").rows] == [1]
    assert tallystick.ok("entries", "--id", "2", "--json").row["legs"][0]["amount"] == "5"
    assert "shops:mill <- customers:ada 0.05 EUR" not in tallystick.ok("entries").out
    assert "customers:ada <- bank:cash" not in tallystick.ok("entries", "--from", "2").out
    total = tallystick.ok("trial-balance", "--json").row
    assert (total["debits"], total["credits"]) == ("100.05", "100.05")
    assert [row["ledger"] for row in tallystick.ok("ledger", "list", "--json").rows] == [ORIGIN]


def test_accounts(tallystick: Tallystick) -> None:
    given = "--limit debits_must_not_exceed_credits --overdraft EUR/2=10.00 --asset EUR/2 --id a1".split()
    first = tallystick.ok("account", "open", "customers:ada", *given, "--normal", "credit", "--json").row
    again = tallystick.ok("account", "open", "customers:ada", *given, "--normal", "credit", "--json").row
    assert again == {**first, "replayed": True}
    refused = tallystick.run(
        *"record --id 1 --debit customers:ada --credit b --amount 10.01 --asset EUR --json".split()
    )
    assert refused.code == 64
    assert json.loads(refused.err)["code"] == "insufficient_funds"
    tallystick.ok("account", "freeze", "customers:ada", "--reason", "court order")
    assert tallystick.ok("account", "show", "customers:ada", "--json").row["state"] == "frozen"
    tallystick.ok("account", "unfreeze", "customers:ada")
    tallystick.ok("account", "update", "customers:ada", "--limit", "none")
    tallystick.ok("account", "close", "customers:ada")
    tallystick.ok("account", "reopen", "customers:ada")
    listed = tallystick.ok("account", "list", "customers:", "--json").rows
    assert [(row["account"], row["state"]) for row in listed] == [("customers:ada", "open")]
    missing = tallystick.run("account", "show", "customers:bob")
    assert missing.code == 64
    assert "no such account" in missing.err


COMMANDS = [
    {"id": "a", "legs": [{"debit": "x", "credit": "y", "asset": "EUR/2", "amount": "1"}]},
    {"id": "b", "legs": [{"debit": "x", "credit": "x", "asset": "EUR/2", "amount": "1"}]},
    {"id": "c", "legs": [{"debit": "x", "credit": "y", "asset": "EUR/2", "amount": "2"}]},
]


@pytest.mark.parametrize("payload", ["\n\n".join(map(json.dumps, COMMANDS)), json.dumps(COMMANDS, indent=1)])
def test_record_reads_ndjson_and_json(tallystick: Tallystick, payload: str) -> None:
    tried = tallystick.run("record", "-", "--json", "--dry-run", stdin=payload.encode())
    assert [row.get("refused") for row in tried.rows] == [None, "malformed", None]
    assert len(tallystick.ok("entries", "--json").rows) == 1
    ran = tallystick.run("record", "-", "--json", stdin=payload.encode())
    assert ran.code == 64
    assert [row.get("seq") for row in ran.rows] == [1, None, 2]
    again = tallystick.run("record", "-", stdin=payload.encode())
    assert [line.split()[0] for line in again.out.splitlines()] == ["before", "refused", "before"]
    assert "0 recorded, 2 replayed, 1 refused" in again.err


def test_record_reads_long_streams_in_pieces(tallystick: Tallystick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.cli.recording.COMMANDS_PER_CALL", 4)
    lines = [json.dumps({**COMMANDS[0], "id": f"n{i}"}) for i in range(13)]
    assert len(tallystick.ok("record", "-", "--json", stdin="\n".join(lines).encode()).rows) == 13
    assert len(tallystick.ok("entries", "--json").rows) == 14


def test_record_of_one_object_over_several_lines(tallystick: Tallystick) -> None:
    assert tallystick.ok("record", "-", "--json", stdin=json.dumps(COMMANDS[0], indent=2).encode()).row["seq"] == 1


@pytest.mark.parametrize("format", sorted(EXPORTERS))
def test_export(tallystick: Tallystick, tmp_path: Path, format: str) -> None:
    tallystick.pay("1", "100.00")
    file = tmp_path / "out"
    assert tallystick.ok("export", "-f", format, "-o", file, "--json").row == {"entries": 2, "file": str(file)}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == ["out"]
    data = file.read_bytes()
    if format == "csv":
        assert [row["amount"] for row in csv.DictReader(io.StringIO(data.decode()))] == ["", "100.00"]
        assert tallystick.ok("ledger", "export", "-f", format).out == data.decode().replace("\r\n", "\n")  # as text
    if format == "hledger":
        assert b"bank:cash  100.00 EUR" in data


@pytest.mark.threat(36)
def test_bundles(tallystick: Tallystick, tmp_path: Path) -> None:
    tallystick.pay("1", "100.00")
    tallystick.pay("2", "3.00", "bank:cash", "customers:bob")
    tallystick.ok("seal")
    whole, own = tmp_path / "whole.zip", tmp_path / "own"
    assert tallystick.ok("bundle", "-o", whole, "--json").row["kind"] == "ledger"
    assert tallystick.ok("bundle", "1", "--for", "customers:ada", "-o", own, "--json").row["kind"] == "receipts"
    assert not any(b"bob" in path.read_bytes() for path in own.rglob("*") if path.is_file())
    assert tallystick.ok("verify", whole, "--json").row["readable"] == 2
    assert tallystick.ok("verify", own, "--json").row["entries"] == 1
    (path,) = own.glob("entries/*.json")
    path.write_bytes(path.read_bytes().replace(b'\\"amount\\":\\"10000\\"', b'\\"amount\\":\\"90000\\"'))
    assert tallystick.run("verify", own).code == 1
    assert tallystick.run("bundle", "1", "-o", own).code == 64
    assert tallystick.ok("ledger", "bodies", tmp_path / "b", "--json").row["files"] == 1


def test_an_unsealed_entry_has_no_receipt_yet(tallystick: Tallystick, tmp_path: Path) -> None:
    tallystick.pay("1", "100.00")
    ran = tallystick.run("receipt", "get", "1", "--full", "-o", tmp_path, "--json")
    assert ran.code == 2
    assert json.loads(ran.err)["error"] == "NotSealed"


@pytest.mark.threat(1)
def test_tampering_exits_with_1_and_names_the_entry(tallystick: Tallystick) -> None:
    tallystick.pay("1", "100.00")
    tallystick.pay("2", "100.00")
    tallystick.ok("seal")
    (database,) = tallystick.home.rglob("*.sqlite")
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER entry_no_UPDATE")
        connection.execute("UPDATE entry SET body = replace(body, '10000', '90000') WHERE seq = 1")
    connection.close()
    ran = tallystick.run("ledger", "audit", "--json")
    assert (ran.code, ran.out) == (1, "")
    said = json.loads(ran.err)
    assert said["seq"] == 1
    assert said["expected"] != said["found"]
    shown = tallystick.run("ledger", "audit")
    assert shown.code == 1
    assert "EntryContradicts" in shown.err


def test_seal_twice_and_publish(tallystick: Tallystick) -> None:
    tallystick.pay("1", "100.00")
    assert tallystick.ok("ledger", "publish", "--json").row == {"published": None, "before": None}
    assert tallystick.ok("ledger", "seal", "--no-publish", "--json").row["published"] is None
    assert tallystick.ok("ledger", "publish", "--json").row == {"published": 3, "before": 0}
    assert tallystick.ok("seal", "--json").row == {"sealed": None, "batch": None, "root": None, "published": 3}


def test_several_ledgers_must_be_named(tallystick: Tallystick) -> None:
    tallystick.ok("ledger", "create", "bank.example/ledger/own", "--explicit-accounts")
    ran = tallystick.run("trial-balance")
    assert ran.code == 64
    assert "bank.example/ledger/own" in ran.err
    other = ("--ledger", "bank.example/ledger/own", "--json")
    refused = tallystick.run(*"record --id 1 --debit a --credit b --amount 1 --asset EUR".split(), *other)
    assert json.loads(refused.err)["code"] == "account_not_found"
    tallystick.ok("trial-balance", "--ledger", ORIGIN)


def test_doctor(tallystick: Tallystick) -> None:
    ran = tallystick.run("doctor", "--json")
    levels = {row["level"] for row in ran.rows}
    assert levels <= {"ok", "warning", "error"}
    assert ran.code == (78 if "error" in levels else 0)


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("nonsense",), 64),
        (("balance",), 64),
        (("balance", "a", "--at", "yesterday"), 64),
        (("balance", "a", "--at-seq", "1", "--at", "2026-01-01"), 64),
        (("record",), 64),
        (("record", "--id", "1", "--debit", "a", "--credit", "b", "--amount", "1.005", "--asset", "EUR"), 64),
        (("record", "--id", "1", "--debit", "a", "--credit", "b", "--amount", "1", "--asset", "NOPE"), 64),
        (("record", "missing.json"), 64),
        (("receipt", "get", "1"), 64),
        (("receipt", "get", "1", "--seq", "1", "--full"), 64),
        (("receipt", "get", "nobody", "--full"), 64),
        (("verify", "missing.tlog-proof"), 64),
        (("entries", "-m", "novalue"), 64),
        (("bundle", "--for", "a", "-o", "x"), 64),
        (("-l", "no.such/ledger", "balance", "a"), 78),
        (("--home", "nowhere", "balance", "a"), 78),
        (("init",), 78),
    ],
)
def test_errors_have_the_exit_codes_of_the_design(
    tallystick: Tallystick, arguments: tuple[str, ...], code: int
) -> None:
    ran = tallystick.run(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err


def test_a_bug_never_exits_like_tampering(tallystick: Tallystick, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tallystick.wiring.open_installation", broken)
    ran = tallystick.run("balance", "a")
    assert ran.code == 2
    assert "ZeroDivisionError" in ran.err
    monkeypatch.setattr("tallystick.wiring.open_installation", lambda *_: Path("/nonexistent/file").read_bytes())
    assert tallystick.run("balance", "a").code == 2


def commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    below = getattr(command, "commands", {}).items()
    return [(path, command), *(found for name, each in below for found in commands(each, (*path, name)))]


@pytest.mark.parametrize("path", [path for path, _ in commands(main)], ids=" ".join)
def test_every_command_has_help_and_json(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    if "Commands:" not in result.stdout and path != ("completion",):
        assert "--json" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_TALLYSTICK_COMPLETE" in result.stdout


def test_text_of_a_ledger_cannot_command_the_terminal(tallystick: Tallystick) -> None:
    evil = {**COMMANDS[0], "reference": "\u202e\u009b31m[bold]x[/bold]"}
    tallystick.ok("record", "-", stdin=json.dumps(evil).encode())
    out = tallystick.ok("entries").out
    assert "\u009b" not in out
    assert "[bold]x[/bold]" in out


def test_a_bundle_that_vouches_for_itself_is_not_verified(tallystick: Tallystick, tmp_path: Path) -> None:
    tallystick.pay("1", "100.00")
    tallystick.ok("seal")
    bundle, policy, nowhere = tmp_path / "whole.zip", tmp_path / "policy", tmp_path / "nowhere"
    tallystick.ok("bundle", "-o", bundle)
    policy.write_text(tallystick.ok("policy", "show").out)
    assert tallystick.ok("verify", bundle, "--json").row["policy_is_enclosed"] is False  # the installation's own
    alone = tallystick.run("verify", bundle, "--home", nowhere, "--json")
    assert (alone.code, alone.row["verified"], alone.row["policy_is_enclosed"]) == (2, False, True)
    assert tallystick.run("verify", bundle, "--home", nowhere).out.startswith("NOT verified")
    assert tallystick.ok("verify", bundle, "--home", nowhere, "--policy", policy, "--json").row["verified"] is True


def test_what_a_receipt_says_does_not_move_the_cursor(tallystick: Tallystick, tmp_path: Path) -> None:
    paid = ["record", "--id", "1", "--debit", "a", "--credit", "b", "--amount", "1", "--asset", "EUR"]
    tallystick.ok(*paid, "-m", "\x9b2J\u202e=x", "-m", "y=\x9b31m")
    tallystick.ok("seal")
    tallystick.ok("receipt", "get", "1", "--full", "-o", tmp_path / "r")
    said = tallystick.ok("verify", tmp_path / "r.tlog-proof").out
    assert "metadata/\\x9b2J\\u202e" in said
    assert not {"\x9b", "\u202e"} & set(said)


def test_production_signs_with_no_soft_key_that_development_made(tallystick: Tallystick) -> None:
    tallystick.pay("1", "100.00")
    settings = tallystick.home / "tallystick.toml"
    settings.write_text(settings.read_text().replace("development", "production"))
    ran = tallystick.run("seal", "--json")
    assert (ran.code, json.loads(ran.err)["message"]) == (78, "a soft key is not for production")
    assert tallystick.ok("balance", "customers:ada", "--json").row["balance"] == "100.00"  # reading needs no key
