"""What a verification can end with, other than "verified".

| class           | exit | says                                                      |
|-----------------|------|-----------------------------------------------------------|
| `Tampering`     | 1    | the evidence contradicts itself, its signatures, the rules |
| `Incomplete`    | 2    | something that was needed could not be had                |
| `Usage`         | 64   | the command was wrong                                     |
| `Configuration` | 78   | the trust policy is missing or cannot be used             |

"Could not check" is never "verified", and never "tampered" either.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

__all__ = ["Configuration", "Incomplete", "Malformed", "Tampering", "Usage", "VerificationError", "printable"]


_PLAIN = (str, int, bool, list, dict)


class VerificationError(Exception):
    """Base of all. `facts` name the culprit: ledger, seq, file, signer, what was expected and what was found."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.report: Any = None  # `report.Report` of the verification that this ended
        self.facts: dict[str, object] = {name: value for name, value in facts.items() if value is not None}

    def add(self, **facts: object) -> None:
        """Name the culprit more closely; what is already known stays."""
        for name, value in facts.items():
            self.facts.setdefault(name, value)

    def as_json(self) -> dict[str, object]:
        """The error as JSON-ready members."""
        plain = {name: value if isinstance(value, _PLAIN) else shown(value) for name, value in self.facts.items()}
        return {"error": type(self).__name__, "message": self.message, **plain}

    def __str__(self) -> str:
        return self.message + "".join(f"; {name} {shown(value)}" for name, value in self.facts.items())


def shown(value: object) -> str:
    """A fact as text: bytes as hex, a JSON value as JSON."""
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value.hex() if isinstance(value, bytes) else str(value)


def printable(text: str) -> str:
    """One line that a terminal shows and does not obey: the evidence may hold escapes that would paint a verdict."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class Tampering(VerificationError):
    """The evidence is not what was signed, or breaks the rules that it claims to follow."""

    exit_code = 1


class Malformed(Tampering):
    """Bytes that no honest writer produces: not canonical, ambiguous, of another form; `position` is a byte offset."""


class Incomplete(VerificationError):
    """Evidence that is needed is absent or unreadable."""

    exit_code = 2


class Usage(VerificationError):
    """The command makes no sense as it stands."""

    exit_code = 64


class Configuration(VerificationError):
    """The trust policy is missing, malformed or contradicts itself."""

    exit_code = 78


class Violation(Tampering):
    """An entry that breaks the rules. `code` is stable; `facts` name account, asset, leg, expected, found and so on."""

    def __init__(self, code: str, message: str, **facts: object) -> None:
        super().__init__(message, code=code, **facts)
        self.code = code
