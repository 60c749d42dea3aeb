"""What the journal writes, the replay derives again; what it did not write, the replay names."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest
from memory_store import Disk, MemoryStore
from written import ORIGIN, START, Row, rows_of, written

from tallystick import kernels
from tallystick.core.encoding import canonical
from tallystick.log.recorder import Recorder
from tallystick.storage.ports import EntryRow


def replayed(rows: list[Row], chunk: int = 50) -> kernels.Replay:
    replay = kernels.Replay(ORIGIN)
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        assert replay.feed(some) == b"".join(row[4] for row in some)
    return replay


def contradiction(rows: list[Row]) -> tuple[Any, ...]:
    with pytest.raises(kernels.ReplayError) as caught:
        replayed(rows)
    return caught.value.args


@pytest.mark.parametrize("seed", range(40))
def test_the_tables_of_all_batches_are_derived_again(seed: int) -> None:
    disk = written(seed)
    replay = replayed(rows_of(disk), chunk=1 + seed)
    head = disk.head
    assert head is not None
    assert replay.head() == (head.size, head.hash, head.at, head.batch, head.batch_first, head.closed_before)
    assert replay.balances() == [
        (*key, str(row.debits), str(row.credits), str(row.pending_debits), str(row.pending_credits))
        for key, row in sorted(disk.balances.items())
    ]
    assert replay.definitions() == sorted((name, text.decode()) for name, text in disk.definitions.items())
    assert replay.assets() == sorted(disk.assets.items())
    derived = {row[0]: row[1:] for row in replay.remainders()}
    assert derived == {
        key: (row.kind, json.dumps(list(map(str, row.remaining)), separators=(",", ":")), row.expires, seq)
        for key, (row, seq) in disk.remainders.items()
    }
    assert (replay.destroyed(), replay.unknown(), replay.obscured()) == ([], [], [])


def test_the_histories_reach_what_matters() -> None:
    kinds = {json.loads(row.stub)["kind"] for seed in range(40) for row in written(seed).rows}
    assert kinds >= {"genesis", "seal", "account", "transaction", "pending", "post", "void", "expire", "reversal"}
    assert kinds >= {"adjustment", "event", "policy"}


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_value_is_named(seed: int) -> None:
    """One random byte of one random column of one random row."""
    random, rows = Random(seed), rows_of(written(seed))
    for _ in range(50):
        at = random.randrange(len(rows))
        column = random.choice([c for c in range(2, 5) if rows[at][c]])
        value = bytearray(rows[at][column])
        value[random.randrange(len(value))] ^= 1 << random.randrange(8)
        changed = (*rows[at][:column], bytes(value), *rows[at][column + 1 :])
        what, seq, name, expected, found = contradiction([*rows[:at], changed, *rows[at + 1 :]])
        assert seq == at
        assert name in ("seq", "id", {"stub", "hash"}, {"body"}, {"hash"})[column]
        assert what
        assert expected != found


def test_ids_and_gaps_are_named() -> None:
    rows = rows_of(written(1))
    at = next(seq for seq, row in enumerate(rows) if row[1] is not None)
    seq, key, *rest = rows[at]
    renamed: Row = (seq, "another", rest[0], rest[1], rest[2])
    assert contradiction([*rows[:at], renamed])[1:] == (at, "id", f'"{key}"', '"another"')
    assert contradiction([*rows[:at], *rows[at + 1 :]])[1:] == (at, "seq", str(at), str(at + 1))


def destroyed(row: Row, parts: set[int]) -> Row:
    """The row after some of its parts were destroyed."""
    body = [
        kernels.part_hash(canonical(part)).hex() if index in parts else part
        for index, part in enumerate(json.loads(row[3]))
    ]
    return (*row[:3], canonical(body), row[4])


def test_a_destroyed_part_is_reported_and_not_guessed() -> None:
    disk = Disk()
    now = [START]
    recorder = Recorder(MemoryStore(ORIGIN, disk), lambda: now[0], Random(1).randbytes, floor=0)
    recorder.append("genesis", canonical({"accounts": "implicit", "by": "user:a", "keys": []}))
    for index, credit in enumerate(["b", "c", "b", "c"]):
        leg = {"debit": "a", "credit": credit, "asset": "EUR/2", "amount": "10"}
        recorder.record([{"id": f"t{index}", "legs": [leg]}], format="objects", by="user:a")
    rows = rows_of(disk)
    whole = replayed(rows)

    # The parts are who, id, leg, balance of a, balance of b.
    rows[3] = destroyed(rows_of(disk)[3], {0, 2})
    replay = replayed(rows)
    assert (replay.destroyed(), replay.unknown(), replay.obscured()) == ([(3, 0), (3, 2)], [], [])
    assert replay.balances() == whole.balances()

    rows[3] = destroyed(rows_of(disk)[3], {2, 4})
    replay = replayed(rows)
    assert replay.unknown() == [("b", "EUR/2")]
    assert replay.obscured() == ["balance", "asset"]
    assert replay.balances() == [row for row in whole.balances() if row[0] != "b"]


def test_after_a_contradiction_nothing_more_is_said() -> None:
    rows = rows_of(written(2))
    replay = kernels.Replay("another.example/ledger")
    with pytest.raises(kernels.ReplayError) as first:
        replay.feed(rows[:1])
    with pytest.raises(kernels.ReplayError) as second:
        replay.feed([])
    assert first.value.args == second.value.args


def test_a_forked_process_can_replay_too() -> None:
    rows = [row for seed in range(30) for row in rows_of(written(seed))]
    by_ledger = [replayed(rows_of(written(seed)), chunk=10_000).head() for seed in range(2)]
    with pytest.raises(kernels.ReplayError):  # a second genesis, found after all rows were read on all cores
        kernels.Replay(ORIGIN).feed(rows)
    child = os.fork()
    if child == 0:
        try:
            kernels.Replay(ORIGIN).feed(rows)
        except kernels.ReplayError:
            os._exit(0 if replayed(rows_of(written(1))).head() == by_ledger[1] else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_rows_of_other_types_are_no_rows() -> None:
    with pytest.raises(TypeError):
        kernels.Replay(ORIGIN).feed([EntryRow(0, None, b"", b"", b"")])  # type: ignore[list-item]
