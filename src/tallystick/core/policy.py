r"""C2SP tlog-policy: which logs a verifier trusts, and which witnesses must have seen a checkpoint.

    policy  = *(line LF)
    line    = "log" vkey [url]
            / "witness" name vkey [url]
            / "group" name ("any" / "all" / decimal) 1*name    ; how many of the members must have cosigned
            / "quorum" (name / "none")                         ; exactly one
            / "" / "#" comment

Items part at spaces and tabs. A name is any octets but those, compared as octets; it stands for a witness or a group,
is defined once, before it is used, and is a member at most once. `none` is no member. Keys are told apart by the public
key itself: no two logs share one, nor two witnesses. A log key is of type 0x01 or 0x06 and named like the origin; a
witness key is of type 0x04 or 0x06. `format` prints one space, no comments, logs before witnesses before groups.

"Ed25519 and ML-DSA-44 both" is an ordinary policy: the log by its 0x01 key, a witness that is its own 0x06 key.

>>> log = VerifierKey("bank.example/l", SignatureType.ED25519, bytes(32))
>>> both = VerifierKey("bank.example/l", SignatureType.MLDSA44_COSIGNATURE, bytes(1312))
>>> policy = Policy.parse(f"# both keys\nlog {log}\nwitness\tlog-pq {both}\nquorum log-pq\n".encode())
>>> policy.quorum, Policy.parse(policy.format()) == policy
('log-pq', True)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Final

from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import Seconds, parse_decimal
from tallystick.core.note import (
    Note,
    NotSigned,
    SignatureType,
    VerifiedNote,
    VerifierKey,
    open_note,
)
from tallystick.errors import IntegrityViolation, Malformed

__all__ = ["NO_QUORUM", "AcceptedCheckpoint", "Group", "Log", "Policy", "PolicyUnmet", "Witness"]

NO_QUORUM: Final = "none"
_POLICY_BYTES_MAX: Final = 1 << 22
_LINES_MAX: Final = 1024  # of each kind; C2SP tlog-policy: at least 32
_LOG_TYPES: Final = frozenset({SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE})
_WITNESS_TYPES: Final = frozenset({SignatureType.ED25519_COSIGNATURE, SignatureType.MLDSA44_COSIGNATURE})


class PolicyUnmet(IntegrityViolation):
    """A checkpoint lacks signatures that the policy demands; `missing` says which."""


@dataclass(frozen=True, slots=True)
class Log:
    """A trusted log; its key's name is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A known witness. `name` has a meaning in the policy only."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Counts as a witness if `threshold` of its members do."""

    name: str
    threshold: int
    members: tuple[str, ...]


_ACCEPTED: Final = object()


@dataclass(frozen=True, slots=True)
class AcceptedCheckpoint:
    """A checkpoint that a policy accepts, and who signed it. Made by `Policy.accept` only.

    `logs` and `witnesses` (policy name to time, the latest if one signed twice) are those whose signatures verified.
    """

    checkpoint: Checkpoint
    note: VerifiedNote
    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, Seconds]
    outside: tuple[str, ...]  # the witnesses whose keys are not named like the log itself
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _ACCEPTED:
            raise TypeError("an AcceptedCheckpoint comes from Policy.accept alone")


