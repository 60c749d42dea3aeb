"""What the rules keep of accounts and entries: totals, and what remains of a target. Amounts are minor units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["TOTAL_LIMIT", "Recorded", "Totals", "available", "micros"]

TOTAL_LIMIT = 2**127


@dataclass(slots=True)
class Totals:
    """What was ever debited and credited on one (account, asset), in minor units."""

    debits: int = 0
    credits: int = 0
    pending_debits: int = 0
    pending_credits: int = 0
    epoch: int = 0  # below the book's own: rests on legs that were destroyed

    def effect(self, kind: str, side: str, amount: int) -> None:
        """A leg's effect on one of its two accounts (entries: State)."""
        posted = {"post": amount, "pending": 0, "void": 0, "expire": 0}.get(kind, amount)
        pending = {"post": -amount, "pending": amount, "void": -amount, "expire": -amount}.get(kind, 0)
        if side == "debit":
            self.debits += posted
            self.pending_debits += pending
        else:
            self.credits += posted
            self.pending_credits += pending

    def as_part(self, account: str, asset: str) -> dict[str, str]:
        return {
            "account": account,
            "asset": asset,
            "credits": str(self.credits),
            "debits": str(self.debits),
            "pending_credits": str(self.pending_credits),
            "pending_debits": str(self.pending_debits),
        }


@dataclass(slots=True)
class Recorded:
    """What a later entry may need of an entry with an id. `legs` is None if they were destroyed."""

    kind: str
    legs: tuple[tuple[str, str, str], ...] | None = ()  # debit, credit, asset
    remaining: list[int] | tuple[()] = ()
    expires: int | None = None


def micros(time: str) -> int:
    """Microseconds since 1970 of a time whose form was checked."""
    whole, _, fraction = time[:-1].partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * 1_000_000 + int(fraction.ljust(6, "0"))


def available(side: str, definition: dict[str, Any], asset: str, totals: Totals) -> tuple[int, bool]:
    """What one side of an account may still take, and whether the account is limited on that side."""
    if side == "debit":
        free = totals.credits - totals.debits - totals.pending_debits
        limited = definition.get("limit") == "debits_must_not_exceed_credits"
    else:
        free = totals.debits - totals.credits - totals.pending_credits
        limited = definition.get("limit") == "credits_must_not_exceed_debits"
    return free + (int(definition.get("overdraft", {}).get(asset, "0")) if limited else 0), limited
