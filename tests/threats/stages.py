"""A ledger of a few hundred entries of all kinds at its three stages, and everybody who may notice that it was changed.

    0 … published - 1        sealed in several batches, published as tiles; customers hold receipts
    published … sealed - 1   sealed: a signed checkpoint covers them, in the database alone
    sealed … size - 1        recorded only

Each stage has a payment of 10.00 EUR by itself, `target[stage]`, after which other entries follow.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from histories import History
from memory_store import Disk, MemoryStore
from servers import PostgresDatabase, PostgresServer, new_database

from tallystick import Ledger, kernels, open_installation, verify_receipt
from tallystick.core.encoding import canonical
from tallystick.core.policy import Policy
from tallystick.errors import TallystickError
from tallystick.log.receipts import Receipt
from tallystick.log.recorder import Recorder
from tallystick.storage.ports import BalanceRow, EntryRow, Head, RemainderRow
from tallystick_verify import open_source, parse_policy, verify_bundle, verify_ledger
from tallystick_verify.errors import VerificationError

from .conftest import ORIGIN, Bank, new_bank

STAGES = ("published", "sealed", "recorded")
ALL_KINDS = {
    "genesis", "account", "transaction", "pending", "post", "void", "expire", "reversal", "adjustment", "event",
    "policy", "seal",
}  # fmt: skip
Noticed = dict[str, str]
"""Who noticed → the error's class and the entry (or table row) that it names."""


@dataclass(frozen=True)
class Staged(Bank):
    """`receipts` are what customers keep, `seen` the checkpoint that an auditor keeps, both from before any attack."""

    published: int = 0
    sealed: int = 0
    size: int = 0
    target: dict[str, int] = field(default_factory=dict)
    receipts: tuple[Receipt, ...] = ()
    seen: bytes = b""
    older: Path = Path()  # of the installation, as it was after the first publication
    older_database: PostgresDatabase | None = None

    @contextmanager
    def copy(self) -> Iterator[Staged]:
        """One to attack."""
        with TemporaryDirectory() as folder, ExitStack() as after:
            home = Path(folder) / "bank"
            shutil.copytree(self.home, home)
            database = None
            if self.database is not None:
                database = after.enter_context(copied(self.database, home))
            yield replace(self, home=home, database=database)


def at(home: Path, folder: str = "", port: str = "", name: str = "") -> Staged:
    """As much of a bank as an attacker in another process needs."""
    database = PostgresDatabase(PostgresServer(Path(folder), Path(), int(port)), name) if name else None
    return Staged(home, database)


@contextmanager
def copied(database: PostgresDatabase, home: Path) -> Iterator[PostgresDatabase]:
    """A copy of the database, and the installation in `home` set to it."""
    copy = PostgresDatabase(database.server, f"t{uuid.uuid4().hex}")
    database.server.execute(f"CREATE DATABASE {copy.name} TEMPLATE {database.name}")
    settings = home / "tallystick.toml"
    settings.write_text(settings.read_text().replace(database.name, copy.name))
    yield copy
    database.server.execute(f"DROP DATABASE {copy.name} WITH (FORCE)")


def pay(key: str, amount: int = 1000) -> dict[str, Any]:
    leg = {"debit": "bank:till", "credit": "customers:victim", "asset": "EUR/2", "amount": str(amount)}
    return {"id": key, "legs": [leg], "reference": f"slip of {key}", "metadata": {"note": f"for {key}"}}


