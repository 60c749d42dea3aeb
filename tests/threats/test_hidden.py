"""What others may not see: every string of every hidden part is searched for in what is given out and published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tallystick import Ledger
from tallystick.errors import RetryLater
from tallystick_verify import open_source, parse_policy, verify_ledger
from tallystick_verify.errors import Incomplete

from .conftest import canonical
from .stages import Staged, pay, public, said, staged, who_notices

__all__ = ["staged"]

Part = list[Any]
# Words of the formats, which stand in everything, and too short to mean anything where they are found by chance.
KNOWN = {"debits", "credits", "credit", "debit", "pending", "freeze", "update", "open", "close", "transaction"}


def parts_of(bank: Staged) -> dict[int, list[Part]]:
    return {row["seq"]: json.loads(row["body"]) for row in bank.rows() if row["body"]}


def telling(value: Any) -> Iterator[str]:
    """The strings of a part that say something of somebody: names, ids, texts; amounts with their key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and inner.isdigit():
                yield f'"{name}":"{inner}"'
            else:
                yield from telling(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from telling(inner)
    elif isinstance(value, str) and len(value) > 4 and value not in KNOWN and not value.isdigit():
        yield value


def forms(text: str) -> list[bytes]:
    """As it may stand in the files: itself, and as a JSON string once and twice."""
    once = json.dumps(text, ensure_ascii=False)[1:-1]
    return [form.encode() for form in {text, once, json.dumps(once, ensure_ascii=False)[1:-1]}]


def found_in(data: bytes, texts: set[str]) -> list[str]:
    return [text for text in texts if any(form in data for form in forms(text))]


@pytest.mark.threat(36)
def test_a_receipt_holds_no_string_of_a_part_that_it_hides(staged: Staged) -> None:
    bodies = parts_of(staged)
    everything = {text for parts in bodies.values() for part in parts for text in telling(part[2])}
    accounts = {
        name
        for parts in bodies.values()
        for _, path, value in parts
        if path.startswith("legs/")
        for name in (value["debit"], value["credit"])
    }
    receipts = hidden_parts = 0

    def look(ledger: Ledger) -> None:
        nonlocal receipts, hidden_parts
        for account in sorted(accounts):
            for entry in list(ledger.entries(0, staged.published, account=account))[::4]:
                receipt = ledger.receipt(entry.seq, account=account)
                shown = {item["index"] for item in json.loads(receipt.disclosure)["parts"] if "part" in item}
                parts = bodies[entry.seq]
                visible = {text for index in shown for text in telling(parts[index][2])}
                salts = {part[0] for index, part in enumerate(parts) if index not in shown}
                data = receipt.proof + receipt.disclosure
                allowed = "".join(map(canonical, (parts[index] for index in shown))) + entry.stub["ledger"]
                hidden = {text for text in everything - visible if text not in allowed} | salts
                assert found_in(data, hidden) == [], (entry.seq, account)
                receipts += 1
                hidden_parts += len(salts)

    staged.with_ledger(look)
    assert receipts > 100
    assert hidden_parts > 100


@pytest.mark.threat(36)
def test_the_published_files_hold_no_string_of_any_part(staged: Staged) -> None:
    bodies = parts_of(staged)
    texts = {text for parts in bodies.values() for part in parts for text in (part[0], *telling(part[2]))}
    texts -= {text for text in texts if text in canonical({"ledger": "bank.example/ledger/customers"})}
    files = [path for path in staged.tiles.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert found_in(path.read_bytes(), texts) == [], path


@pytest.mark.slow
@pytest.mark.threat(37)
def test_all_amounts_up_to_a_million_do_not_give_a_hidden_leg_away(staged: Staged) -> None:
    """The holder of one leg knows the format, both names and the asset of the other; all but its amount and salt."""
    mine = {"debit": "bank:till", "credit": "customers:ada", "asset": "EUR/2", "amount": "100"}
    theirs = {**mine, "credit": "customers:bob", "amount": "734211"}

    def trip(ledger: Ledger) -> tuple[bytes, list[Part]]:
        seq = ledger.record([{"id": "trip", "legs": [mine, theirs]}], by="service:till")[0].entry().seq
        ledger.seal()
        ledger.publish()
        receipt = ledger.receipt(seq, account="customers:ada")
        (row,) = [row for page in ledger._store.entries(seq, seq + 1) for row in page]
        return receipt.disclosure, json.loads(row.body)

    with staged.copy() as bank:
        disclosure, parts = bank.with_ledger(trip, write=True)
    leg = next(part for part in parts if part[1] == "legs/1")
    target = hashlib.sha256(b"\x02" + canonical(leg).encode()).digest()
    assert target.hex().encode() in disclosure  # beside legs/0 in the body's tree: the guess could be checked
    before, after = canonical(["SALT", "legs/1", theirs]).split("734211")
    shown = [json.loads(item["part"])[0] for item in json.loads(disclosure)["parts"]]
    assert leg[0] not in shown
    for salt, expected in ((leg[0], ["734211"]), ("0" * 32, []), (shown[0], []), (shown[-1], [])):
        first, rest = b"\x02" + before.replace("SALT", salt).encode(), after.encode()
        begun = hashlib.sha256(first)
        hits = []
        for amount in range(1, 1_000_001):
            guess = begun.copy()
            guess.update(b"%d" % amount + rest)
            if guess.digest() == target:
                hits.append(str(amount))
        assert hits == expected


def destroy(bank: Staged, seq: int, gone: Callable[[str], bool]) -> list[int]:
    """Overwrite parts by their hashes, as an erasure does; which ones."""
    row = bank.rows()[seq]
    parts = json.loads(row["body"])
    indexes = [index for index, part in enumerate(parts) if gone(part[1])]
    for index in indexes:
        parts[index] = hashlib.sha256(b"\x02" + canonical(parts[index]).encode()).hexdigest()
    bank.put([{**row, "body": canonical(parts)}])
    for table, prefix in (("metadata", "metadata/"), ("posting", "legs/")):
        if gone(f"{prefix}note"):
            bank.attack((f"DELETE FROM {{{table}}} WHERE seq = ?", (seq,)))
    return indexes


@pytest.mark.threat(37)
@pytest.mark.parametrize("stage", ["published", "sealed", "recorded"])
def test_a_destroyed_part_leaves_every_proof_standing(staged: Staged, stage: str) -> None:
    seq = staged.target[stage]
    with staged.copy() as bank:
        (index,) = destroy(bank, seq, lambda path: path == "metadata/note")
        audited = bank.audit()
        assert audited.destroyed == ((seq, index),)
        assert audited.unchecked == ()
        assert who_notices(bank) == {}
        bank.seal()
        report = bank.verify()
        assert report.exit_code == 0
        said_of_it = [open_.what for open_ in report.unchecked if "destroyed" in open_.what]
        assert said_of_it == [f"entry {seq}: 1 destroyed part(s); the body's root stands, their content is gone"]
        assert bank.with_ledger(lambda ledger: "metadata/note" in ledger.entry(seq).values) is False
        note = f"for pay-{stage}".encode()
        receipt = bank.with_ledger(lambda ledger: ledger.receipt(seq))
        assert not found_in(receipt.disclosure, {note.decode()})


@pytest.mark.threat(37)
def test_destroyed_legs_and_balances_are_neither_error_nor_proof(staged: Staged) -> None:
    """What they held is not known any more; both auditors say of what they cannot speak. (So it is with a single part
    where nothing beside it tells which it was: it may have been the effective date, in a period that was closed.)"""
    seq = staged.target["published"]
    with staged.copy() as bank:
        indexes = destroy(bank, seq, lambda path: path.startswith(("legs/", "balances/")))
        audited = bank.audit()
        assert audited.destroyed == tuple((seq, index) for index in indexes)
        assert said(lambda: public(bank)) == ""
        with pytest.raises(Incomplete) as caught:
            bank.verify()
        assert f"entry {seq}" in str(caught.value)
        assert caught.value.exit_code == RetryLater.exit_code == 2
        bank.with_ledger(lambda ledger: ledger.record([pay("later")], by="service:till").accepted(), write=True)
        bank.seal()
        assert bank.audit().unsealed == 0
        assert verify_ledger(open_source(str(bank.tiles)), parse_policy(bank.policy)).exit_code == 0
