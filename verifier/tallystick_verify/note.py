r"""Signed notes, verifier keys, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

    note       = text "\n" 1*( "— " name " " base64(key-id[4] signature) "\n" )     text ends with "\n"
    vkey       = name "+" hex8(key-id) "+" base64(type public-key)
    key-id     = SHA-256(name "\n" type public-key)[:4]
    checkpoint = origin "\n" size "\n" base64(root[32]) "\n"

| type | signature                    | signed message                                                       |
|------|------------------------------|----------------------------------------------------------------------|
| 0x01 | Ed25519[64]                  | text                                                                 |
| 0x04 | u64 seconds, Ed25519[64]     | "cosignature/v1\ntime " seconds "\n" text                            |
| 0x06 | u64 seconds, ML-DSA-44[2420] | "subtree/v1\n\0" u8 name u64 seconds u8 origin u64 start=0 u64 size root |

Extension lines are refused: an ML-DSA-44 cosignature would not cover them. Every parser refuses what would not print
back to the same bytes.

>>> parse_decimal("042")
Traceback (most recent call last):
tallystick_verify.errors.Malformed: not a canonical decimal number; found 042
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from tallystick_verify.errors import Malformed, Tampering

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "ML_DSA_44",
    "Checkpoint",
    "Signature",
    "VerifierKey",
    "is_name",
    "open_checkpoint",
    "parse_base64",
    "parse_checkpoint_text",
    "parse_decimal",
    "parse_vkey",
    "split_note",
    "verify_signature",
]

ED25519, COSIGNATURE, ML_DSA_44 = 0x01, 0x04, 0x06
_KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, ML_DSA_44: 1312}
_SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 8 + 64, ML_DSA_44: 8 + 2420}
_ALGORITHM = {ED25519: "Ed25519", COSIGNATURE: "Ed25519 cosignature", ML_DSA_44: "ML-DSA-44"}
_MAX_SIGNATURES = 100
_MAX_NOTE_BYTES = 1 << 20


def parse_base64(text: str) -> bytes:
    """RFC 4648 §4 with padding and no stray bits; Python alone accepts several spellings of one value."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64", found=text[:80]) from None
    if base64.b64encode(value).decode() != text:
        raise Malformed("not canonical base64", found=text[:80])
    return value


