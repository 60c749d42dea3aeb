"""The evidence bundle: what somebody needs to check a ledger, or some entries of it, without asking anyone.

    manifest.json                what is in it, and what it cannot show; canonical JSON of exactly
                                 {"anchors":[],"cannot_show":[sentence, …],"files":{path: SHA-256 hex, …},
                                  "kind":"ledger"/"receipts","ledger":origin,"size":n,"v":1}
    policy                       the trust policy that its maker suggests (policy.py)
    checkpoint                   the latest signed checkpoint, of size n (note.py)
    checkpoints/<size>           earlier ones
    entries/<seq>.json           a disclosure (body.py)
    entries/<seq>.tlog-proof     its proof (proof.py); in a bundle of receipts every disclosure has one
    tile/…, tile/entries/…       in a bundle of a ledger: all tiles of size n and no others (tiles.py)
    bodies/<n>.jsonl             in a bundle of a ledger for its auditor, in place of disclosures: the bodies of the
                                 entries of bundle n, a line each, "[]" where the body stands in the stub

A bundle is a mapping from paths to bytes: a folder, or a zip (archive.py). The manifest's hashes find accidents and
name the file; they prove nothing against whoever made the bundle. The proof is in signatures, proofs and hashes of
the formats themselves, under the policy of whoever verifies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from tallystick import kernels
from tallystick.core.body import Body, Disclosure, Part, VerifiedDisclosure, verify_disclosure
from tallystick.core.chain import Chain
from tallystick.core.checkpoint import Checkpoint, check_name
from tallystick.core.digest import (
    DIGEST_BYTES,
    EMPTY_ROOT,
    Digest,
    LeafIndex,
    Microseconds,
    TreeSize,
    parse_decimal,
    parse_hex_digest,
)
from tallystick.core.encoding import canonical, members, parse_canonical
from tallystick.core.merkle import EMPTY_FRONTIER
from tallystick.core.note import Note
from tallystick.core.policy import AcceptedCheckpoint, Policy
from tallystick.core.receipt import Assurance, VerifiedReceipt, assurance_of, signed_no_earlier, verify_receipt
from tallystick.core.stub import OPEN_KINDS, Stub, entry_hash
from tallystick.core.tiles import TILE_WIDTH, Tile, TileReader, parse_bundle, tiles_of
from tallystick.errors import IntegrityViolation, Malformed

__all__ = [
    "BundleBroken",
    "Manifest",
    "VerifiedBundle",
    "check_path",
    "entry_path",
    "make_bundle",
    "verify_bundle",
]

Kind = Literal["ledger", "receipts"]

_MANIFEST: Final = "manifest.json"
_POLICY: Final = "policy"
_CHECKPOINT: Final = "checkpoint"
_ENTRY: Final = re.compile(r"entries/(0|[1-9][0-9]*)\.(json|tlog-proof)", re.ASCII)
_BODIES: Final = re.compile(r"bodies/((?:x[0-9]{3}/)*[0-9]{3})\.jsonl", re.ASCII)
_EARLIER: Final = re.compile(r"checkpoints/(0|[1-9][0-9]*)", re.ASCII)


class BundleBroken(IntegrityViolation):
    """The files of a bundle contradict each other, or one is missing; `path` says which."""


def entry_path(seq: int, suffix: Literal["json", "tlog-proof"]) -> str:
    """Where an entry's disclosure or proof lies."""
    return f"entries/{seq}.{suffix}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself. `cannot_show` is for people; verification works out its own list."""

    kind: Kind
    ledger: str
    size: TreeSize
    files: Mapping[str, str]  # path to SHA-256 in hex; the manifest itself is not among them
    cannot_show: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """`Malformed` unless `data` is what `format` prints and every path is one of a bundle."""
        names: dict[str, type] = {
            "anchors": list,
            "cannot_show": list,
            "files": dict,
            "kind": str,
            "ledger": str,
            "size": int,
            "v": int,
        }
        value = members(parse_canonical(data, "manifest"), names, "manifest")
        if value["v"] != 1 or value["anchors"]:
            raise Malformed("a manifest of an unknown version", expected="v 1, no anchors", found=value["v"])
        if value["kind"] not in {"ledger", "receipts"} or value["size"] < 0:
            raise Malformed("manifest: no such kind or size", kind=value["kind"], size=value["size"])
        if not all(isinstance(sentence, str) for sentence in value["cannot_show"]):
            raise Malformed("manifest: cannot_show holds sentences")
        for path, found in value["files"].items():
            if check_path(path) == _MANIFEST:
                raise Malformed("manifest: it does not list itself")
            if not isinstance(found, str):
                raise Malformed("manifest: files holds hashes", path=path)
            parse_hex_digest(found, f"manifest: hash of {path}")
        size = TreeSize(value["size"])
        ledger = check_name(value["ledger"], "origin")
        return cls(value["kind"], ledger, size, value["files"], tuple(value["cannot_show"]))

    def format(self) -> bytes:
        value: dict[str, Any] = {
            "anchors": [],
            "cannot_show": list(self.cannot_show),
            "files": dict(self.files),
            "kind": self.kind,
            "ledger": self.ledger,
            "size": self.size,
            "v": 1,
        }
        return canonical(value)


