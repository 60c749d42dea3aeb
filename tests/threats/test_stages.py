"""Who notices which attack, at which stage of an entry's life, and who does not: on both databases the same.

The attacker owns the database and has read the formats; he has neither the keys nor the published folder. Each attack
has for each stage the complete list of who notices and whom they name; who is not in the list notices nothing:

    audit, receipt kept, receipt anew, public, bodies, bundle   look first (see `stages.who_notices`)
    open, record, seal, publish                                 the operator goes on working
    public, later; bodies, later                                then the world looks again

`{v}` is the changed entry, `{n}` the one after it, `{end}` the last entry of all, `{signed}` the last one signed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tallystick import Ledger
from tallystick.errors import IntegrityViolation
from tallystick.log.recorder import ClockWentBack, WentBack
from tallystick.log.tree import HistoryRewritten
from tallystick.storage.ports import EntryRow
from tallystick_verify.errors import Violation

from .conftest import ORIGIN, Row, tree, with_body, with_stub
from .stages import STAGES, Staged, copied, disk_of, forged, hold, pay, said, staged, transplant, who_notices

__all__ = ["staged"]

Attack = Callable[[Staged, int], None]


def raise_amount(parts: list[list[object]]) -> None:
    for part in parts:
        if part[1] == "legs/0":
            part[2]["amount"] = "9000"  # type: ignore[index]


def change_note(parts: list[list[object]]) -> None:
    for part in parts:
        if part[1] == "metadata/note":
            part[2] = "for somebody else"


def edit_part(bank: Staged, v: int) -> None:
    """1: the amount in the body, nothing else."""
    row = bank.rows()[v]
    bank.put([{**row, "body": row["body"].replace('"amount":"1000"', '"amount":"9000"')}])


def edit_row(bank: Staged, v: int) -> None:
    """1: the amount, and all of the row made to fit."""
    bank.put([with_body(bank.rows()[v], raise_amount)])


def edit_hash(bank: Staged, v: int) -> None:
    """1: the stored hash, which nobody believes."""
    bank.put([{**bank.rows()[v], "hash": bytes(32)}])


def relink(bank: Staged, v: int, row: Row) -> None:
    """`row` in place of entry `v`, and all that hangs on it made to fit: links, seals, head, reading tables."""
    rows = [*bank.rows()[:v], row]
    for after in bank.rows()[v + 1 :]:
        stub = json.loads(after["stub"])
        members: dict[str, object] = {"prev": rows[-1]["hash"].hex()}
        if stub["kind"] == "seal":
            batch = [r["hash"] for r in rows[stub["body"]["first"] :]]
            members["body"] = stub["body"] | {"root": tree(batch, b"\x01").hex()}
        rows.append(with_stub(after, **members))
    bank.put(rows[v:])
    bank.attack(
        ("UPDATE {head} SET hash = ?, at = ?", (rows[-1]["hash"], json.loads(rows[-1]["stub"])["at"])),
        ("DELETE FROM {posting}", ()),
        ("DELETE FROM {metadata}", ()),
        ("UPDATE {projection} SET position = 0", ()),
    )


def edit_and_relink(bank: Staged, v: int) -> None:
    """1: a note that no rule binds, and everything after it made to fit."""
    relink(bank, v, with_body(bank.rows()[v], change_note))


def delete(bank: Staged, v: int) -> None:
    """2: three rows."""
    bank.attack(("DELETE FROM {entry} WHERE seq >= ? AND seq < ?", (v, v + 3)))


def insert_row(bank: Staged, row: Row) -> None:
    ledger, mark = ("ledger, ", "1, ") if bank.database else ("", "")
    bank.attack(
        (
            f"INSERT INTO {{entry}} ({ledger}seq, id, stub, body, hash) VALUES ({mark}?, ?, ?, ?, ?)",
            (row["seq"], row["id"], row["stub"], row["body"], row["hash"]),
        )
    )


def insert(bank: Staged, v: int) -> None:
    """3: a copy of the row before it, everything from there on moved up by one."""
    rows = bank.rows()
    bank.attack(("DELETE FROM {entry} WHERE seq >= ?", (v,)))
    for row in ({**rows[v - 1], "id": "inserted"}, *rows[v:]):
        insert_row(bank, {**row, "seq": row["seq"] + 1})
    bank.attack(("UPDATE {head} SET size = size + 1", ()))


def swap(bank: Staged, v: int) -> None:
    """3: two rows."""
    a, b = bank.rows()[v : v + 2]
    bank.attack(("UPDATE {entry} SET id = NULL WHERE seq IN (?, ?)", (v, v + 1)))
    bank.put([{**a, "seq": v + 1}, {**b, "seq": v}])


def restart(bank: Staged, v: int) -> None:
    """10: the ledger begins again here, and everything after it fits."""
    rows = bank.rows()
    body = json.loads(rows[0]["stub"])["body"]
    again = {**rows[v], "id": None, "body": ""}
    relink(bank, v, with_stub(again, kind="genesis", prev="0" * 64, parts=0, body=body))


def begin_twice(bank: Staged, v: int) -> None:
    """10: a second genesis, linked to the entry before it."""
    rows = bank.rows()
    body = json.loads(rows[0]["stub"])["body"]
    relink(bank, v, with_stub({**rows[v], "id": None, "body": ""}, kind="genesis", parts=0, body=body))


def ambiguous(bank: Staged, v: int) -> None:
    """13: a member twice in the stub; everything after it fits."""
    row = bank.rows()[v]
    stub = row["stub"].replace('{"at":', '{"at":1,"at":')
    relink(bank, v, {**row, "stub": stub, "hash": hashlib.sha256(b"\x00" + stub.encode()).digest()})


def backdate(bank: Staged, v: int) -> None:
    """14: earlier than the entry before it; everything after it fits."""
    rows = bank.rows()
    relink(bank, v, with_stub(rows[v], at=json.loads(rows[v - 1]["stub"])["at"] - 1))


def redate(bank: Staged, v: int) -> None:
    """14: a microsecond later, still in order; everything after it fits."""
    row = bank.rows()[v]
    relink(bank, v, with_stub(row, at=json.loads(row["stub"])["at"] + 1))


def beginning(bank: Staged, stage: str) -> int:
    """Where a stage begins; for what is published, the whole history but its genesis."""
    return {"published": 1, "sealed": bank.published, "recorded": bank.sealed}[stage]


def cut(bank: Staged, v: int) -> None:
    """4: everything from here on, all tables as they were then."""
    stored = [EntryRow(r["seq"], r["id"], r["stub"].encode(), r["body"].encode(), r["hash"]) for r in bank.rows()[:v]]
    transplant(bank, disk_of(stored), v)


def forget_checkpoints(bank: Staged, v: int) -> None:
    bank.attack(("DELETE FROM {checkpoint} WHERE size > ?", (v,)))


def cut_with_checkpoints(bank: Staged, v: int) -> None:
    """4: the same, and the checkpoints that covered it."""
    cut(bank, v)
    forget_checkpoints(bank, v)


def rewrite(bank: Staged, v: int) -> None:
    """6: everything from here on, by the product's own rules: no contradiction is left in it."""
    transplant(bank, forged(bank, v), v)


