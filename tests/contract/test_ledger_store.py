from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from journals import START, Writing, begun, transfer

from tallystick.errors import IntegrityViolation, Misconfigured, Rejected
from tallystick.kernels import leaf_hash
from tallystick.storage.ports import CheckpointRow, EntryRow, HeadMoved, IdExists, LedgerStore, StoreFactory

LARGE = 300  # entries: more than an adapter stores in its short way
LARGEST = 2**127 - 1


def rows(store: LedgerStore, first: int = 0, end: int = 1 << 53, *, bodies: bool = True) -> list[EntryRow]:
    return [row for chunk in store.entries(first, end, bodies=bodies) for row in chunk]


def whole(store: LedgerStore) -> object:
    """Everything that a refused write must leave as it was."""
    return (store.head(), rows(store), store.all_balances(), store.all_definitions(), store.assets(), store.expiring())


def test_a_new_ledger_is_empty(stores: StoreFactory, store: LedgerStore) -> None:
    assert store.head() is None
    assert rows(store) == []
    assert store.checkpoint() is None
    assert list(store.checkpoints()) == []
    assert store.assets() == {}
    assert store.projected("statements") == 0
    assert store.origin in stores.ledgers()


def test_a_batch_is_stored_as_the_journal_built_it(store: LedgerStore) -> None:
    writing = begun(store)
    for count in (1, 2, LARGE):
        batch = writing.apply(*(transfer(f"{count}-{i}", amount=i + 1) for i in range(count)))
        first, size = batch.previous[0], batch.previous[0] + count
        writing.keep(batch)
        head = store.head()
        assert head is not None
        assert (head.size, head.hash, head.at, head.batch, head.batch_first, head.closed_before) == batch.head
        assert rows(store, first, size) == [EntryRow(*entry) for entry in batch.entries()]
        assert head.size == size
    assert all(leaf_hash(row.stub) == row.hash for row in rows(store))
    assert all(json.loads(row.body) for row in rows(store, 1))
    assert rows(store, 0, 1)[0].body == b""


def test_a_batch_and_its_balances_survive_opening_again(stores: StoreFactory, store: LedgerStore) -> None:
    writing = begun(store)
    writing.record(transfer("a"), transfer("b"))
    before = whole(store)
    store.close()
    again = stores.open(store.origin, write=True)
    assert whole(again) == before
    Writing(again).record(transfer("c"))
    assert [row.id for row in rows(again)] == [None, "a", "b", "c"]
    again.close()


def test_entries_come_in_order_and_only_those_that_exist(store: LedgerStore) -> None:
    writing = begun(store)
    for start in range(0, 1200, 400):
        writing.record_many([f"t{i}" for i in range(start, start + 400)])
    assert [row.seq for row in rows(store)] == list(range(1201))
    assert [row.seq for row in rows(store, 17, 1100)] == list(range(17, 1100))
    assert rows(store, 1201, 5000) == rows(store, 5, 5) == rows(store, 6, 5) == []
    stubs = rows(store, bodies=False)
    assert [(row.seq, row.id, row.stub, row.hash) for row in stubs] == [
        (row.seq, row.id, row.stub, row.hash) for row in rows(store)
    ]
    assert {row.body for row in stubs} == {b""}


def test_stubs_come_in_runs(store: LedgerStore) -> None:
    writing = begun(store)
    for start in range(0, 9000, 1500):
        writing.record_many([f"tµ{i}" for i in range(start, start + 1500)])
    whole = [row.stub for row in rows(store, bodies=False)]
    for first, end in ((0, 1 << 53), (17, 8000), (4096, 4097), (9001, 9999), (5, 5), (6, 5)):
        at = first
        for start, data, lengths in store.stubs(first, end):
            assert start == at
            assert 0 < len(lengths) <= 1 << 16
            assert data == b"".join(whole[at : at + len(lengths)])
            assert list(lengths) == [len(stub) for stub in whole[at : at + len(lengths)]]
            at += len(lengths)
        assert at == max(first, min(end, len(whole)))


@pytest.mark.parametrize(
    "id", ["plain", "ünïcödé", "語", "🂡", "a'b\"c\\d{e}", "%s ? :x", "NULL", "\u2028\ufeff", "x" * 128]
)
def test_any_id_is_found_again(store: LedgerStore, id: str) -> None:
    writing = begun(store)
    writing.record(transfer("before"), transfer(id))
    (found,) = store.by_id([id])
    assert (found.seq, found.id) == (2, id)
    assert found == rows(store)[2]
    assert [row.id for row in store.by_id([id, "absent", "before"])].count("before") == 1
    assert store.by_id(["absent"]) == store.by_id([]) == []


