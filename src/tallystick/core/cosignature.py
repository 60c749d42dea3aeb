r"""C2SP tlog-cosignature: what a cosigner signs, and the timestamped signature that stands in the note.

    timestamped_signature = uint64 seconds, signature      ; big-endian; 64 bytes Ed25519 (0x04), 2,420 ML-DSA-44 (0x06)

    0x04 signs    "cosignature/v1" LF "time " decimal LF checkpoint text
    0x06 signs    "subtree/v1" LF NUL
                  uint8 length, cosigner name
                  uint64 seconds
                  uint8 length, log origin
                  uint64 start, uint64 end                 ; of a checkpoint: 0 and the size
                  root

0x04 does not bind the cosigner's name, so a key serves one cosigner only; 0x06 binds it. Seconds stay below 2^63.

>>> from tallystick.core.digest import EMPTY_ROOT, TreeSize
>>> checkpoint = Checkpoint("bank.example/ledger", TreeSize(0), EMPTY_ROOT)
>>> ed25519_message(Seconds(1679315147), checkpoint).splitlines()[:3]
[b'cosignature/v1', b'time 1679315147', b'bank.example/ledger']
>>> mldsa_message("w", Seconds(1), checkpoint)[:22]
b'subtree/v1\n\x00\x01w\x00\x00\x00\x00\x00\x00\x00\x01'
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import Seconds
from tallystick.errors import Malformed

__all__ = ["TimestampedSignature", "ed25519_message", "mldsa_message"]

_TIME_BYTES: Final = 8
_SECONDS_LIMIT: Final = 1 << 63  # C2SP tlog-cosignature: MUST NOT exceed 2^63 - 1


def ed25519_message(time: Seconds, checkpoint: Checkpoint) -> bytes:
    """The bytes that a 0x04 cosignature signs."""
    return f"cosignature/v1\ntime {_checked(time)}\n".encode() + checkpoint.format()


def mldsa_message(cosigner: str, time: Seconds, checkpoint: Checkpoint) -> bytes:
    """The bytes that a 0x06 cosignature of a checkpoint signs (`cosigned_message`)."""
    name, origin = cosigner.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            struct.pack(">B", len(name)),
            name,
            struct.pack(">Q", _checked(time)),
            struct.pack(">B", len(origin)),
            origin,
            struct.pack(">QQ", 0, checkpoint.size),  # a checkpoint is the subtree from 0 to its size
            checkpoint.root,
        )
    )


@dataclass(frozen=True, slots=True)
class TimestampedSignature:
    """The body of a cosignature; `time` 0 makes no statement about when (0x06 only)."""

    time: Seconds
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> TimestampedSignature:
        if len(data) <= _TIME_BYTES:
            raise Malformed("a cosignature has no signature", found=f"{len(data)} bytes")
        return cls(_checked(Seconds(int.from_bytes(data[:_TIME_BYTES], "big"))), data[_TIME_BYTES:])

    def format(self) -> bytes:
        return _checked(self.time).to_bytes(_TIME_BYTES, "big") + self.signature


def _checked(time: Seconds) -> Seconds:
    if not 0 <= time < _SECONDS_LIMIT:
        raise Malformed("a cosignature's time does not lie in 0 to 2^63 - 1", found=time)
    return time