def rewrite_with_checkpoints(bank: Staged, v: int) -> None:
    """6: the same, and the checkpoints that covered it taken away."""
    rewrite(bank, v)
    forget_checkpoints(bank, v)


ROW_PUBLISHED = """audit EntryContradicts {v}; receipt anew ProofRefused; bodies Tampering {v}; bundle BundleBroken {v};
    publish TilesContradict {unfinished}..*; bodies, later Tampering {v}"""
FITS_PUBLISHED = """audit EntryContradicts {v}; receipt anew ProofRefused; bodies Tampering {v};
    bundle BundleBroken {v}; seal HistoryRewritten {signed}..{signed}; publish HistoryRewritten {last}..{last};
    bodies, later Tampering {v}"""
NOBODY = ""

# attack → stage → who notices what
EXPECTED: dict[Attack, dict[str, str]] = {
    edit_part: {
        "published": """audit EntryContradicts {v}; receipt anew IntegrityViolation {v}; bodies Tampering {v};
            bundle BundleBroken {v}; bodies, later Tampering {v}""",
        "sealed": "audit EntryContradicts {v}; bodies, later Tampering {v}",
        "recorded": "audit EntryContradicts {v}; bodies, later Tampering {v}",
    },
    edit_row: {
        "published": ROW_PUBLISHED,
        "sealed": "audit EntryContradicts {v}; publish BrokenLink {n}",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {n}",
    },
    edit_hash: dict.fromkeys(STAGES, "audit EntryContradicts {v}"),
    edit_and_relink: {
        "published": FITS_PUBLISHED.replace("EntryContradicts {v}", "EntryContradicts {before}..{last}"),
        "sealed": """audit EntryContradicts {published}..{signed}; seal HistoryRewritten {signed}..{signed};
            publish TilesContradict""",
        "recorded": NOBODY,
    },
    delete: {
        "published": """audit EntryContradicts {v}; receipt anew Rejected; bodies Tampering {v}; bundle BundleBroken;
            publish Gap {v}; bodies, later Tampering {v}""",
        "sealed": "audit EntryContradicts {v}; publish Gap {v}",
        "recorded": "audit EntryContradicts {v}; seal Gap {v}",
    },
    insert: {
        "published": """audit EntryContradicts {v}; receipt anew ProofRefused; bodies Tampering {v};
            bundle BundleBroken {v}; record HeadContradicts {sealed}; seal HistoryRewritten {signed}..{signed};
            publish HistoryRewritten {last}..{last}; bodies, later Tampering {v}""",
        "sealed": """audit EntryContradicts {v}; record HeadContradicts {sealed};
            seal HistoryRewritten {signed}..{signed}; publish BrokenLink {v}""",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {v}",
    },
    swap: {
        "published": ROW_PUBLISHED,
        "sealed": "audit EntryContradicts {v}; publish BrokenLink {v}",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {v}",
    },
    cut: {
        "published": "audit TailCut; receipt anew Rejected; bodies Incomplete; bundle BundleBroken; open WentBack",
        "sealed": "audit TailCut; open WentBack",
        "recorded": NOBODY,
    },
    cut_with_checkpoints: {
        "published": "audit TailCut; receipt anew Rejected; bodies Incomplete; bundle BundleBroken; open WentBack",
        "sealed": NOBODY,
        "recorded": NOBODY,
    },
    rewrite: {
        "published": """audit EntryContradicts 0..{first}; receipt anew ProofRefused; bodies Tampering 1;
            bundle BundleBroken 1; seal HistoryRewritten {signed}..{signed}; publish HistoryRewritten {last}..{last};
            bodies, later Tampering 1""",
        "sealed": """audit EntryContradicts {published}..{signed}; seal HistoryRewritten {signed}..{signed};
            publish TilesContradict""",
        "recorded": NOBODY,
    },
    rewrite_with_checkpoints: {
        "published": """audit TilesContradict; receipt anew ProofRefused; bodies Tampering 1; bundle BundleBroken 1;
            open WentBack""",
        "sealed": NOBODY,
        "recorded": NOBODY,
    },
    restart: {
        "published": FITS_PUBLISHED,
        "sealed": """audit EntryContradicts {v}; seal HistoryRewritten {signed}..{signed}; publish BrokenLink {v}""",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {v}",
    },
    begin_twice: {
        "published": FITS_PUBLISHED,
        "sealed": "audit EntryContradicts {v}; seal HistoryRewritten {signed}..{signed}; publish BrokenLink {v}",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {v}",
    },
    ambiguous: {
        "published": """audit EntryContradicts {v}; receipt anew Malformed; seal HistoryRewritten {signed}..{signed};
            publish HistoryRewritten {last}..{last}""",
        "sealed": "audit EntryContradicts {v}; seal HistoryRewritten {signed}..{signed}; publish BrokenLink {v}",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {v}",
    },
    backdate: {
        "published": """audit EntryContradicts {v}; receipt anew ProofRefused; seal HistoryRewritten {signed}..{signed};
            publish HistoryRewritten {last}..{last}""",
        "sealed": "audit EntryContradicts {v}; seal HistoryRewritten {signed}..{signed}; publish BrokenLink {v}",
        "recorded": "audit EntryContradicts {v}; seal BrokenLink {v}",
    },
    redate: {
        "published": """audit EntryContradicts {before}..{last}; receipt anew ProofRefused;
            seal HistoryRewritten {signed}..{signed}; publish HistoryRewritten {last}..{last}""",
        "sealed": """audit EntryContradicts {published}..{signed}; seal HistoryRewritten {signed}..{signed};
            publish TilesContradict""",
        "recorded": NOBODY,
    },
}
FROM_THE_BEGINNING = (cut, cut_with_checkpoints, rewrite, rewrite_with_checkpoints)


