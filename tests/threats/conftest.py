"""A bank whose database belongs to the attacker: superuser of PostgreSQL, or owner of the SQLite file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from servers import PostgresDatabase

from tallystick import Ledger, create_installation, open_installation
from tallystick.log.auditor import Audited
from tallystick_verify import Report, open_source, parse_policy, verify_ledger
from tallystick_verify.bodies import read_bodies

ORIGIN = "bank.example/ledger/customers"
TABLES = (
    "entry",
    "checkpoint",
    "head",
    "balance",
    "account",
    "remainder",
    "asset",
    "projection",
    "posting",
    "metadata",
)
Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Bank:
    """An installation with one ledger; between two calls nothing of it is open."""

    home: Path
    database: PostgresDatabase | None

    @property
    def policy(self) -> bytes:
        """The trust policy as it was handed out on the first day."""
        return (self.home / "first-policy").read_bytes()

    @property
    def tiles(self) -> Path:
        return self.home / "tiles" / ORIGIN.replace("/", "+")

    def with_ledger(self, use: Callable[[Ledger], T], *, write: bool = False) -> T:
        with open_installation(self.home) as installation, closing(installation.open(ORIGIN, write=write)) as ledger:
            return use(ledger)

    def record(self, first: int, count: int) -> None:
        self.with_ledger(
            lambda ledger: ledger.record(
                [payment(i) for i in range(first, first + count)], by="service:pay"
            ).accepted(),
            write=True,
        )

    def seal(self) -> None:
        def seal(ledger: Ledger) -> None:
            ledger.seal()
            ledger.publish()

        self.with_ledger(seal, write=True)

    def audit(self) -> Audited:
        """As the operator."""
        return self.with_ledger(lambda ledger: ledger.audit())

    def verify(self) -> Report:
        """As an auditor with the published log, the operator's bodies, and none of the product's code."""
        folder = self.home / "evidence"

        def write(ledger: Ledger) -> None:
            for name, data in ledger.bodies():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

        self.with_ledger(write)
        bodies = partial(read_bodies, open_source(str(folder)), "bodies/")
        return verify_ledger(open_source(str(self.tiles)), parse_policy(self.policy), depth="auditor", bodies=bodies)

    def verify_published(self) -> Report:
        """As anybody, with the policy of the first day."""
        return verify_ledger(open_source(str(self.tiles)), parse_policy(self.policy))

    # --- what the attacker can do

    def attack(self, *statements: tuple[str, Sequence[object]]) -> None:
        """Run SQL with triggers out of the way; `{entry}` names a table, `?` marks parameters."""
        if self.database is None:
            with closing(sqlite3.connect(self.file)) as connection, connection:
                for (trigger,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                ).fetchall():
                    connection.execute(f'DROP TRIGGER "{trigger}"')
                for sql, parameters in statements:
                    connection.execute(sql.format(**{name: name for name in TABLES}), parameters)
            return
        with psycopg.connect(self.database.dsn()) as server:
            for table in ("entry", "checkpoint"):
                server.execute(f"ALTER TABLE tallystick.{table} DISABLE TRIGGER ALL")  # type: ignore[arg-type]
            for sql, parameters in statements:
                text = sql.format(**{name: f"tallystick.{name}" for name in TABLES}).replace("?", "%s")
                server.execute(text, parameters)  # type: ignore[arg-type]

    def rows(self, table: str = "entry", order: str = "seq") -> list[Row]:
        if self.database is None:
            with closing(sqlite3.connect(self.file)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order}")]
        with psycopg.connect(self.database.dsn(), row_factory=psycopg.rows.dict_row) as server:
            found = server.execute(f"SELECT * FROM tallystick.{table} ORDER BY {order}")  # type: ignore[arg-type]
            return [{name: value for name, value in row.items() if name != "ledger"} for row in found]

    def put(self, rows: Sequence[Row]) -> None:
        """Overwrite entries with these."""
        self.attack(
            *(
                (
                    "UPDATE {entry} SET id = ?, stub = ?, body = ?, hash = ? WHERE seq = ?",
                    (row["id"], row["stub"], row["body"], row["hash"], row["seq"]),
                )
                for row in rows
            )
        )

    @property
    def file(self) -> Path:
        [file] = (self.home / "database").glob("*.sqlite")
        return file


def payment(i: int) -> dict[str, object]:
    """All amounts and ids differ."""
    leg = {"debit": f"customers:{i % 5}", "credit": "merchants:grocer", "asset": "EUR/2", "amount": str(1000 + i)}
    return {"id": f"payment-{i}", "legs": [leg], "metadata": {"note": f"basket {i}"}}


@pytest.fixture(params=["sqlite", "postgres"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Bank:
    """Two sealed and published batches: seq 1–10 and their seal 11, 12–21 and 22."""
    database = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    made = new_bank(tmp_path / "bank", database)
    for first in (0, 10):
        made.record(first, 10)
        made.seal()
    return made


def new_bank(home: Path, database: PostgresDatabase | None) -> Bank:
    url = database.dsn() if database else "sqlite:database"
    with (
        create_installation(home, url) as installation,
        closing(installation.create(ORIGIN, by="user:founder")) as ledger,
    ):
        (home / "first-policy").write_bytes(ledger.policy.format())
    return Bank(home, database)


# --- what an attacker knows who has read docs/reference/formats.md


def canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def tree(hashes: Sequence[bytes], node: bytes) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(node + tree(hashes[:half], node) + tree(hashes[half:], node)).digest()


def with_body(row: Row, change: Callable[[list[Any]], None]) -> Row:
    """The entry with other parts, and a stub and a hash that fit them."""
    parts = json.loads(row["body"])
    change(parts)
    raw = [canonical(part) for part in parts]
    root = tree([hashlib.sha256(b"\x02" + part.encode()).digest() for part in raw], b"\x03")
    return with_stub({**row, "body": "[" + ",".join(raw) + "]"}, body=root.hex())


def with_stub(row: Row, **members: object) -> Row:
    """The entry with other members of its stub, and a hash that fits."""
    stub = canonical(json.loads(row["stub"]) | members)
    return {**row, "stub": stub, "hash": hashlib.sha256(b"\x00" + stub.encode()).digest()}


def relinked(rows: Sequence[Row]) -> list[Row]:
    """Entries whose `prev` each name the one before; seals name the root of their batch as it is now."""
    made = [rows[0]]
    for row in rows[1:]:
        members: dict[str, object] = {"prev": made[-1]["hash"].hex()}
        stub = json.loads(row["stub"])
        if stub["kind"] == "seal":
            batch = [r["hash"] for r in made if json.loads(r["stub"])["batch"] == stub["batch"]]
            members["body"] = stub["body"] | {"root": tree(batch, b"\x01").hex()}
        made.append(with_stub(row, **members))
    return made
