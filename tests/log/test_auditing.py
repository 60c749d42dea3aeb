"""The audit of the tables beside the entries: each row that was changed, added or taken away is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from memory_store import Disk, MemoryStore, MemoryTiles

from tallystick import kernels
from tallystick.core.encoding import canonical
from tallystick.custody.ports import Signer
from tallystick.ledger.outcome import Accepted
from tallystick.log import opening
from tallystick.log.auditor import EntryContradicts, TableContradicts
from tallystick.log.ledger import Ledger
from tallystick.storage.ports import BalanceRow, RemainderRow

ORIGIN = "audit.example/ledger"
EXPIRES = 1_800_000_000_000_000
LEG = {"debit": "cash", "credit": "sales", "asset": "EUR/2", "amount": "10"}
COMMANDS: list[dict[str, Any]] = [
    {"kind": "account", "name": "cash", "normal": "debit"},
    {"id": "t1", "legs": [LEG]},
    {"id": "t2", "legs": [LEG], "metadata": {"invoice": "R-17"}},
    {"kind": "pending", "id": "p1", "legs": [LEG], "expires": "2027-01-15T08:00:00Z"},
    {"kind": "reversal", "id": "r1", "reverses": "t1", "amounts": ["4"]},
    {"kind": "policy", "id": "y1", "closed_before": "2026-01-01T00:00:00Z"},
]


class WithQueries(MemoryStore):
    """Knows the second of the two queries that an audit asks as well."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if sql == "SELECT r.id FROM {remainder} AS r ORDER BY r.id":
            return [(key,) for key in sorted(self.disk.remainders)]
        return super().query(sql, parameters)


def opened(disk: Disk, signers: Sequence[Signer]) -> Ledger:
    random = Random(1)
    policy = opening.own_policy(signers, ORIGIN)
    return Ledger(
        WithQueries(ORIGIN, disk), MemoryTiles({}), policy, lambda: 1_795_478_400_000_000, random.randbytes, signers
    )


@pytest.fixture
def disk(soft_signers: Sequence[Signer]) -> Disk:
    disk, random = Disk(), Random(1)
    store = WithQueries(ORIGIN, disk)
    opening.create(
        store, soft_signers, lambda: 1_795_478_400_000_000, random.randbytes, by="user:a", explicit_accounts=False
    )
    outcomes = opened(disk, soft_signers).record(COMMANDS, by="user:a")
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    return disk


def forge_balance(disk: Disk, account: str = "sales", debits: int = 5) -> None:
    disk.balances[account, "EUR/2"] = BalanceRow(account, "EUR/2", debits, 0, 0, 0)


def forge_remainder(disk: Disk, key: str, left: int, expires: int | None = None, seq: int = 3) -> None:
    kind = "pending" if key.startswith("p") else "reversible"
    disk.remainders[key] = (RemainderRow(key, kind, (left,), expires), seq)


def forge_head(disk: Disk) -> None:
    assert disk.head is not None
    disk.head = replace(disk.head, closed_before=None)


FORGERIES: dict[str, tuple[Callable[[Disk], object], str, str]] = {
    "a balance": (forge_balance, "balance", "sales EUR/2"),
    "a balance more": (lambda disk: forge_balance(disk, "thief"), "balance", "thief EUR/2"),
    "a balance less": (lambda disk: disk.balances.pop(("cash", "EUR/2")), "balance", "cash EUR/2"),
    "a definition": (lambda disk: disk.definitions.update(cash=b'{"name":"cash"}'), "account", "cash"),
    "a definition more": (lambda disk: disk.definitions.update(x=b'{"name":"x"}'), "account", "x"),
    "a definition less": (lambda disk: disk.definitions.clear(), "account", "cash"),
    "a scale": (lambda disk: disk.assets.update(EUR=3), "asset", "scale"),
    "what remains": (lambda disk: forge_remainder(disk, "t1", 10), "remainder", "t1"),
    "what remains, more": (lambda disk: forge_remainder(disk, "t2", 0), "remainder", "t2"),
    "what remains, less": (lambda disk: disk.remainders.pop("t1"), "remainder", "t1"),
    "a time-out": (lambda disk: forge_remainder(disk, "p1", 10, EXPIRES + 1), "remainder", "p1"),
    "whose time-out": (lambda disk: forge_remainder(disk, "p1", 10, EXPIRES, seq=9), "remainder", "p1"),
    "the head": (forge_head, "head", "closed_before"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_row_is_named(name: str, disk: Disk, soft_signers: Sequence[Signer]) -> None:
    forge, table, row = FORGERIES[name]
    ledger = opened(disk, soft_signers)
    assert ledger.audit().unchecked == ()
    forge(disk)
    with pytest.raises(TableContradicts) as caught:
        ledger.audit()
    assert (caught.value.facts["table"], caught.value.facts["row"]) == (table, row)


def destroy(disk: Disk, key: str, *paths: str) -> None:
    """What an erasure leaves of some parts of an entry."""
    seq = disk.ids[key]
    parts = json.loads(disk.rows[seq].body)
    body = [kernels.part_hash(canonical(part)).hex() if part[1] in paths else part for part in parts]
    disk.rows[seq] = replace(disk.rows[seq], body=canonical(body))


def test_what_destroyed_parts_hide_is_said_and_all_else_is_checked(disk: Disk, soft_signers: Sequence[Signer]) -> None:
    ledger = opened(disk, soft_signers)
    destroy(disk, "t2", "metadata/invoice")
    audited = ledger.audit()
    assert (len(audited.destroyed), audited.unchecked) == (1, ())

    destroy(disk, "y1", "policy")
    assert ledger.audit().unchecked == ("the end of the closed period",)

    destroy(disk, "r1", "legs/0", "balances/0", "balances/1")
    audited = ledger.audit()
    assert audited.unchecked[:2] == ("balance cash EUR/2", "balance sales EUR/2")
    assert len(audited.destroyed) == 5
    disk.definitions["cash"] = b'{"name":"cash"}'
    with pytest.raises(TableContradicts, match="account"):
        ledger.audit()


def test_a_changed_entry_is_named_with_its_column(disk: Disk, soft_signers: Sequence[Signer]) -> None:
    row = disk.rows[disk.ids["t1"]]
    disk.rows[row.seq] = replace(row, body=row.body.replace(b'"10"', b'"99"', 1))
    with pytest.raises(EntryContradicts) as caught:
        opened(disk, soft_signers).audit()
    assert (caught.value.facts["seq"], caught.value.facts["column"]) == (row.seq, "body")