@pytest.mark.slow
@pytest.mark.threat(1, 2, 3, 4, 6, 10, 13, 14)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("attack", EXPECTED, ids=lambda attack: attack.__name__)
def test_who_notices(staged: Staged, attack: Attack, stage: str) -> None:
    v = beginning(staged, stage) if attack in FROM_THE_BEGINNING else staged.target[stage]
    sizes = [row["size"] for row in staged.rows("checkpoint", "size")]
    names = {
        "v": v,
        "n": v + 1,
        "first": sizes[0] - 1,
        "before": sizes[-3],
        "last": staged.published - 1,
        "published": staged.published,
        "sealed": staged.sealed,
        "signed": staged.sealed - 1,
        "unfinished": staged.published - staged.published % 256,
    }
    with staged.copy() as bank:
        attack(bank, v)
        found = who_notices(bank)
    expected = sorted(filter(None, " ".join(EXPECTED[attack][stage].split()).format(**names).split("; ")))
    noticed = sorted(f"{who} {what}" for who, what in found.items())
    assert len(noticed) == len(expected), noticed
    assert all(map(fnmatchcase, noticed, expected)), (noticed, expected)


def test_nobody_notices_anything_where_nothing_was_done(staged: Staged) -> None:
    with staged.copy() as bank:
        assert who_notices(bank) == {}


