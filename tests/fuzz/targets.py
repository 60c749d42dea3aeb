"""What is fuzzed: every parser and every verifier of foreign bytes, with valid samples to start from.

The one invariant: only `Rejected` or `IntegrityViolation` comes out, and what parses prints back to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import samples

from tallystick.core.archive import read_zip, write_zip
from tallystick.core.body import Body, Disclosure, verify_disclosure
from tallystick.core.bundle import Manifest, verify_bundle
from tallystick.core.chain import Chain
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.cosignature import TimestampedSignature
from tallystick.core.digest import LeafIndex, TreeSize, format_base64, parse_base64, parse_decimal
from tallystick.core.encoding import canonical, parse_canonical
from tallystick.core.note import Note, VerifierKey, open_note
from tallystick.core.policy import Policy
from tallystick.core.proof import Proof
from tallystick.core.receipt import verify_receipt
from tallystick.core.stub import Stub
from tallystick.core.tiles import Tile, TileReader, format_bundle, parse_bundle
from tallystick.errors import IntegrityViolation, Rejected

__all__ = ["TARGETS", "Target"]

LEDGER = samples.ledger()
SEPARATOR = b"\n---\n"  # of two files in one input


@dataclass(frozen=True)
class Target:
    """`check` raises `AssertionError`, or anything but a refusal, when the invariant is broken."""

    seeds: tuple[bytes, ...]
    check: Callable[[bytes], None]

    def __call__(self, data: bytes) -> bool:
        """Whether the bytes were accepted."""
        try:
            self.check(data)
        except (Rejected, IntegrityViolation):
            return False
        return True


def canonical_both_ways(parse: Callable[[bytes], bytes], *seeds: bytes) -> Target:
    """`parse` reads bytes and prints them again."""

    def check(data: bytes) -> None:
        printed = parse(data)
        assert printed == data, f"parses, but prints as {printed!r}"

    return Target(seeds, check)


def text(data: bytes) -> str:
    """Any bytes as a str; those that are not UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def policy_twice(data: bytes) -> None:
    policy = Policy.parse(data)
    assert Policy.parse(policy.format()) == policy


def proofs_from_tiles(data: bytes) -> None:
    """A tile is replaced by foreign bytes: proofs are refused or right."""
    tiles = LEDGER.tiles() | {"tile/0/000.p/12": data}
    reader = TileReader(tiles.get, TreeSize(12), LEDGER.checkpoint().root)
    assert reader.inclusion(LeafIndex(3)) == list(LEDGER.proof(3).path)
    reader.consistency(TreeSize(7))


def two_files(data: bytes) -> tuple[bytes, bytes]:
    proof, _, disclosure = data.partition(SEPARATOR)
    return proof, disclosure


def receipt(data: bytes) -> None:
    shown = verify_receipt(*two_files(data), samples.both_keys())
    assert shown.entry.raw_stub == LEDGER.stubs[shown.entry.stub.seq]
    for index, part in shown.entry.parts.items():
        assert part == LEDGER.bodies[shown.entry.stub.seq].parts[index]


def note(data: bytes) -> None:
    keys = [samples.verifier_key(signer, samples.ORIGIN) for signer in samples.signers()]
    assert open_note(data, keys).text == LEDGER.checkpoint().format()


def bundle(data: bytes) -> None:
    files = read_zip(data, bytes_max=1 << 22)
    assert read_zip(write_zip(files)) == files
    shown = verify_bundle(files, samples.both_keys())
    assert shown.checkpoint.checkpoint == LEDGER.checkpoint()


def chain(data: bytes) -> None:
    followed = Chain(samples.ORIGIN)
    for raw in parse_bundle(data):
        followed.add(raw)
    assert followed.size


def disclosure(data: bytes) -> bytes:
    shown = Disclosure.parse(data)
    try:
        verify_disclosure(shown)
    except IntegrityViolation:
        return shown.format()
    return shown.format()


TARGETS: Mapping[str, Target] = {
    "base64": canonical_both_ways(lambda data: format_base64(parse_base64(text(data), "data")).encode(), b"AQI=", b""),
    "decimal": canonical_both_ways(lambda data: str(parse_decimal(text(data), "size")).encode(), b"0", b"20852163"),
    "json": canonical_both_ways(lambda data: canonical(parse_canonical(data, "value")), *LEDGER.stubs[:5]),
    "checkpoint": canonical_both_ways(lambda data: Checkpoint.parse(data).format(), LEDGER.checkpoint().format()),
    "cosignature": canonical_both_ways(lambda data: TimestampedSignature.parse(data).format(), bytes(72), b"\x7f" * 9),
    "vkey": canonical_both_ways(
        lambda data: VerifierKey.parse(text(data)).format().encode(),
        *(samples.verifier_key(signer, samples.ORIGIN).format().encode() for signer in samples.signers()),
    ),
    "note": canonical_both_ways(lambda data: Note.parse(data).format(), LEDGER.note(), LEDGER.note(cosigned=True)),
    "open_note": Target((LEDGER.note(), LEDGER.note(cosigned=True)), note),
    "policy": Target((samples.witnessed().format(), samples.both_keys().format()), policy_twice),
    "proof": canonical_both_ways(
        lambda data: Proof.parse(data).format(), LEDGER.proof(6).format(), LEDGER.proof(0, 1, extra=b"x").format()
    ),
    "stub": canonical_both_ways(lambda data: Stub.parse(data).format(), *LEDGER.stubs[:5]),
    "body": canonical_both_ways(
        lambda data: Body.parse(data).format(), LEDGER.bodies[1].format(), LEDGER.bodies[1].destroy({2}).format(), b""
    ),
    "disclosure": canonical_both_ways(
        disclosure, LEDGER.disclosure(1).format(), LEDGER.disclosure(2, [1, 3]).format(), LEDGER.disclosure(0).format()
    ),
    "tile_path": canonical_both_ways(
        lambda data: str(Tile.parse(text(data))).encode(), b"tile/0/x001/x234/067", b"tile/entries/273.p/112"
    ),
    "entry_bundle": canonical_both_ways(lambda data: format_bundle(parse_bundle(data)), format_bundle(LEDGER.stubs)),
    "tile": Target((LEDGER.tiles()["tile/0/000.p/12"],), proofs_from_tiles),
    "chain": Target((format_bundle(LEDGER.stubs),), chain),
    "manifest": canonical_both_ways(
        lambda data: Manifest.parse(data).format(),
        LEDGER.bundle()["manifest.json"],
        LEDGER.receipts(1)["manifest.json"],
    ),
    "receipt": Target(
        (LEDGER.proof(6).format() + SEPARATOR + LEDGER.disclosure(6, [1, 2]).format(),),
        receipt,
    ),
    "bundle": Target((write_zip(LEDGER.receipts(1)), write_zip(LEDGER.bundle())), bundle),
}
