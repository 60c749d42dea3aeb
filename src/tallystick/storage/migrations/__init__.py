"""Schema revisions, and bringing a database to this release's.

Alembic and SQLAlchemy are used here and nowhere else, and imported only when there is something to migrate: looking at
the revision of an up-to-date database costs neither.

    migrations/env.py        run by Alembic
    migrations/sqlite/       revisions of one ledger's file
    migrations/postgres/     revisions of the schema `tallystick`

SQLite is migrated through Python's own `sqlite3`, a second SQLite library in this process. It must never have a file
open that the kernel has open: see docs/adr/0003-one-sqlite-library.md and `sqlite.py`, which sees to it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tallystick.errors import Misconfigured, RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

__all__ = ["REVISIONS", "Database", "is_behind", "upgrade_postgres", "upgrade_sqlite"]

Database = Literal["sqlite", "postgres"]

# All revisions of this release, oldest first; a test compares them with the files.
REVISIONS: dict[Database, tuple[str, ...]] = {"sqlite": ("0001",), "postgres": ("0001",)}

_alembic = threading.Lock()  # it keeps the running migration in module globals


def is_behind(database: Database, found: str | None) -> bool:
    """Whether a schema at revision `found` (None: no schema) is to be migrated; `Misconfigured` if it is newer."""
    if found is not None and found not in REVISIONS[database]:
        raise Misconfigured(
            "the tables were migrated by a newer release",
            next_step="Use that release or a later one; tables are never migrated back.",
            expected=REVISIONS[database][-1],
            found=found,
        )
    return found != REVISIONS[database][-1]


def upgrade_sqlite(path: Path) -> None:
    """Bring the file (made if absent) to this release's revision, in one transaction.

    The caller holds the ledger's lock and has no kernel connection to the file.
    """
    from sqlalchemy import create_engine, event  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    def connect() -> sqlite3.Connection:
        # isolation_level None: sqlite3 opens no transactions of its own, so that DDL is inside Alembic's.
        connection = sqlite3.connect(path, isolation_level=None)
        # Of a new file only: rows are about 1 KB, and pages of 4 KiB cost a third of the speed of large batches.
        connection.execute("PRAGMA page_size = 16384")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        _upgrade(engine, "sqlite", schema=None)
    except sqlite3.OperationalError as error:
        raise RetryLater(f"the tables could not be migrated: {error}", path=str(path)) from error


def upgrade_postgres(connect: Callable[[], object]) -> None:
    """Bring the schema `tallystick` to this release's revision on a connection that `connect` opens.

    The schema exists, and the connection's role is `tallystick_owner`. Raises the driver's own errors.
    """
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    _upgrade(engine, "postgres", schema="tallystick")


def _upgrade(engine: Engine, database: Database, schema: str | None) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    logging.getLogger("alembic").setLevel(logging.WARNING)
    here = str(Path(__file__).parent).replace("%", "%%")  # ConfigParser interpolates
    config = Config()
    config.set_main_option("script_location", here)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{here}/{database}")
    try:
        with _alembic, engine.connect() as connection:
            config.attributes.update(connection=connection, schema=schema)
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise error.orig or error from error  # the driver's own, which the adapters know
