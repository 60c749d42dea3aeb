"""The Merkle tree of RFC 6962 and RFC 9162 over SHA-256: proofs, checked and built.

    leaf  = SHA-256(0x00 || data)                         ; RFC 9162 §2.1.1
    node  = SHA-256(0x01 || left || right)
    root  = "" -> SHA-256(""), one leaf -> itself, else split at the largest power of two below the size

A path is a sequence of hashes, from the leaf's sibling up. Verification raises `ProofRefused` or returns; it never
answers with a bool that a caller could forget to look at.

>>> left, right = leaf_hash(b"a"), leaf_hash(b"b")
>>> verify_inclusion(left, LeafIndex(0), TreeSize(2), [right], node_hash(left, right))
>>> verify_inclusion(right, LeafIndex(0), TreeSize(2), [left], node_hash(left, right))  # doctest: +ELLIPSIS
Traceback (most recent call last):
tallystick.core.merkle.ProofRefused: the inclusion proof leads to another root; index 0; size 2; expected ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick import kernels
from tallystick.core.digest import DIGEST_BYTES, EMPTY_ROOT, Digest, LeafIndex, TreeSize
from tallystick.errors import IntegrityViolation, Rejected

__all__ = [
    "EMPTY_FRONTIER",
    "PATH_HASHES_MAX",
    "Frontier",
    "NodeReader",
    "ProofRefused",
    "consistency_path",
    "full_subtrees",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "range_root",
    "root_of_path",
    "verify_consistency",
    "verify_inclusion",
]

PATH_HASHES_MAX: Final = 63  # a tree has fewer than 2^63 leaves

NodeReader = Callable[[int, int], Digest]
"""(height, n) -> root of the full subtree over leaves [n * 2^height, (n + 1) * 2^height)."""


class ProofRefused(IntegrityViolation):
    """A proof does not lead to the root that it was given for."""


def leaf_hash(data: bytes) -> Digest:
    """SHA-256(0x00 || data)."""
    return Digest(kernels.leaf_hash(data))


def node_hash(left: Digest, right: Digest) -> Digest:
    """SHA-256(0x01 || left || right)."""
    return Digest(kernels.node_hash(left, right))


def root_of_path(
    leaf: Digest,
    index: int,
    size: int,
    path: Sequence[Digest],
    node: Callable[[Digest, Digest], Digest] = node_hash,
) -> Digest:
    """The root that `path` computes for `leaf` (RFC 9162 §2.1.3.2, its steps 1 to 4); `node` hashes two children.

    `ProofRefused` when the path has not exactly the length that (index, size) asks for.
    """
    # 1. The leaf lies in the tree.
    if not 0 <= index < size:
        raise ProofRefused("the leaf lies outside the tree", index=index, size=size)
    # 2. fn is the leaf's position, sn that of the last leaf of the tree.
    fn, sn = index, size - 1
    # 3. r starts as the leaf's hash.
    r = leaf
    # 4. Each hash of the path is a sibling, on the left or on the right.
    for p in path:
        if sn == 0:
            raise ProofRefused("the inclusion proof is too long", index=index, size=size, found=len(path))
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofRefused("the inclusion proof is too short", index=index, size=size, found=len(path))
    return r


def verify_inclusion(leaf: Digest, index: LeafIndex, size: TreeSize, path: Sequence[Digest], root: Digest) -> None:
    """RFC 9162 section 2.1.3.2: `leaf` is leaf `index` of the tree of `size` leaves whose root is `root`."""
    found = root_of_path(leaf, index, size, path)
    # 5. r is the root.
    if found != root:
        raise ProofRefused(
            "the inclusion proof leads to another root", index=index, size=size, expected=root.hex(), found=found.hex()
        )


def verify_consistency(size1: TreeSize, size2: TreeSize, root1: Digest, root2: Digest, path: Sequence[Digest]) -> None:
    """RFC 9162 section 2.1.4.2: the tree (size2, root2) begins with the leaves of (size1, root1)."""

    def refuse(reason: str, expected: object = None, found: object = None) -> ProofRefused:
        message = f"the consistency proof {reason}"
        return ProofRefused(message, size1=size1, size2=size2, expected=expected, found=found)

    if not 0 <= size1 <= size2:
        raise refuse("goes backwards")
    # The algorithm is defined for 0 < size1 < size2; what is left of it:
    # every tree begins with the empty one (C2SP tlog-witness), and a tree with itself.
    if size1 in {0, size2}:
        if path:
            raise refuse("must be empty", found=len(path))
        if size1 == 0 and root1 != EMPTY_ROOT:
            raise refuse("starts at a false empty root", expected=EMPTY_ROOT.hex(), found=root1.hex())
        if size1 == size2 and root1 != root2:
            raise refuse("has two roots for one size", expected=root1.hex(), found=root2.hex())
        return
    # 1. An empty path proves nothing.
    if not path:
        raise refuse("is empty")
    # 2. If size1 is a power of two, root1 itself is the first node.
    nodes = list(path) if size1 & (size1 - 1) else [root1, *path]
    # 3. fn and sn are the last leaves of the two trees.
    fn, sn = size1 - 1, size2 - 1
    # 4. Go up to the first node that is a right child or the top of the old tree.
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # 5. fr and sr grow to the old and the new root.
    fr = sr = nodes[0]
    # 6. Each further hash is a left sibling of both, or a right sibling of the new one.
    for c in nodes[1:]:
        if sn == 0:
            raise refuse("is too long", found=len(path))
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    # 7. Both roots are reached, and the path ends there.
    if sn != 0:
        raise refuse("is too short", found=len(path))
    if fr != root1:
        raise refuse("leads to another old root", expected=root1.hex(), found=fr.hex())
    if sr != root2:
        raise refuse("leads to another new root", expected=root2.hex(), found=sr.hex())


def full_subtrees(first: int, end: int) -> Iterator[tuple[int, int]]:
    """(height, n) of the full subtrees that make up leaves [first, end), largest first.

    `first` is a multiple of the largest of them: 0, or where RFC 9162 splits a tree.
    """
    while first < end:
        height = (end - first).bit_length() - 1
        yield height, first >> height
        first += 1 << height


def range_root(read: NodeReader, first: int, end: int) -> Digest:
    """RFC 9162 section 2.1.1 over leaves [first, end) where the tree is split at `first`."""
    nodes = [read(height, n) for height, n in full_subtrees(first, end)]
    if not nodes:
        return EMPTY_ROOT
    root = nodes.pop()
    while nodes:
        root = node_hash(nodes.pop(), root)
    return root


def inclusion_path(read: NodeReader, index: LeafIndex, size: TreeSize) -> list[Digest]:
    """PATH(index, D[size]) of RFC 9162 section 2.1.3.1, leaf to root."""
    if not 0 <= index < size:
        raise Rejected("no such leaf in this tree", index=index, size=size)
    siblings: list[tuple[int, int]] = []
    first, end = 0, int(size)
    while end - first > 1:
        split = first + _largest_power_below(end - first)
        if index < split:
            siblings.append((split, end))
            end = split
        else:
            siblings.append((first, split))
            first = split
    return [range_root(read, a, b) for a, b in reversed(siblings)]


def consistency_path(read: NodeReader, size1: TreeSize, size2: TreeSize) -> list[Digest]:
    """PROOF(size1, D[size2]) of RFC 9162 section 2.1.4.1; empty from size 0 and between equal sizes."""
    if not 0 <= size1 <= size2:
        raise Rejected("the old tree is not smaller than the new one", size1=size1, size2=size2)
    if size1 in {0, size2}:
        return []
    ranges: list[tuple[int, int]] = []
    first, end = 0, int(size2)
    while end != size1:
        split = first + _largest_power_below(end - first)
        if size1 <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((first, split))
            first = split
    if first > 0:  # the old tree is not itself a full subtree, which the verifier would know already
        ranges.append((first, end))
    return [range_root(read, a, b) for a, b in reversed(ranges)]


def _largest_power_below(n: int) -> int:
    return 1 << ((n - 1).bit_length() - 1)


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the full subtrees of a tree, largest first, 32 bytes each: all that appending needs.

    >>> EMPTY_FRONTIER.extend(leaf_hash(b"a") + leaf_hash(b"b")).root == node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    True
    """

    size: TreeSize
    hashes: bytes

    def __post_init__(self) -> None:
        if len(self.hashes) != DIGEST_BYTES * self.size.bit_count():
            raise Rejected("a frontier holds one hash for each bit of its size", size=self.size, found=len(self.hashes))

    @property
    def root(self) -> Digest:
        return Digest(kernels.frontier_root(self.size, self.hashes))

    def extend(self, leaves: bytes) -> Frontier:
        """The frontier after appending leaf hashes, 32 bytes each."""
        count = len(leaves) // DIGEST_BYTES
        return Frontier(TreeSize(self.size + count), kernels.frontier_extend(self.size, self.hashes, leaves))


EMPTY_FRONTIER: Final = Frontier(TreeSize(0), b"")
