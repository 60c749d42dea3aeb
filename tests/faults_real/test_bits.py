"""Every bit of a stored ledger, flipped: the audit names the entry, the table or the file, or the bit means nothing.

What is not in the audit's sight is `OUTSIDE`, with the reason and with who notices instead; the same list stands in
docs/explanation/threat-model.md. By default all bits of one row of each kind, and of the rest a seeded sample;
`BITS=all pytest tests/faults_real/test_bits.py` flips every bit there is, for hours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from histories import History

from tallystick import Installation, Ledger, create_installation, kernels
from tallystick.errors import IntegrityViolation, Misconfigured, TallystickError
from tallystick.log.auditor import TailCut

ORIGIN = "bits.example/ledger"
ALL = os.environ.get("BITS") == "all"
EARLY = 60  # an entry from here on is read only after all those before it: its bits take longer
SEED = int(os.environ.get("BITS_SEED", "1"))

# (table, column) → why the audit does not see it, and who does.
OUTSIDE = {
    ("alembic_version", "version_num"): "the release of the tables: the next opening, and the doctor",
    ("meta", "origin"): "whose file this is: the next opening",
    ("remainder", "seq"): "where a row has no time-out: nothing reads it",
}


@dataclass(frozen=True)
class Store:
    """A SQLite ledger with at least 256 entries, and a connection of whoever owns the file."""

    installation: Installation
    ledger: Ledger
    owner: Any
    tiles: Path

    def complaint(self) -> TallystickError | None:
        """What the audit says; anything but an error of ours is a bug, and is raised."""
        try:
            self.ledger.audit()
        except IntegrityViolation as error:
            return error
        return None


def pay(key: str, amount: int) -> dict[str, Any]:
    leg = {"debit": "bank:till", "credit": "customers:v", "asset": "EUR/2", "amount": str(amount)}
    return {"id": key, "legs": [leg], "metadata": {"note": f"for {key} €"}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    history = History(Random(5), "h")
    with create_installation(tmp_path_factory.mktemp("bits") / "home") as installation:
        with closing(installation.create(ORIGIN, by="user:test")) as ledger:
            for batch in range(3):
                ledger.record([history.command(ledger.head().at) for _ in range(60)], by="user:sim")
                ledger.record([pay(f"p{batch}-{i}", 100 + i) for i in range(70)], by="user:till").accepted()
                expiring = {"kind": "pending", **pay(f"hold-{batch}", 7), "expires": "2099-01-01T00:00:00Z"}
                ledger.record([expiring], by="user:till").accepted()
                ledger.seal()
                ledger.publish()
            ledger.record([pay(f"sealed-{i}", 1) for i in range(5)], by="user:till").accepted()
            ledger.seal()
            ledger.record([pay(f"recorded-{i}", 1) for i in range(3)], by="user:till").accepted()
            ledger.follow()
            assert ledger.head().size >= 256
        (file,) = (installation.settings.home / "database").glob("*.sqlite")
        # The kernel's library: two in one process would break each other's locks (docs/adr/0003).
        with closing(kernels.SqliteConnection(str(file))) as owner, closing(installation.open(ORIGIN)) as ledger:
            owner.execute("PRAGMA synchronous = OFF")
            for (name,) in owner.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
                owner.execute(f"DROP TRIGGER {name}")
            yield Store(installation, ledger, owner, installation.tiles_folder(ORIGIN))


def flipped(value: int | bytes, bit: int) -> int | bytes:
    if isinstance(value, int):
        changed = value ^ 1 << bit
        return changed if changed < 1 << 63 else changed - (1 << 64)
    return value[: bit // 8] + bytes([value[bit // 8] ^ 1 << bit % 8]) + value[bit // 8 + 1 :]


def bits_of(value: int | bytes) -> int:
    return 64 if isinstance(value, int) else 8 * len(value)


# --- entries, in memory: the step of the audit that reads them


def rows_of(store: Store) -> list[tuple[int, str | None, bytes, bytes, bytes]]:
    pages = store.ledger._store.entries(0, 1 << 53)
    return [(row.seq, row.id, row.stub, row.body, row.hash) for page in pages for row in page]


def named(rows: list[Any]) -> int:
    """The sequence that the replay of these rows names."""
    with pytest.raises(kernels.ReplayError) as caught:
        kernels.Replay(ORIGIN).feed(rows)
    return int(caught.value.args[1])


@pytest.mark.slow
@pytest.mark.threat(1)
def test_every_bit_of_an_entry(store: Store) -> None:
    random, rows = Random(SEED), rows_of(store)
    kinds = {entry.kind: entry.seq for entry in reversed(list(store.ledger.entries()))}  # the first of each
    assert len(kinds) == 12, kinds
    flips = 0
    for row in rows:
        seq = row[0]
        for column in (1, 2, 3, 4):
            value = row[column]
            if not value:
                continue
            data = value.encode() if isinstance(value, str) else value
            if ALL or (seq in kinds.values() and seq < EARLY):
                bits: Any = range(8 * len(data))
            else:
                step = 1 if seq in kinds.values() else 16
                bits = [8 * at + random.randrange(8) for at in range(0, len(data), step)]
            for bit in bits:
                changed: Any = flipped(data, bit)
                if isinstance(value, str):
                    changed = changed.decode("utf-8", "replace")
                made = [*rows[:seq], (*row[:column], changed, *row[column + 1 :])]
                assert named(made) == seq, (seq, column, bit)
                flips += 1
    assert flips > 30_000


# --- all tables, by SQL: the whole audit


@dataclass(frozen=True)
class Value:
    """One stored value, and how to change it."""

    table: str
    column: str
    text: bool
    key: tuple[tuple[str, bool, Any], ...]  # column, is it text, value
    value: int | bytes
    no_time_out: bool

    def set(self, owner: Any, new: int | bytes, old: int | bytes) -> None:
        where = " AND ".join(f"{name} IS {'CAST(? AS TEXT)' if text else '?'}" for name, text, _ in self.key)
        key = [old if name == self.column else value for name, _, value in self.key]
        new_value = "CAST(? AS TEXT)" if self.text else "?"
        owner.execute(f"UPDATE {self.table} SET {self.column} = {new_value} WHERE {where}", [new, *key])


def values_of(owner: Any) -> Iterator[list[Value]]:
    """Row by row, of every table."""
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    for (table,) in owner.execute(tables):
        info = owner.execute(f"PRAGMA table_info({table})")
        columns = [(name, kind == "TEXT" or kind.startswith("VARCHAR"), key) for _, name, kind, _, _, key in info]
        shown = ", ".join(f"CAST({name} AS BLOB)" if text else name for name, text, _ in columns)
        keyed = {name for name, _, key in columns if key} or {columns[0][0]}
        for row in owner.execute(f"SELECT {shown} FROM {table}"):
            key = tuple((c[0], c[1], v) for c, v in zip(columns, row, strict=True) if c[0] in keyed)
            no_time_out = table == "remainder" and row[[c[0] for c in columns].index("expires")] is None
            yield [
                Value(table, name, text, key, value, no_time_out)
                for (name, text, _), value in zip(columns, row, strict=True)
                if value is not None
            ]


def must_be_noticed(store: Store, value: Value, bit: int) -> str:
    """Flip, audit, flip back; who noticed: "database", "audit" or "nobody"."""
    changed = flipped(value.value, bit)
    try:
        value.set(store.owner, changed, value.value)
    except kernels.SqliteError as error:
        assert str(error.args[0]).startswith("SQLITE_CONSTRAINT"), error
        return "database"
    try:
        error = store.complaint()
        what = (value, bit, error)
        if error is None:
            assert (value.table, value.column) in OUTSIDE, what
            assert value.table != "remainder" or value.no_time_out, what
            return "nobody"
        facts = error.facts
        places = {
            facts.get("table") == value.table,
            value.table == "entry" and "seq" in facts,
            (value.table, value.column, facts.get("table")) == ("entry", "seq", "head"),  # the last one, moved on
            # A row that is gone, or counts for more than there is.
            isinstance(error, TailCut) and (value.table, value.column) in {("checkpoint", "size"), ("head", "size")},
            # Without its name a projection has seen nothing, and its rows are too many.
            (value.table, value.column, facts.get("table")) == ("projection", "name", "posting"),
            (value.table, value.column, facts.get("table")) == ("projection", "position", "posting"),
            # No text at all: SQLite names the file.
            value.text and facts.get("code") == "SQLITE_CORRUPT",
        }
        assert True in places, what
    finally:
        value.set(store.owner, value.value, changed)
    return "audit"


@pytest.mark.slow
@pytest.mark.threat(1)
@pytest.mark.timeout(0 if ALL else 300)
def test_every_bit_of_every_table(store: Store) -> None:
    random = Random(SEED)
    whole: set[tuple[str, bool]] = set()  # tables of which a row was done to the last bit
    seen: dict[tuple[str, str], set[str]] = {}
    rows = list(values_of(store.owner))
    random.shuffle(rows)
    sampled = rows if ALL else rows[:120]
    for row in rows:
        table = (row[0].table, row[0].no_time_out)
        if ALL or (table not in whole and row[0].table != "entry"):
            whole.add(table)
            for value in row:
                bits: Any = range(bits_of(value.value))
                if not ALL and len(bits) > 512:
                    bits = random.sample(bits, 100)
                for bit in bits:
                    noticed = must_be_noticed(store, value, bit)
                    seen.setdefault((value.table, value.column), set()).add(noticed)
        elif row in sampled:
            for value in row:
                if value.value:
                    must_be_noticed(store, value, random.randrange(bits_of(value.value)))
    assert store.complaint() is None
    assert {place for place, by in seen.items() if "nobody" in by} == set(OUTSIDE)


def test_what_the_audit_does_not_see_of_a_file_the_next_opening_does(store: Store) -> None:
    for value in (value for row in values_of(store.owner) for value in row):
        if value.table not in {"alembic_version", "meta"}:
            continue
        for bit in range(bits_of(value.value)):
            changed = flipped(value.value, bit)
            value.set(store.owner, changed, value.value)
            with pytest.raises((IntegrityViolation, Misconfigured)):
                store.installation.open(ORIGIN)
            value.set(store.owner, value.value, changed)
    store.installation.open(ORIGIN).close()


# --- the published folder


@pytest.mark.slow
@pytest.mark.threat(1)
@pytest.mark.timeout(0 if ALL else 300)
def test_every_bit_of_the_published_files(store: Store) -> None:
    """The audit names the file. What lies there beside the files of the published size is none of the log."""
    random = Random(SEED)
    files = sorted(path for path in store.tiles.rglob("*") if path.is_file())
    names = [str(path.relative_to(store.tiles)) for path in files]
    assert {"checkpoint", "tile/entries/000", "tile/0/000"} < set(names)
    left_over = []  # partial tiles of earlier sizes, which stay until their full tile is there
    for path, name in zip(files, names, strict=True):
        data = path.read_bytes()
        count = len(data) if ALL else min(len(data), 150)
        for at in sorted(random.sample(range(len(data)), count)):
            bits = range(8) if ALL else [random.randrange(8)]
            for bit in bits:
                path.write_bytes(flipped(data, 8 * at + bit))  # type: ignore[arg-type]
                error = store.complaint()
                if error is None:
                    left_over.append(name)
                else:
                    assert error.facts["path"] == name, error
        path.write_bytes(data)
    size = store.ledger._publisher._published()[0]
    assert set(left_over) <= {name for name in names if ".p/" in name and not name.endswith(f"/{size % 256}")}
    assert store.complaint() is None
