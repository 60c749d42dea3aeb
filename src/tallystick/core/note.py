"""C2SP signed-note: text signed by one or more keys.

    note      = text LF 1*100 signature
    text      = *line LF                               ; UTF-8, no control character below U+0020 but LF
    signature = "— " name " " base64(key ID, 1*octet) LF
    vkey      = name "+" 8HEX(key ID) "+" base64(type, public key)
    key ID    = SHA-256(name LF type public key)[:4]

Text and signatures part at the last empty line. Three types are known: 0x01 Ed25519 over the text; 0x04 and 0x06,
timestamped cosignatures of a checkpoint (cosignature.py) by Ed25519 and ML-DSA-44.

A signature by a key that the verifier does not know is ignored, even if it shares the name or the ID (not both) with
one that it knows; a failing signature by a known key refuses the whole note. The text of a note means nothing before
`open_note` has returned a `VerifiedNote`, which nothing else can make.

>>> key = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
>>> raw = '''This is an example message.
...
... — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
... '''.encode()
>>> [signature.key.name for signature in open_note(raw, [key]).signatures]
['example.com/foo']
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from tallystick.core.checkpoint import Checkpoint, check_name
from tallystick.core.cosignature import TimestampedSignature, ed25519_message, mldsa_message
from tallystick.core.digest import Seconds, format_base64, parse_base64, parse_hex
from tallystick.errors import IntegrityViolation, Malformed, Misconfigured

__all__ = [
    "SIGNATURES_MAX",
    "NotSigned",
    "Note",
    "SignatureLine",
    "SignatureRefused",
    "SignatureType",
    "VerifiedNote",
    "VerifiedSignature",
    "VerifierKey",
    "open_note",
    "signed_message",
]

SIGNATURES_MAX: Final = 100  # C2SP signed-note: at least 16 must be accepted
_NOTE_BYTES_MAX: Final = 1 << 20
_KEY_ID_BYTES: Final = 4
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")  # all below U+0020 but LF
_DASH: Final = "\N{EM DASH} "


class SignatureRefused(IntegrityViolation):
    """A signature by a known key does not verify: the note, or the key's owner, is not what it says."""


class NotSigned(IntegrityViolation):
    """No key that was asked for has signed."""


class SignatureType(IntEnum):
    """The signature types of C2SP signed-note that are verified here."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    MLDSA44_COSIGNATURE = 0x06

    @property
    def timestamped(self) -> bool:
        return self is not SignatureType.ED25519


_PUBLIC_KEY_BYTES: Final = {
    SignatureType.ED25519: 32,
    SignatureType.ED25519_COSIGNATURE: 32,
    SignatureType.MLDSA44_COSIGNATURE: 1312,
}


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and a public key for one type of signature; written as a vkey."""

    name: str
    type: SignatureType
    public_key: bytes  # raw: 32 bytes Ed25519, 1,312 bytes ML-DSA-44

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public_key) != _PUBLIC_KEY_BYTES[self.type]:
            raise Malformed(
                "a public key has the wrong length",
                key=self.name,
                expected=_PUBLIC_KEY_BYTES[self.type],
                found=len(self.public_key),
            )

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """`Malformed` when the key ID is not that of the key, or the type is unknown."""
        name, *rest = vkey.split("+", 2)  # base64 may contain a plus, the name may not
        if len(rest) != 2:
            raise Malformed("not a verifier key", expected="<name>+<key ID>+<base64>", found=repr(vkey[:80]))
        key_id, material = parse_hex(rest[0], "key ID"), parse_base64(rest[1], "verifier key")
        if material[:1] not in {bytes([known]) for known in SignatureType}:
            raise Malformed("a verifier key has an unknown type", key=name, found=material[:1].hex())
        key = cls(name, SignatureType(material[0]), material[1:])
        if key.key_id != key_id:
            raise Malformed("a verifier key has a false key ID", key=name, expected=key.key_id.hex(), found=rest[0])
        return key

    def format(self) -> str:
        """The vkey."""
        return f"{self.name}+{self.key_id.hex()}+{format_base64(bytes([self.type]) + self.public_key)}"

    __str__ = format

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256 over name, LF, type and public key."""
        material = self.name.encode() + b"\n" + bytes([self.type]) + self.public_key
        return hashlib.sha256(material).digest()[:_KEY_ID_BYTES]

    def line(self, signature: bytes, time: Seconds | None = None) -> SignatureLine:
        """The note line of a signature by this key over `signed_message`."""
        body = signature if time is None else TimestampedSignature(time, signature).format()
        return SignatureLine(self.name, self.key_id, body)

    def verify(self, text: bytes, body: bytes) -> VerifiedSignature:
        """Check the body of a signature line over a note's text; `SignatureRefused` names the key."""
        # 1. A cosignature carries its time before the signature proper.
        stamped = TimestampedSignature.parse(body) if self.type.timestamped else None
        signature, time = (body, None) if stamped is None else (stamped.signature, stamped.time)
        # 2. What was signed follows from the type, and for cosignatures from the time.
        message = signed_message(self, text, time)
        # 3. The signature verifies with this key and no other.
        self.verify_message(message, signature)
        return VerifiedSignature(self, time)

    def verify_message(self, message: bytes, signature: bytes) -> None:
        """RFC 8032 section 5.1.7, or FIPS 204 algorithm 3 with an empty context; `SignatureRefused` names the key."""
        public_key = (
            MLDSA44PublicKey.from_public_bytes(self.public_key)
            if self.type is SignatureType.MLDSA44_COSIGNATURE
            else Ed25519PublicKey.from_public_bytes(self.public_key)
        )
        try:
            public_key.verify(signature, message)
        except InvalidSignature:
            raise SignatureRefused("a signature does not verify", key=self.name, key_id=self.key_id.hex()) from None


