"""Entries -> CSV (RFC 4180, UTF-8): one row a leg, one row for an entry without legs.

`minor_units` is the exact integer, `amount` the same with its decimal places; `metadata` is a JSON object. Cells are
as they were recorded: a spreadsheet may take one that begins with `=` for a formula.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from tallystick.ledger.exporting.entries import ExportEntry, decimal_text, legs_of, metadata_of, time_text

__all__ = ["write_csv"]

COLUMNS = (
    "seq", "at", "batch", "kind", "id", "by", "effective", "reference", "leg",
    "debit", "credit", "asset", "minor_units", "amount", "metadata",
)  # fmt: skip


def _rows(entry: ExportEntry) -> Iterator[tuple[object, ...]]:
    values = entry.values
    metadata = metadata_of(entry)
    said = json.dumps(metadata, ensure_ascii=False, separators=(",", ":")) if metadata else ""
    names = (entry.id, values.get("by"), values.get("effective"), values.get("reference"))
    start = (entry.seq, time_text(entry.at), entry.batch, entry.kind, *names)
    legs = legs_of(entry)
    if not legs:
        yield (*start, *[""] * 6, said)
    for i, leg in enumerate(legs):
        amount, asset = leg["amount"], leg["asset"]
        yield (*start, i, leg["debit"], leg["credit"], asset, amount, decimal_text(amount, asset), said)


def write_csv(entries: Iterable[ExportEntry], out: BinaryIO) -> int:
    """Write; how many entries."""
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for entry in entries:
        count += 1
        writer.writerows(_rows(entry))
    text.detach()
    return count
