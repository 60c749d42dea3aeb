"""Connections through the kernel's SQLite, what its errors mean to a caller, and the rule of one library a file.

Two SQLite libraries in one process must never have the same file open (docs/adr/0003-one-sqlite-library.md). So every
connection that the kernel opens is counted here, and `closed_here` lets another library at a file only while the count
is nought, and keeps it so. Connections of other processes are no concern: they lock as SQLite intends.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from tallystick.errors import IntegrityViolation, Misconfigured, RetryLater
from tallystick.kernels import Batch, SqliteConnection, SqliteError
from tallystick.storage.ports import HeadMoved, IdExists

__all__ = ["Connection", "WriterLock", "closed_here", "make_durable"]

_doors = threading.Lock()
_open: Counter[str] = Counter()  # by real path


class Connection:
    """One kernel connection, usable from any thread; errors are named."""

    def __init__(self, path: Path, mode: Literal["ro", "rw"]) -> None:
        self._file = os.path.realpath(path)
        with _doors, named_errors(path):
            self._kernel = SqliteConnection(self._file, mode=mode)
            _open[self._file] += 1
        self._transactions = threading.RLock()
        self._closed = False

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        with named_errors(self._file):
            return self._kernel.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        with named_errors(self._file):
            self._kernel.execute_many(sql, rows)

    def pack(self, sql: str, parameters: Sequence[object] = ()) -> tuple[int, bytes, list[int]] | None:
        with named_errors(self._file):
            return self._kernel.pack(sql, parameters)

    def append(self, batch: Batch) -> None:
        """Store a batch in a transaction of its own, after one that another thread has open."""
        with self._transactions, named_errors(self._file):
            self._kernel.append(batch)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction; other threads' transactions and appends wait for it."""
        with self._transactions:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                with suppress(SqliteError):  # a full disk has rolled back already
                    self._kernel.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close; the last connection to a file moves the WAL into it. A second call does nothing."""
        with _doors, named_errors(self._file):
            if not self._closed:
                self._closed = True
                try:
                    self._kernel.close()
                finally:
                    _open[self._file] -= 1


def make_durable(connection: Connection) -> None:
    """Every commit on this connection survives the loss of power when it returns; `Misconfigured` if it would not."""
    connection.execute("PRAGMA synchronous = FULL")
    found = {name: connection.execute(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")}
    if found != {"journal_mode": "wal", "synchronous": 2}:
        raise Misconfigured(
            "SQLite cannot keep a durable write-ahead log here",
            next_step="Keep the ledgers on a local file system.",
            expected="journal_mode wal, synchronous 2",
            found=found,
        )


@contextmanager
def closed_here(path: Path) -> Iterator[None]:
    """While this lasts, the kernel has the file closed in this process; `RetryLater` if somebody holds it open."""
    with _doors:
        if _open[os.path.realpath(path)]:
            raise RetryLater(
                "the tables must be migrated, and this process is reading them",
                next_step="Close the ledger everywhere in this process and open it for writing first.",
                path=str(path),
            )
        yield


class WriterLock:
    """The right to write one ledger, held by a lock on a file beside it; the system lets go when the process ends.

    The file holds the writer's process id, for the message to the next one, and is never removed: a process that waits
    on a removed file would lock nothing.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace")
            os.close(self._descriptor)
            raise RetryLater(
                f"ledger is being written by process {holder or '(just starting)'}",
                next_step="Record through that process, or end it.",
                lock=str(path),
            ) from None
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        os.close(self._descriptor)


@contextmanager
def named_errors(path: object) -> Iterator[None]:
    """Turn what the kernel raises into the families of `tallystick.errors`. A mistake in SQL stays what it is."""
    try:
        yield
    except SqliteError as error:
        code, message = error.args
        raise _named(str(code), str(message), str(path)) from error


def _named(code: str, message: str, path: str) -> Exception:
    if code == "HEAD_MOVED":
        return HeadMoved("another writer moved the head", path=path)
    if code == "ID_EXISTS":
        return IdExists("an id of the batch is taken", path=path)
    family = "_".join(code.split("_")[:2])
    if family == "SQLITE_CONSTRAINT":
        next_step = "Stop writing and run `tallystick ledger audit`."
        return IntegrityViolation(f"rows contradict the head: {message}", next_step=next_step, path=path, code=code)
    if family in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        next_step = "Stop writing; keep the file and its -wal."
        return IntegrityViolation(f"the database file is damaged: {message}", next_step=next_step, path=path, code=code)
    if family in _ADVICE:
        next_step = _ADVICE[family]
        return RetryLater(f"the database cannot be used: {message}", next_step=next_step, path=path, code=code)
    if family == "SQLITE_ERROR" and message.startswith("no such table"):
        return Misconfigured(f"the tables are not those of this release: {message}", path=path)
    return SqliteError(code, message)


_ADVICE = {
    "SQLITE_FULL": "Free some space.",
    "SQLITE_IOERR": "Look at the system's log and the free space.",
    "SQLITE_BUSY": "Another program holds the database; end it.",
    "SQLITE_LOCKED": "Another program holds the database; end it.",
    "SQLITE_READONLY": "Give this user the right to write the file and its folder.",
    "SQLITE_PERM": "Give this user the right to write the file and its folder.",
    "SQLITE_CANTOPEN": "Give this user the right to the file and, as SQLite makes two files beside it, to its folder.",
    "SQLITE_NOMEM": "Free some memory.",
}
