"""Trust policy (C2SP tlog-policy): which logs are believed, and which witnesses must have cosigned.

    log <vkey> [<url>]                   vkey type 0x01 or 0x06; its name is the ledger's origin
    witness <name> <vkey> [<url>]        vkey type 0x04 or 0x06
    group <name> any|all|<k> <name>…     of names defined above, each a member once at most
    quorum <name>|none                   exactly one

Octets 0x09, 0x0A, 0x20–0x7E, 0x80–0xFF; white space is space and tab; `#` begins a comment line. Names are opaque
octets. A policy that requires both of a ledger's own signatures names the second one as a witness:

    log <Ed25519 vkey>
    witness log-pq <ML-DSA-44 vkey>
    quorum log-pq
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tallystick_verify.errors import Configuration, Malformed, Tampering
from tallystick_verify.note import (
    COSIGNATURE,
    ED25519,
    ML_DSA_44,
    Checkpoint,
    Signature,
    VerifierKey,
    open_checkpoint,
    parse_decimal,
    parse_vkey,
)

__all__ = ["TrustPolicy", "TrustedCheckpoint", "parse_policy"]


_MAX_OF_EACH = 1024


@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """A checkpoint that a policy accepts; only `TrustPolicy.accept` makes one."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Keys and the rule over them. Build with `parse_policy` only."""

    logs: tuple[VerifierKey, ...]
    witnesses: dict[bytes, VerifierKey]
    groups: dict[bytes, tuple[int, tuple[bytes, ...]]]
    quorum: bytes | None

    def accept(self, raw: bytes, *, quorum: bool = True) -> TrustedCheckpoint:
        """The checkpoint in `raw`, signed by a log of this policy under its own name and cosigned by the quorum.

        Without `quorum` the log's signature is enough: it binds the log, though it may not convince the reader.
        """
        checkpoint, signatures = open_checkpoint(raw, (*self.logs, *self.witnesses.values()))
        signers = {signature.key for signature in signatures}
        if not any(log.name == checkpoint.origin and log in signers for log in self.logs):
            raise Tampering(
                "not signed by a log that the policy trusts",
                ledger=checkpoint.origin,
                expected=", ".join(sorted({log.name for log in self.logs})),
                found=", ".join(sorted(signer.name for signer in signers)) or "no trusted signature",
            )
        if quorum and self.quorum is not None and not self._witnessed(self.quorum, signers):
            missing = sorted(name for name, key in self.witnesses.items() if key not in signers)
            raise Tampering(
                "the quorum of the policy is not reached",
                ledger=checkpoint.origin,
                expected=self.quorum.decode(errors="replace"),
                missing=", ".join(name.decode(errors="replace") for name in missing),
            )
        return TrustedCheckpoint(checkpoint, tuple(signatures))

    def _witnessed(self, name: bytes, signers: set[VerifierKey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name] in signers
        needed, members = self.groups[name]
        return sum(self._witnessed(member, signers) for member in members) >= needed

    def independent_witnesses(self, origin: str) -> list[VerifierKey]:
        """The witnesses that are not the log itself under its second key."""
        return [key for key in self.witnesses.values() if key.name != origin]


def parse_policy(raw: bytes) -> TrustPolicy:
    """The policy, or `Configuration` naming the line."""
    bad = re.search(rb"[^\t\n\x20-\x7e\x80-\xff]", raw)
    if bad:
        raise Configuration("policy: contains a control character", position=bad.start())
    if raw and not raw.endswith(b"\n"):
        raise Configuration("policy: the last line does not end with a newline")
    lines = _Lines()
    for number, line in enumerate(raw.split(b"\n"), start=1):
        words = re.split(rb"[ \t]+", line.strip(b" \t"))
        if not words[0] or words[0].startswith(b"#"):
            continue
        try:
            lines.take(words)
        except Malformed as error:
            raise Configuration(f"policy: {error.message}", line=number, **error.facts) from None
    if max(len(lines.logs), len(lines.witnesses), len(lines.groups)) > _MAX_OF_EACH:
        raise Configuration("policy: too many logs, witnesses or groups", expected=f"at most {_MAX_OF_EACH} of each")
    if len(lines.quorum) != 1:
        raise Configuration("policy: exactly one quorum line is needed", found=len(lines.quorum))
    if not lines.logs:
        raise Configuration("policy: no log is trusted, so no ledger can be verified")
    return TrustPolicy(tuple(lines.logs), lines.witnesses, lines.groups, lines.quorum[0])


class _Lines:
    """What the lines so far define."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[bytes, VerifierKey] = {}
        self.groups: dict[bytes, tuple[int, tuple[bytes, ...]]] = {}
        self.quorum: list[bytes | None] = []
        self._members: set[bytes] = set()

    def take(self, words: list[bytes]) -> None:
        match words:
            case [b"log", vkey] | [b"log", vkey, _]:
                self.logs.append(_key(vkey, (ED25519, ML_DSA_44), self.logs))
            case [b"witness", name, vkey] | [b"witness", name, vkey, _]:
                others = list(self.witnesses.values())
                self.witnesses[self._new(name)] = _key(vkey, (COSIGNATURE, ML_DSA_44), others)
            case [b"group", name, count, *members] if members:
                self._group(name, count, members)
            case [b"quorum", b"none"]:
                self.quorum.append(None)
            case [b"quorum", name]:
                self.quorum.append(self._defined(name))
            case _:
                raise Malformed("not a line of a policy", found=b" ".join(words)[:80].decode(errors="replace"))

    def _group(self, name: bytes, count: bytes, members: list[bytes]) -> None:
        for member in members:
            if self._defined(member) in self._members:
                raise Malformed("a name is a member once at most", found=member.decode(errors="replace"))
            self._members.add(member)
        short = {b"any": 1, b"all": len(members)}
        needed = short[count] if count in short else parse_decimal(count.decode("ascii", "replace"))
        if not 1 <= needed <= len(members):
            raise Malformed("a group needs between one and all of its members", found=needed)
        self.groups[self._new(name)] = (needed, tuple(members))

    def _new(self, name: bytes) -> bytes:
        if name == b"none" or name in self.witnesses or name in self.groups:
            raise Malformed("the name is reserved or defined twice", found=name.decode(errors="replace"))
        return name

    def _defined(self, name: bytes) -> bytes:
        if name not in self.witnesses and name not in self.groups:
            raise Malformed("the name is not defined above", found=name.decode(errors="replace"))
        return name


def _key(word: bytes, types: tuple[int, ...], others: list[VerifierKey]) -> VerifierKey:
    try:
        vkey = parse_vkey(word.decode())
    except UnicodeDecodeError:
        raise Malformed("the key's name is not UTF-8") from None
    if vkey.type not in types:
        raise Malformed("a key of this type cannot stand here", found=f"0x{vkey.type:02x}")
    if any(vkey.public_key == other.public_key for other in others):
        raise Malformed("the same public key stands here twice", found=vkey.name)
    return vkey
