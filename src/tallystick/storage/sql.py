"""What both SQL adapters do to a caller's SQL and values before a database sees them.

    query ::= SQL with `?` for a parameter and `{table}` for a table's rows of one ledger

A name in braces that is no table, and a value that the formats do not know, is an error here, not in one database only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from tallystick.errors import Rejected

__all__ = ["PROJECTIONS", "TABLES", "after_prefix", "expand", "storable", "storable_rows"]

PROJECTIONS = {
    "posting": ("account", "asset", "seq", "effective", "debits", "credits"),
    "metadata": ("key", "value", "seq"),
}

# Columns by which a query may know a table, the same on every adapter.
TABLES = {
    "entry": ("seq", "id", "stub", "body", "hash"),
    "balance": ("account", "asset", "debits", "credits", "pending_debits", "pending_credits"),
    "account": ("name", "definition"),
    "remainder": ("id", "seq", "kind", "remaining", "expires"),
    "asset": ("code", "scale"),
    "checkpoint": ("size", "root", "note", "frontier"),
    **PROJECTIONS,
}


def expand(sql: str, table: Callable[[str], str]) -> str:
    """Replace each `{name}` by `table(name)`; `ValueError` for a name that is no table of `TABLES`."""

    def found(match: re.Match[str]) -> str:
        if match[1] not in TABLES:
            raise ValueError(f"no table {match[0]}; there are {', '.join(TABLES)}")
        return table(match[1])

    return re.sub(r"\{(\w*)\}", found, sql)


def after_prefix(prefix: str) -> str:
    """A bound above every account name that starts with `prefix`: names hold nothing from U+007F on."""
    return prefix + "\x7f"


def storable(values: Iterable[object]) -> Sequence[object]:
    """The values, or `Rejected` for text with U+0000 (PostgreSQL holds none) or a lone surrogate (no UTF-8 has it)."""
    values = tuple(values)
    for value in values:
        if isinstance(value, str) and not _is_storable(value):
            raise Rejected("text holds U+0000 or a lone surrogate", next_step="Leave it out.", found=ascii(value))
    return values


def storable_rows(rows: Sequence[tuple[object, ...]]) -> Sequence[tuple[object, ...]]:
    """The rows of a projection, as `storable`: their first two columns are the text that callers chose."""
    if not _is_storable("".join([f"{row[0]}{row[1]}" for row in rows])):
        for row in rows:
            storable(row[:2])
    return rows


def _is_storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
