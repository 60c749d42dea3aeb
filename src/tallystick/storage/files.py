"""Tiles in a folder that any web server can hand out.

    object  ::= segment ("/" segment)*          at most 1,024 bytes
    segment ::= [A-Za-z0-9_] [A-Za-z0-9._-]*    at most 100 bytes

An object is written under a name that starts with a dot, which no segment does, flushed, given its own name in one
step, and the folder is flushed. A crash before that step leaves a dot file, which is never read and which `diagnose`
names.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tallystick.errors import Rejected, RetryLater
from tallystick.storage.folders import diagnose_folder, flush_folder, make_folder
from tallystick.storage.ports import Finding, NotAppendOnly

__all__ = ["FileTileStore"]

_PATH = re.compile(r"(?=.{1,1024}\Z)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99})*", re.ASCII)
_FLUSHES_AT_ONCE = 8  # file systems join flushes that wait at the same time


class FileTileStore:
    """See `ports.TileStore`. The folder is made with the first object."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._durable: set[Path] = set()  # folders whose own entries this process has flushed

    def get(self, path: str) -> bytes | None:
        with _named_errors(path):
            try:
                return self._place(path).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def put(self, path: str, data: bytes, *, replace: bool = False) -> None:
        folder = self._write(path, data, replace=replace)
        with _named_errors(path):
            flush_folder(folder)

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> None:
        if not objects:
            return
        with ThreadPoolExecutor(min(_FLUSHES_AT_ONCE, len(objects))) as pool:
            folders = set(pool.map(lambda item: self._write(*item, replace=False), objects))
        with _named_errors(objects[0][0]):
            for folder in folders:
                flush_folder(folder)

    def delete(self, path: str) -> None:
        place = self._place(path)
        with _named_errors(path):
            place.unlink(missing_ok=True)
            if place.parent != self._folder:
                try:
                    self._durable.discard(place.parent)
                    place.parent.rmdir()
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                        raise

    def paths(self, prefix: str) -> Iterator[str]:
        base, slash, _ = prefix.rpartition("/")
        folder = self._place(base) if base else self._folder
        with _named_errors(prefix):
            yield from (path for path in self._walk(folder, base + slash) if path.startswith(prefix))

    def diagnose(self) -> list[Finding]:
        findings = diagnose_folder("tiles", self._folder, private=False)
        if self._folder.is_dir():
            left = [str(path) for path in self._folder.rglob(".*") if path.is_file()]
            if left:
                found = f"{len(left)}, such as {left[0]}"
                findings.append(Finding("warning", "unfinished tiles", found, "Remove them when nothing publishes."))
        return findings

    def _place(self, path: str) -> Path:
        if not _PATH.fullmatch(path):
            raise Rejected("not the path of a tile", found=path, next_step="See the grammar in storage/files.py.")
        return self._folder / path

    def _write(self, path: str, data: bytes, *, replace: bool) -> Path:
        """Everything but the flush of the object's folder, which is returned."""
        place = self._place(path)
        temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        with _named_errors(path):
            self._ensure(place.parent)
            try:
                with open(temporary, "xb") as file:  # noqa: PTH123 # symmetrical with os.link
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if replace:
                    temporary.replace(place)
                else:
                    _link_new(temporary, place, path, data)
            finally:
                temporary.unlink(missing_ok=True)
        return place.parent

    def _ensure(self, folder: Path) -> None:
        """Make the folder durably. One that is there may be the work of a process that crashed before it flushed."""
        if folder in self._durable:
            return
        if folder == self._folder:
            make_folder(folder)
        else:
            self._ensure(folder.parent)
            folder.mkdir(exist_ok=True)
            flush_folder(folder.parent)
        self._durable.add(folder)

    def _walk(self, folder: Path, path: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name + "/" * entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            below = f"{path}{entry.name}"
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield below
            else:
                yield from self._walk(folder / entry.name, f"{below}/")


def _link_new(temporary: Path, place: Path, path: str, data: bytes) -> None:
    """Give the file its name unless it is taken: unlike a rename, a link never replaces."""
    try:
        os.link(temporary, place)
    except FileExistsError:
        found = place.read_bytes()
        if found != data:
            at = next((i for i, pair in enumerate(zip(found, data, strict=False)) if pair[0] != pair[1]), None)
            raise NotAppendOnly(
                "a published object would change",
                next_step="Stop publishing: the store or this process has another history.",
                path=str(place),
                object=path,
                differs_at_byte=min(len(found), len(data)) if at is None else at,
            ) from None


@contextmanager
def _named_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        next_step = {
            errno.ENOSPC: "Free some space.",
            errno.EDQUOT: "Raise the quota or free some space.",
            errno.EROFS: "Mount the file system writable.",
            errno.EACCES: "Give this user the right to write there.",
            errno.EPERM: "Give this user the right to write there.",
        }.get(error.errno or 0, "")
        raise RetryLater(
            f"the tile folder: {error.strerror}", next_step=next_step, object=path, path=error.filename
        ) from error
