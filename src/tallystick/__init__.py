"""Tallystick: double-entry ledgers whose every entry can be proven, offline, without trusting whoever keeps them.

`create_installation` and `open_installation` give an `Installation`, that gives a `Ledger`; `verify_receipt` and
`verify_bundle` need neither.
"""

from __future__ import annotations

from tallystick.core.bundle import verify_bundle
from tallystick.core.policy import Policy
from tallystick.core.receipt import verify_receipt
from tallystick.errors import IntegrityViolation, Misconfigured, Rejected, RetryLater, TallystickError
from tallystick.log.ledger import Ledger
from tallystick.wiring import Installation, create_installation, open_installation

__all__ = [
    "Installation",
    "IntegrityViolation",
    "Ledger",
    "Misconfigured",
    "Policy",
    "Rejected",
    "RetryLater",
    "TallystickError",
    "create_installation",
    "open_installation",
    "verify_bundle",
    "verify_receipt",
]
