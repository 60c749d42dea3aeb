"""The adapters of each port. A new one joins by a line here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.storage.files import FileTileStore
from tallystick.storage.ports import LedgerStore, StoreFactory, TileStore
from tallystick.storage.postgres import PostgresStores
from tallystick.storage.sqlite import SqliteStores

ORIGIN = "bank.example/ledger/kunden-µ"


@pytest.fixture(params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreFactory]:
    factory: StoreFactory
    if request.param == "sqlite":
        factory = SqliteStores(tmp_path / "ledgers")
    else:
        factory = PostgresStores(request.getfixturevalue("postgres_database").dsn())
    yield factory
    factory.close()


@pytest.fixture
def store(stores: StoreFactory) -> Iterator[LedgerStore]:
    """A new ledger, before its genesis."""
    opened = stores.open(ORIGIN, write=True, create=True)
    yield opened
    opened.close()


@pytest.fixture(params=["files"])
def tiles(tmp_path: Path) -> TileStore:
    return FileTileStore(tmp_path / "published" / "tiles")
