"""Entries -> JSONL: one object an entry.

    {"seq","at","kind","batch","hash", …parts by name: "id","by","legs":[…],"balances":[…],"metadata":{…}, …}

Genesis, key and seal entries have their `body` instead of parts. `destroyed` says how many parts are gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, BinaryIO

from tallystick.ledger.exporting.entries import ExportEntry, metadata_of, time_text

__all__ = ["object_of", "write_jsonl"]


def object_of(entry: ExportEntry) -> dict[str, Any]:
    """The entry as one JSON object."""
    members: dict[str, Any] = {
        "seq": entry.seq,
        "at": time_text(entry.at),
        "kind": entry.kind,
        "batch": entry.batch,
        "hash": entry.hash.hex(),
    }
    for path, value in entry.values.items():
        name, _, rest = path.partition("/")
        if not rest:
            members[name] = value
        elif name != "metadata":
            members.setdefault(name, []).append(value)
    if metadata := metadata_of(entry):
        members["metadata"] = metadata
    if isinstance(entry.stub["body"], dict):
        members["body"] = entry.stub["body"]
    if destroyed := entry.stub["parts"] - len(entry.values):
        members["destroyed"] = destroyed
    return members


def write_jsonl(entries: Iterable[ExportEntry], out: BinaryIO) -> int:
    """Write; how many entries."""
    count = 0
    for entry in entries:
        count += 1
        out.write(json.dumps(object_of(entry), ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return count