@pytest.mark.parametrize("count", [1, LARGE])
def test_a_batch_on_a_head_that_moved_is_refused_whole(store: LedgerStore, count: int) -> None:
    writing = begun(store)
    stale = Writing(store)
    writing.record(transfer("first"))
    before = whole(store)
    with pytest.raises(HeadMoved):
        store.commit(stale.apply(*(transfer(f"s{i}", asset="USD/2") for i in range(count))))
    assert whole(store) == before
    writing.record(transfer("second"))


@pytest.mark.parametrize("count", [1, LARGE])
def test_a_batch_with_a_taken_id_is_refused_whole(store: LedgerStore, count: int) -> None:
    writing = begun(store)
    writing.record(transfer("taken"))
    before = whole(store)
    batch = writing.apply(*(transfer(f"s{i}", asset="USD/2") for i in range(count - 1)), transfer("taken"))
    with pytest.raises(IdExists):
        store.commit(batch)
    assert whole(store) == before
    writing.journal.rollback(batch)
    writing.record(transfer("free"))


@pytest.mark.parametrize("count", [1, LARGE])
def test_a_moved_head_comes_before_a_taken_id(store: LedgerStore, count: int) -> None:
    writing = begun(store)
    stale = Writing(store)
    writing.record_many([f"t{i}" for i in range(count)])
    with pytest.raises(HeadMoved):
        store.commit(stale.apply(*(transfer(f"t{i}") for i in range(count))))


def test_a_second_genesis_is_refused(store: LedgerStore) -> None:
    late = Writing(store)
    writing = begun(store)
    writing.record(transfer("a"))
    before = whole(store)
    with pytest.raises(HeadMoved):
        store.commit(late.genesis())
    assert whole(store) == before


def test_totals_reach_their_limit(store: LedgerStore) -> None:
    writing = begun(store)
    writing.record(transfer("all", amount=LARGEST))
    assert {(row.account, row.debits, row.credits) for row in store.balances(["cash", "sales"])} == {
        ("cash", LARGEST, 0),
        ("sales", 0, LARGEST),
    }
    assert store.query("SELECT b.debits FROM {balance} AS b WHERE b.account = ?", ("cash",)) == [(str(LARGEST),)]
    assert store.balances(["nobody"]) == store.balances([]) == []


def test_pendings_and_what_remains_of_them(store: LedgerStore) -> None:
    writing = begun(store)
    writing.record(
        {"kind": "pending", "expires": "2027-01-01T00:00:00Z", **transfer("päge", 10)},
        {"kind": "pending", **transfer("for ever", 20)},
    )
    assert store.expiring() == [("päge", 1, 1_798_761_600_000_000)]
    found = {row.id: row for row in store.remainders(["päge", "for ever", "absent"])}
    assert {id: (row.kind, row.remaining) for id, row in found.items()} == {
        "päge": ("pending", (10,)),
        "for ever": ("pending", (20,)),
    }
    writing.record({"kind": "post", "id": "p", "pending": "päge", "amounts": ["4"]})
    writing.record({"kind": "void", "id": "v", "pending": "for ever"})
    assert sum(sum(row.remaining) for row in store.remainders(["for ever"])) == 0
    cash = {row.account: row for row in store.balances(["cash"])}["cash"]
    assert cash.debits == 4


def test_definitions_are_the_last_ones(store: LedgerStore) -> None:
    writing = begun(store)
    writing.record({"kind": "account", "name": "cash", "normal": "debit"}, {"kind": "account", "name": "sales"})
    writing.record({"kind": "account", "name": "cash", "action": "freeze", "reason": "court order"})
    found = store.definitions(["cash", "sales", "absent"])
    assert sorted(found) == ["cash", "sales"]
    assert json.loads(found["cash"]) == {"name": "cash", "normal": "debit", "state": "frozen"}
    assert store.all_definitions() == sorted(found.items())
    assert [name for name, _ in store.all_definitions(after="cash")] == ["sales"]
    assert [name for name, _ in store.all_definitions(prefix="c")] == ["cash"]
    assert [name for name, _ in store.all_definitions(limit=1)] == ["cash"]


