"""Entries -> files that others read. Each exporter streams to what it is given to write to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

from tallystick.ledger.exporting.entries import ExportEntry, decimal_text, time_text
from tallystick.ledger.exporting.hledger import write_hledger
from tallystick.ledger.exporting.jsonl import object_of, write_jsonl
from tallystick.ledger.exporting.parquet import write_parquet
from tallystick.ledger.exporting.table import write_csv

__all__ = ["EXPORTERS", "ExportEntry", "Exporter", "decimal_text", "object_of", "time_text"]

Exporter = Callable[[Iterable[ExportEntry], BinaryIO], int]
"""Writes entries and says how many."""

EXPORTERS: Mapping[str, Exporter] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
    "hledger": write_hledger,
}
