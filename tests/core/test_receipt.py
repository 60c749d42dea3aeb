"""Receipts: what they show, and that no byte of them can be changed unseen."""

from __future__ import annotations

import dataclasses
import time

import pytest
import samples

from tallystick.core.body import Disclosure, ShownPart
from tallystick.core.digest import LeafIndex
from tallystick.core.policy import Policy
from tallystick.core.proof import Proof
from tallystick.core.receipt import Assurance, VerifiedReceipt, verify_receipt
from tallystick.errors import IntegrityViolation, Malformed, Rejected

SEQ = 6


@pytest.fixture(scope="module")
def proof() -> bytes:
    return samples.ledger().proof(SEQ, cosigned=True).format()


@pytest.fixture(scope="module")
def disclosure() -> bytes:
    return samples.ledger().disclosure(SEQ, [1, 2, 4]).format()


def test_what_a_receipt_shows(proof: bytes, disclosure: bytes) -> None:
    receipt = verify_receipt(proof, disclosure, samples.witnessed())
    assert receipt.entry.stub.seq == SEQ
    assert [(i, part.path) for i, part in receipt.entry.parts.items()] == [
        (1, "id"),
        (2, "legs/0"),
        (4, "balances/1"),
    ]
    assert not receipt.entry.complete and receipt.entry.hidden == ()
    assert receipt.checkpoint.outside == ("w1", "w2")
    assert receipt.assurance is Assurance.WITNESSED
    assert receipt.hash == samples.ledger().leaves[32 * SEQ : 32 * SEQ + 32]


def test_the_logs_own_second_key_is_no_witness(proof: bytes, disclosure: bytes) -> None:
    assert verify_receipt(proof, disclosure, samples.both_keys()).assurance is Assurance.SEALED
    assert Assurance.RECORDED < Assurance.SEALED < Assurance.WITNESSED < Assurance.ANCHORED


