from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tallystick.errors import RetryLater
from tallystick.storage.files import FileTileStore
from tallystick.storage.ports import NotAppendOnly

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tiles"


@pytest.fixture
def tiles(folder: Path) -> FileTileStore:
    return FileTileStore(folder)


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


class Calls:
    """Counts and records the system's calls that make a write durable, and lets the nth one fail."""

    NAMES = ("fsync", "link", "replace")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int | None = None) -> None:
        self.made: list[str] = []
        self.fail_at = fail_at
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if name == "fsync":
                self.made.append("fsync folder" if stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "fsync file")
            else:
                self.made.append(name)
            if len(self.made) - 1 == self.fail_at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return call(*arguments, **options)

        return wrapped


def test_the_bytes_are_flushed_before_they_get_their_name_and_the_name_after(
    tiles: FileTileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles.put("checkpoint", b"first")
    calls = Calls(monkeypatch)
    tiles.put("checkpoint", b"second", replace=True)
    tiles.put("other", b"x")
    assert calls.made == ["fsync file", "replace", "fsync folder", "fsync file", "link", "fsync folder"]


def test_new_folders_are_flushed_into_the_ones_above(tiles: FileTileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    tiles.put("tile/0/000", b"x")
    made = ["fsync folder"] * 3 + ["fsync file", "link", "fsync folder"]  # tiles, tile, 0
    assert calls.made == made
    tiles.put("tile/0/001", b"x")
    assert calls.made == [*made, "fsync file", "link", "fsync folder"]


def test_many_objects_share_the_flush_of_their_folder(tiles: FileTileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles.put("tile/0/000", b"x")
    calls = Calls(monkeypatch)
    tiles.put_many([(f"tile/0/{index:03}", b"x") for index in range(1, 51)])
    assert calls.made.count("fsync file") == calls.made.count("link") == 50
    assert calls.made.count("fsync folder") == 1
    assert calls.made[-1] == "fsync folder"


@pytest.mark.parametrize("replace", [False, True])
def test_whatever_call_fails_the_same_put_succeeds_later(
    folder: Path, tiles: FileTileStore, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    for fail_at in range(6):
        old = b"old" if replace else None
        path = f"tile/{fail_at}/000"
        if old:
            tiles.put(path, old)
        with monkeypatch.context() as patch:
            calls = Calls(patch, fail_at)
            with suppress(RetryLater):
                tiles.put(path, b"new", replace=replace)
                assert len(calls.made) <= fail_at
        assert tiles.get(path) in (old, b"new")
        tiles.put(path, b"new", replace=replace)
        assert tiles.get(path) == b"new"
        assert leftovers(folder) == []


def test_a_reader_sees_the_old_bytes_or_the_new(tiles: FileTileStore) -> None:
    versions = [bytes([n]) * 50_000 for n in range(40)]
    tiles.put("checkpoint", versions[0])
    done = threading.Event()

    def read() -> int:
        seen = 0
        while not done.is_set():
            found = tiles.get("checkpoint")
            assert found in versions
            seen += 1
        return seen

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        for version in versions:
            tiles.put("checkpoint", version, replace=True)
        done.set()
        assert reader.result() > 0


def test_of_many_that_put_different_bytes_one_wins(tiles: FileTileStore) -> None:
    def put(n: int) -> bool:
        try:
            tiles.put("tile/0/000", b"%d" % n)
        except NotAppendOnly:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(16)))
    assert won.count(True) == 1
    assert tiles.get("tile/0/000") == b"%d" % won.index(True)


def test_what_a_crash_left_is_not_an_object_and_the_doctor_names_it(folder: Path, tiles: FileTileStore) -> None:
    tiles.put("tile/0/000", b"x")
    (folder / "tile" / "0" / ".001.abc").write_bytes(b"half")
    assert list(tiles.paths("")) == ["tile/0/000"]
    (found,) = [finding for finding in tiles.diagnose() if finding.what == "unfinished tiles"]
    assert ".001.abc" in found.found
    assert found.level == "warning"


def test_the_doctor_on_folders(folder: Path, tiles: FileTileStore) -> None:
    assert [(finding.level, finding.what) for finding in tiles.diagnose()] == [("warning", "tiles folder")]
    folder.mkdir(mode=0o755)
    assert {finding.level for finding in tiles.diagnose()} == {"ok"}
    folder.chmod(0o777)
    assert "chmod 755" in tiles.diagnose()[0].next_step


IN_A_PROCESS = """
import os, resource, sys
from pathlib import Path
from tallystick.errors import RetryLater
from tallystick.storage.files import FileTileStore
tiles = FileTileStore(Path(sys.argv[1]))
{prepare}
try:
    tiles.put("tile/0/001", bytes(8192))
except RetryLater as error:
    print(error)
assert tiles.get("tile/0/000") == b"x", tiles.get("tile/0/000")
assert list(tiles.paths("")) == ["tile/0/000"]
"""


@pytest.mark.parametrize(
    "prepare, words",
    [
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))", "File too large"),
        (
            f"os.seteuid({NOBODY}) if os.geteuid() == 0 else os.chmod(sys.argv[1] + '/tile/0', 0o555)",
            "Permission denied",
        ),
    ],
)
def test_a_full_or_read_only_folder_is_named_and_reading_goes_on(prepare: str, words: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's folders let no other user in
        folder = Path(name)
        folder.chmod(0o755)
        FileTileStore(folder).put("tile/0/000", b"x")
        script = IN_A_PROCESS.format(prepare=prepare)
        ran = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert words in ran.stdout
        assert "tile/0/001" in ran.stdout
        assert leftovers(folder) == []