def check_path(path: str) -> str:
    """`path` if it may stand in a bundle, else `Malformed`. No such path is absolute or has a `.` or `..` in it."""
    if path not in {_MANIFEST, _POLICY, _CHECKPOINT} and not _ENTRY.fullmatch(path) and not _EARLIER.fullmatch(path):
        bodies = _BODIES.fullmatch(path)
        Tile.parse(f"tile/entries/{bodies[1]}" if bodies else path)
    return path


_AFTER: Final = "Entries recorded after the checkpoint of size {size}."
_TIME: Final = "When the checkpoint existed, other than by the word of those who signed it: no anchor is enclosed."
_OTHERS: Final = "Entries that are not enclosed, and whether the entries between keep the ledger's rules."
_APART: Final = "Whether {count} enclosed checkpoints of other sizes are of the latest one's history."
_UNREAD: Final = "What {count} entries say in whole: some or all of their parts cannot be read here."
_RULES: Final = (
    "Double entry and balances: they are derived again at the auditor's depth, from all parts of all entries."
)


def make_bundle(
    policy: Policy,
    checkpoint: bytes,
    earlier: Mapping[int, bytes],
    entries: Mapping[int, tuple[bytes, bytes | None]],
    tiles: Mapping[str, bytes],
    bodies: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, bytes]:
    """The files of a bundle, checked as `verify_bundle` would under the policy that is enclosed.

    `earlier`: signed checkpoints by size. `entries`: disclosure and proof by seq. `tiles`: by path, all of the
    checkpoint's size, for a bundle of the whole ledger; none for a bundle of receipts. `bodies`: by path.
    """
    latest = Checkpoint.parse(Note.parse(checkpoint).text)
    files = {_POLICY: policy.format(), _CHECKPOINT: checkpoint, **tiles, **bodies}
    files |= {f"checkpoints/{size}": note for size, note in earlier.items()}
    for seq, (disclosure, proof) in entries.items():
        files[entry_path(seq, "json")] = disclosure
        if proof is not None:
            files[entry_path(seq, "tlog-proof")] = proof
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    kind: Kind = "ledger" if tiles else "receipts"
    draft = Manifest(kind, latest.origin, latest.size, hashes, ())
    evidence = verify_bundle({**files, _MANIFEST: draft.format()})
    manifest = Manifest(kind, latest.origin, latest.size, hashes, evidence.not_shown)
    return {_MANIFEST: manifest.format(), **files}


