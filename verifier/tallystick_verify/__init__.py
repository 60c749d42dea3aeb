"""Tallystick's independent verifier: the piece that is there to disagree.

It shares no code with the product. It reads what the product publishes and hands out, follows the same written
formats and rules, and needs only Python and `cryptography`.

    verify_ledger(source, policy, …)   a whole ledger from tiles, with bodies the double entry too
    verify_receipt(proof, …)           one entry and the parts disclosed to its holder
    verify_bundle(source, …)           an evidence bundle: whatever of the two it holds
    Book                               the rules of double entry, read back from the log alone

Each returns a `Report` or raises `Tampering`, `Incomplete` or `Configuration`; none returns a bool.
"""

from __future__ import annotations

from tallystick_verify.bundle import verify_bundle
from tallystick_verify.errors import (
    Configuration,
    Incomplete,
    Malformed,
    Tampering,
    Usage,
    VerificationError,
    Violation,
)
from tallystick_verify.ledger import verify_ledger
from tallystick_verify.policy import TrustPolicy, parse_policy
from tallystick_verify.receipt import verify_receipt
from tallystick_verify.report import Report
from tallystick_verify.rules import Book
from tallystick_verify.source import open_source

__version__ = "0.1.0"
__all__ = [
    "Book",
    "Configuration",
    "Incomplete",
    "Malformed",
    "Report",
    "Tampering",
    "TrustPolicy",
    "Usage",
    "VerificationError",
    "Violation",
    "__version__",
    "open_source",
    "parse_policy",
    "verify_bundle",
    "verify_ledger",
    "verify_receipt",
]
