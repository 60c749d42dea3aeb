from __future__ import annotations

import pytest

from tallystick.errors import IntegrityViolation, Rejected
from tallystick.storage.ports import NotAppendOnly, TileStore


def test_what_was_put_is_got(tiles: TileStore) -> None:
    tiles.put("tile/0/x001/067", b"\x00" * 8192)
    tiles.put("tile/0/x001/067.p/5", b"part")
    tiles.put("tile/0/000", b"")
    assert tiles.get("tile/0/x001/067") == b"\x00" * 8192
    assert tiles.get("tile/0/x001/067.p/5") == b"part"
    assert tiles.get("tile/0/000") == b""


@pytest.mark.parametrize("path", ["checkpoint", "tile", "tile/0", "tile/0/000/deeper", "tile/0/001"])
def test_what_was_not_put_is_none(tiles: TileStore, path: str) -> None:
    tiles.put("tile/0/000", b"a")
    assert tiles.get(path) is None


def test_the_same_bytes_again_are_success_and_others_are_refused(tiles: TileStore) -> None:
    tiles.put("tile/0/000", b"as published")
    tiles.put("tile/0/000", b"as published")
    for other in (b"as republished", b"", b"as published, and more"):
        with pytest.raises(NotAppendOnly, match="tile/0/000") as caught:
            tiles.put("tile/0/000", other)
        assert isinstance(caught.value, IntegrityViolation)
    assert tiles.get("tile/0/000") == b"as published"


def test_the_checkpoint_is_replaced(tiles: TileStore) -> None:
    for size in range(3):
        tiles.put("checkpoint", f"size {size}".encode(), replace=True)
        assert tiles.get("checkpoint") == f"size {size}".encode()
    assert list(tiles.paths("")) == ["checkpoint"]


def test_many_at_once(tiles: TileStore) -> None:
    tiles.put_many([])
    objects = [(f"tile/{level}/{index:03}", f"{level}.{index}".encode()) for level in range(3) for index in range(40)]
    tiles.put_many(objects)
    tiles.put_many(objects)
    assert [(path, tiles.get(path)) for path in tiles.paths("tile/")] == objects
    with pytest.raises(NotAppendOnly, match="tile/1/007"):
        tiles.put_many([("tile/9/000", b"new"), ("tile/1/007", b"forged")])
    assert tiles.get("tile/1/007") == b"1.7"


def test_a_deleted_object_is_gone_and_deleting_again_is_success(tiles: TileStore) -> None:
    tiles.put_many([("tile/0/000.p/3", b"abc"), ("tile/0/000.p/4", b"abcd"), ("tile/0/001", b"x")])
    tiles.delete("tile/0/000.p/3")
    tiles.delete("tile/0/000.p/3")
    tiles.delete("tile/5/000.p/3")
    assert list(tiles.paths("")) == ["tile/0/000.p/4", "tile/0/001"]
    tiles.delete("tile/0/000.p/4")
    tiles.put("tile/0/000.p/4", b"again")
    assert tiles.get("tile/0/000.p/4") == b"again"


def test_paths_are_sorted_and_start_with_the_prefix(tiles: TileStore) -> None:
    names = ["checkpoint", "tile/0/000", "tile/0/000.p/12", "tile/0/x001/000", "tile/1/000", "tile/entries/000"]
    for name in reversed(names):
        tiles.put(name, b"x")
    assert list(tiles.paths("")) == sorted(names)
    assert list(tiles.paths("tile/0")) == ["tile/0/000", "tile/0/000.p/12", "tile/0/x001/000"]
    assert list(tiles.paths("tile/0/000.")) == ["tile/0/000.p/12"]
    assert list(tiles.paths("tile/7")) == []


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "tile/../../x", "tile//0", "tile/0/", "./tile", "tile/.hidden", "a b", "tile/ü",
     "tile/0\n", "tile\\0", "tile/0\x00", "a" * 101, "/".join(["a" * 100] * 11)],
)  # fmt: skip
def test_paths_of_another_form_are_refused(tiles: TileStore, path: str) -> None:
    with pytest.raises(Rejected):
        tiles.put(path, b"x")
    with pytest.raises(Rejected):
        tiles.get(path)
    with pytest.raises(Rejected):
        tiles.delete(path)
    assert list(tiles.paths("")) == []
