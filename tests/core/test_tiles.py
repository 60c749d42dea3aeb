"""Tile paths, which tiles a size has, and proofs read from tiles."""

from __future__ import annotations

import time

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from tallystick import kernels
from tallystick.core.digest import Digest, LeafIndex, TreeSize, split_digests
from tallystick.core.merkle import verify_inclusion
from tallystick.core.tiles import Tile, TileMissing, TileReader, format_bundle, new_tiles, parse_bundle, tiles_of
from tallystick.errors import IntegrityViolation, Malformed, Rejected


@pytest.mark.parametrize(
    "tile, path",
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(1, 1000, 17), "tile/1/x001/000.p/17"),
        (Tile(63, 5, 255), "tile/63/005.p/255"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_paths_of_the_specification(tile: Tile, path: str) -> None:
    assert str(tile) == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/x001/x067",
        "tile/0/001/067",
        "tile/0/1234",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/entries/x999/x999/x999/x999/x999/x999/999",
        "",
    ],
)
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(Malformed):
        Tile.parse(path)


def test_the_tiles_of_seventy_thousand() -> None:
    tiles = list(tiles_of(TreeSize(70_000)))
    by_level = {level: [t for t in tiles if t.level == level] for level in (None, 0, 1, 2)}
    assert len(tiles) == sum(map(len, by_level.values()))
    assert [len(found) for found in by_level.values()] == [274, 274, 2, 1]
    assert by_level[0][-1] == Tile(0, 273, 112)
    assert by_level[1] == [Tile(1, 0), Tile(1, 1, 17)]
    assert by_level[2] == [Tile(2, 0, 1)]
    assert list(tiles_of(TreeSize(256))) == [Tile(None, 0), Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(TreeSize(0))) == []


@given(st.integers(0, 200_000), st.integers(0, 70_000))
def test_growing_publishes_what_is_new(size1: int, more: int) -> None:
    old, new = set(tiles_of(TreeSize(size1))), set(tiles_of(TreeSize(size1 + more)))
    assert set(new_tiles(TreeSize(size1), TreeSize(size1 + more))) == new - old


def test_growing_goes_one_way() -> None:
    with pytest.raises(Rejected):
        list(new_tiles(TreeSize(2), TreeSize(1)))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 70_000])
def test_proofs_from_tiles_are_the_kernels(size: int) -> None:
    leaves, objects = tree(size)
    root = Digest(kernels.tree_root(leaves))
    reader = TileReader(objects.get, TreeSize(size), root)
    assert reader.root() == root
    assert reader.frontier().root == root
    for index in {0, size // 3, size // 2, size - 1}:
        assert reader.inclusion(LeafIndex(index)) == split_digests(kernels.inclusion_path(leaves, index))
        assert reader.leaf(LeafIndex(index)) == leaves[32 * index : 32 * index + 32]
    for size1 in {1, size // 3, size // 2, size - 1, size} - {0}:
        old = TreeSize(size1)
        assert reader.consistency(old) == split_digests(kernels.consistency_path(leaves, size1))
        assert reader.root(old) == kernels.tree_root(leaves[: 32 * size1])
        assert reader.frontier(old).root == reader.root(old)
    assert reader.consistency(TreeSize(0)) == []


def tree(size: int) -> tuple[bytes, dict[str, bytes]]:
    """Leaf hashes and all hash tiles."""
    data = b"".join(i.to_bytes(8, "big") for i in range(size))
    leaves = kernels.leaf_hashes(data, [8] * size)
    levels = [leaves]
    while levels[-1]:
        levels.append(kernels.tile_hashes(levels[-1]))
    return leaves, {
        str(t): levels[t.level][32 * t.first : 32 * (t.first + t.width)]
        for t in tiles_of(TreeSize(size))
        if t.level is not None
    }


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one() -> None:
    leaves, full = tree(512)
    full |= {"tile/1/000.p/1": full["tile/1/000.p/2"][:32]}  # stays until tile/1/000 is full
    reader = TileReader(full.get, TreeSize(300), Digest(kernels.tree_root(leaves[: 32 * 300])))
    assert reader.inclusion(LeafIndex(299)) == split_digests(kernels.inclusion_path(leaves[: 32 * 300], 299))


def test_missing_and_broken_tiles() -> None:
    leaves, objects = tree(300)
    root = Digest(kernels.tree_root(leaves))
    path = "tile/0/001.p/44"
    with pytest.raises(TileMissing, match=path):
        TileReader({k: v for k, v in objects.items() if k != path}.get, TreeSize(300)).inclusion(LeafIndex(280))
    with pytest.raises(IntegrityViolation, match="wrong length"):
        TileReader((objects | {path: objects[path][:-1]}).get, TreeSize(300)).inclusion(LeafIndex(280))
    flipped = bytes([objects[path][0] ^ 1]) + objects[path][1:]
    lying = TileReader((objects | {path: flipped}).get, TreeSize(300), root)
    with pytest.raises(IntegrityViolation, match="another root"):
        lying.inclusion(LeafIndex(280))
    with pytest.raises(IntegrityViolation):
        lying.consistency(TreeSize(257))
    with pytest.raises(Rejected):
        lying.leaf(LeafIndex(300))
    with pytest.raises(Rejected):
        lying.root(TreeSize(301))


def test_entries_are_checked_against_their_hashes() -> None:
    ledger = samples.ledger(12)
    tiles = ledger.tiles()
    bundle = "tile/entries/000.p/12"
    assert TileReader(tiles.get, TreeSize(12)).entries(0) == list(ledger.stubs)
    edited = (*ledger.stubs[:5], ledger.stubs[5].replace(b"transaction", b"transactiom"), *ledger.stubs[6:])
    with pytest.raises(IntegrityViolation, match="not the one in the tree; seq 5"):
        TileReader((tiles | {bundle: format_bundle(edited)}).get, TreeSize(12)).entries(0)
    with pytest.raises(IntegrityViolation, match="too short"):
        TileReader((tiles | {bundle: format_bundle(ledger.stubs[:11])}).get, TreeSize(12)).entries(0)
    with pytest.raises(IntegrityViolation, match="broken"):
        TileReader((tiles | {bundle: tiles[bundle][:-1]}).get, TreeSize(12)).entries(0)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1", b"\0\2x", b"\0\0" * 257])
def test_bundles_that_are_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_bundle(data)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(65_536)]])
def test_bundles_that_cannot_be(entries: list[bytes]) -> None:
    with pytest.raises(Malformed):
        format_bundle(entries)


def test_a_proof_from_ten_million_entries_takes_less_than_a_millisecond() -> None:
    """Only the tiles that one proof touches are made: every full tile has the same bytes, so all levels are known."""
    size = TreeSize(10_000_000)
    levels = [kernels.leaf_hash(b"x")]
    for _ in range(3):
        levels.append(kernels.tile_hashes(levels[-1] * 256))
    objects = {str(t): levels[t.level] * t.width for t in tiles_of(size) if t.level is not None}
    index = LeafIndex(7_654_321)
    root = TileReader(objects.get, size).root()
    took = []
    for _ in range(50):
        start = time.perf_counter()
        reader = TileReader(objects.get, size)
        path, leaf = reader.inclusion(index), reader.leaf(index)
        took.append(time.perf_counter() - start)
    verify_inclusion(leaf, index, size, path, root)
    assert min(took) < 0.001
