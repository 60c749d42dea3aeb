"""A ledger on each database, opened by the real wiring, and on a store in memory that a test may break."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from memory_store import Disk, MemoryStore, MemoryTiles
from servers import PostgresDatabase

from tallystick import Installation, Ledger, create_installation
from tallystick.custody.ports import Signer
from tallystick.log import opening

ORIGIN = "faults.example/ledger"


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    url = "sqlite:database"
    if request.param == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.dsn()
    with create_installation(tmp_path / "home", url) as made:
        yield made


@pytest.fixture
def ledger(installation: Installation) -> Iterator[Ledger]:
    made = installation.create(ORIGIN, by="user:test")
    yield made
    made.close()


@pytest.fixture
def disk(soft_signers: Sequence[Signer]) -> Disk:
    """A ledger in memory that has its genesis."""
    disk = Disk()
    opening.create(MemoryStore(ORIGIN, disk), soft_signers, clock, bytes, by="user:test", explicit_accounts=False)
    return disk


class Broken(MemoryStore):
    """Calls `before[name]` before the method of that name does its work, and `after[name]` after it."""

    def __init__(self, origin: str, disk: Disk) -> None:
        super().__init__(origin, disk)
        self.before: dict[str, object] = {}
        self.after: dict[str, object] = {}

    def __getattribute__(self, name: str) -> object:
        found = super().__getattribute__(name)
        if name in {"before", "after", "disk", "origin"} or not callable(found):
            return found

        def called(*arguments: object, **options: object) -> object:
            for hooks in (self.before, self.after):
                if hooks is self.after:
                    result = found(*arguments, **options)
                hook = hooks.get(name)
                if callable(hook):
                    hook()
            return result

        return called


def clock() -> int:
    return 1_795_478_400_000_000


@pytest.fixture
def broken(disk: Disk) -> Broken:
    return Broken(ORIGIN, disk)


@pytest.fixture
def fragile(broken: Broken, soft_signers: Sequence[Signer]) -> Ledger:
    """A ledger over `broken`."""
    policy = opening.own_policy(soft_signers, ORIGIN)
    store: object = broken
    return Ledger(store, MemoryTiles({}), policy, clock, bytes, soft_signers)  # type: ignore[arg-type]
