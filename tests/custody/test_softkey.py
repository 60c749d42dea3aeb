"""Soft keys: files that only their owner can read, and nothing else passes for one."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tallystick.core.note import SignatureType, VerifierKey
from tallystick.custody.ports import Algorithm, Signer
from tallystick.custody.softkey import SoftKey, create_soft_key, load_soft_key
from tallystick.errors import Misconfigured, Rejected

ALGORITHMS: list[Algorithm] = ["ed25519", "ml-dsa-44"]
TYPES = {"ed25519": SignatureType.ED25519, "ml-dsa-44": SignatureType.MLDSA44_COSIGNATURE}


def verify(signer: Signer, message: bytes) -> None:
    VerifierKey("a", TYPES[signer.algorithm], signer.public_key).verify_message(message, signer.sign(message))


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_created_and_loaded(tmp_path: Path, algorithm: Algorithm, passphrase: bytes | None) -> None:
    path = tmp_path / "log.pem"
    before = os.umask(0)  # the file is private whatever the umask says
    try:
        created = create_soft_key(path, algorithm, passphrase)
    finally:
        os.umask(before)
    loaded = load_soft_key(path, passphrase)
    assert loaded.algorithm == created.algorithm == algorithm
    assert loaded.public_key == created.public_key
    verify(created, b"message")
    verify(loaded, b"message")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY" if passphrase is None else b"-----BEGIN ENCRYPTED")


def test_two_keys_are_two(tmp_path: Path) -> None:
    keys = [create_soft_key(tmp_path / f"{i}.pem", algorithm) for i, algorithm in enumerate(ALGORITHMS * 2)]
    assert len({key.public_key for key in keys}) == 4


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    key = create_soft_key(path, "ed25519")
    with pytest.raises(Rejected, match="never overwritten"):
        create_soft_key(path, "ed25519")
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(Rejected, match="never overwritten"):
        create_soft_key(tmp_path / "link.pem", "ed25519")
    assert load_soft_key(path).public_key == key.public_key
    assert not (tmp_path / "elsewhere.pem").exists()


def test_where_a_key_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be created"):
        create_soft_key(tmp_path / "absent" / "log.pem", "ed25519")
    with pytest.raises(Rejected, match="protects nothing"):
        create_soft_key(tmp_path / "log.pem", "ed25519", b"")
    assert not (tmp_path / "log.pem").exists()


def test_a_full_disk_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tallystick.custody.softkey.os.fsync", full)
    with pytest.raises(Misconfigured, match="cannot be written"):
        create_soft_key(tmp_path / "log.pem", "ed25519")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o610])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "log.pem"
    create_soft_key(path, "ed25519")
    path.chmod(mode)
    with pytest.raises(Misconfigured, match=rf"expected 0600; found {mode:04o}.*Make another key"):
        load_soft_key(path)


def test_files_that_are_no_key(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    create_soft_key(path, "ml-dsa-44")
    (tmp_path / "link.pem").symlink_to(path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for wrong in ("absent.pem", "link.pem", "pipe", "."):
        with pytest.raises(Misconfigured):
            load_soft_key(tmp_path / wrong)
    pem = path.read_bytes()
    foreign = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"x", pem[: len(pem) // 2], pem.replace(b"PRIVATE", b"PUBLIC"), foreign):
        path.write_bytes(content)
        with pytest.raises(Misconfigured):
            load_soft_key(path)


def test_the_passphrase_must_fit(tmp_path: Path) -> None:
    create_soft_key(tmp_path / "open.pem", "ed25519")
    create_soft_key(tmp_path / "locked.pem", "ed25519", b"right")
    for name, passphrase in (("open.pem", b"x"), ("locked.pem", None), ("locked.pem", b"wrong")):
        with pytest.raises(Misconfigured, match="cannot be read"):
            load_soft_key(tmp_path / name, passphrase)


def test_a_key_does_not_show_itself(tmp_path: Path) -> None:
    key = create_soft_key(tmp_path / "log.pem", "ed25519")
    secret = key._private_key.private_bytes_raw().hex()
    assert secret not in repr(key) and repr(key) == f"SoftKey(ed25519, {key.public_key[:8].hex()}…)"


def test_other_tools_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    key = create_soft_key(path, "ed25519")
    done = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True
    )
    assert done.stdout.endswith(key.public_key)


def test_a_soft_key_is_a_signer(tmp_path: Path) -> None:
    signer: Signer = create_soft_key(tmp_path / "log.pem", "ed25519")
    assert isinstance(signer, SoftKey)