def build(home: Path, database: PostgresDatabase | None, stack: ExitStack) -> Staged:
    """The ledger, from a seed."""
    bank = new_bank(home, database)
    history, target = History(Random(5), "h"), {}
    older, older_database = home.with_name("older"), None

    def record(stage: str, commands: int) -> None:
        def use(ledger: Ledger) -> None:
            for part in range(4):
                ledger.record([history.command(ledger.head().at) for _ in range(commands // 4)], by="user:sim")
                plain = [pay(f"{stage}-{ledger.head().size}-{i}", 100 + i) for i in range(commands // 10)]
                ledger.record(plain, by="service:till").accepted()
                if part == 1:
                    paid = ledger.record([pay(f"pay-{stage}-{ledger.head().size}")], by="service:till")
                    target[stage] = paid[0].entry().seq

        bank.with_ledger(use, write=True)

    for batch in range(4):
        record("published", 120)
        bank.seal()
        if batch == 1:
            shutil.copytree(home, older)
            if database is not None:
                older_database = stack.enter_context(copied(database, older))
    published = bank.with_ledger(lambda ledger: ledger.head().size)
    record("sealed", 40)
    sealed = bank.with_ledger(lambda ledger: ledger.seal(), write=True)
    assert sealed is not None
    record("recorded", 40)
    bank.with_ledger(lambda ledger: ledger.follow(), write=True)

    def look(ledger: Ledger) -> Staged:
        kinds = {entry.kind for entry in ledger.entries()}
        assert kinds == ALL_KINDS, ALL_KINDS - kinds
        victim = target["published"]
        receipts = [ledger.receipt(seq) for seq in (victim, 0, 1, 100, victim - 1, victim + 1, published - 1)]
        receipts.append(ledger.receipt(victim, account="customers:victim"))
        size = ledger.head().size
        seen = (bank.tiles / "checkpoint").read_bytes()
        return Staged(
            home, database, published, sealed.size, size, target, tuple(receipts), seen, older, older_database
        )

    staged = bank.with_ledger(look)
    assert 256 < staged.published < staged.sealed < staged.size, staged
    assert staged.published % 256
    return staged


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def staged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """Not to be changed: see `Staged.copy`."""
    with ExitStack() as stack:
        database = None
        if request.param == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            database = stack.enter_context(new_database(server))
        folder = tmp_path_factory.mktemp(f"staged-{request.param}")
        ticks = count(time.time_ns() // 1000 - 864_000_000_000, 7_000)  # ten days behind; steps on with every look
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tallystick.wiring.now", lambda: next(ticks))
            made = build(folder / "bank", database, stack)
        yield made


# --- who may notice


def said(action: Callable[[], object]) -> str:
    """What an attempt ends with: "" or the error and whom it names."""
    try:
        action()
    except (TallystickError, VerificationError) as error:
        named = next((error.facts[name] for name in ("seq", "row", "table", "tree_size") if name in error.facts), "")
        return f"{type(error).__name__} {named}".strip()
    return ""


def who_notices(bank: Staged) -> Noticed:
    """Everybody looks, those who only read first; then the operator goes on working, and the world looks again."""
    found = {
        "audit": said(bank.audit),
        "receipt kept": said(lambda: hold(bank, bank.receipts)),
        "receipt anew": said(lambda: hold(bank, anew(bank))),
        "public": said(lambda: public(bank)),
        "bodies": said(bank.verify),
        "bundle": said(lambda: bundle(bank)),
    }
    found["open"] = said(lambda: bank.with_ledger(Ledger.head, write=True))
    if not found["open"]:

        def work(ledger: Ledger) -> None:
            found["record"] = said(lambda: ledger.record([pay("after the attack")], by="service:till").accepted())
            found["seal"] = said(ledger.seal)
            found["publish"] = said(ledger.publish)

        bank.with_ledger(work, write=True)
        found["public, later"] = said(lambda: public(bank))
        found["bodies, later"] = said(bank.verify)
    return {who: what for who, what in found.items() if what}


def hold(bank: Staged, receipts: Iterable[Receipt]) -> None:
    """As customers: what was given out must verify, and be of the entry that the first receipt showed."""
    policy = Policy.parse(bank.policy)
    for receipt, kept in zip(receipts, bank.receipts, strict=True):
        verify_receipt(receipt.proof, receipt.disclosure, policy)
        assert json.loads(receipt.disclosure)["stub"] == json.loads(kept.disclosure)["stub"], "another entry, proven?"


def anew(bank: Staged) -> Iterator[Receipt]:
    """Receipts that the operator hands out now."""
    with open_installation(bank.home) as installation, closing(installation.open(ORIGIN)) as ledger:
        for kept in bank.receipts[:-1]:
            yield ledger.receipt(kept.seq)
        yield ledger.receipt(bank.receipts[-1].seq, account="customers:victim")


def public(bank: Staged) -> None:
    """As anybody who kept a checkpoint."""
    verify_ledger(open_source(str(bank.tiles)), parse_policy(bank.policy), seen=[bank.seen])


def bundle(bank: Staged) -> None:
    """As an auditor who is given a bundle, independently."""
    files = bank.with_ledger(lambda ledger: ledger.bundle())
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        verify_bundle(open_source(folder), parse_policy(bank.policy))


# --- what an attacker does who runs the product's own rules


def forged(bank: Staged, first: int) -> Disk:
    """Entries from `first` on replaced by payments of 5 cents, sealed where the true ones were: all fits, unsigned."""
    rows = [EntryRow(r["seq"], r["id"], r["stub"].encode(), r["body"].encode(), r["hash"]) for r in bank.rows()]
    disk = disk_of(rows[:first])
    now = 0
    recorder = Recorder(MemoryStore(ORIGIN, disk), lambda: now, Random(3).randbytes, floor=0)
    for row in rows[first:]:
        stub = json.loads(row.stub)
        now = stub["at"]
        if stub["kind"] == "seal":
            head = disk.head
            assert head is not None
            hashes = b"".join(r.hash for r in disk.rows[head.batch_first :])
            body = {"batch": head.batch, "count": head.size - head.batch_first, "first": head.batch_first}
            recorder.append("seal", canonical(body | {"root": kernels.tree_root(hashes).hex()}))
        elif len(disk.rows) <= row.seq:  # what has expired comes with the next payment
            recorder.record([pay(f"forged-{row.seq}", 5)], format="objects", by="service:till").accepted()
    assert len(disk.rows) == len(rows)
    return disk


def disk_of(rows: list[EntryRow]) -> Disk:
    """What a ledger's tables hold after these entries."""
    replay = kernels.Replay(ORIGIN)
    replay.feed([(row.seq, row.id, row.stub, row.body, row.hash) for row in rows])
    return Disk(
        list(rows),
        {row.id: row.seq for row in rows if row.id is not None},
        Head(*replay.head()),
        {(a, s): BalanceRow(a, s, *map(int, totals)) for a, s, *totals in replay.balances()},
        {name: definition.encode() for name, definition in replay.definitions()},
        {
            key: (RemainderRow(key, kind, tuple(map(int, json.loads(left))), expires), seq)
            for key, kind, left, expires, seq in replay.remainders()
        },
        dict(replay.assets()),
    )


def transplant(bank: Staged, disk: Disk, first: int) -> None:
    """Put entries from `first` on, and all tables beside them, into the database. Checkpoints stay."""
    head = disk.head
    assert head is not None
    ledger = ("ledger, ", "1, ") if bank.database else ("", "")
    statements: list[tuple[str, tuple[object, ...]]] = []

    def insert(table: str, columns: str, *values: object) -> None:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {{{table}}} ({ledger[0]}{columns}) VALUES ({ledger[1]}{marks})"
        statements.append((sql, values))

    statements.append(("DELETE FROM {entry} WHERE seq >= ?", (first,)))
    statements += [(f"DELETE FROM {{{table}}}", ()) for table in ("balance", "account", "remainder", "asset", "head")]
    for table in ("posting", "metadata"):
        statements.append((f"DELETE FROM {{{table}}}", ()))
    statements.append(("UPDATE {projection} SET position = 0", ()))
    for row in disk.rows[first:]:
        insert("entry", "seq, id, stub, body, hash", row.seq, row.id, row.stub.decode(), row.body.decode(), row.hash)
    insert("head", "size, hash, at, batch, batch_first, closed_before",
           head.size, head.hash, head.at, head.batch, head.batch_first, head.closed_before)  # fmt: skip
    for b in disk.balances.values():
        totals = [str(total) for total in (b.debits, b.credits, b.pending_debits, b.pending_credits)]
        insert(
            "balance", "account, asset, debits, credits, pending_debits, pending_credits", b.account, b.asset, *totals
        )
    for name, definition in disk.definitions.items():
        insert("account", "name, definition", name, definition.decode())
    for code, scale in disk.assets.items():
        insert("asset", "code, scale", code, scale)
    for row, seq in disk.remainders.values():
        left = json.dumps([str(total) for total in row.remaining], separators=(",", ":"))
        insert("remainder", "id, kind, remaining, expires, seq", row.id, row.kind, left, row.expires, seq)
    bank.attack(*statements)