def signed_message(key: VerifierKey, text: bytes, time: Seconds | None) -> bytes:
    """The bytes that `key` signs for a note's text: cosignatures with a time, plain signatures without."""
    if key.type.timestamped is (time is None):
        raise Malformed("a cosignature has a time, and a plain signature has none", key=key.name, type=key.type.name)
    if time is None:
        return text
    checkpoint = Checkpoint.parse(text)  # cosignatures are made for checkpoints only
    if key.type is SignatureType.ED25519_COSIGNATURE:
        return ed25519_message(time, checkpoint)
    return mldsa_message(key.name, time, checkpoint)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature as it stands in a note; nothing about it has been checked."""

    name: str
    key_id: bytes
    body: bytes

    @classmethod
    def parse(cls, line: str) -> SignatureLine:
        """A line without its line feed."""
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise Malformed("not a signature line", expected=f"{_DASH}<name> <base64>", found=repr(line[:80]))
        data = parse_base64(encoded, "signature")
        if len(data) <= _KEY_ID_BYTES:
            raise Malformed("a signature is too short", key=name, found=f"{len(data)} bytes")
        return cls(check_name(name), data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {format_base64(self.key_id + self.body)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that nobody has verified: what it says is not known to be true."""

    text: bytes
    signatures: tuple[SignatureLine, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Note:
        """`Malformed` with the position, unless `raw` is a note of at most 100 signatures and 1 MiB."""
        if len(raw) > _NOTE_BYTES_MAX:
            raise Malformed("a note is too long", expected=f"at most {_NOTE_BYTES_MAX} bytes", found=len(raw))
        try:
            decoded = raw.decode()
        except UnicodeDecodeError as error:
            raise Malformed("a note is not UTF-8", position=error.start) from None
        if control := _CONTROL.search(raw):
            raise Malformed("a note contains a control character", position=control.start())
        text, blank, signatures = decoded.rpartition("\n\n")  # the last empty line
        if not blank or not signatures.endswith("\n"):
            raise Malformed("a note has no signatures", expected="text, an empty line, signature lines")
        lines = signatures[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise Malformed("a note has too many signatures", expected=f"at most {SIGNATURES_MAX}", found=len(lines))
        return cls(f"{text}\n".encode(), tuple(SignatureLine.parse(line) for line in lines))

    def format(self) -> bytes:
        return self.text + b"\n" + "".join(map(str, self.signatures)).encode()

    def signed_also(self, lines: Iterable[SignatureLine]) -> Note:
        """The note with further signature lines, those that it has already left out."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *lines))))


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that verified; `time` is the cosigner's, None for a plain signature."""

    key: VerifierKey
    time: Seconds | None


_OPENED: Final = object()


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A note that every known key in it has signed, and at least one has. Made by `open_note` only."""

    note: Note
    signatures: tuple[VerifiedSignature, ...]
    unknown: tuple[SignatureLine, ...]  # ignored
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _OPENED:
            raise TypeError("a VerifiedNote comes from open_note alone")

    @property
    def text(self) -> bytes:
        return self.note.text


def open_note(raw: bytes, verifiers: Sequence[VerifierKey]) -> VerifiedNote:
    """Verify a note with the keys that the caller trusts (C2SP signed-note, "Signatures").

    1. The note is of the format.
    2. The verifiers differ in name or key ID.
    3. Signatures by unknown keys are set aside.
    4. Every signature by a known key verifies, else `SignatureRefused`.
    5. At least one key has signed, else `NotSigned`.
    """
    # 1.
    note = Note.parse(raw)
    # 2.
    known = {(key.name, key.key_id): key for key in verifiers}
    if len(known) != len(verifiers):
        raise Misconfigured("two verifier keys share a name and a key ID", keys=sorted(key.name for key in verifiers))
    verified: list[VerifiedSignature] = []
    unknown: list[SignatureLine] = []
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            # 3.
            unknown.append(line)
        else:
            # 4.
            verified.append(key.verify(note.text, line.body))
    # 5.
    if not verified:
        raise NotSigned(
            "no known key has signed",
            expected=[key.name for key in verifiers],
            found=[f"{line.name}+{line.key_id.hex()}" for line in note.signatures],
        )
    return VerifiedNote(note, tuple(verified), tuple(unknown), _OPENED)
