"""Where evidence lies: a folder, a zip or an http(s) address. Everything is addressed by path.

A source says what is there and never what it means: absent is `None` or `Incomplete`, not tampering. Every read is
bounded, so that a hostile server or archive cannot fill the memory.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import IO, Protocol

from tallystick_verify.errors import Incomplete, Malformed, Usage
from tallystick_verify.merkle import TILE_WIDTH, tile_path

__all__ = ["Folder", "LineSource", "Source", "Web", "Zip", "open_source", "read_tile"]

_TIMEOUT_S = 30
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + 65_535)
MAX_SMALL_BYTES = 1 << 20


class Source(Protocol):
    """A set of files by path."""

    name: str

    def read(self, path: str, limit: int) -> bytes | None:
        """The file, or None if it is not there; `Incomplete` if unreadable, `Malformed` if above `limit` bytes."""
        ...


class LineSource(Protocol):
    """A set of files whose lines are read one at a time."""

    def lines(self, path: str, limit: int) -> Generator[bytes, None, None] | None:
        """The lines without their newlines, or None; `Malformed` for one above `limit` bytes, or without its end."""
        ...


def _split(file: IO[bytes], path: str, limit: int) -> Generator[bytes, None, None]:
    with file:
        while line := file.readline(limit + 2):
            if not line.endswith(b"\n"):
                raise Malformed(
                    "a line is too long, or the last one does not end", file=path, expected=f"<= {limit} bytes"
                )
            yield line[:-1]


def _bounded(raw: bytes, path: str, limit: int) -> bytes:
    if len(raw) > limit:
        raise Malformed("file is larger than anything this format holds", file=path, expected=f"at most {limit} bytes")
    return raw


class Folder:
    """A folder on disk."""

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._root = root

    def read(self, path: str, limit: int) -> bytes | None:
        try:
            with (self._root / path).open("rb") as file:
                return _bounded(file.read(limit + 1), path, limit)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Incomplete(f"cannot read: {error.strerror}", file=str(self._root / path)) from None

    def sha256(self, path: str) -> str:
        """Hash of a file in hex."""
        try:
            with (self._root / path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Incomplete(f"cannot read: {error.strerror}", file=str(self._root / path)) from None

    def lines(self, path: str, limit: int) -> Generator[bytes, None, None] | None:
        try:
            return _split((self._root / path).open("rb"), path, limit)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Incomplete(f"cannot read: {error.strerror}", file=str(self._root / path)) from None

    def list(self, prefix: str) -> list[str]:
        """Paths of the files under the folder `prefix`, in order."""
        top = self._root / prefix
        return sorted(str(path.relative_to(self._root).as_posix()) for path in top.rglob("*") if path.is_file())


class Zip:
    """A zip archive."""

    def __init__(self, file: Path) -> None:
        self.name = str(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except OSError as error:
            raise Incomplete(f"cannot read: {error.strerror}", file=str(file)) from None
        except zipfile.BadZipFile as error:
            raise Malformed(f"not a zip archive: {error}", file=str(file)) from None
        names = self._zip.namelist()
        if len(set(names)) != len(names):  # which of the two is meant would be the reader's guess
            twice = next(name for name in names if names.count(name) > 1)
            raise Malformed("the archive holds one name twice", file=twice)

    def read(self, path: str, limit: int) -> bytes | None:
        try:
            with self._zip.open(path) as file:
                return _bounded(file.read(limit + 1), path, limit)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise Malformed(f"the archive is damaged: {error}", file=path) from None

    def sha256(self, path: str) -> str:
        """Hash of a file in hex."""
        try:
            with self._zip.open(path) as file:
                digest = hashlib.sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
                return digest.hexdigest()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise Malformed(f"the archive is damaged: {error}", file=path) from None

    def lines(self, path: str, limit: int) -> Generator[bytes, None, None] | None:
        try:
            return _split(self._zip.open(path), path, limit)
        except KeyError:
            return None
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise Malformed(f"the archive is damaged: {error}", file=path) from None

    def list(self, prefix: str) -> list[str]:
        """Paths of the files under the folder `prefix`, in order."""
        return sorted(name for name in self._zip.namelist() if name.startswith(prefix) and not name.endswith("/"))


class Web:
    """An http(s) prefix, as C2SP tlog-tiles serves a log."""

    def __init__(self, prefix: str) -> None:
        self.name = prefix
        self._prefix = prefix.rstrip("/") + "/"

    def read(self, path: str, limit: int) -> bytes | None:
        request = urllib.request.Request(  # noqa: S310 - `open_source` lets only http and https through
            self._prefix + path, headers={"Accept-Encoding": "gzip, identity", "User-Agent": "tallystick-verify"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
                raw = answer.read(limit + 1)
                packed = answer.headers.get("Content-Encoding", "identity").lower()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise Incomplete(f"the server answered {error.code}", url=self._prefix + path) from None
        except (OSError, http.client.HTTPException) as error:
            raise Incomplete(f"the server cannot be reached: {error}", url=self._prefix + path) from None
        if packed == "gzip":
            try:
                raw = zlib.decompressobj(wbits=31).decompress(raw, limit + 1)
            except zlib.error as error:
                raise Incomplete(f"the answer is not gzip: {error}", url=self._prefix + path) from None
        elif packed != "identity":
            raise Incomplete(
                "the server uses an encoding that was not asked for", url=self._prefix + path, found=packed
            )
        return _bounded(raw, path, limit)


def open_source(place: str) -> Folder | Zip | Web:
    """The source at an http(s) address, a zip file or a folder."""
    if urllib.parse.urlsplit(place).scheme in ("http", "https"):
        return Web(place)
    path = Path(place)
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Zip(path)
    if "://" in place:
        raise Usage("only http and https addresses can be read", found=place)
    raise Incomplete("no such folder or file", file=place)


def read_tile(source: Source, level: int | str, number: int, width: int) -> tuple[bytes, int]:
    """A tile or entry bundle and its own width: the partial one, else the full one that took its place."""
    limit = MAX_BUNDLE_BYTES if level == "entries" else TILE_WIDTH * 32
    for found_width in (width,) if width == TILE_WIDTH else (width, TILE_WIDTH):
        raw = source.read(tile_path(level, number, found_width), limit)
        if raw is not None:
            return raw, found_width
    raise Incomplete("missing", file=tile_path(level, number, width), source=source.name)