def test_balances_are_paged_in_order_of_bytes(store: LedgerStore) -> None:
    writing = begun(store)
    accounts = ["a", "a-b", "a.b", "a:b", "aB", "ab", "b", "B"]
    writing.record(*(transfer(f"{i}", debit=name, credit="z", asset="EUR/2") for i, name in enumerate(accounts)))
    writing.record(transfer("usd", debit="a", credit="z", asset="USD/2"))
    keys = sorted([(name, "EUR/2") for name in [*accounts, "z"]] + [("a", "USD/2"), ("z", "USD/2")])
    paged, after = [], ("", "")
    while page := store.all_balances(after=after, limit=3):
        paged += [(row.account, row.asset) for row in page]
        after = paged[-1]
    assert paged == keys
    assert {row.account for row in store.all_balances(prefix="a")} == {"a", "a-b", "a.b", "a:b", "aB", "ab"}
    assert [row.account for row in store.all_balances(prefix="a:")] == ["a:b"]
    assert store.assets() == {"EUR": 2, "USD": 2}


def checkpoint(size: int) -> CheckpointRow:
    return CheckpointRow(size, leaf_hash(b"%d" % size), f"bank.example\n{size}\n\n— sig\n".encode(), bytes(64))


def test_checkpoints_follow_each_other(store: LedgerStore) -> None:
    begun(store)
    store.add_checkpoint(checkpoint(1), None)
    store.add_checkpoint(checkpoint(5), 1)
    for row, previous in ((checkpoint(7), None), (checkpoint(7), 1), (checkpoint(7), 6), (checkpoint(9), 7)):
        with pytest.raises(HeadMoved):
            store.add_checkpoint(row, previous)
    for size in (4, 5):
        with pytest.raises(IntegrityViolation, match="must grow"):
            store.add_checkpoint(checkpoint(size), 5)
    assert list(store.checkpoints()) == [checkpoint(1), checkpoint(5)]
    assert store.checkpoint() == store.checkpoint(2) == store.checkpoint(5) == checkpoint(5)
    assert store.checkpoint(0) == store.checkpoint(1) == checkpoint(1)
    assert store.checkpoint(6) is None


def test_of_two_sealers_one_stores(store: LedgerStore) -> None:
    begun(store)
    store.add_checkpoint(checkpoint(1), None)

    def seal(size: int) -> bool:
        try:
            store.add_checkpoint(checkpoint(size), 1)
        except HeadMoved:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(seal, range(2, 10))) == [False] * 7 + [True]
    assert len(list(store.checkpoints())) == 2


def test_a_projection_moves_by_compare_and_set(store: LedgerStore) -> None:
    begun(store)
    posting = [("cash", "EUR/2", seq, START - seq, str(LARGEST), "0") for seq in (1, 2, 3)]
    store.project("statements", 0, 4, {"posting": posting, "metadata": [("invoice", "ü%?🂡", 1)]})
    assert store.projected("statements") == 4
    assert store.projected("other") == 0
    for position, end in ((0, 9), (3, 9), (5, 9)):
        with pytest.raises(HeadMoved):
            store.project("statements", position, end, {"posting": [("x", "EUR/2", 9, 9, "1", "0")]})
    with pytest.raises(HeadMoved):
        store.project("never begun", 1, 2, {})
    store.project("statements", 4, 6, {})
    assert store.projected("statements") == 6
    sql = "SELECT p.seq, p.debits, p.effective FROM {posting} AS p WHERE p.account = ? AND p.seq > ? ORDER BY p.seq"
    assert store.query(sql, ("cash", 1)) == [(2, str(LARGEST), START - 2), (3, str(LARGEST), START - 3)]
    sql = "SELECT m.seq, m.value FROM {metadata} AS m JOIN {posting} AS p ON p.seq = m.seq WHERE m.key = ?"
    assert store.query(sql, ("invoice",)) == [(1, "ü%?🂡")]
    assert store.query("SELECT count(*) FROM {posting} AS p WHERE p.account LIKE 'c%'") == [(3,)]

    store.reset_projection("statements", ["posting", "metadata"])
    assert store.projected("statements") == 0
    assert store.query("SELECT count(*) FROM {posting} AS p") == [(0,)]
    store.project("statements", 0, 4, {"posting": posting})


def test_a_projection_that_fails_leaves_nothing(store: LedgerStore) -> None:
    begun(store)
    row = ("cash", "EUR/2", 1, START, "1", "0")
    with pytest.raises(IntegrityViolation):
        store.project("statements", 0, 4, {"posting": [row, row]})
    with pytest.raises(Rejected, match="U\\+0000"):
        store.project("statements", 0, 4, {"posting": [row], "metadata": [("k", "a\0b", 1)]})
    assert store.projected("statements") == 0
    assert store.query("SELECT count(*) FROM {posting} AS p") == [(0,)]
    store.project("statements", 0, 4, {"posting": [row]})


