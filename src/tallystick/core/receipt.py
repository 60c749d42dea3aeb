"""The receipt: a proof (proof.py) and a disclosure (body.py) that together show that an entry was recorded.

Both files travel together: `<seq>.tlog-proof` and `<seq>.json`. What a receipt shows is only as good as the policy
(policy.py) that its holder checks it with.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from enum import IntEnum
from typing import Final

from tallystick.core.body import Disclosure, VerifiedDisclosure, verify_disclosure
from tallystick.core.digest import Digest, LeafIndex, Microseconds
from tallystick.core.merkle import ProofRefused, verify_inclusion
from tallystick.core.policy import AcceptedCheckpoint, Policy
from tallystick.core.proof import Proof
from tallystick.core.stub import entry_hash
from tallystick.errors import IntegrityViolation

__all__ = [
    "Assurance",
    "TimeAnomaly",
    "VerifiedReceipt",
    "assurance_of",
    "signed_no_earlier",
    "verify_receipt",
]

_WITNESS_SKEW_S: Final = 300


class TimeAnomaly(IntegrityViolation):
    """Times that cannot all be true."""


class Assurance(IntEnum):
    """How far a change of an entry would be noticed by somebody else."""

    RECORDED = 0  # stored by the operator
    SEALED = 1  # under a checkpoint that the log has signed
    WITNESSED = 2  # under a checkpoint that somebody else has cosigned
    ANCHORED = 3  # under a checkpoint fixed in something that nobody here controls


_VERIFIED: Final = object()


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """An entry that stands in the tree of an accepted checkpoint, and parts that belong to it."""

    entry: VerifiedDisclosure
    hash: Digest
    checkpoint: AcceptedCheckpoint
    assurance: Assurance
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _VERIFIED:
            raise TypeError("a VerifiedReceipt comes from verify_receipt alone")


def assurance_of(accepted: AcceptedCheckpoint) -> Assurance:
    """What a checkpoint gives the entries under it: a cosignature by the log's own key is no witness's."""
    return Assurance.WITNESSED if accepted.outside else Assurance.SEALED


def signed_no_earlier(accepted: AcceptedCheckpoint, at: Microseconds, seq: LeafIndex) -> None:
    """`TimeAnomaly` if a signature says that it was made before entry `seq`, recorded at `at`, which it covers.

    The log signs with the time of its own seal; a witness's clock may be wrong by five minutes.
    """
    for signature in accepted.note.signatures:
        own = signature.key.name == accepted.checkpoint.origin
        if signature.time is not None and signature.time + (0 if own else _WITNESS_SKEW_S) < at // 1_000_000:
            raise TimeAnomaly(
                "a signature is older than an entry that it covers",
                seq=seq,
                signer=signature.key.name,
                expected=f"at least {at // 1_000_000}",
                found=signature.time,
            )


def verify_receipt(proof: bytes, disclosure: bytes, policy: Policy) -> VerifiedReceipt:
    """Verify an entry from the bytes of its proof and its disclosure alone.

    1. Disclosure, stub and shown parts are of their formats, and the proof is of its own.
    2. The shown parts belong to the stub (C2SP tlog-proof leaves this to us).
    3. The policy accepts the checkpoint: the log has signed it, and the quorum has cosigned it.
    4. Checkpoint, proof and stub speak of the same ledger and the same position.
    5. The hash of the stub is that leaf of the checkpoint's tree.
    6. No signature is older than the entry.
    7. What was checked says how far the entry is assured.

    `Malformed` when a format is broken, `IntegrityViolation` when a proof or signature fails, `PolicyUnmet` when
    signatures are missing.
    """
    # 1.
    shown = Disclosure.parse(disclosure)
    claim = Proof.parse(proof)
    # 2.
    entry = verify_disclosure(shown)
    # 3.
    accepted = policy.accept(claim.checkpoint.format())
    # 4.
    checkpoint = accepted.checkpoint
    if entry.stub.ledger != checkpoint.origin:
        raise IntegrityViolation(
            "the entry is of another ledger than the checkpoint", expected=checkpoint.origin, found=entry.stub.ledger
        )
    if claim.index != entry.stub.seq:
        raise ProofRefused("the proof is of another entry", expected=entry.stub.seq, found=claim.index)
    # 5.
    leaf = entry_hash(entry.raw_stub)
    verify_inclusion(leaf, claim.index, checkpoint.size, claim.path, checkpoint.root)
    # 6.
    signed_no_earlier(accepted, entry.stub.at, entry.stub.seq)
    # 7.
    return VerifiedReceipt(entry, leaf, accepted, assurance_of(accepted), _VERIFIED)
