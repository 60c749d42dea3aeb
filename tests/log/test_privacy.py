"""What a balancing leg was asked for stays hidden: with what it moved it would tell the other side's whole balance."""

from __future__ import annotations

from tallystick import Ledger, verify_receipt


def test_a_receipt_of_a_sweep_hides_what_was_asked_for(ledger: Ledger) -> None:
    leg = {"debit": "alice", "credit": "bob", "asset": "EUR/2", "amount": "99999999", "balancing": "debit"}
    ledger.record(
        [{"id": "in", "legs": [{"debit": "bank", "credit": "alice", "asset": "EUR/2", "amount": "31415"}]}], by="user:t"
    )
    ledger.record([{"id": "sweep", "legs": [leg]}], by="user:t").accepted()
    ledger.seal()
    ledger.publish()
    receipt = ledger.receipt("sweep", account="bob")
    assert b"31415" in receipt.disclosure
    assert b"99999999" not in receipt.disclosure
    assert b"balancing" not in receipt.disclosure
    whole = ledger.receipt("sweep")
    assert b"99999999" in whole.disclosure
    verify_receipt(receipt.proof, receipt.disclosure, ledger.policy)
