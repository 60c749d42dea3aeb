"""Signing a checkpoint with a ledger's own keys: Ed25519 as the log's signature, ML-DSA-44 as its cosignature.

Both keys are named like the origin (C2SP tlog-checkpoint). The ML-DSA-44 signature is a timestamped cosignature (0x06)
because C2SP defines no other use of it; its time is that of the seal, so that signing again signs the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import Seconds
from tallystick.core.note import Note, SignatureType, VerifierKey, signed_message
from tallystick.custody.ports import Algorithm, Signer
from tallystick.errors import Misconfigured

__all__ = ["sign_checkpoint", "verifier_key"]

_TYPES: Final[dict[Algorithm, SignatureType]] = {
    "ed25519": SignatureType.ED25519,
    "ml-dsa-44": SignatureType.MLDSA44_COSIGNATURE,
}


def verifier_key(signer: Signer, origin: str) -> VerifierKey:
    """The key under which a ledger's signer signs its checkpoints."""
    return VerifierKey(origin, _TYPES[signer.algorithm], signer.public_key)


def sign_checkpoint(signers: Sequence[Signer], checkpoint: Checkpoint, time: Seconds) -> bytes:
    """The signed note, one line per signer, Ed25519 first. `time` goes into the ML-DSA-44 cosignature.

    What comes back from a signer is verified before it is given out (`SignatureRefused`): a key that does not fit its
    certificate, or a faulty device, must not publish a checkpoint that everybody refuses.
    """
    keys = [(verifier_key(signer, checkpoint.origin), signer) for signer in signers]
    keys.sort(key=lambda pair: pair[0].type)
    if not keys or keys[0][0].type is not SignatureType.ED25519 or len({key for key, _ in keys}) != len(keys):
        raise Misconfigured(
            "a checkpoint is signed by an Ed25519 key at least, and by no key twice", origin=checkpoint.origin
        )
    text = checkpoint.format()
    lines = []
    for key, signer in keys:
        when = time if key.type.timestamped else None
        line = key.line(signer.sign(signed_message(key, text, when)), when)
        key.verify(text, line.body)
        lines.append(line)
    return Note(text, tuple(lines)).format()
