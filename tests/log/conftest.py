"""A ledger on each database, opened by the real wiring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import PostgresDatabase

from tallystick import Installation, Ledger, create_installation

ORIGIN = "log.example/ledger"


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
