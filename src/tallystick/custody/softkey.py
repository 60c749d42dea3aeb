"""Soft keys: private keys in files, for development and for tests of everything above.

    file = PEM of PKCS#8 (RFC 5958), Ed25519 (RFC 8410) or ML-DSA-44 (RFC 9881, the seed alone), optionally encrypted

Whoever can read the file, or this process, has the key: that is what makes it soft. The file must be a plain file that
only its owner can read. A passphrase protects copies and backups no better than it resists guessing, since PKCS#8 as
OpenSSL writes it stretches it by 2,048 rounds of PBKDF2 only: let a machine choose it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tallystick.custody.ports import Algorithm
from tallystick.errors import Misconfigured, Rejected

__all__ = ["SoftKey", "create_soft_key", "load_soft_key"]

_MODE: Final = 0o600
_FILE_BYTES_MAX: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class SoftKey:
    """A `Signer` whose private key lies in this process's memory."""

    _private_key: Ed25519PrivateKey | MLDSA44PrivateKey

    def __repr__(self) -> str:
        return f"SoftKey({self.algorithm}, {self.public_key[:8].hex()}…)"

    @property
    def algorithm(self) -> Algorithm:
        return "ed25519" if isinstance(self._private_key, Ed25519PrivateKey) else "ml-dsa-44"

    @property
    def public_key(self) -> bytes:
        return self._private_key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private_key.sign(message)


def create_soft_key(path: Path, algorithm: Algorithm, passphrase: bytes | None = None) -> SoftKey:
    """Generate a key and store it in a new file; durable when it returns. `Rejected` when the file exists.

    A crash may leave an empty or broken file, which `load_soft_key` refuses: delete it and create the key again.
    """
    if passphrase == b"":
        raise Rejected("an empty passphrase protects nothing", next_step="Leave it out or choose one")
    key = Ed25519PrivateKey.generate() if algorithm == "ed25519" else MLDSA44PrivateKey.generate()
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    except FileExistsError:
        raise Rejected("a key file is never overwritten", next_step="Choose another path", path=str(path)) from None
    except OSError as error:
        raise Misconfigured("a key file cannot be created", path=str(path), found=error.strerror) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)  # whatever the umask was
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):  # what remains of it is refused on loading
            path.unlink()
        raise Misconfigured("a key file cannot be written", path=str(path), found=error.strerror) from error
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # the name is durable only with the folder
    finally:
        os.close(folder)
    return SoftKey(key)


def load_soft_key(path: Path, passphrase: bytes | None = None) -> SoftKey:
    """The key in a file; `Misconfigured` when the file is not there, not private, or not such a key."""
    try:
        with open(path, "rb", opener=_without_following) as file:
            _must_be_private(path, os.fstat(file.fileno()))
            pem = file.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise Misconfigured("a key file cannot be opened", path=str(path), found=error.strerror) from error
    try:
        key = load_pem_private_key(pem, passphrase)
    except (TypeError, ValueError) as error:  # TypeError: a passphrase missing, or given for nothing
        raise Misconfigured("a key file cannot be read", path=str(path), found=str(error)) from None
    if not isinstance(key, Ed25519PrivateKey | MLDSA44PrivateKey):
        found = type(key).__name__
        raise Misconfigured("not an Ed25519 or ML-DSA-44 key", path=str(path), found=found)
    return SoftKey(key)


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # neither a link nor a pipe


def _must_be_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Misconfigured("a key file is not a plain file", path=str(path))
    if status.st_uid not in {os.geteuid(), 0} or status.st_mode & 0o077:
        raise Misconfigured(
            "a key file can be read by others than its owner",
            next_step="Make another key, then chmod 600 its file; this one may have been read",
            path=str(path),
            expected=f"{_MODE:04o}",
            found=f"{stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}",
        )