def test_every_entry_and_every_tree() -> None:
    ledger, policy = samples.ledger(), samples.both_keys()
    for size in range(1, ledger.size + 1):
        for seq in {0, size // 2, size - 1}:
            full = ledger.disclosure(seq).format()
            receipt = verify_receipt(ledger.proof(seq, size).format(), full, policy)
            assert receipt.entry.complete
            assert receipt.checkpoint.checkpoint.size == size


def test_no_byte_can_be_changed_unseen(proof: bytes, disclosure: bytes) -> None:
    """Each byte of both files takes another value; all is refused, for every line of the note is of a known key."""
    policy = samples.witnessed()
    accepted = []
    for name, raw in (("proof", proof), ("disclosure", disclosure)):
        step = 1 if name == "disclosure" else 3  # an ML-DSA signature is long; every third byte of it will do
        for at in range(0, len(raw), step):
            changed = raw[:at] + bytes([raw[at] ^ (1 << at % 7)]) + raw[at + 1 :]
            files = (changed, disclosure) if name == "proof" else (proof, changed)
            try:
                verify_receipt(*files, policy)
            except (Rejected, IntegrityViolation):
                continue
            accepted.append((name, at))
    assert not [
        (name, at) for name, at in accepted if name == "disclosure" or not on_a_line_made_unknown(proof, at, policy)
    ]


def on_a_line_made_unknown(proof: bytes, at: int, policy: Policy) -> bool:
    """Whether byte `at` is the name or key ID of a signature that the policy can do without: the key is unknown now."""
    start = proof.rindex("\n— ".encode(), 0, at + 1)
    line = proof[start + 1 : proof.index(b"\n", start + 1)].decode()
    head = len("— ".encode()) + len(line.split(" ")[1].encode()) + 1 + 6  # 6 characters of base64 hold the key ID
    needless = {witness.key.name for witness in policy.witnesses} - {samples.ORIGIN}
    return at - start <= head and line.split(" ")[1] in needless


def test_a_proof_and_a_disclosure_of_two_entries(proof: bytes) -> None:
    with pytest.raises(IntegrityViolation, match="of another entry; expected 7; found 6"):
        verify_receipt(proof, samples.ledger().disclosure(7).format(), samples.both_keys())


def test_the_place_of_another_entry(disclosure: bytes) -> None:
    ledger = samples.ledger()
    moved = dataclasses.replace(ledger.proof(7), index=LeafIndex(SEQ))
    with pytest.raises(IntegrityViolation, match="another root"):
        verify_receipt(moved.format(), disclosure, samples.both_keys())


def test_an_entry_after_the_checkpoint(disclosure: bytes) -> None:
    early = dataclasses.replace(samples.ledger().proof(2, 4), index=LeafIndex(SEQ))
    with pytest.raises(IntegrityViolation, match="outside the tree"):
        verify_receipt(early.format(), disclosure, samples.both_keys())


def test_an_entry_of_another_ledger(proof: bytes, disclosure: bytes) -> None:
    shown = Disclosure.parse(disclosure)
    other = dataclasses.replace(shown, stub=shown.stub.replace(b"customers", b"merchants"))
    with pytest.raises(IntegrityViolation, match="another ledger"):
        verify_receipt(proof, other.format(), samples.both_keys())


def test_a_part_of_another_entry(proof: bytes) -> None:
    ledger = samples.ledger()
    true, other = ledger.disclosure(SEQ, [2]), ledger.disclosure(7, [2])
    path = true.shown[0].path
    for shown in (other.shown[0], ShownPart(2, other.shown[0].part, path), ShownPart(3, true.shown[0].part, path)):
        with pytest.raises(IntegrityViolation, match="not one of the entry"):
            verify_receipt(proof, Disclosure(true.stub, (shown,)).format(), samples.both_keys())


def test_parts_in_another_order(proof: bytes) -> None:
    full = samples.ledger().disclosure(SEQ)
    swapped = [full.shown[1], full.shown[0], *full.shown[2:]]
    renumbered = tuple(dataclasses.replace(shown, index=i) for i, shown in enumerate(swapped))
    with pytest.raises(IntegrityViolation, match="not those of the entry"):
        verify_receipt(proof, Disclosure(full.stub, renumbered).format(), samples.both_keys())


def test_a_destroyed_part_leaves_every_proof_standing(proof: bytes) -> None:
    ledger = samples.ledger()
    body = ledger.bodies[SEQ].destroy({6})
    for indexes in (None, [1, 6]):
        disclosure = samples.disclose(ledger.stubs[SEQ], body, indexes).format()
        receipt = verify_receipt(proof, disclosure, samples.both_keys())
        assert receipt.entry.hidden == (6,)
        assert not receipt.entry.complete
        assert b"R-2026" not in disclosure


def test_extra_is_not_looked_at(disclosure: bytes) -> None:
    proof = samples.ledger().proof(SEQ, extra=b"anything")
    assert Proof.parse(proof.format()).extra == b"anything"
    verify_receipt(proof.format(), disclosure, samples.both_keys())


def test_nothing_shown_but_the_stub(proof: bytes) -> None:
    receipt = verify_receipt(proof, samples.ledger().disclosure(SEQ, []).format(), samples.both_keys())
    assert receipt.entry.parts == {} and not receipt.entry.complete


def test_a_checkpoint_without_signatures(disclosure: bytes) -> None:
    proof = samples.ledger().proof(SEQ)
    text = proof.format().partition("— ".encode())[0]
    with pytest.raises(Malformed, match="no signatures"):
        verify_receipt(text, disclosure, samples.both_keys())


def test_a_receipt_of_one_account_shows_nothing_of_another(proof: bytes) -> None:
    disclosure = samples.ledger().disclosure(SEQ, [1, 4]).format()
    verify_receipt(proof, disclosure, samples.both_keys())
    assert b"customers:0006" in disclosure
    for secret in (b"bank:settlement", b"R-2026", b"service:payments"):
        assert secret not in disclosure


def test_nothing_else_makes_a_verified_receipt(proof: bytes, disclosure: bytes) -> None:
    receipt = verify_receipt(proof, disclosure, samples.both_keys())
    with pytest.raises(TypeError):
        VerifiedReceipt(receipt.entry, receipt.hash, receipt.checkpoint, receipt.assurance, object())


def test_a_receipt_is_verified_in_two_milliseconds(disclosure: bytes) -> None:
    proof, policy = samples.ledger().proof(SEQ).format(), samples.both_keys()
    took = []
    for _ in range(40):
        start = time.perf_counter()
        verify_receipt(proof, disclosure, policy)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.002
