"""Errors, named for what the caller does next.

| family               | what the caller does                    | exit code |
|----------------------|-----------------------------------------|-----------|
| `Rejected`           | mends the request                       | 64        |
| `RetryLater`         | sends the same request again            | 2         |
| `IntegrityViolation` | stops writing and calls somebody        | 1         |
| `Misconfigured`      | mends the installation                  | 78        |

`IntegrityViolation` is evidence of tampering. What merely could not be checked raises `RetryLater` or
`Misconfigured`: "could not check" is neither "verified" nor "tampered".
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["IntegrityViolation", "Malformed", "Misconfigured", "Rejected", "RetryLater", "TallystickError"]


class TallystickError(Exception):
    """Base of all. `facts` name the culprit (ledger, seq, row, key), what was expected and found."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, next_step: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.facts = facts

    def __str__(self) -> str:
        shown = "".join(f"; {name} {value}" for name, value in self.facts.items() if value is not None)
        return f"{self.message}{shown}" + (f". {self.next_step}" if self.next_step else "")

    def diagnostics(self) -> dict[str, object]:
        """The error as JSON-ready members."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "next_step": self.next_step,
            **{name: value.hex() if isinstance(value, bytes) else value for name, value in self.facts.items()},
        }


class Rejected(TallystickError):
    """The request is wrong as it stands; nothing was changed."""

    exit_code = 64


class Malformed(Rejected):
    """Bytes that are not of the format: `facts` say where (`position`), what was expected and what was found."""


class RetryLater(TallystickError):
    """Nothing is wrong with the request; the same one may succeed later."""

    exit_code = 2


class IntegrityViolation(TallystickError):
    """What is stored contradicts what was proven."""

    exit_code = 1


class Misconfigured(TallystickError):
    """The installation cannot do this as it is set up."""

    exit_code = 78
