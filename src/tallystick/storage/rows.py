"""Rows from their columns: totals are read as strictly as they are printed, and a row that is none is named.

total      = "0" / %x31-39 *38DIGIT
remaining  = "[" [ DQUOTE total DQUOTE *( "," DQUOTE total DQUOTE ) ] "]"

Python's own `int()` and `json.loads` are laxer.
"""

from __future__ import annotations

import re

from tallystick.errors import IntegrityViolation
from tallystick.storage.ports import BalanceRow, RemainderRow

__all__ = ["BEFORE_ALL", "balance_row", "remainder_row"]

BEFORE_ALL = -(1 << 63)  # a size that no row has which anybody wrote on purpose

_TOTAL = re.compile(r"0|[1-9][0-9]{0,38}", re.ASCII)
_TOTALS = re.compile(r'\[(?:"[0-9]+"(?:,"[0-9]+")*)?\]', re.ASCII)


def balance_row(account: str, asset: str, *totals: str) -> BalanceRow:
    """A row of the table balance; `IntegrityViolation` if a total is none."""
    debits, credits, pending_debits, pending_credits = (_total("balance", f"{account} {asset}", t) for t in totals)
    return BalanceRow(account, asset, debits, credits, pending_debits, pending_credits)


def remainder_row(id: str, kind: str, remaining: str, expires: int | None) -> RemainderRow:
    """A row of the table remainder; `IntegrityViolation` if `remaining` is no array of totals."""
    if not _TOTALS.fullmatch(remaining):
        raise _no_row("remainder", id, "an array of totals", remaining)
    totals = remaining[2:-2].split('","') if remaining != "[]" else []
    return RemainderRow(id, kind, tuple(_total("remainder", id, total) for total in totals), expires)


def _total(table: str, row: str, text: str) -> int:
    if not _TOTAL.fullmatch(text):
        raise _no_row(table, row, "a total", text)
    return int(text)


def _no_row(table: str, row: str, expected: str, found: str) -> IntegrityViolation:
    return IntegrityViolation(
        f"table {table}, row {row}: not what a ledger stores",
        table=table,
        row=row,
        expected=expected,
        found=found,
        next_step="Stop writing and run `tallystick ledger audit`; find out who changed it.",
    )
