"""The Merkle tree of RFC 6962, in all the shapes that evidence comes in.

    leaf  = SHA-256(0x00 ‖ data)                 RFC 6962 §2.1
    node  = SHA-256(0x01 ‖ left ‖ right)         split at the largest power of two below the size
    empty = SHA-256("")
    tile  = tile/<L>/<N>[.p/<W>]                 C2SP tlog-tiles: 256 hashes of level 8L; N as x001/x234/067

The body tree of an entry has the same shape with its own prefixes, 0x02 for parts and 0x03 for nodes, so that a part
can never pass for an entry.

>>> tile_path(0, 1234067, 256), tile_path("entries", 3, 17)
('tile/0/x001/x234/067', 'tile/entries/003.p/17')
>>> tree_root([]) == hashlib.sha256(b"").digest()
True
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from tallystick_verify.errors import Tampering

__all__ = [
    "EMPTY",
    "TILE_WIDTH",
    "Frontier",
    "TileHasher",
    "body_node",
    "leaf_hash",
    "node_hash",
    "part_hash",
    "tile_number",
    "tile_path",
    "tile_paths",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
]

TILE_WIDTH = 256
EMPTY = hashlib.sha256(b"").digest()
Node = Callable[[bytes, bytes], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node of the log's tree."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def part_hash(part: bytes) -> bytes:
    """Hash of one part of a body (formats: body tree)."""
    return hashlib.sha256(b"\x02" + part).digest()


def body_node(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node of a body tree."""
    return hashlib.sha256(b"\x03" + left + right).digest()


class Frontier:
    """The tree so far as the roots of its complete subtrees, largest first: all that appending ever needs.

    At most 64 hashes, whatever the size.
    """

    __slots__ = ("_node", "_roots", "size")

    def __init__(self, node: Node = node_hash) -> None:
        self._node = node
        self._roots: list[bytes] = []
        self.size = 0

    def copy(self) -> Frontier:
        """The same, to go on from apart."""
        other = Frontier(self._node)
        other._roots, other.size = list(self._roots), self.size
        return other

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self._add(leaf, 1)

    def append_subtree(self, root: bytes) -> None:
        """Add 256 leaves by their root; only where the size is a multiple of 256."""
        assert self.size % TILE_WIDTH == 0
        self._add(root, TILE_WIDTH)

    def _add(self, root: bytes, leaves: int) -> None:
        # Each 1 at the low end of the size (in units of `leaves`) is a complete subtree on the left that is now paired.
        rest = self.size // leaves
        while rest & 1:
            root = self._node(self._roots.pop(), root)
            rest >>= 1
        self._roots.append(root)
        self.size += leaves

    def root(self) -> bytes:
        """The tree's root at this size."""
        if not self._roots:
            return EMPTY
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = self._node(left, root)
        return root


def tree_root(leaves: Sequence[bytes], node: Node = node_hash) -> bytes:
    """Root over leaf hashes."""
    frontier = Frontier(node)
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def _check_lengths(*hashes: bytes) -> None:
    if any(len(one) != 32 for one in hashes):
        raise Tampering("a hash has 32 bytes", found=[len(one) for one in hashes])


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, node: Node = node_hash
) -> None:
    """Nothing, or `Tampering`: `leaf` stands at `index` in the tree of `size` leaves with this root.

    RFC 9162 §2.1.3.2.
    """
    _check_lengths(leaf, root, *proof)
    if not 0 <= index < size:
        raise Tampering("inclusion proof for a place outside the tree", index=index, tree_size=size)
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Tampering("inclusion proof is too long", index=index, tree_size=size)
        if place & 1 or place == last:
            found = node(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node(found, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise Tampering("inclusion proof is too short", index=index, tree_size=size)
    if found != root:
        raise Tampering("inclusion proof leads to another root", index=index, expected=root, found=found)


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Nothing, or `Tampering`: the tree of `size2` extends that of `size1`; the empty tree extends to every other.

    RFC 9162 §2.1.4.2.
    """
    _check_lengths(root1, root2, *proof)
    if size1 > size2:
        raise Tampering("the later tree is smaller", expected=size1, found=size2)
    if size1 in (0, size2):
        if proof:
            raise Tampering("consistency proof should be empty")
        if size1 == 0 and root1 != EMPTY:
            raise Tampering("root of an empty tree is wrong", expected=EMPTY, found=root1)
        if size1 == size2 and root1 != root2:
            raise Tampering("two roots of one size", expected=root1, found=root2)
        return
    path = list(proof)
    if size1 & (size1 - 1) == 0:  # a complete subtree of the later tree: its root is the start of the path
        path.insert(0, root1)
    if not path:
        raise Tampering("consistency proof is too short")
    place, last = size1 - 1, size2 - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise Tampering("consistency proof is too long")
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise Tampering("consistency proof is too short")
    if old != root1:
        raise Tampering("consistency proof leads to another earlier root", expected=root1, found=old)
    if new != root2:
        raise Tampering("consistency proof leads to another root", expected=root2, found=new)


def tile_number(number: int) -> str:
    """A tile's number in groups of three digits, all but the last with `x`: x001/x234/067."""
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)


def tile_path(level: int | str, number: int, width: int) -> str:
    """Path of a tile or entry bundle; `level` is 0–63 or "entries", `width` 1–256."""
    return f"tile/{level}/{tile_number(number)}" + (f".p/{width}" if width < TILE_WIDTH else "")


def tile_paths(size: int) -> Iterator[str]:
    """Paths of all tiles and entry bundles of a tree of `size` leaves (C2SP tlog-tiles)."""
    for kind in ("entries", *range(64)):
        count = size >> 8 * (0 if isinstance(kind, str) else kind)
        yield from (tile_path(kind, number, TILE_WIDTH) for number in range(count >> 8))
        if count % TILE_WIDTH:
            yield tile_path(kind, count >> 8, count % TILE_WIDTH)
        if not count:
            return


class TileHasher:
    """All tiles of a tree, from its leaves in order, holding one tile per level.

    `append` and `finish` yield (level, number, hashes) as each tile fills up; `finish` the partial ones. A partial
    tile is never hashed upward (C2SP tlog-tiles).
    """

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._levels: list[list[bytes]] = []
        self._numbers: list[int] = []

    def append(self, leaves: Sequence[bytes]) -> Iterator[tuple[int, int, bytes]]:
        """Add the leaf hashes of one entry bundle: 256, or fewer for the last one."""
        if len(leaves) < TILE_WIDTH:
            for leaf in leaves:
                self.frontier.append(leaf)
            self._level(0).extend(leaves)
            return
        yield from self._full(0, list(leaves))

    def _level(self, level: int) -> list[bytes]:
        if level == len(self._levels):
            self._levels.append([])
            self._numbers.append(0)
        return self._levels[level]

    def _full(self, level: int, hashes: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
        self._level(level)
        yield level, self._numbers[level], b"".join(hashes)
        self._numbers[level] += 1
        root = tree_root(hashes)
        if level == 0:
            self.frontier.append_subtree(root)
        above = self._level(level + 1)
        above.append(root)
        if len(above) == TILE_WIDTH:
            self._levels[level + 1] = []
            yield from self._full(level + 1, above)

    def finish(self) -> Iterator[tuple[int, int, bytes]]:
        """The partial tiles at the right edge."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                yield level, self._numbers[level], b"".join(hashes)
