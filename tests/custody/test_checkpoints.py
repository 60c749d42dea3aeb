"""Checkpoints signed by a ledger's own keys."""

from __future__ import annotations

import pytest
import samples

from tallystick.core.digest import Seconds
from tallystick.core.note import Note, SignatureRefused, SignatureType, open_note
from tallystick.custody.checkpoints import sign_checkpoint, verifier_key
from tallystick.custody.ports import Algorithm
from tallystick.errors import Misconfigured

CHECKPOINT = samples.ledger().checkpoint()
TIME = Seconds(1_795_478_401)


def test_both_signatures_ed25519_first() -> None:
    log, pq = samples.signers()
    for signers in ((log, pq), (pq, log)):
        raw = sign_checkpoint(signers, CHECKPOINT, TIME)
        assert Note.parse(raw).text == CHECKPOINT.format()
        opened = open_note(raw, [verifier_key(signer, samples.ORIGIN) for signer in signers])
        assert [(s.key.type, s.time) for s in opened.signatures] == [
            (SignatureType.ED25519, None),
            (SignatureType.MLDSA44_COSIGNATURE, TIME),
        ]
        assert {s.key.name for s in opened.signatures} == {samples.ORIGIN}


def test_a_policy_that_requires_both_accepts_it() -> None:
    assert samples.both_keys().accept(sign_checkpoint(samples.signers(), CHECKPOINT, TIME)).outside == ()


def test_the_first_line_is_the_same_again() -> None:
    """Ed25519 is deterministic; ML-DSA-44 signs the same message, with fresh randomness."""
    first, second = (Note.parse(sign_checkpoint(samples.signers(), CHECKPOINT, TIME)) for _ in range(2))
    assert first.signatures[0] == second.signatures[0]


def test_an_ed25519_key_is_needed() -> None:
    _, pq = samples.signers()
    for signers in ((), (pq,)):
        with pytest.raises(Misconfigured, match="Ed25519"):
            sign_checkpoint(signers, CHECKPOINT, TIME)


def test_one_key_twice_is_refused() -> None:
    log, _ = samples.signers()
    with pytest.raises(Misconfigured, match="no key twice"):
        sign_checkpoint((log, log), CHECKPOINT, TIME)


class Faulty:
    """A device whose public key is another one's, or whose signatures are broken."""

    def __init__(self, public_key: bytes, signature: bytes) -> None:
        self.public_key = public_key
        self._signature = signature

    @property
    def algorithm(self) -> Algorithm:
        return "ed25519"

    def sign(self, message: bytes) -> bytes:
        assert message == CHECKPOINT.format()
        return self._signature


def test_what_a_faulty_device_signs_is_not_given_out() -> None:
    log, _ = samples.signers()
    other = samples.soft_key("ed25519", "other")
    for signature in (bytes(64), b"", other.sign(CHECKPOINT.format()), log.sign(b"something else")):
        with pytest.raises(SignatureRefused):
            sign_checkpoint((Faulty(log.public_key, signature),), CHECKPOINT, TIME)