def test_a_query_knows_the_tables_and_cannot_write(store: LedgerStore) -> None:
    writing = begun(store)
    writing.record(transfer("a"))
    for name in ("entry", "balance", "account", "remainder", "asset", "checkpoint", "posting", "metadata"):
        store.query(f"SELECT * FROM {{{name}}} AS t LIMIT 1")
    assert store.query("SELECT e.seq FROM {entry} AS e WHERE e.id = ?", ("a",)) == [(1,)]
    with pytest.raises(ValueError, match="no table"):
        store.query("SELECT * FROM {head} AS h")
    with pytest.raises(ValueError, match="no projection"):
        store.reset_projection("statements", ["entry"])
    assert len(rows(store)) == 2


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_database_holds_is_refused_before_it(store: LedgerStore, text: str) -> None:
    begun(store)
    for ask in (
        lambda: store.by_id(["fine", text]),
        lambda: store.balances([text]),
        lambda: store.definitions([text]),
        lambda: store.remainders([text]),
        lambda: store.all_balances(prefix=text),
        lambda: store.all_definitions(after=text),
        lambda: store.query("SELECT 1 WHERE 'a' = ?", (text,)),
    ):
        with pytest.raises(Rejected, match="lone surrogate"):
            ask()


def test_ledgers_do_not_see_each_other(stores: StoreFactory, store: LedgerStore) -> None:
    other = stores.open(f"{store.origin}/audit", write=True, create=True)
    mine, theirs = begun(store), begun(other)
    mine.record(transfer("same id", 7), {"kind": "account", "name": "till"})
    theirs.record(transfer("same id", 5))
    store.project("statements", 0, 2, {"posting": [("cash", "EUR/2", 1, START, "7", "0")]})
    other.project("statements", 0, 2, {"posting": [("cash", "EUR/2", 1, START, "5", "0")]})
    store.add_checkpoint(checkpoint(1), None)
    assert {store.origin, other.origin} <= set(stores.ledgers())
    assert stores.ledgers() == sorted(stores.ledgers())
    assert other.checkpoint() is None
    assert other.definitions(["till"]) == {}
    assert {row.debits + row.credits for row in other.all_balances()} == {5}
    assert store.by_id(["same id"]) != other.by_id(["same id"])
    assert other.query("SELECT p.debits FROM {posting} AS p") == [("5",)]
    other.reset_projection("statements", ["posting"])
    assert store.query("SELECT p.debits FROM {posting} AS p") == [("7",)]
    other.close()


def test_reading_goes_on_while_another_thread_writes(store: LedgerStore) -> None:
    writing = begun(store)

    def read() -> int:
        looked = 0
        while (head := store.head()) is None or head.size < 401:
            seen = head.size if head else 0
            assert len(rows(store, bodies=False)) >= seen
            looked += 1
        return looked

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for start in range(0, 400, 10):
            writing.record_many([f"t{i}" for i in range(start, start + 10)])
        assert all(reader.result() for reader in readers)


def test_a_ledger_that_is_not_there_is_not_made_by_looking(stores: StoreFactory, store: LedgerStore) -> None:
    absent = f"{store.origin}/absent"
    for write, create in ((False, False), (False, True), (True, False)):
        with pytest.raises(Misconfigured, match="no such ledger"):
            stores.open(absent, write=write, create=create)
    assert absent not in stores.ledgers()


def test_a_ledger_opened_for_reading_reads_and_only_reads(stores: StoreFactory, store: LedgerStore) -> None:
    writing = begun(store)
    writing.record(transfer("a"))
    reader = stores.open(store.origin, write=False)
    assert whole(reader) == whole(store)
    writing.record(transfer("b"))
    assert whole(reader) == whole(store)
    stale = Writing(reader)
    for write in (
        lambda: reader.commit(stale.apply(transfer("c"))),
        lambda: reader.add_checkpoint(checkpoint(2), None),
        lambda: reader.project("statements", 0, 1, {}),
        lambda: reader.reset_projection("statements", ["posting"]),
    ):
        with pytest.raises(Misconfigured, match="opened for reading"):
            write()
    reader.close()
    reader.close()


def test_the_doctor_is_content(stores: StoreFactory, store: LedgerStore) -> None:
    begun(store)
    assert [finding for finding in stores.diagnose() if finding.level == "error"] == []
