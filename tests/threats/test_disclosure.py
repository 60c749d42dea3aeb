"""What a receipt and a published log show, searched byte by byte: nothing of anybody else's."""

from __future__ import annotations

import hashlib
import json
from itertools import product

import pytest

from .conftest import Bank, canonical

SECRETS = (b"merchants", b"grocer", b"basket", b"payment-", b"EUR/2", b"service:pay")


@pytest.mark.threat(36)
def test_the_published_log_holds_no_part(bank: Bank) -> None:
    files = [path for path in bank.tiles.rglob("*") if path.is_file()]
    assert any("entries" in path.parts for path in files)
    for path in files:
        data = path.read_bytes()
        assert not [secret for secret in (*SECRETS, b"customers:") if secret in data], path


@pytest.mark.threat(36)
def test_a_receipt_shows_its_holder_alone(bank: Bank) -> None:
    """One transaction of two customers with a merchant: each sees their own leg."""
    legs = [
        {"debit": "customers:ada", "credit": "merchants:hotel", "asset": "EUR/2", "amount": "7770001"},
        {"debit": "customers:bob", "credit": "merchants:hotel", "asset": "EUR/2", "amount": "8880002"},
    ]
    command = {"id": "shared", "legs": legs, "reference": "their trip", "metadata": {"room": "for two"}}
    bank.with_ledger(lambda ledger: ledger.record([command], by="service:pay").accepted(), write=True)
    bank.seal()
    receipt = bank.with_ledger(lambda ledger: ledger.receipt("shared", account="customers:ada"))
    said = receipt.proof + receipt.disclosure
    assert b"7770001" in said
    hidden = (b"customers:bob", b"8880002", b"their trip", b"for two", b"service:pay", b'merchants:hotel","asset')
    assert not [secret for secret in hidden if secret in said]
    assert b'"account":"merchants:hotel"' not in said  # the merchant's balance


@pytest.mark.threat(37)
def test_a_hidden_amount_is_not_found_in_a_dictionary(bank: Bank) -> None:
    """With every other part of the ledger at hand, its salts included, all plausible legs are tried."""
    rows = bank.rows()
    bodies = [json.loads(row["body"]) for row in rows if row["body"]]
    hidden = bodies[5]
    leg = next(part for part in hidden if part[1] == "legs/0")
    target = hashlib.sha256(b"\x02" + canonical(leg).encode()).digest()
    salts = {part[0] for body in bodies for part in body if part is not leg} | {"0" * 32}
    tried = 0
    for salt, amount, customer in product(salts, range(1000, 1020), range(5)):
        value = {**leg[2], "amount": str(amount), "debit": f"customers:{customer}"}
        guess = hashlib.sha256(b"\x02" + canonical([salt, "legs/0", value]).encode()).digest()
        assert guess != target
        tried += 1
    assert tried > 10_000
    assert hashlib.sha256(b"\x02" + canonical(leg).encode()).digest() == target  # with its salt it is found


@pytest.mark.threat(37)
def test_no_salt_is_used_twice_and_equal_parts_have_unrelated_hashes(bank: Bank) -> None:
    parts = [part for row in bank.rows() if row["body"] for part in json.loads(row["body"])]
    assert len({part[0] for part in parts}) == len(parts)
    assert all(len(bytes.fromhex(part[0])) == 16 for part in parts)
    equal = [part for part in parts if part[1:] == ["by", "service:pay"]]
    hashes = {hashlib.sha256(b"\x02" + canonical(part).encode()).digest() for part in equal}
    assert len(hashes) == len(equal) == 20
