"""Connections to PostgreSQL, and what its errors mean to a caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tallystick.errors import IntegrityViolation, Misconfigured, RetryLater

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.errors import UniqueViolation
    from psycopg.pq import TransactionStatus
    from psycopg.types.string import TextLoader
except ImportError as error:
    raise Misconfigured(
        "PostgreSQL is asked for and psycopg 3 is not installed", next_step="pip install 'tallystick[postgres]'"
    ) from error

__all__ = ["READING", "WRITING", "Connection", "Pool", "UniqueViolation", "connect", "named_errors"]

Connection = psycopg.Connection[tuple[Any, ...]]

# Over what the caller's own connection string leaves open. A connection that the network swallowed is noticed.
DEFAULTS = {"application_name": "tallystick", "connect_timeout": "10", "tcp_user_timeout": "30000"}

# Bare table names resolve to nothing, so that no object of another schema can stand in for one of ours.
SESSION = "SET search_path = pg_catalog"
READING = SESSION + "; SET default_transaction_read_only = on"
# A role or database may have switched durable commits off; a store that answers "recorded" may not.
WRITING = f"""{SESSION};
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"""


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn what psycopg raises into the families of `tallystick.errors`; the database's own words stay in it."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise Misconfigured(
            f"the database login may not do this: {_words(error)}",
            next_step="Grant it tallystick_writer (or tallystick_reader); `tallystick doctor` shows what is missing.",
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn) as error:
        raise Misconfigured(
            f"the tables are not those of this release: {_words(error)}", next_step="Run `tallystick doctor`."
        ) from error
    except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
        raise IntegrityViolation(
            f"the database found its own pages damaged: {_words(error)}", next_step="Stop writing; keep the files."
        ) from error
    except psycopg.IntegrityError as error:
        raise IntegrityViolation(
            f"rows contradict each other: {_words(error)}",
            next_step="Stop writing and run `tallystick ledger audit`.",
            found=error.diag.message_detail,
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise RetryLater(
            f"the database is read-only: {_words(error)}", next_step="Connect to the primary server."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise RetryLater(f"the database is away: {_words(error)}") from error


def _words(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip()


def connect(dsn: str, session: str = SESSION) -> Connection:
    """An autocommitting connection; `Misconfigured` for a malformed connection string, which is not repeated."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise Misconfigured(
            "the database's connection string is malformed", next_step="Write postgresql://user@host/database."
        ) from error
    connection = psycopg.connect(
        make_conninfo("", **{**DEFAULTS, **given, "client_encoding": "UTF8"}), autocommit=True, prepare_threshold=0
    )
    # Totals come as the decimal text that they are in the formats and on SQLite.
    connection.adapters.register_loader("numeric", TextLoader)
    try:
        connection.execute(session.encode(), prepare=False)  # several statements at once
    except BaseException:
        connection.close()
        raise
    return connection


class Pool:
    """At most `limit` connections of one kind, opened when needed and kept. Any thread."""

    def __init__(self, dsn: str, session: str, limit: int) -> None:
        self._dsn = dsn
        self._session = session
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(limit)

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """A connection for the length of a `with`; errors are named.

        When a connection is lost, so are in all likelihood the idle ones: the next use opens a new one.
        """
        with self._free, named_errors():
            connection = self._take() or connect(self._dsn, self._session)
            try:
                yield connection
            finally:
                if connection.closed:
                    self.close()
                elif connection.info.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(connection)
                else:
                    connection.close()

    def _take(self) -> Connection | None:
        try:
            return self._idle.pop()  # the last used: its statements are prepared
        except IndexError:
            return None

    def close(self) -> None:
        """Close the idle connections. The pool can be used again."""
        while (connection := self._take()) is not None:
            connection.close()
