r"""Foreign files -> commands. Pure: bytes in, a stream of `Line`s out; what is done with them is the caller's.

>>> [line.outcome["legs"] for line in read_lines(b"2024-05-01 rent\n  home  5.00 EUR\n  bank\n", "hledger")]
[[{'debit': 'home', 'credit': 'bank', 'asset': 'EUR/2', 'amount': '500'}]]
"""

from __future__ import annotations

from collections.abc import Iterator

from tallystick.errors import Rejected
from tallystick.ledger.importing.beancount import read_beancount
from tallystick.ledger.importing.camt import read_camt
from tallystick.ledger.importing.delimited import csv_header, read_csv
from tallystick.ledger.importing.hledger import read_hledger
from tallystick.ledger.importing.lines import Command, Line, Problem, Skipped
from tallystick.ledger.importing.mapping import ImportMapping, MalformedMapping, parse_mapping
from tallystick.ledger.importing.objects import read_jsonl

__all__ = [
    "FORMATS",
    "Command",
    "ImportMapping",
    "Line",
    "MalformedMapping",
    "Problem",
    "Skipped",
    "csv_header",
    "format_of",
    "parse_mapping",
    "read_lines",
]

FORMATS = ("csv", "jsonl", "camt.053", "hledger", "beancount")
ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xml": "camt.053",
    ".journal": "hledger",
    ".hledger": "hledger",
    ".beancount": "beancount",
    ".bean": "beancount",
}


def format_of(name: str, mapping: ImportMapping | None) -> str:
    """The format that the mapping or else the file's name says; `Rejected` if neither does."""
    stated = mapping.format if mapping and mapping.format else None
    found = stated or next((form for ending, form in ENDINGS.items() if name.lower().endswith(ending)), None)
    if found not in FORMATS:
        raise Rejected(
            "the file's format is not known",
            next_step="Give --format.",
            file=name,
            found=found,
            expected=", ".join(FORMATS),
        )
    return found


def read_lines(data: bytes, format: str, mapping: ImportMapping | None = None) -> Iterator[Line]:
    """The lines of a file in one of `FORMATS`; `Rejected` if the file as a whole cannot be read."""
    if format == "csv":
        if mapping is None:
            raise Rejected("a CSV file needs a mapping", next_step="Give --mapping; docs/how-to/import.md shows one.")
        return read_csv(data, mapping)
    readers = {"jsonl": read_jsonl, "camt.053": read_camt, "hledger": read_hledger, "beancount": read_beancount}
    if format not in readers:
        raise Rejected("there is no such format", expected=", ".join(FORMATS), found=format)
    return readers[format](data, mapping)
