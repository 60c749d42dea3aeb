"""A journal over a store, without the log around it: what a storage adapter must be able to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from tallystick.kernels import Batch, Journal
from tallystick.storage.ports import LedgerStore

START = 1_795_478_400_000_000
GENESIS = b'{"accounts":"implicit","by":"user:test","keys":[]}'


def transfer(
    id: str, amount: int = 1, debit: str = "cash", credit: str = "sales", asset: str = "EUR/2"
) -> dict[str, Any]:
    return {"id": id, "legs": [{"debit": debit, "credit": credit, "asset": asset, "amount": str(amount)}]}


class Writing:
    """One writer's memory of one ledger. It knows no ids: a taken one is for the store to find."""

    def __init__(self, store: LedgerStore) -> None:
        self.store = store
        self.journal = Journal(store.origin)
        self.now = START
        self.load()

    def load(self) -> None:
        head = self.store.head()
        self.journal.reset(
            None if head is None else (head.size, head.hash, head.at, head.batch, head.batch_first, head.closed_before),
            False,
            list(self.store.assets().items()),
            self.store.expiring(),
        )

    def genesis(self) -> Batch:
        return self.journal.append("genesis", GENESIS, self.now)

    def apply(self, *commands: dict[str, Any]) -> Batch:
        self.now += 1
        requests = self.journal.parse([("user:test", "objects", list(commands))])
        accounts, targets = self.journal.missing(requests, self.now)
        while accounts or targets:
            rows = self.store.balances(accounts)
            accounts, targets = self.journal.load(
                accounts,
                list(self.store.definitions(accounts).items()),
                [
                    (r.account, r.asset, str(r.debits), str(r.credits), str(r.pending_debits), str(r.pending_credits))
                    for r in rows
                ],
                targets,
                [(row.id or "", row.seq, row.stub, row.body) for row in self.store.by_id(targets)],
                [(r.id, r.kind, r.remaining, r.expires) for r in self.store.remainders(targets)],
            )
        batch = self.journal.apply(requests, self.now, hashlib.sha256(str(self.now).encode()).digest())
        assert batch.refused == 0, batch.outcomes()
        return batch

    def keep(self, batch: Batch) -> None:
        self.store.commit(batch)
        self.journal.commit(batch)

    def record(self, *commands: dict[str, Any]) -> None:
        self.keep(self.apply(*commands))

    def record_many(self, ids: Sequence[str]) -> None:
        self.record(*(transfer(id) for id in ids))


def begun(store: LedgerStore) -> Writing:
    """A ledger with its genesis."""
    writing = Writing(store)
    writing.keep(writing.genesis())
    return writing
