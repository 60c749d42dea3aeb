"""The log never signs two roots of one size, nor a rewritten history, whatever becomes of the rows while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest
from memory_store import Disk, MemoryStore, MemoryTiles

from tallystick import Ledger, kernels
from tallystick.core.encoding import canonical
from tallystick.custody.ports import Signer
from tallystick.custody.softkey import create_soft_key
from tallystick.log import opening
from tallystick.log.ending import HeadContradicts
from tallystick.log.publisher import TilesContradict
from tallystick.log.recorder import WentBack
from tallystick.log.tree import BrokenLink, HistoryRewritten

ORIGIN = "log.example/ledger"
START = 1_795_478_400_000_000


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> list[Signer]:
    folder = tmp_path_factory.mktemp("keys")
    return [create_soft_key(folder / f"{name}.pem", name) for name in ("ed25519", "ml-dsa-44")]


class Bank:
    """A running ledger on a fake disk that somebody else can write to."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self.disk, self.objects, self.signers = Disk(), dict[str, bytes](), signers
        ticks = count(START, 5)
        self.clock: Callable[[], int] = lambda: next(ticks)
        store = MemoryStore(ORIGIN, self.disk)
        opening.create(store, signers, self.clock, bytes, by="user:test", explicit_accounts=False)
        self.ledger = self.open()

    def open(self) -> Ledger:
        store, tiles = MemoryStore(ORIGIN, self.disk), MemoryTiles(self.objects)
        return Ledger(store, tiles, opening.own_policy(self.signers, ORIGIN), self.clock, bytes, self.signers)

    def record(self, *ids: str) -> None:
        leg = {"debit": "a", "credit": "b", "asset": "EUR/2", "amount": "1"}
        self.ledger.record([{"id": key, "legs": [leg]} for key in ids], by="user:test")

    def rewrite(self, seq: int, *, head: bool) -> None:
        """Exchange an entry's body and set right all links and seals after it, as who knows the formats would do."""
        rows = self.disk.rows
        for index in range(seq, len(rows)):
            stub = json.loads(rows[index].stub)
            if index == seq:
                stub["body"] = "11" * 32
            else:
                stub["prev"] = rows[index - 1].hash.hex()
            if stub["kind"] == "seal":
                first, size = stub["body"]["first"], stub["body"]["count"]
                hashes = b"".join(row.hash for row in rows[first : first + size])
                stub["body"]["root"] = kernels.tree_root(hashes).hex()
            raw = canonical(stub)
            rows[index] = replace(rows[index], stub=raw, hash=kernels.leaf_hash(raw))
        if head and self.disk.head is not None:
            self.disk.head = replace(self.disk.head, hash=rows[-1].hash)


@pytest.fixture
def bank(signers: list[Signer]) -> Bank:
    return Bank(signers)


@pytest.mark.parametrize("head", [False, True], ids=["head as it was", "head rewritten"])
@pytest.mark.parametrize("more", [False, True], ids=["same size", "larger size"])
def test_no_second_root_after_checkpoints_were_taken_away(bank: Bank, head: bool, more: bool) -> None:
    bank.record("one")
    assert bank.ledger.seal() is not None
    if more:
        bank.record("two")
    bank.disk.checkpoints.clear()
    bank.rewrite(1, head=head)
    with pytest.raises(WentBack) as caught:
        bank.ledger.seal()
    assert (caught.value.facts["expected"], caught.value.facts["found"]) == (">= 3", 0)
    assert bank.disk.checkpoints == []


def test_no_signature_over_entries_that_the_head_does_not_name(bank: Bank) -> None:
    bank.record("one", "two")
    bank.rewrite(2, head=False)
    before = len(bank.disk.rows)
    with pytest.raises(HeadContradicts):
        bank.ledger.seal()
    assert (len(bank.disk.rows), bank.disk.checkpoints) == (before, [])


def test_no_seal_onto_an_exchanged_last_entry(bank: Bank) -> None:
    bank.record("one")
    bank.ledger.seal()
    bank.ledger.publish()
    bank.ledger = bank.open()
    bank.rewrite(1, head=True)
    bank.record("two")  # onto the forged entry: nothing in the database contradicts it
    with pytest.raises(HistoryRewritten):
        bank.ledger.seal()
    with pytest.raises(HistoryRewritten):
        bank.open().seal()
    assert [row.size for row in bank.disk.checkpoints] == [3]


def test_a_checkpoint_that_another_process_stored_must_extend_ours(bank: Bank) -> None:
    bank.record("one")
    bank.ledger.seal()
    other = bank.open()
    bank.record("two")
    other.seal()
    assert [row.size for row in bank.disk.checkpoints] == [3, 5]
    bank.ledger.record([{"kind": "event", "id": "three", "event": "x"}], by="user:test")
    sealed = bank.ledger.seal()
    assert sealed is not None
    assert sealed.size == 7


def test_what_others_published_is_the_floor_of_the_next_seal(bank: Bank) -> None:
    bank.record("one")
    other = bank.open()
    other.seal()
    other.publish()
    bank.disk.checkpoints.clear()
    bank.record("two")
    with pytest.raises((WentBack, TilesContradict)):
        bank.ledger.seal()
    assert bank.disk.checkpoints == []


def test_no_signature_over_a_planted_stub_that_every_verifier_would_refuse(bank: Bank) -> None:
    bank.record("one", "two")
    row, head = bank.disk.rows[2], bank.disk.head
    assert head is not None
    raw = canonical(json.loads(row.stub) | {"surprise": 1})
    bank.disk.rows[2] = replace(row, stub=raw, hash=kernels.leaf_hash(raw))
    bank.disk.head = replace(head, hash=bank.disk.rows[2].hash)
    with pytest.raises(BrokenLink, match="entry 2 does not continue entry 1") as caught:
        bank.ledger.seal()
    assert caught.value.facts["column"] == "stub"
    assert bank.disk.checkpoints == []


def test_a_tail_cut_back_to_the_checkpoint_is_no_ledger_with_nothing_to_seal(bank: Bank) -> None:
    bank.record("one")
    bank.ledger.seal()
    sealed = bank.disk.head
    assert bank.ledger.seal() is None
    bank.record("two")
    assert sealed is not None
    bank.disk.head = sealed
    del bank.disk.rows[sealed.size :]
    with pytest.raises(WentBack):
        bank.ledger.seal()
