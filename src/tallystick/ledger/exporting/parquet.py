"""Entries -> Parquet: one row a leg, as CSV has it, with types. Needs the extra `tallystick[parquet]`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO

from tallystick.errors import Misconfigured, Rejected
from tallystick.ledger.exporting.entries import ExportEntry, legs_of, metadata_of, moment

__all__ = ["write_parquet"]

ROWS_PER_GROUP = 65_536
MINOR_UNITS_END = 10**38  # decimal128; 2^127 is a little more


def _schema(pa: Any) -> Any:
    time = pa.timestamp("us", tz="UTC")
    return pa.schema([
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("at", time, nullable=False),
        pa.field("batch", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        ("id", pa.string()),
        ("by", pa.string()),
        ("effective", time),
        ("reference", pa.string()),
        ("leg", pa.int32()),
        ("debit", pa.string()),
        ("credit", pa.string()),
        ("asset", pa.string()),
        ("minor_units", pa.decimal128(38, 0)),
        ("metadata", pa.map_(pa.string(), pa.string())),
    ])  # fmt: skip


def _rows(entry: ExportEntry) -> list[dict[str, Any]]:
    values = entry.values
    effective = values.get("effective")
    start = {
        "seq": entry.seq,
        "at": moment(entry.at),
        "batch": entry.batch,
        "kind": entry.kind,
        "id": entry.id,
        "by": values.get("by"),
        "effective": datetime.fromisoformat(effective) if effective else None,
        "reference": values.get("reference"),
        "metadata": list(metadata_of(entry).items()),
    }
    rows = []
    for i, leg in enumerate(legs_of(entry)):
        if int(leg["amount"]) >= MINOR_UNITS_END:
            raise Rejected(
                "an amount is too large for a Parquet decimal",
                next_step="Export as JSONL or CSV.",
                seq=entry.seq,
                leg=i,
                found=leg["amount"],
            )
        amount = Decimal(leg["amount"])
        names = {name: leg[name] for name in ("debit", "credit", "asset")}
        rows.append({**start, "leg": i, **names, "minor_units": amount})
    return rows or [start]


def write_parquet(entries: Iterable[ExportEntry], out: BinaryIO) -> int:
    """Write in groups of 65,536 rows; how many entries."""
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra; nothing else needs it)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise Misconfigured("Parquet needs pyarrow", next_step="Run `pip install tallystick[parquet]`.") from None
    schema = _schema(pa)
    count = 0
    rows: list[dict[str, Any]] = []
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for entry in entries:
            count += 1
            rows += _rows(entry)
            if len(rows) >= ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))
    return count
