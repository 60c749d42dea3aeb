"""What signing asks of whoever keeps a key."""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["Algorithm", "Signer"]

Algorithm = Literal["ed25519", "ml-dsa-44"]


class Signer(Protocol):
    """One private key that this process can use and not read.

    `sign` returns a signature of `message` whole: Ed25519 as RFC 8032 (pure, 64 bytes), ML-DSA-44 as FIPS 204 with an
    empty context (2,420 bytes). It may be called from any thread. It never signs a digest in place of the message, and
    knows nothing of what the message means: what may be signed is decided before.
    Errors: `RetryLater` when the device is away or busy, `Misconfigured` when the key is not there or may not sign.
    """

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def public_key(self) -> bytes:
        """Raw: 32 bytes for Ed25519, 1,312 for ML-DSA-44."""
        ...

    def sign(self, message: bytes) -> bytes: ...
