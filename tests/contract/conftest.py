"""The adapters of each port. A new one joins by a line here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from servers import new_database

from tallystick.storage.files import FileTileStore
from tallystick.storage.ports import LedgerStore, StoreFactory, TileStore
from tallystick.storage.postgres import PostgresStores
from tallystick.storage.sqlite import SqliteStores


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreFactory]:
    """One database for all tests of a module, with a ledger for each."""
    with ExitStack() as after:
        factory: StoreFactory
        if request.param == "sqlite":
            factory = SqliteStores(tmp_path_factory.mktemp("sqlite") / "ledgers")
        else:
            server = request.getfixturevalue("postgres_server")
            factory = PostgresStores(after.enter_context(new_database(server)).dsn())
        yield after.enter_context(closing(factory))


@pytest.fixture
def origin(request: pytest.FixtureRequest) -> str:
    """Another one for each test."""
    return f"bank.example/ledger/kunden-µ/{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"


@pytest.fixture
def store(stores: StoreFactory, origin: str) -> Iterator[LedgerStore]:
    """A new ledger, before its genesis."""
    with closing(stores.open(origin, write=True, create=True)) as opened:
        yield opened


@pytest.fixture(params=["files"])
def tiles(tmp_path: Path) -> TileStore:
    return FileTileStore(tmp_path / "published" / "tiles")
