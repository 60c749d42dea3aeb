from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from tallystick.errors import Misconfigured, RetryLater
from tallystick.storage import migrations


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_the_release_lists_the_revisions_that_it_ships(database: migrations.Database) -> None:
    folder = Path(migrations.__file__).parent
    script = ScriptDirectory(str(folder), version_locations=[str(folder / database)])
    shipped = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(shipped)) == migrations.REVISIONS[database]
    assert script.get_heads() == [migrations.REVISIONS[database][-1]]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_what_is_behind_and_what_is_newer(database: migrations.Database) -> None:
    assert migrations.is_behind(database, None)
    assert not migrations.is_behind(database, migrations.REVISIONS[database][-1])
    with pytest.raises(Misconfigured, match="newer release"):
        migrations.is_behind(database, "ffff")


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "100% plain.sqlite"
    migrations.upgrade_sqlite(path)
    before = path.read_bytes()
    migrations.upgrade_sqlite(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE metadata (somebody TEXT)")  # the last table that the migration makes
    with pytest.raises(RetryLater, match="already exists"):
        migrations.upgrade_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    assert names == [("metadata",)]