@pytest.mark.threat(1, 4, 6)
@pytest.mark.parametrize("attack", [cut, edit_and_relink, rewrite], ids=lambda attack: attack.__name__)
def test_what_was_only_recorded_is_missed_by_whoever_was_answered(staged: Staged, attack: Attack) -> None:
    """Nobody else can know: the entry's hash, in the answer to the request, is the one thing outside the database."""
    v = staged.target["recorded"]
    with staged.copy() as bank:
        answered = bank.with_ledger(lambda ledger: ledger.entry(v))
        attack(bank, bank.sealed if attack is not edit_and_relink else v)
        now = bank.with_ledger(lambda ledger: [entry for entry in ledger.entries(v) if entry.id == answered.id])
        assert [entry.hash for entry in now] != [answered.hash]


@pytest.mark.threat(2)
def test_no_tile_is_made_of_what_follows_a_gap(staged: Staged) -> None:
    """Tiles are for ever: one that closes over a gap could not be taken back."""
    v = staged.target["published"]
    with staged.copy() as bank:
        missing, tiles = bank.rows()[v : v + 3], files_of(bank.tiles)
        bank.attack(("DELETE FROM {entry} WHERE seq >= ? AND seq < ?", (v, v + 3)))
        bank.record(0, 600)  # more than fill the bundle
        assert said(bank.seal) == f"Gap {v}"
        assert files_of(bank.tiles) == tiles
        for row in missing:
            insert_row(bank, row)
        bank.seal()
        assert who_notices(bank) == {}


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.threat(5)
def test_a_database_rolled_back_is_not_written_but_read(staged: Staged, tmp_path: Path) -> None:
    home = tmp_path / "bank"
    shutil.copytree(staged.older, home)
    shutil.rmtree(home / "tiles")
    shutil.copytree(staged.home / "tiles", home / "tiles")
    with ExitStack() as after:
        database = None
        if staged.older_database is not None:
            database = after.enter_context(copied(staged.older_database, home))
        bank = replace(staged, home=home, database=database)
        found = who_notices(bank)
        assert (found["audit"], found["open"]) == ("TailCut", "WentBack")
        with pytest.raises(WentBack) as caught:
            bank.record(0, 1)
        facts = caught.value.facts
        (newest,) = {row["size"] for row in bank.rows("checkpoint", "size")[-1:]}
        assert (facts["ledger"], facts["expected"]) == (ORIGIN, f"a checkpoint of size >= {staged.published}")
        assert facts["found"] == newest < staged.published
        assert bank.with_ledger(lambda ledger: len(list(ledger.entries()))) == newest  # reading goes on
        hold(bank, bank.receipts)