def parse_decimal(text: str) -> int:
    """ASCII digits without sign, separators or leading zeros, below 2^63; Python alone accepts "+4_2" and "٤٢"."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and str(int(text)) == text and int(text) < 2**63):
        raise Malformed("not a canonical decimal number", found=text[:80])
    return int(text)


def is_name(name: str) -> bool:
    """Whether it can be an origin or a key's name: 1–255 bytes without control characters, Unicode spaces and `+`."""
    return 1 <= len(name.encode()) <= 255 and not any(char <= " " or char == "+" or char.isspace() for char in name)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise Malformed("a name is empty, too long, or contains a space or +", found=name[:80])


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under. Build with `parse_vkey` only."""

    name: str
    key_id: bytes
    type: int
    public_key: bytes

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.type]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def shown(self) -> str:
        """Name and algorithm, for people."""
        return f"{self.name} ({_ALGORITHM[self.type]})"

    def verify(self, text: bytes, checkpoint: Checkpoint, signature: bytes) -> int | None:
        """The time it was signed at in seconds (None for type 0x01), or `Tampering`."""
        if len(signature) != _SIGNATURE_BYTES[self.type]:
            raise Tampering("signature of the wrong length", signer=self.name, found=len(signature))
        seconds: int | None = None
        message = text
        if self.type != ED25519:
            seconds = int.from_bytes(signature[:8], "big")
            signature = signature[8:]
            if seconds >= 2**63:
                raise Tampering("cosignature time is out of range", signer=self.name, found=seconds)
            if self.type == COSIGNATURE:
                message = b"cosignature/v1\ntime %d\n" % seconds + text
            else:
                message = _subtree_message(self.name, seconds, checkpoint)
        try:
            verify_signature(self.type, self.public_key, message, signature)
        except Tampering as error:
            error.add(signer=self.name, key_id=self.key_id, ledger=checkpoint.origin, tree_size=checkpoint.size)
            raise
        return seconds


def verify_signature(key_type: int, public_key: bytes, message: bytes, signature: bytes) -> None:
    """Nothing, or `Tampering`: Ed25519 (RFC 8032), or ML-DSA-44 (FIPS 204, empty context) for type 0x06."""
    try:
        if key_type == ML_DSA_44:
            MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
        else:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        raise Tampering("bad signature") from None
    except ValueError as error:
        raise Tampering(f"unusable public key: {error}") from None


def _subtree_message(cosigner: str, seconds: int, checkpoint: Checkpoint) -> bytes:
    """`cosigned_message` of tlog-cosignature; a checkpoint is the subtree that starts at 0."""
    name, origin = cosigner.encode(), checkpoint.origin.encode()
    return (
        b"subtree/v1\n\0"
        + bytes([len(name)])
        + name
        + struct.pack(">Q", seconds)
        + bytes([len(origin)])
        + origin
        + struct.pack(">QQ", 0, checkpoint.size)
        + checkpoint.root
    )


def parse_vkey(text: str) -> VerifierKey:
    """A verifier key of type 0x01, 0x04 or 0x06 whose key ID is right; else `Malformed`."""
    name, *rest = text.split("+", 2)
    if len(rest) != 2:
        raise Malformed("a vkey has three parts joined by +", found=text[:80])
    _check_name(name)
    material = parse_base64(rest[1])
    if not material or material[0] not in _KEY_BYTES:
        raise Malformed(
            "vkey of an unknown signature type", name=name, expected="0x01, 0x04 or 0x06", found=material[:1]
        )
    if len(material) != 1 + _KEY_BYTES[material[0]]:
        raise Malformed("vkey of the wrong length", name=name, found=len(material) - 1)
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if rest[0] != key_id.hex():
        raise Malformed("vkey whose key ID is wrong", name=name, expected=key_id, found=rest[0])
    return VerifierKey(name, key_id, material[0], material[1:])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of a ledger's tree. Says nothing about who signed it."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that was verified; `seconds` is None where the type carries no time."""

    key: VerifierKey
    seconds: int | None


def split_note(raw: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """Text and signature lines (name, key ID, signature) of a note, none of them verified."""
    if len(raw) > _MAX_NOTE_BYTES:
        raise Malformed("note is larger than 1 MiB")
    try:
        note = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("note is not UTF-8", position=error.start) from None
    control = next((at for at, char in enumerate(note) if char < " " and char != "\n"), None)
    if control is not None:
        raise Malformed("note contains a control character", position=len(note[:control].encode()))
    text, blank, block = note.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise Malformed("note has no signatures, or does not end with a newline")
    lines = block[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise Malformed("note has more than 100 signatures", found=len(lines))
    signatures = []
    for line in lines:
        dash, *rest = line.split(" ")
        if dash != "—" or len(rest) != 2:
            raise Malformed("not a signature line", found=line[:80])
        _check_name(rest[0])
        signature = parse_base64(rest[1])
        if len(signature) < 5:
            raise Malformed("signature without key ID", found=line[:80])
        signatures.append((rest[0], signature[:4], signature[4:]))
    return (text + "\n").encode(), signatures


def parse_checkpoint_text(text: bytes) -> Checkpoint:
    """The three lines of a checkpoint, without its signatures."""
    lines = text.decode().split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise Malformed("a checkpoint has exactly three lines: origin, size, root", found=len(lines) - 1)
    _check_name(lines[0])
    root = parse_base64(lines[2])
    if len(root) != 32:
        raise Malformed("a checkpoint's root has 32 bytes", found=len(root))
    return Checkpoint(lines[0], parse_decimal(lines[1]), root)


def open_checkpoint(raw: bytes, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, list[Signature]]:
    """A checkpoint and the signatures on it that known keys made.

    A signature by an unknown (name, key ID) is ignored; a known key whose signature fails refuses the whole note.
    Whether these signatures suffice is the policy's question (`policy.TrustPolicy.accept`).
    """
    text, lines = split_note(raw)
    checkpoint = parse_checkpoint_text(text)
    known = {(key.name, key.key_id): key for key in keys}
    verified = []
    for name, key_id, signature in lines:
        key = known.get((name, key_id))
        if key is not None:
            verified.append(Signature(key, key.verify(text, checkpoint, signature)))
    return checkpoint, verified