_VERIFIED: Final = object()


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What a bundle has shown. Made by `verify_bundle` only.

    `entries` counts stubs whose place in the ledger is proven; `readable` those of which every part was shown and
    verified; `hidden` are (seq, part) shown by hash only. `not_shown` says what nobody can conclude from this bundle.
    """

    manifest: Manifest
    checkpoint: AcceptedCheckpoint
    assurance: Assurance
    earlier: tuple[TreeSize, ...]
    receipts: Mapping[LeafIndex, VerifiedReceipt]
    entries: int
    readable: int
    hidden: tuple[tuple[LeafIndex, int], ...]
    policy_is_enclosed: bool  # nobody else's policy was given: who is trusted was decided by the bundle's maker
    not_shown: tuple[str, ...]
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _VERIFIED:
            raise TypeError("a VerifiedBundle comes from verify_bundle alone")


def verify_bundle(files: Mapping[str, bytes], policy: Policy | None = None) -> VerifiedBundle:
    """Verify everything in a bundle under `policy`, or under the enclosed one if none is given.

    1. The manifest is of its format; exactly its files are there, with its hashes.
    2. The policy accepts the latest checkpoint, which is of the manifest's ledger and size.
    3. Earlier checkpoints are signed by the log.
    4. Of a whole ledger: every tile follows from the entry bundles, and their root is the checkpoint's; every stub
       follows the one before it, and every seal tells the truth (chain.py); every earlier root is the tree's own; no
       signature is older than the last entry.
    5. Every proof is verified as a receipt (receipt.py), and its root is that of the tree as far as that is known.
    6. Every other disclosure, and every body, belongs to the entry at its place in the tree.
    7. What remains open is said.

    `BundleBroken`, or another `IntegrityViolation`, at the first thing that fails; `Malformed` for a broken format.
    """
    # 1.
    manifest = _open_manifest(files)
    # 2.
    enclosed = policy is None
    policy = Policy.parse(files[_POLICY]) if policy is None else policy
    accepted = policy.accept(files[_CHECKPOINT])
    latest = accepted.checkpoint
    if (latest.origin, latest.size) != (manifest.ledger, manifest.size):
        raise BundleBroken(
            "the checkpoint is not the manifest's",
            path=_CHECKPOINT,
            expected=f"{manifest.ledger} {manifest.size}",
            found=f"{latest.origin} {latest.size}",
        )
    # 3.
    earlier = _open_earlier(files, manifest, policy)
    # 4.
    tree = _Tree.check(files, manifest, latest) if manifest.kind == "ledger" else None
    if tree is not None and tree.last_at is not None:
        signed_no_earlier(accepted, tree.last_at, LeafIndex(latest.size - 1))
    roots = {latest.size: latest.root}
    apart = sum(_stands_apart(f"checkpoints/{size}", earlier[size], latest, roots, tree) for size in earlier)
    receipts: dict[LeafIndex, VerifiedReceipt] = {}
    hidden: list[tuple[LeafIndex, int]] = []
    private: set[LeafIndex] = set()  # entries shown that have parts
    readable: set[LeafIndex] = set()
    for seq in _entries(manifest):
        path = entry_path(seq, "json")
        proof = files.get(entry_path(seq, "tlog-proof"))
        if path not in manifest.files or (proof is None and tree is None):
            raise BundleBroken("a proof and a disclosure belong together", path=path)
        if proof is not None:
            # 5.
            receipt = receipts[seq] = verify_receipt(proof, files[path], policy)
            apart += _stands_apart(path, receipt.checkpoint.checkpoint, latest, roots, tree)
            entry = receipt.entry
        else:
            # 6.
            entry = verify_disclosure(Disclosure.parse(files[path]))
        _check_place(path, seq, entry, tree)
        if entry.stub.parts:
            private.add(seq)
            readable |= {seq} if entry.complete else set()
        hidden += [(seq, part) for part in entry.hidden]
    if tree is None and not receipts:
        raise BundleBroken("a bundle of receipts holds none", path=_MANIFEST)
    for path in manifest.files:
        if match := _BODIES.fullmatch(path):
            # 6.
            for stub, body in _bodies(path, match[1], files[path], tree):
                if stub.parts and all(isinstance(part, Part) for part in body.parts):
                    readable.add(stub.seq)
                hidden += [(stub.seq, i) for i, part in enumerate(body.parts) if not isinstance(part, Part)]
    # 7.
    unread = (tree.private if tree else len(private)) - len(readable)
    not_shown = [_AFTER.format(size=latest.size), _TIME]
    not_shown += [] if tree else [_OTHERS]
    not_shown += [_APART.format(count=apart)] if apart else []
    not_shown += [_UNREAD.format(count=unread)] if unread else []
    return VerifiedBundle(
        manifest,
        accepted,
        assurance_of(accepted),
        tuple(sorted(earlier)),
        receipts,
        latest.size if tree else len(receipts),
        len(readable),
        tuple(hidden),
        enclosed,
        (*not_shown, _RULES),
        _VERIFIED,
    )


def _open_manifest(files: Mapping[str, bytes]) -> Manifest:
    if _MANIFEST not in files:
        raise Malformed("not a bundle: it has no manifest", expected=_MANIFEST)
    manifest = Manifest.parse(files[_MANIFEST])
    unlisted = sorted(files.keys() - manifest.files.keys() - {_MANIFEST})
    absent = sorted(({_POLICY, _CHECKPOINT} | manifest.files.keys()) - files.keys())
    if unlisted or absent:
        reason = "a file is not in the manifest" if unlisted else "a file is missing"
        raise BundleBroken(reason, path=(unlisted or absent)[0], unlisted=len(unlisted), missing=len(absent))
    for path, expected in manifest.files.items():
        found = hashlib.sha256(files[path]).hexdigest()
        if found != expected:
            raise BundleBroken("a file is not the one in the manifest", path=path, expected=expected, found=found)
    return manifest


def _open_earlier(files: Mapping[str, bytes], manifest: Manifest, policy: Policy) -> dict[TreeSize, Checkpoint]:
    """Earlier checkpoints by size, signed by the log; whether a quorum had seen them is not asked."""
    earlier = {}
    for path in manifest.files:
        if match := _EARLIER.fullmatch(path):
            checkpoint = Checkpoint.parse(policy.open_signed(files[path]).text)
            size = TreeSize(parse_decimal(match[1], "tree size"))
            if (checkpoint.origin, checkpoint.size) != (manifest.ledger, size):
                raise BundleBroken(
                    "an earlier checkpoint is not the one that its path says",
                    path=path,
                    expected=f"{manifest.ledger} {size}",
                    found=f"{checkpoint.origin} {checkpoint.size}",
                )
            earlier[size] = checkpoint
    return earlier


@dataclass(frozen=True, slots=True)
class _Tree:
    """A whole tree whose tiles and entries were checked against the checkpoint; `private` entries have parts."""

    reader: TileReader
    private: int
    last_at: Microseconds | None

    @classmethod
    def check(cls, files: Mapping[str, bytes], manifest: Manifest, latest: Checkpoint) -> _Tree:
        expected = {str(tile) for tile in tiles_of(latest.size)}
        found = {path for path in manifest.files if path.startswith("tile/")}
        if expected != found:
            raise BundleBroken(
                "the tiles are not those of the checkpoint",
                path=min(expected ^ found),
                size=latest.size,
                missing=len(expected - found),
                unexpected=len(found - expected),
            )
        chain, frontier, private = Chain(latest.origin), EMPTY_FRONTIER, 0
        above = bytearray()  # hashes of the level above the one being checked
        for index in range(-(-latest.size // TILE_WIDTH)):
            # 4a. Entries, one after the other, and their hashes at level 0.
            bundle = files[str(Tile(None, index, min(latest.size - index * TILE_WIDTH, TILE_WIDTH)))]
            private += sum(chain.add(raw).parts > 0 for raw in parse_bundle(bundle))
            leaves = kernels.bundle_hashes(bundle)
            frontier = frontier.extend(leaves)
            above += _follows(files, 0, index, leaves)
        level = 1
        while above:
            # 4b. The tiles of each further level, from the full tiles below.
            hashes, above = bytes(above), bytearray()
            for index, start in enumerate(range(0, len(hashes), TILE_WIDTH * DIGEST_BYTES)):
                above += _follows(files, level, index, hashes[start : start + TILE_WIDTH * DIGEST_BYTES])
            level += 1
        # 4c. Their root.
        if frontier.root != latest.root:
            raise BundleBroken(
                "the entries are not those under the checkpoint",
                path=_CHECKPOINT,
                expected=latest.root.hex(),
                found=frontier.root.hex(),
            )
        return cls(TileReader(files.get, latest.size), private, chain.at)


def _follows(files: Mapping[str, bytes], level: int, index: int, hashes: bytes) -> bytes:
    """The hash of a tile for the level above, if it is full; `BundleBroken` unless it consists of `hashes`."""
    path = str(Tile(level, index, max(1, min(len(hashes) // DIGEST_BYTES, TILE_WIDTH))))
    if files.get(path) != hashes:
        raise BundleBroken("a tile does not follow from the entries", path=path)
    return kernels.tile_hashes(hashes)


def _bodies(path: str, place: str, data: bytes, tree: _Tree | None) -> Iterator[tuple[Stub, Body]]:
    """The stubs of an entry bundle with the bodies of a file of bodies, each checked against its stub."""
    tile = Tile.parse(f"tile/entries/{place}")
    if tree is None or tile.first >= tree.reader.size:
        raise BundleBroken("bodies of entries that are not in the bundle", path=path)
    stubs = [Stub.parse(raw) for raw in tree.reader.entries(tile.index)]
    lines = data.split(b"\n")
    if len(lines) != len(stubs) + 1 or lines[-1]:
        raise BundleBroken("not a line for each entry", path=path, expected=len(stubs), found=len(lines) - 1)
    for stub, line in zip(stubs, lines, strict=False):
        body = Body.parse(b"" if line == b"[]" else line)
        expected = EMPTY_ROOT if stub.kind in OPEN_KINDS else stub.body
        if (len(body.parts), body.root) != (stub.parts, expected):
            raise BundleBroken("the parts are not those of the entry", path=path, seq=stub.seq)
        yield stub, body


def _entries(manifest: Manifest) -> list[LeafIndex]:
    matches = filter(None, map(_ENTRY.fullmatch, manifest.files))
    return sorted({LeafIndex(parse_decimal(match[1], "seq")) for match in matches})


def _stands_apart(
    path: str, checkpoint: Checkpoint, latest: Checkpoint, roots: dict[TreeSize, Digest], tree: _Tree | None
) -> bool:
    """Whether nothing here shows that a checkpoint is of the latest one's history; `BundleBroken` if it is not."""
    if checkpoint.size > latest.size:
        raise BundleBroken(
            "a checkpoint is later than the latest", path=path, expected=latest.size, found=checkpoint.size
        )
    expected = tree.reader.root(checkpoint.size) if tree else roots.setdefault(checkpoint.size, checkpoint.root)
    if expected != checkpoint.root:
        raise BundleBroken(
            "two roots for one size",
            path=path,
            size=checkpoint.size,
            expected=expected.hex(),
            found=checkpoint.root.hex(),
        )
    return tree is None and checkpoint.size != latest.size


def _check_place(path: str, seq: LeafIndex, entry: VerifiedDisclosure, tree: _Tree | None) -> None:
    if entry.stub.seq != seq:
        raise BundleBroken("a disclosure is of another entry than its path says", path=path, found=entry.stub.seq)
    if tree is not None:
        if seq >= tree.reader.size:
            raise BundleBroken("a disclosure is of an entry after the checkpoint", path=path, size=tree.reader.size)
        expected, found = tree.reader.leaf(seq), entry_hash(entry.raw_stub)
        if expected != found:
            raise BundleBroken(
                "a disclosure is not of the entry in the tree", path=path, expected=expected.hex(), found=found.hex()
            )