def in_another_process(bank: Staged, attack: Attack, v: int) -> None:
    """While this one has the database open: two SQLite libraries in one process would break each other's locks."""
    script = (
        "import sys; from pathlib import Path; from threats import stages, test_stages;"
        "home, attack, v, *server = sys.argv[1:];"
        "getattr(test_stages, attack)(stages.at(Path(home), *server), int(v))"
    )
    server = bank.database.server if bank.database else None
    where = [str(server.folder), str(server.port), bank.database.name] if server and bank.database else []
    subprocess.run(
        [sys.executable, "-c", script, str(bank.home), attack.__name__, str(v), *where],
        check=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


UNDER_WAY: dict[str, tuple[Attack, type[IntegrityViolation]]] = {
    "cut": (cut_with_checkpoints, WentBack),
    "rewritten": (rewrite, HistoryRewritten),
}


@pytest.mark.threat(4, 6)
@pytest.mark.parametrize("how", UNDER_WAY)
def test_a_writer_at_work_misses_what_it_has_just_recorded(staged: Staged, how: str) -> None:
    """Even what is only recorded cannot be taken from under the process that recorded it."""
    attack, error = UNDER_WAY[how]

    def work(ledger: Ledger) -> None:
        ledger.record([pay("before the attack")], by="service:till").accepted()
        in_another_process(bank, attack, bank.sealed)
        for _ in range(2):
            with pytest.raises(error):
                ledger.record([pay("after the attack")], by="service:till")
        with pytest.raises(error):
            ledger.seal()

    with staged.copy() as bank:
        bank.with_ledger(work, write=True)
        assert not any("attack" in (row["id"] or "") for row in bank.rows())


@pytest.mark.threat(1)
def test_a_limit_lifted_for_a_moment_shows_in_the_rules_alone(staged: Staged) -> None:
    """The writer believes the tables. Put back afterwards, they agree with the entries again: only whoever asks of each
    entry whether it should have been refused notices, which is the independent verifier at an auditor's depth."""
    poor = {"kind": "account", "name": "customers:poor", "limit": "debits_must_not_exceed_credits"}
    out = {"debit": "customers:poor", "credit": "bank:till", "asset": "EUR/2", "amount": "500"}
    with staged.copy() as bank:
        bank.with_ledger(lambda ledger: ledger.record([poor], by="user:x").accepted(), write=True)
        lifted = ('{"name":"customers:poor"}', "customers:poor")
        definition = "UPDATE {account} SET definition = ? WHERE name = ?"
        (before,) = [row["definition"] for row in bank.rows("account", "name") if row["name"] == "customers:poor"]
        bank.attack((definition, lifted))
        assert said(bank.audit) == "TableContradicts customers:poor"
        paid = bank.with_ledger(
            lambda ledger: ledger.record([{"id": "overdrawn", "legs": [out]}], by="user:x")[0].entry(), write=True
        )
        bank.attack((definition, (before, "customers:poor")))
        assert said(bank.audit) == ""
        bank.seal()
        with pytest.raises(Violation) as caught:
            bank.verify()
        assert (caught.value.code, caught.value.facts["seq"]) == ("insufficient_funds", paid.seq)


@pytest.mark.threat(1)
def test_a_balance_raised_is_bound_into_the_next_entry_and_named_there(staged: Staged) -> None:
    with staged.copy() as bank:
        raise_it = "UPDATE {balance} SET credits = '999999999' WHERE account = 'customers:victim' AND asset = 'EUR/2'"
        bank.attack((raise_it, ()))
        assert said(bank.audit) == "TableContradicts customers:victim EUR/2"
        paid = bank.with_ledger(lambda ledger: ledger.record([pay("x")], by="user:x")[0].entry(), write=True)
        assert said(bank.audit) == f"EntryContradicts {paid.seq}"
        bank.seal()
        assert said(bank.verify) == f"Violation {paid.seq}"


@pytest.mark.threat(14)
def test_nothing_is_recorded_while_the_clock_is_behind_and_reading_goes_on(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // 1000

    def work(ledger: Ledger) -> None:
        nonlocal now
        right, head = now, ledger.head()
        for behind in (1_000_001, 86_400_000_000):
            now = head.at - behind
            with pytest.raises(ClockWentBack) as caught:
                ledger.record([pay("early")], by="service:till")
            assert caught.value.facts["expected"] == f">= {head.at} µs"
            with pytest.raises(ClockWentBack):
                ledger.seal()
            with pytest.raises(ClockWentBack):
                ledger.record([pay("early")], by="service:till", dry_run=True)
            assert ledger.head() == head
            assert ledger.balances("customers:victim")
            assert ledger.entry(staged.target["recorded"]).id
            ledger.publish()
            ledger.audit()
        now = right
        assert ledger.record([pay("early")], by="service:till")[0].entry().at >= right
        ledger.seal()
        ledger.publish()
        assert ledger.audit().unsealed == 0

    with staged.copy() as bank:
        monkeypatch.setattr("tallystick.wiring.now", lambda: now)
        bank.with_ledger(work, write=True)
