"""Balances at every kind of moment, statements, filters, the trial balance."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick import Ledger, Rejected
from tallystick.ledger.outcome import CommandRefused


def pay(key: str, debit: str, credit: str, amount: int, **more: Any) -> dict[str, Any]:
    leg = {"debit": debit, "credit": credit, "asset": more.pop("asset", "EUR/2"), "amount": str(amount)}
    return {"id": key, "legs": [leg], **more}


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    ledger.record(
        [
            pay("in", "bank:cash", "customers:a", 1000, metadata={"invoice": "R-1"}),
            pay("late", "customers:a", "shop", 300, effective="2020-01-01T00:00:00Z"),
            {"kind": "pending", **pay("hold", "customers:a", "shop", 200, metadata={"invoice": "R-2"})},
            {"kind": "post", "id": "capture", "pending": "hold", "amounts": ["150"]},
            pay("coin", "bank:cash", "customers:a", 7, asset="BTC/8"),
        ],
        by="service:test",
    ).accepted()
    return ledger


def totals(ledger: Ledger, **moment: int) -> list[tuple[str, int, int, int]]:
    return [(b.asset, b.debits, b.credits, b.pending_debits) for b in ledger.balances("customers:a", **moment)]


def test_balances_now_and_after_each_entry(filled: Ledger) -> None:
    assert totals(filled) == [("BTC/8", 0, 7, 0), ("EUR/2", 450, 1000, 50)]
    assert totals(filled, at_seq=0) == []
    assert totals(filled, at_seq=1) == [("EUR/2", 0, 1000, 0)]
    assert totals(filled, at_seq=3) == [("EUR/2", 300, 1000, 200)]
    assert totals(filled, at_seq=4) == [("EUR/2", 450, 1000, 50)]


def test_balances_as_recorded_at_a_time(filled: Ledger) -> None:
    at = [filled.entry(seq).at for seq in range(6)]
    assert totals(filled, at=at[0]) == []
    assert totals(filled, at=at[2]) == [("EUR/2", 300, 1000, 0)]
    assert totals(filled, at=at[5] + 10**6) == totals(filled)


def test_balances_by_effective_time(filled: Ledger) -> None:
    (only,) = filled.effective_balances("customers:a", None, 1_577_836_800_000_000)
    assert (only.asset, only.debits, only.credits) == ("EUR/2", 300, 0)
    assert filled.effective_balances("customers:a", None, 1_577_836_799_999_999) == []
    now = filled.effective_balances("customers:a", "EUR/2", filled.head().at)
    assert [(b.debits, b.credits) for b in now] == [(450, 1000)]


def test_a_statement_runs_on(filled: Ledger) -> None:
    lines = list(filled.statement("customers:a", "EUR/2"))
    assert [(line.entry.id, line.debits, line.credits) for line in lines] == [
        ("in", 0, 1000), ("late", 300, 0), ("hold", 0, 0), ("capture", 150, 0),
    ]  # fmt: skip
    assert [line.after.debits for line in lines] == [0, 300, 300, 450]
    assert lines[1].effective == 1_577_836_800_000_000
    assert list(filled.statement("nobody", "EUR/2")) == []


def test_entries_of_an_account_and_of_a_metadata_value(filled: Ledger) -> None:
    assert [e.id for e in filled.entries(account="shop")] == ["late", "hold", "capture"]
    assert [e.id for e in filled.entries(metadata=("invoice", "R-2"))] == ["hold"]
    assert [e.id for e in filled.entries(account="customers:a", metadata=("invoice", "R-1"))] == ["in"]
    assert [e.kind for e in filled.entries()] == [
        "genesis",
        "transaction",
        "transaction",
        "pending",
        "post",
        "transaction",
    ]
    assert filled.entry("capture").seq == 4
    with pytest.raises(Rejected, match="no such entry"):
        filled.entry("nothing")


def test_accounts_with_their_definitions(filled: Ledger) -> None:
    filled.record([{"kind": "account", "name": "customers:b", "limit": "debits_must_not_exceed_credits"}], by="user:x")
    found = {name: (definition is not None, len(rows)) for name, definition, rows in filled.accounts("customers")}
    assert found == {"customers:a": (False, 2), "customers:b": (True, 0)}


def test_the_trial_balance_is_zero_per_asset_or_an_alarm(filled: Ledger) -> None:
    assert [(t.asset, t.debits, t.credits, t.pending_debits) for t in filled.trial_balance()] == [
        ("BTC/8", 7, 7, 0), ("EUR/2", 1450, 1450, 50),
    ]  # fmt: skip


def test_the_reading_tables_are_rebuilt_at_will(filled: Ledger) -> None:
    before = [(line.entry.seq, line.after) for line in filled.statement("customers:a", "EUR/2")]
    assert filled.rebuild() == 6
    assert [(line.entry.seq, line.after) for line in filled.statement("customers:a", "EUR/2")] == before
    filled.audit()


def test_a_dry_run_records_nothing_and_answers_as_a_real_one(filled: Ledger) -> None:
    head = filled.head()
    commands = [
        pay("new", "bank:cash", "customers:a", 5),
        pay("in", "bank:cash", "customers:a", 1),
        pay("x", "y", "y", 1),
    ]
    tried = filled.record(commands, by="service:test", dry_run=True)
    assert filled.head() == head
    real = filled.record(commands, by="service:test")
    assert [getattr(o, "code", None) for o in tried] == [getattr(o, "code", None) for o in real]
    assert [getattr(o, "code", None) for o in real] == [None, "id_conflict", "malformed"]
    assert tried[0].entry().seq == real[0].entry().seq
    with pytest.raises(CommandRefused, match="id_conflict"):
        real[1].entry()


def test_a_replay_is_answered_for_ever_even_if_the_rules_would_refuse_it_now(filled: Ledger) -> None:
    first = filled.record([pay("in", "bank:cash", "customers:a", 1000, metadata={"invoice": "R-1"})], by="user:x")[
        0
    ].entry()
    assert first.replayed
    assert first.seq == 1
    filled.record([{"kind": "account", "name": "customers:a", "action": "freeze"}], by="user:x").accepted()
    again = filled.record(
        [
            pay("new", "customers:a", "shop", 1),
            pay("late", "customers:a", "shop", 300, effective="2020-01-01T00:00:00Z"),
        ],
        by="user:x",
    )
    assert getattr(again[0], "code", None) == "account_frozen"
    assert again[1].entry().seq == 2
    other = filled.record([pay("late", "customers:a", "shop", 300, effective="2020-01-02T00:00:00Z")], by="user:x")[0]
    with pytest.raises(CommandRefused, match="member effective"):
        other.entry()


def test_genesis_tells_keys_policy_and_creation(ledger: Ledger) -> None:
    genesis = ledger.entry(0)
    body = genesis.stub["body"]
    assert (genesis.kind, body["accounts"], body["by"]) == ("genesis", "implicit", "user:test")
    assert body["policy"].encode() == ledger.policy.format()
    assert [key in body["policy"] for key in body["keys"]] == [True, True]
