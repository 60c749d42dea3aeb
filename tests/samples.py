"""A small ledger made by hand with fixed keys: stubs, bodies, tiles, checkpoints, receipts, a bundle, each valid."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from tallystick import kernels
from tallystick.core.body import Body, Disclosure, Part, disclose
from tallystick.core.bundle import make_bundle
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import ZERO_DIGEST, Digest, LeafIndex, Microseconds, Seconds, TreeSize
from tallystick.core.encoding import canonical
from tallystick.core.note import Note, SignatureLine, SignatureType, VerifierKey, signed_message
from tallystick.core.policy import Group, Log, Policy, Witness
from tallystick.core.proof import Proof
from tallystick.core.stub import Seal, Stub, entry_hash
from tallystick.core.tiles import TileReader, format_bundle, tiles_of
from tallystick.custody.checkpoints import sign_checkpoint, verifier_key
from tallystick.custody.softkey import SoftKey

ORIGIN = "bank.example/ledger/customers"
START = 1_795_478_400_123_456


def soft_key(algorithm: str, label: str) -> SoftKey:
    """The same key for the same label, always."""
    seed = hashlib.sha256(f"{algorithm} {label}".encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes if algorithm == "ed25519" else MLDSA44PrivateKey.from_seed_bytes
    return SoftKey(key(seed))


@cache
def signers() -> tuple[SoftKey, SoftKey]:
    return soft_key("ed25519", "log"), soft_key("ml-dsa-44", "log")


@dataclass(frozen=True)
class Cosigner:
    key: VerifierKey
    signer: SoftKey

    def line(self, checkpoint: Checkpoint, time: int) -> SignatureLine:
        when = Seconds(time) if self.key.type.timestamped else None
        return self.key.line(self.signer.sign(signed_message(self.key, checkpoint.format(), when)), when)


@cache
def cosigner(name: str, kind: SignatureType) -> Cosigner:
    signer = soft_key("ml-dsa-44" if kind is SignatureType.MLDSA44_COSIGNATURE else "ed25519", name)
    return Cosigner(VerifierKey(name, kind, signer.public_key), signer)


def witnesses() -> tuple[Cosigner, Cosigner]:
    return (
        cosigner("witness.example/w1", SignatureType.ED25519_COSIGNATURE),
        cosigner("witness.example/w2", SignatureType.MLDSA44_COSIGNATURE),
    )


@cache
def both_keys() -> Policy:
    """Both of the log's own keys, no witness."""
    log, pq = (verifier_key(signer, ORIGIN) for signer in signers())
    return Policy((Log(log),), (Witness("log-pq", pq),), (), "log-pq")


@cache
def witnessed() -> Policy:
    """Both of the log's own keys and one of two witnesses."""
    w1, w2 = witnesses()
    own = both_keys()
    everyone = (*own.witnesses, Witness("w1", w1.key), Witness("w2", w2.key, "https://witness.example/w2"))
    groups = (Group("outside", 1, ("w1", "w2")), Group("all-of-it", 2, ("log-pq", "outside")))
    return Policy(own.logs, everyone, groups, "all-of-it")