@dataclass(frozen=True, slots=True)
class Policy:
    """Trusted logs, known witnesses, and the witness or group (or `none`) that makes a checkpoint valid."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """`Malformed` with the number of the line that is not of the format."""
        if len(data) > _POLICY_BYTES_MAX:
            raise Malformed("a policy is too long", expected=f"at most {_POLICY_BYTES_MAX} bytes", found=len(data))
        if data and not data.endswith(b"\n"):
            raise Malformed("a policy does not end with a line feed")
        control = re.search(rb"[^\t\n\x20-\x7e\x80-\xff]", data)
        if control:
            raise Malformed("a policy contains a control character", position=control.start())
        draft = _Draft()
        # Octets above 0x7F are opaque; surrogateescape keeps those that are not UTF-8.
        for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n")[:-1], 1):
            items = [item for item in re.split("[ \t]+", line) if item]
            if items and not items[0].startswith("#"):
                try:
                    draft.add(items)
                except Malformed as error:
                    raise Malformed(f"policy, line {number}: {error.message}", **_known(error.facts)) from None
        return draft.finish()

    def format(self) -> bytes:
        lines = [_line("log", log.key.format(), log.url) for log in self.logs]
        lines += [_line("witness", witness.name, witness.key.format(), witness.url) for witness in self.witnesses]
        lines += [_line("group", group.name, str(group.threshold), *group.members) for group in self.groups]
        return "".join([*lines, _line("quorum", self.quorum)]).encode("utf-8", "surrogateescape")

    def open_signed(self, raw: bytes) -> VerifiedNote:
        """Verify that a trusted log has signed a checkpoint, whoever else has; steps 1 to 4 of `accept`.

        1. The note and the checkpoint in it are of their formats.
        2. The origin is that of a trusted log.
        3. Every signature by a key of that log or of a known witness verifies (note.py).
        4. A key of the log has signed.
        """
        # 1.
        origin = Checkpoint.parse(Note.parse(raw).text).origin
        # 2.
        logs = self._log_keys(origin)
        if not logs:
            trusted = sorted({log.key.name for log in self.logs})
            raise PolicyUnmet("the policy does not trust this log", expected=trusted, found=origin)
        unsigned = PolicyUnmet(
            "the log has not signed this checkpoint",
            origin=origin,
            missing=[f"{key.name}+{key.key_id.hex()}" for key in logs],
        )
        # 3. A key may be a log's and a witness's at once.
        try:
            note = open_note(raw, list(dict.fromkeys([*logs, *(witness.key for witness in self.witnesses)])))
        except NotSigned:
            raise unsigned from None
        # 4.
        if not any(signature.key in logs for signature in note.signatures):
            raise unsigned
        return note

    def accept(self, raw: bytes) -> AcceptedCheckpoint:
        """Verify a signed checkpoint; `PolicyUnmet` names the signatures that are missing.

        1. to 4. A trusted log has signed, and every known signature verifies (`open_signed`).
        5. The quorum is reached.
        """
        # 1. to 4.
        note = self.open_signed(raw)
        checkpoint = Checkpoint.parse(note.text)
        # 5.
        times: dict[VerifierKey, Seconds] = {}
        for signature in note.signatures:
            if signature.time is not None:
                times[signature.key] = max(signature.time, times.get(signature.key, signature.time))
        witnesses = {witness.name: times[witness.key] for witness in self.witnesses if witness.key in times}
        missing = self._missing(witnesses)
        if missing:
            raise PolicyUnmet(
                "the quorum of the policy is not reached",
                origin=checkpoint.origin,
                size=checkpoint.size,
                missing=missing,
                found=sorted(witnesses),
            )
        signed = {signature.key for signature in note.signatures}
        logs = tuple(key for key in self._log_keys(checkpoint.origin) if key in signed)
        outside = tuple(w.name for w in self.witnesses if w.name in witnesses and w.key.name != checkpoint.origin)
        return AcceptedCheckpoint(checkpoint, note, logs, witnesses, outside, _ACCEPTED)

    def _log_keys(self, origin: str) -> list[VerifierKey]:
        return [log.key for log in self.logs if log.key.name == origin]

    def _missing(self, witnesses: Mapping[str, Seconds]) -> str:
        """What the quorum still lacks, in words; empty if nothing."""
        lacks = {NO_QUORUM: ""} | {w.name: "" if w.name in witnesses else w.name for w in self.witnesses}
        for group in self.groups:  # members stand before the groups that name them
            gaps = [lacks[member] for member in group.members if lacks[member]]
            needed = group.threshold - (len(group.members) - len(gaps))
            lacks[group.name] = f"{needed} more of {group.name} ({', '.join(gaps)})" if needed > 0 else ""
        return lacks[self.quorum]


class _Draft:
    """A policy while its lines are read."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._defined: set[str] = set()
        self._members: set[str] = set()

    def add(self, items: Sequence[str]) -> None:
        keyword, *rest = items
        reader: dict[str, Callable[[Sequence[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        if keyword not in reader:
            raise Malformed("unknown keyword", expected=sorted(reader), found=repr(keyword[:80]))
        reader[keyword](rest)
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > _LINES_MAX:
            raise Malformed("too many lines of one kind", expected=f"at most {_LINES_MAX}")

    def finish(self) -> Policy:
        if self.quorum is None:
            raise Malformed("a policy has no quorum line", expected="quorum <name> or quorum none")
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), self.quorum)

    def _log(self, items: Sequence[str]) -> None:
        vkey, *url = _count(items, 1, 2, "log <vkey> [<url>]")
        key = _key(vkey, _LOG_TYPES, "log")
        if any(log.key.public_key == key.public_key for log in self.logs):
            raise Malformed("two logs share a public key", key=key.name)
        self.logs.append(Log(key, *url))

    def _witness(self, items: Sequence[str]) -> None:
        name, vkey, *url = _count(items, 2, 3, "witness <name> <vkey> [<url>]")
        self._define(name)
        key = _key(vkey, _WITNESS_TYPES, "witness")
        if any(witness.key.public_key == key.public_key for witness in self.witnesses):
            raise Malformed("two witnesses share a public key", name=name)
        self.witnesses.append(Witness(name, key, *url))

    def _group(self, items: Sequence[str]) -> None:
        name, how_many, *members = _count(items, 3, None, "group <name> any|all|<k> <name>...")
        for member in members:
            if member not in self._defined:
                raise Malformed("a group has a member that is not defined before it", group=name, member=member)
            if member in self._members:
                raise Malformed("a name is a member twice", group=name, member=member)
            self._members.add(member)
        self._define(name)
        counts = {"any": 1, "all": len(members)}
        threshold = counts[how_many] if how_many in counts else parse_decimal(how_many, "threshold")
        if not 1 <= threshold <= len(members):
            raise Malformed("a group asks for more members than it has, or for none", group=name, found=threshold)
        self.groups.append(Group(name, threshold, tuple(members)))

    def _quorum(self, items: Sequence[str]) -> None:
        (name,) = _count(items, 1, 1, "quorum <name>")
        if self.quorum is not None:
            raise Malformed("a policy has two quorum lines")
        if name != NO_QUORUM and name not in self._defined:
            raise Malformed("the quorum is not defined before it", name=name)
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == NO_QUORUM or name in self._defined:
            raise Malformed("a name is defined twice", name=name)
        self._defined.add(name)


def _line(*items: str | None) -> str:
    return " ".join(item for item in items if item is not None) + "\n"


def _count(items: Sequence[str], least: int, most: int | None, form: str) -> Sequence[str]:
    if len(items) < least or (most is not None and len(items) > most):
        raise Malformed("wrong number of items", expected=form, found=len(items))
    return items


def _key(vkey: str, types: frozenset[SignatureType], what: str) -> VerifierKey:
    key = VerifierKey.parse(vkey)
    if key.type not in types:
        raise Malformed(
            f"not a key for a {what}", expected=[f"{t:#04x}" for t in sorted(types)], found=f"{key.type:#04x}"
        )
    return key


def _known(facts: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items()}
