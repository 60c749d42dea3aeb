"""Proofs over the tree: foreign vectors, the empty tree, and proofs built from tiles against those of the kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import kernels
from tallystick.core.digest import EMPTY_ROOT, Digest, LeafIndex, TreeSize, digest, parse_base64, split_digests
from tallystick.core.merkle import (
    EMPTY_FRONTIER,
    Frontier,
    ProofRefused,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    range_root,
    verify_consistency,
    verify_inclusion,
)
from tallystick.errors import IntegrityViolation, Malformed, Rejected


def vectors(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    found = sorted((folder / "merkle" / kind).rglob("*.json"))
    assert len(found) > 40, "the vectors are incomplete"
    for path in found:
        yield json.loads(path.read_text())


def hash_of(text: str) -> Digest:
    return digest(parse_base64(text, "hash"))


def proof_of(texts: list[str] | None) -> list[Digest]:
    return [hash_of(text) for text in texts or []]


def expected(case: dict[str, Any]) -> Any:
    return pytest.raises((IntegrityViolation, Malformed)) if case["wantErr"] else nullcontext()


def test_foreign_inclusion_proofs(foreign_vectors: Path) -> None:
    for case in vectors(foreign_vectors, "inclusion"):
        with expected(case):
            verify_inclusion(
                hash_of(case["leafHash"]),
                LeafIndex(case["leafIdx"]),
                TreeSize(case["treeSize"]),
                proof_of(case["proof"]),
                hash_of(case["root"]),
            )


def test_foreign_consistency_proofs(foreign_vectors: Path) -> None:
    for case in vectors(foreign_vectors, "consistency"):
        with expected(case):
            verify_consistency(
                TreeSize(case["size1"]),
                TreeSize(case["size2"]),
                hash_of(case["root1"]),
                hash_of(case["root2"]),
                proof_of(case["proof"]),
            )


def leaves_of(size: int) -> list[Digest]:
    return [leaf_hash(str(i).encode()) for i in range(size)]


def root_of(leaves: list[Digest]) -> Digest:
    return Digest(kernels.tree_root(b"".join(leaves)))


def reader(leaves: list[Digest]) -> Any:
    """A node reader that hashes every subtree anew."""
    return lambda height, n: root_of(leaves[n << height : (n + 1) << height])


sizes = st.integers(1, 300)


@given(st.data(), sizes)
def test_every_inclusion_path_is_the_kernels_and_verifies(data: st.DataObject, size: int) -> None:
    leaves, index = leaves_of(size), data.draw(st.integers(0, size - 1))
    path = inclusion_path(reader(leaves), LeafIndex(index), TreeSize(size))
    assert path == split_digests(kernels.inclusion_path(b"".join(leaves), index))
    verify_inclusion(leaves[index], LeafIndex(index), TreeSize(size), path, root_of(leaves))


@given(st.data(), sizes)
def test_every_consistency_path_is_the_kernels_and_verifies(data: st.DataObject, size2: int) -> None:
    leaves, size1 = leaves_of(size2), data.draw(st.integers(1, size2))
    path = consistency_path(reader(leaves), TreeSize(size1), TreeSize(size2))
    assert path == split_digests(kernels.consistency_path(b"".join(leaves), size1))
    verify_consistency(TreeSize(size1), TreeSize(size2), root_of(leaves[:size1]), root_of(leaves), path)


@given(st.data(), sizes)
def test_a_changed_proof_is_refused(data: st.DataObject, size: int) -> None:
    leaves, index = leaves_of(size), data.draw(st.integers(0, size - 1))
    path = inclusion_path(reader(leaves), LeafIndex(index), TreeSize(size))
    claim = [leaves[index], index, size, path, root_of(leaves)]
    match data.draw(st.sampled_from(["leaf", "index", "root", "bit", "shorter", "longer"])):
        case "leaf":
            claim[0] = leaf_hash(b"another")
        case "index":
            claim[1] = data.draw(st.integers(0, size).filter(lambda other: other != index))
        case "root":
            claim[4] = leaf_hash(b"another")
        case "bit" if path:
            at, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
            flipped = int.from_bytes(path[at], "big") ^ 1 << bit
            path[at] = Digest(flipped.to_bytes(32, "big"))
        case "shorter" if path:
            path.pop(data.draw(st.integers(0, len(path) - 1)))
        case _:
            path.insert(data.draw(st.integers(0, len(path))), leaf_hash(b"another"))
    with pytest.raises(ProofRefused):
        verify_inclusion(*claim)  # type: ignore[arg-type]


def test_zero_is_treated_before_the_algorithm() -> None:
    root = root_of(leaves_of(3))
    verify_consistency(TreeSize(0), TreeSize(3), EMPTY_ROOT, root, [])
    verify_consistency(TreeSize(0), TreeSize(0), EMPTY_ROOT, EMPTY_ROOT, [])
    for size1, size2, root1, root2, path in [
        (0, 3, EMPTY_ROOT, root, [root]),  # a proof where none is needed
        (0, 3, root, root, []),  # a false empty root
        (0, 0, EMPTY_ROOT, root, []),
        (3, 3, root, EMPTY_ROOT, []),
        (3, 2, root, root, []),
        (-1, 3, EMPTY_ROOT, root, []),
        (2, 3, root, root, []),
    ]:
        with pytest.raises(ProofRefused):
            verify_consistency(TreeSize(size1), TreeSize(size2), root1, root2, path)


def test_a_node_is_no_leaf() -> None:
    """The second half of a tree, shown as one leaf of a smaller one: 0x00 and 0x01 keep them apart."""
    a, b, c, d = leaves_of(4)
    root = root_of([a, b, c, d])
    inner = leaf_hash(c + d)  # whoever is shown the bytes `c + d` as an entry hashes them as a leaf
    assert inner != node_hash(c, d)
    with pytest.raises(ProofRefused, match="another root"):
        verify_inclusion(inner, LeafIndex(1), TreeSize(2), [node_hash(a, b)], root)


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_frontier_grows_to_the_root(steps: list[int]) -> None:
    leaves = leaves_of(sum(steps))
    frontier, size = EMPTY_FRONTIER, 0
    for step in steps:
        frontier = frontier.extend(b"".join(leaves[size : size + step]))
        size += step
        assert frontier.root == root_of(leaves[:size]) == range_root(reader(leaves), 0, size)
        assert frontier.size == size


def test_a_frontier_fits_its_size() -> None:
    with pytest.raises(Rejected):
        Frontier(TreeSize(3), bytes(32))


def test_proofs_that_cannot_be() -> None:
    read = reader(leaves_of(3))
    with pytest.raises(Rejected):
        inclusion_path(read, LeafIndex(3), TreeSize(3))
    with pytest.raises(Rejected):
        consistency_path(read, TreeSize(4), TreeSize(3))
    assert consistency_path(read, TreeSize(0), TreeSize(3)) == []
