"""Changes one entry of a SQLite ledger behind its back, as a database administrator could.

    python tampering.py DATABASE SEQ amount | everything | restore

Part of the demo, which runs it as a process of its own: with Python's own SQLite, its triggers dropped, and no line of
the product. `amount` raises the amount in the entry's body and nothing else. `everything` is what somebody does who
knows the formats: the amount, the balances after it, the body's root in the stub and the stored hash, so that the entry
agrees with itself. `restore` puts the row back as it was. The first change keeps the row beside the database.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["main"]

FACTOR = 100


def main(database: str, seq: str, how: str) -> None:
    """Change the row and say on stdout, as JSON, what was done."""
    kept = Path(f"{database}.entry-{seq}")
    with closing(sqlite3.connect(database)) as connection, connection:
        row = connection.execute("SELECT stub, body, hash FROM entry WHERE seq = ?", (seq,)).fetchone()
        if not kept.exists():
            kept.write_text(json.dumps([row[0], row[1], row[2].hex()]))
        if how == "restore":
            stub, body, digest = json.loads(kept.read_text())
            changed, before, after = (stub, body, bytes.fromhex(digest)), "", ""
        else:
            changed, before, after = _changed(*row, thorough=how == "everything")
        for event in ("UPDATE", "DELETE"):  # whoever owns the database owns its triggers
            connection.execute(f"DROP TRIGGER IF EXISTS entry_no_{event}")
        connection.execute("UPDATE entry SET stub = ?, body = ?, hash = ? WHERE seq = ?", (*changed, seq))
    print(json.dumps({"seq": int(seq), "how": how, "before": before, "after": after}))  # noqa: T201 (a program)


def _changed(stub: str, body: str, digest: bytes, *, thorough: bool) -> tuple[tuple[str, str, bytes], str, str]:
    parts = json.loads(body)
    leg = next(value for _, path, value in parts if path == "legs/0")
    before = int(leg["amount"])
    leg["amount"] = str(before * FACTOR)
    if thorough:
        for _, path, value in parts:
            for side in ("debit", "credit"):
                if path.startswith("balances/") and value["account"] == leg[side]:
                    value[f"{side}s"] = str(int(value[f"{side}s"]) + before * (FACTOR - 1))
    raw = [_canonical(part) for part in parts]
    body = "[" + ",".join(raw) + "]"
    if thorough:
        members = json.loads(stub)
        members["body"] = _root([hashlib.sha256(b"\x02" + part.encode()).digest() for part in raw]).hex()
        stub = _canonical(members)
        digest = hashlib.sha256(b"\x00" + stub.encode()).digest()
    return (stub, body, digest), str(before), leg["amount"]


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x03" + _root(hashes[:split]) + _root(hashes[split:])).digest()


if __name__ == "__main__":
    main(*sys.argv[1:])