@dataclass(frozen=True)
class Ledger:
    """Entries of a ledger, every batch of `batch` entries sealed."""

    stubs: tuple[bytes, ...]
    bodies: tuple[Body, ...]

    @cached_property
    def leaves(self) -> bytes:
        return b"".join(map(entry_hash, self.stubs))

    @property
    def size(self) -> int:
        return len(self.stubs)

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = self.size if size is None else size
        return Checkpoint(ORIGIN, TreeSize(size), Digest(kernels.tree_root(self.leaves[: 32 * size])))

    def note(self, size: int | None = None, *, cosigned: bool = False) -> bytes:
        checkpoint = self.checkpoint(size)
        raw = sign_checkpoint(signers(), checkpoint, Seconds(1_795_478_401))
        if cosigned:
            lines = [witness.line(checkpoint, 1_795_478_402) for witness in witnesses()]
            raw = Note.parse(raw).signed_also(lines).format()
        return raw

    def tiles(self, size: int | None = None) -> dict[str, bytes]:
        size = self.size if size is None else size
        hashes = [self.leaves[: 32 * size]]
        while hashes[-1]:
            hashes.append(kernels.tile_hashes(hashes[-1]))
        found = {}
        for tile in tiles_of(TreeSize(size)):
            span = slice(tile.first, tile.first + tile.width)
            if tile.level is None:
                found[str(tile)] = format_bundle(self.stubs[span])
            else:
                found[str(tile)] = hashes[tile.level][32 * span.start : 32 * span.stop]
        return found

    def proof(self, seq: int, size: int | None = None, *, cosigned: bool = False, extra: bytes = b"") -> Proof:
        size = self.size if size is None else size
        path = TileReader(self.tiles(size).get, TreeSize(size)).inclusion(LeafIndex(seq))
        return Proof(LeafIndex(seq), tuple(path), Note.parse(self.note(size, cosigned=cosigned)), extra)

    def disclosure(self, seq: int, indexes: list[int] | None = None) -> Disclosure:
        return disclose(self.stubs[seq], self.bodies[seq], indexes)

    def bundle(self, policy: Policy | None = None) -> dict[str, bytes]:
        """The whole ledger, all parts shown."""
        private = [seq for seq in range(self.size) if self.bodies[seq].parts]
        return make_bundle(
            policy or both_keys(),
            self.note(),
            {size: self.note(size) for size in (2, self.size // 2)},
            {seq: (self.disclosure(seq).format(), None) for seq in private},
            self.tiles(),
        )

    def receipts(self, *seqs: int, policy: Policy | None = None) -> dict[str, bytes]:
        """A bundle of receipts, by and id of each shown."""
        return make_bundle(
            policy or both_keys(),
            self.note(),
            {},
            {seq: (self.disclosure(seq, [0, 1]).format(), self.proof(seq).format()) for seq in seqs},
            {},
        )


def transaction(number: int) -> dict[str, Any]:
    """The parts of a transaction: 10 EUR and `number` cents from the settlement account to a customer."""
    amount, account = str(1000 + number), f"customers:{number:04}"
    zero = {"pending_credits": "0", "pending_debits": "0", "asset": "EUR/2"}
    return {
        "by": "service:payments",
        "id": f"pay-{number}",
        "legs/0": {"amount": amount, "asset": "EUR/2", "credit": account, "debit": "bank:settlement"},
        "balances/0": {"account": "bank:settlement", "credits": "0", "debits": amount, **zero},
        "balances/1": {"account": account, "credits": amount, "debits": "0", **zero},
        "effective": "2026-11-24T00:00:00Z",
        "metadata/invoice": f"R-2026-{number} €",
    }


def salted(parts: dict[str, Any], label: str) -> Body:
    salts = (hashlib.sha256(f"{label} {i}".encode()).hexdigest()[:32] for i in range(len(parts)))
    items = zip(salts, parts.items(), strict=True)
    return Body(tuple(Part.parse(canonical([salt, path, value])) for salt, (path, value) in items))


@cache
def ledger(size: int = 12, batch: int = 4) -> Ledger:
    stubs: list[bytes] = []
    bodies: list[Body] = []
    prev, number, first = ZERO_DIGEST, 0, 0
    for seq in range(size):
        at, body = Microseconds(START + seq), Body(())
        root: Digest | dict[str, Any]
        if seq == 0:
            kind, root = "genesis", {"accounts": "implicit", "by": "user:7f3a", "keys": []}
        elif seq - first == batch:
            leaves = b"".join(map(entry_hash, stubs[first:]))
            kind = "seal"
            seal = Seal(number, LeafIndex(first), batch, Digest(kernels.tree_root(leaves)))
            root = kernels.json_loads(seal.format())
        else:
            kind, body = "transaction", salted(transaction(seq), str(seq))
            root = body.root
        stub = Stub(at, number, root, kind, ORIGIN, len(body.parts), prev, LeafIndex(seq)).format()
        stubs.append(stub)
        bodies.append(body)
        prev = entry_hash(stub)
        if kind == "seal":
            number, first = number + 1, seq + 1
    return Ledger(tuple(stubs), tuple(bodies))
