"""Hashes, trees and tiles as Python sees them, against hashlib; tests/core tests proofs with foreign vectors."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import kernels

EMPTY = hashlib.sha256(b"").digest()


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def root(node: bytes, hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1"""
    if len(hashes) <= 1:
        return hashes[0] if hashes else EMPTY
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(node, root(node, hashes[:split]), root(node, hashes[split:]))


@given(st.lists(st.binary(max_size=200), max_size=40))
def test_leaves_parts_and_roots(items: list[bytes]) -> None:
    leaves = [sha256(b"\0", item) for item in items]
    parts = [sha256(b"\2", item) for item in items]
    assert kernels.leaf_hashes(b"".join(items), [len(item) for item in items]) == b"".join(leaves)
    assert [kernels.leaf_hash(item) for item in items] == leaves
    assert [kernels.part_hash(item) for item in items] == parts
    assert kernels.tree_root(b"".join(leaves)) == root(b"\1", leaves)
    assert kernels.body_root(items) == kernels.body_root_of_hashes(b"".join(parts)) == root(b"\3", parts)
    bundle = b"".join(len(item).to_bytes(2, "big") + item for item in items)
    assert kernels.entry_bundle(items) == bundle
    assert kernels.bundle_hashes(bundle) == b"".join(leaves)


@given(st.integers(0, 600))
def test_bundles_of_256(count: int) -> None:
    items = [b"%d" % index * (index % 3) for index in range(count)]
    expected = [kernels.entry_bundle(items[first : first + 256]) for first in range(0, count, 256)]
    assert kernels.entry_bundles(b"".join(items), [len(item) for item in items]) == expected


def test_large_inputs_on_all_cores_agree_with_small_ones() -> None:
    lengths = [index % 700 for index in range(5000)]
    data = os.urandom(sum(lengths))
    hashes = kernels.leaf_hashes(data, lengths)
    at, leaves = 0, []
    for length in lengths:
        leaves.append(sha256(b"\0", data[at : at + length]))
        at += length
    assert hashes == b"".join(leaves)
    assert kernels.tree_root(hashes) == root(b"\1", leaves)
    tiles = [root(b"\1", leaves[first : first + 256]) for first in range(0, 5000 - 255, 256)]
    assert kernels.tile_hashes(hashes) == b"".join(tiles)
    assert kernels.frontier_root(5000, kernels.frontier_extend(0, b"", hashes)) == root(b"\1", leaves)


def test_threads_may_call_at_once() -> None:
    data, lengths = os.urandom(400_000), [400] * 1000
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: kernels.tree_root(kernels.leaf_hashes(data, lengths)), range(16)))
    assert len(found) == 1


def test_a_forked_process_can_hash_too() -> None:
    """Threads do not survive a fork: whoever waits for one that is gone waits for ever."""
    data, lengths = os.urandom(4_000_000), [400] * 10_000
    expected = kernels.leaf_hashes(data, lengths)
    child = os.fork()
    if child == 0:
        os._exit(0 if kernels.leaf_hashes(data, lengths) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.tree_root(b"x" * 31),
        lambda: kernels.node_hash(EMPTY, b""),
        lambda: kernels.leaf_hashes(b"abc", [1, 1]),
        lambda: kernels.leaf_hashes(b"abc", [2, 2]),
        lambda: kernels.inclusion_path(EMPTY, 1),
        lambda: kernels.consistency_path(EMPTY, 0),
        lambda: kernels.consistency_path(EMPTY, 2),
        lambda: kernels.frontier_root(3, EMPTY),
        lambda: kernels.frontier_extend(2, EMPTY * 2, EMPTY),
        lambda: kernels.entry_bundle([b"x" * 65_536]),
        lambda: kernels.entry_bundles(b"x" * 65_536, [65_536]),
        lambda: kernels.entry_bundles(b"abc", [1, 1]),
        lambda: kernels.follow("l", (0, bytes(32), 0, 0, 0, b""), b"abc", [4]),
        lambda: kernels.follow("l", (0, bytes(31), 0, 0, 0, b""), b"abc", [3]),
        lambda: kernels.follow("l", (1, bytes(32), 0, 0, 0, b""), b"abc", [3]),
        lambda: kernels.follow("l", (1, bytes(32), 0, 0, 2, b""), b"abc", [3]),
        lambda: kernels.bundle_hashes(b"\0\2x"),
        lambda: kernels.body_path(EMPTY, 1),
    ],
)
def test_inputs_that_contradict_each_other_are_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=r"\d"):
        call()
