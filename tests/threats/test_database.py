"""The attacks of docs/explanation/threat-model.md on the database, by whoever owns it, on both databases.

Each is noticed by the operator's audit, or by the next start, or by the independent verifier; the tests say which, and
that the culprit is named.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import new_database

from tallystick import IntegrityViolation, Misconfigured, open_installation, verify_receipt
from tallystick.core.policy import Policy
from tallystick_verify import Tampering

from .conftest import Bank, Row, new_bank, relinked, with_body, with_stub

VICTIM = 14  # in the second batch


def named(bank: Bank) -> IntegrityViolation:
    """What the audit finds."""
    with pytest.raises(IntegrityViolation) as caught:
        bank.audit()
    assert caught.value.exit_code == 1
    return caught.value


def test_nothing_is_noticed_where_nothing_was_done(bank: Bank) -> None:
    audited = bank.audit()
    assert (audited.size, audited.sealed, audited.published) == (23, 23, 23)
    assert bank.verify().exit_code == 0


def raise_amount(parts: list[list[object]]) -> None:
    for part in parts:
        if part[1] == "legs/0":
            part[2]["amount"] = "9999"  # type: ignore[index]


def change_note(parts: list[list[object]]) -> None:
    for part in parts:
        if part[1] == "metadata/note":
            part[2] = "something else"


def edit_body(row: Row) -> Row:
    return {**row, "body": row["body"].replace('"amount":"1012"', '"amount":"9999"')}


EDITS: dict[str, Callable[[Row], Row]] = {
    "body": edit_body,
    "stub": lambda row: {**row, "stub": row["stub"].replace('"kind":"transaction"', '"kind":"event"')},
    "hash": lambda row: {**row, "hash": bytes(32)},
    "id": lambda row: {**row, "id": "another"},
    "all of the row": lambda row: with_body(row, raise_amount),
}


@pytest.mark.threat(1)
@pytest.mark.parametrize("column", EDITS)
def test_an_edited_row_is_named(bank: Bank, column: str) -> None:
    before = bank.rows()[VICTIM]
    after = EDITS[column](before)
    assert after != before
    bank.put([after])
    found = named(bank)
    # If everything in the row fits, the next entry says that the one before is not what it was.
    assert found.facts["seq"] in {VICTIM, VICTIM + 1}
    if column in {"body", "all of the row"}:
        with pytest.raises(Tampering) as caught:
            bank.verify()
        assert caught.value.facts["seq"] == VICTIM


@pytest.mark.threat(1)
def test_an_edited_row_with_all_later_ones_made_to_fit_is_named_by_what_was_signed(bank: Bank) -> None:
    rows = bank.rows()
    bank.put(relinked([*rows[:VICTIM], with_body(rows[VICTIM], change_note), *rows[VICTIM + 1 :]]))
    assert named(bank).facts["seq"] == "12..22"  # all that the second checkpoint added


@pytest.mark.threat(1)
@pytest.mark.parametrize(
    "table, change",
    [
        ("balance", "UPDATE {balance} SET credits = '1' WHERE account = 'merchants:grocer'"),
        ("balance", "DELETE FROM {balance} WHERE account = 'customers:3'"),
        ("asset", "UPDATE {asset} SET scale = 3"),
        ("head", "UPDATE {head} SET closed_before = 1"),
        ("posting", "DELETE FROM {posting} WHERE account = 'customers:3'"),
        ("metadata", "UPDATE {metadata} SET value = 'nothing' WHERE value = 'basket 7'"),
    ],
)
def test_an_edited_table_beside_the_entries_is_named(bank: Bank, table: str, change: str) -> None:
    bank.with_ledger(lambda ledger: ledger.rebuild(), write=True)
    bank.attack((change, ()))
    assert table in str(named(bank))


@pytest.mark.threat(2)
def test_a_deleted_row_leaves_a_gap(bank: Bank) -> None:
    bank.attack(("DELETE FROM {entry} WHERE seq = ?", (VICTIM,)))
    assert named(bank).facts["seq"] == VICTIM


@pytest.mark.threat(3)
def test_an_inserted_row_breaks_the_chain(bank: Bank) -> None:
    """A payment slipped in between two others, everything after it moved up by one."""
    rows = bank.rows()
    forged = {**with_stub(rows[VICTIM], prev=rows[VICTIM - 1]["hash"].hex()), "id": "slipped-in"}
    moved = [{**row, "seq": row["seq"] + 1} for row in rows[VICTIM:]]
    bank.attack(
        *(("DELETE FROM {entry} WHERE seq = ?", (row["seq"],)) for row in rows[VICTIM:]),
        *(
            (
                "INSERT INTO {entry} (" + ("ledger, " if bank.database else "") + "seq, id, stub, body, hash) VALUES ("
                + ("1, " if bank.database else "") + "?, ?, ?, ?, ?)",
                (row["seq"], row["id"], row["stub"], row["body"], row["hash"]),
            )
            for row in [forged, *moved]
        ),
    )  # fmt: skip
    assert named(bank).facts["seq"] in {VICTIM, VICTIM + 1}


@pytest.mark.threat(3)
def test_swapped_rows_break_the_chain(bank: Bank) -> None:
    rows = bank.rows()
    a, b = rows[VICTIM], rows[VICTIM + 1]
    bank.attack(("UPDATE {entry} SET id = NULL WHERE seq = ?", (VICTIM,)))
    bank.put([{**a, "seq": b["seq"]}, {**b, "seq": a["seq"]}])
    assert named(bank).facts["seq"] == VICTIM


def cut(bank: Bank, size: int) -> None:
    """Take away the newest rows and let the head stand where they began."""
    last = bank.rows()[size - 1]
    stub = json.loads(last["stub"])
    bank.attack(
        ("DELETE FROM {entry} WHERE seq >= ?", (size,)),
        ("UPDATE {head} SET size = ?, hash = ?, at = ?", (size, last["hash"], stub["at"])),
    )


@pytest.mark.threat(4)
def test_newest_rows_cut_off_are_missed(bank: Bank) -> None:
    cut(bank, 18)
    found = named(bank)
    assert (found.facts["expected"], found.facts["found"]) == (">= 23 entries", 18)
    with pytest.raises(IntegrityViolation):
        bank.record(30, 1)


@pytest.mark.threat(4)
def test_with_their_checkpoints_they_are_still_published(bank: Bank) -> None:
    cut(bank, 18)
    bank.attack(("DELETE FROM {checkpoint} WHERE size > ?", (18,)))
    with pytest.raises(IntegrityViolation, match="behind the published checkpoint"):
        bank.record(30, 1)
    named(bank)


def test_rows_that_were_never_sealed_can_be_cut_off_unseen(bank: Bank) -> None:
    """Not detected, and the threat model says so: nothing outside the database knows of them."""
    head, balances = bank.rows("head", "size")[0], bank.rows("balance", "account")
    bank.record(20, 5)
    bank.attack(
        ("DELETE FROM {entry} WHERE seq >= ?", (23,)),
        *(
            (f"UPDATE {{head}} SET {name} = ?", (head[name],))
            for name in ("size", "hash", "at", "batch", "batch_first")
        ),
        *((f"DELETE FROM {{{table}}} WHERE seq >= ?", (23,)) for table in ("posting", "metadata", "remainder")),
    )
    assert "balance" in str(named(bank))  # a careless attacker forgets it
    bank.attack(
        *(
            (
                "UPDATE {balance} SET debits = ?, credits = ? WHERE account = ?",
                (b["debits"], b["credits"], b["account"]),
            )
            for b in balances
        )
    )
    assert bank.audit().size == 23


@pytest.mark.threat(5)
def test_a_database_rolled_back_is_behind_what_was_published(bank: Bank, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    if bank.database is None:
        shutil.copy(bank.file, copy)
    else:
        bank.database.server.execute(f"CREATE DATABASE {bank.database.name}_old TEMPLATE {bank.database.name}")
    bank.record(20, 5)
    bank.seal()
    if bank.database is None:
        shutil.copy(copy, bank.file)
    else:
        bank.database.server.execute(f"DROP DATABASE {bank.database.name} WITH (FORCE)")
        bank.database.server.execute(f"ALTER DATABASE {bank.database.name}_old RENAME TO {bank.database.name}")
    with pytest.raises(IntegrityViolation, match="behind the published checkpoint"):
        bank.record(30, 1)
    named(bank)


@pytest.mark.threat(6)
def test_a_history_rewritten_without_the_keys_is_signed_by_nobody(bank: Bank, tmp_path: Path) -> None:
    """The attacker runs the product itself, with keys of his own, and puts his database and his tiles in place."""
    if bank.database is None:
        forged = new_bank(tmp_path / "forged", None)
        forged.record(100, 10)
        forged.seal()
        shutil.copy(forged.file, bank.file)
    else:
        with new_database(bank.database.server) as other:
            forged = new_bank(tmp_path / "forged", other)
            forged.record(100, 10)
            forged.seal()
            bank.database.server.execute(f"DROP DATABASE {bank.database.name} WITH (FORCE)")
            bank.database.server.execute(f"CREATE DATABASE {bank.database.name} TEMPLATE {other.name}")
    shutil.rmtree(bank.tiles)
    shutil.copytree(forged.tiles, bank.tiles)
    with pytest.raises((IntegrityViolation, Misconfigured)):
        bank.record(200, 1)
    named(bank)
    with pytest.raises(Tampering):
        bank.verify_published()


@pytest.mark.threat(9)
def test_dropped_triggers_are_named_by_the_doctor(bank: Bank) -> None:
    with open_installation(bank.home) as installation:
        assert "error" not in {finding.level for finding in installation.diagnose()}
    bank.attack()
    with open_installation(bank.home) as installation:
        [found] = [finding for finding in installation.diagnose() if finding.level == "error"]
    assert "trigger" in found.what
    assert found.next_step


@pytest.mark.threat(10)
def test_a_chain_that_begins_again_is_named(bank: Bank) -> None:
    rows = bank.rows()
    genesis = json.loads(rows[0]["stub"])
    again = with_stub(
        {**rows[VICTIM], "id": None, "body": ""}, kind="genesis", prev="0" * 64, parts=0, body=genesis["body"]
    )
    bank.put([*rows[:VICTIM], *relinked([again, *rows[VICTIM + 1 :]])])
    assert named(bank).facts["seq"] == VICTIM


@pytest.mark.threat(11)
@pytest.mark.parametrize("line", [0, 1], ids=["Ed25519", "ML-DSA-44"])
def test_a_checkpoint_with_one_signature_is_refused(bank: Bank, line: int) -> None:
    newest = bank.rows("checkpoint", "size")[-1]
    text, _, signatures = bytes(newest["note"]).partition(b"\n\n")
    kept = [s for i, s in enumerate(signatures.splitlines(keepends=True)) if i != line]
    note = text + b"\n\n" + b"".join(kept)
    bank.attack(("UPDATE {checkpoint} SET note = ? WHERE size = ?", (note, newest["size"])))
    named(bank)
    (bank.tiles / "checkpoint").write_bytes(note)
    with pytest.raises(Tampering):
        bank.verify_published()


@pytest.mark.threat(14)
def test_an_entry_dated_back_is_named(bank: Bank) -> None:
    rows = bank.rows()
    before = json.loads(rows[VICTIM - 1]["stub"])["at"]
    bank.put(relinked([*rows[:VICTIM], with_stub(rows[VICTIM], at=before - 1), *rows[VICTIM + 1 :]]))
    assert named(bank).facts["seq"] == VICTIM


@pytest.mark.threat(14)
def test_nothing_is_recorded_while_the_clock_is_behind(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.wiring.now", lambda: 1_500_000_000_000_000)
    with pytest.raises(Exception, match="the clock is behind the last entry"):
        bank.record(30, 1)
    monkeypatch.undo()
    bank.record(30, 1)


@pytest.mark.threat(1, 2, 4, 5, 6)
def test_the_receipt_that_the_customer_kept_still_proves_what_was_recorded(bank: Bank) -> None:
    receipt = bank.with_ledger(lambda ledger: ledger.receipt(f"payment-{VICTIM - 2}", account="customers:2"))
    cut(bank, 5)
    bank.put([with_body(bank.rows()[3], raise_amount)])
    seen = verify_receipt(receipt.proof, receipt.disclosure, Policy.parse(bank.policy))
    assert seen.entry.stub.seq == VICTIM
