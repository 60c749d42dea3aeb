"""The audit of a ledger that others write meanwhile, and of what lies beyond the head and in the published folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from memory_store import Disk, MemoryStore, MemoryTiles

from tallystick import Installation, Ledger
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import Digest, Seconds, TreeSize
from tallystick.custody.checkpoints import sign_checkpoint
from tallystick.custody.ports import Signer
from tallystick.errors import IntegrityViolation, RetryLater
from tallystick.log import opening
from tallystick.log.auditor import TableContradicts
from tallystick.log.publisher import TilesContradict

ORIGIN = "log.example/ledger"


def pay(ledger: Ledger, *ids: str) -> None:
    leg = {"debit": "a", "credit": "b", "asset": "EUR/2", "amount": "1"}
    ledger.record([{"id": key, "legs": [leg]} for key in ids], by="user:test")


@pytest.mark.parametrize("times", [1, 100], ids=["once", "all the while"])
def test_what_others_record_meanwhile_is_no_tampering(
    installation: Installation, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    pay(ledger, "one")
    ledger.seal()
    ledger.publish()
    ledger.follow()
    reader = installation.open(ORIGIN)
    store: Any = reader._store
    real, left = store.all_balances, iter(range(times))

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        if (number := next(left, None)) is not None:
            pay(ledger, f"meanwhile-{number}")
            ledger.seal()
            ledger.publish()
            ledger.follow()
        return real(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "all_balances", lambda _, *a, **n: meanwhile(*a, **n))
        if times == 1:
            assert reader.audit().size == 5
        else:
            with pytest.raises(RetryLater):
                reader.audit()
    reader.close()


@pytest.mark.parametrize("times", [1, 100], ids=["once", "all the while"])
def test_a_trial_balance_read_in_pages_while_others_record(
    world: tuple[Disk, dict[str, bytes], Ledger], monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    disk, _, ledger = world
    real, left = MemoryStore.all_balances, iter(range(times))

    def one_by_one(self: MemoryStore, prefix: str = "", after: tuple[str, str] = ("", "")) -> Any:
        if after[0] == "a" and (number := next(left, None)) is not None:
            pay(ledger, f"meanwhile-{number}")
        return real(self, prefix, after, 1)

    monkeypatch.setattr(MemoryStore, "all_balances", one_by_one)
    if times > 1:
        with pytest.raises(RetryLater):
            ledger.trial_balance()
        return
    (totals,) = ledger.trial_balance()
    assert (totals.debits, totals.credits) == (2, 2)
    disk.balances["a", "EUR/2"] = replace(disk.balances["a", "EUR/2"], debits=9)
    with pytest.raises(IntegrityViolation, match="EUR/2 does not balance"):
        ledger.trial_balance()


class Quiet(MemoryStore):
    """Knows the last query that an audit asks as well."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return [] if "ORDER BY r.id" in sql else super().query(sql, parameters)


@pytest.fixture
def world(soft_signers: Sequence[Signer]) -> tuple[Disk, dict[str, bytes], Ledger]:
    disk, objects, ticks = Disk(), dict[str, bytes](), count(1_795_478_400_000_000)
    store, policy = Quiet(ORIGIN, disk), opening.own_policy(soft_signers, ORIGIN)
    opening.create(store, soft_signers, lambda: next(ticks), bytes, by="user:test", explicit_accounts=False)
    ledger = Ledger(store, MemoryTiles(objects), policy, lambda: next(ticks), bytes, soft_signers)
    pay(ledger, "one")
    ledger.seal()
    ledger.publish()
    ledger.audit()
    return disk, objects, ledger


@pytest.mark.threat(8)
def test_another_signed_root_in_the_published_folder(
    world: tuple[Disk, dict[str, bytes], Ledger], soft_signers: Sequence[Signer]
) -> None:
    _, objects, ledger = world
    forked = Checkpoint(ORIGIN, TreeSize(3), Digest(bytes(32)))
    objects["checkpoint"] = sign_checkpoint(soft_signers, forked, Seconds(1_795_478_400))
    with pytest.raises(TilesContradict, match="another root"):
        ledger.audit()


def test_entries_beyond_a_head_that_was_set_back(world: tuple[Disk, dict[str, bytes], Ledger]) -> None:
    disk, _, ledger = world
    before = disk.head
    pay(ledger, "two")
    assert before is not None
    disk.head = replace(before)
    with pytest.raises(TableContradicts) as caught:
        ledger.audit()
    assert (caught.value.facts["table"], caught.value.facts["row"]) == ("head", "size")
    assert (caught.value.facts["expected"], caught.value.facts["found"]) == (4, 3)
