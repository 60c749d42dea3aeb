"""Entries -> an hledger journal (https://hledger.org/1.25/hledger.html), whose balances are the posted ones.

    2024-05-01 * (seq 12) rent May
        ; id: inv-7
        ; kind: transaction
        home:rent            500.00 EUR
        bank:main           -500.00 EUR

The date is the effective one. A leg is two postings. Pending entries, what releases them, and entries without legs are
comments, for nothing was posted. Text cannot end a comment or begin a new line; what hledger would take for a comment
inside a description is written with a comma.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from tallystick.ledger.exporting.entries import ExportEntry, decimal_text, legs_of, metadata_of, moment

__all__ = ["write_hledger"]

POSTED = ("transaction", "adjustment", "post", "reversal")


def _plain(text: str) -> str:
    return " ".join("".join(" " if c < " " or c == "\x7f" else c for c in text).split())


def _commodity(asset: str) -> str:
    code = asset.partition("/")[0]
    return code if code.isalpha() else f'"{code}"'


def _transaction(entry: ExportEntry) -> list[str]:
    values = entry.values
    date = values["effective"][:10] if "effective" in values else moment(entry.at).strftime("%Y-%m-%d")
    metadata = metadata_of(entry)
    description = values.get("reference") or metadata.get("description") or metadata.get("narration") or ""
    lines = [f"{date} * (seq {entry.seq}) {_plain(description).replace(';', ',')}".rstrip()]
    tags = {"id": entry.id or "", "kind": entry.kind, "reason": values.get("reason", ""), **metadata}
    lines += [f"    ; {_plain(name)}: {_plain(text)}" for name, text in tags.items() if text]
    for leg in legs_of(entry):
        amount, commodity = decimal_text(leg["amount"], leg["asset"]), _commodity(leg["asset"])
        lines += [f"    {leg['debit']}  {amount} {commodity}", f"    {leg['credit']}  -{amount} {commodity}"]
    return lines


def write_hledger(entries: Iterable[ExportEntry], out: BinaryIO) -> int:
    """Write; how many entries."""
    out.write(b"decimal-mark .\n")
    assets: set[str] = set()
    count = 0
    for entry in entries:
        count += 1
        legs = legs_of(entry)
        lines = []
        for asset in dict.fromkeys(str(leg["asset"]) for leg in legs):
            if asset not in assets:
                assets.add(asset)
                # A number in a commodity directive must show its decimal mark, even without places after it.
                shown = decimal_text(1000 * 10 ** int(asset.partition("/")[2]), asset)
                lines.append(f"commodity {shown if '.' in shown else shown + '.'} {_commodity(asset)}")
        if entry.kind in POSTED and legs:
            lines += _transaction(entry)
        else:
            lines.append(f"; seq {entry.seq}: {entry.kind} {_plain(entry.id or '')}, nothing posted")
        out.write(("\n" + "\n".join(lines) + "\n").encode())
    return count
