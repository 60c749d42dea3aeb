"""Many callers, one transaction: each is answered for itself, whatever the others asked and whatever breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pytest

from tallystick import Ledger, Rejected, RetryLater
from tallystick.errors import IntegrityViolation
from tallystick.ledger.outcome import Accepted, Recorded, Refused

from .conftest import Broken

THREADS = 64
EACH = 10
PATIENCE = 60  # seconds after which a call counts as hanging


def pay(key: str, amount: int = 1, debit: str = "bank", credit: str = "customers:a") -> dict[str, Any]:
    return {"id": key, "legs": [{"debit": debit, "credit": credit, "asset": "EUR/2", "amount": str(amount)}]}


@contextmanager
def together(ledger: Ledger, count: int) -> Iterator[ThreadPoolExecutor]:
    """Callers that are submitted in here, `count` of them, are written for by one of them, after the block."""
    recorder = ledger._recorder
    assert recorder is not None
    with ThreadPoolExecutor(count) as pool, recorder._writing:
        yield pool
        end = time.monotonic() + PATIENCE
        while len(recorder._queue) < count:
            assert time.monotonic() < end, "not all callers came to the queue"
            time.sleep(0)


def ended(future: Future[Recorded]) -> BaseException | list[Accepted | Refused]:
    error = future.exception(PATIENCE)
    return list(future.result(PATIENCE)) if error is None else error


def test_every_one_of_many_callers_is_answered_once(ledger: Ledger) -> None:
    start = threading.Barrier(THREADS)

    def caller(number: int) -> list[Accepted]:
        start.wait(PATIENCE)
        account = f"customers:{number % 7}"
        return [
            ledger.record([pay(f"{number}-{i}", number + 1, credit=account)], by="service:test")[0].entry()
            for i in range(EACH)
        ]

    with ThreadPoolExecutor(THREADS) as pool:
        answers = [future.result(PATIENCE) for future in [pool.submit(caller, n) for n in range(THREADS)]]
    seqs = [answer.seq for mine in answers for answer in mine]
    assert sorted(seqs) == list(range(1, THREADS * EACH + 1))
    assert all(mine == sorted(mine, key=lambda answer: answer.seq) for mine in answers)
    in_the_log = {entry.id: (entry.seq, entry.hash) for entry in ledger.entries(1)}
    told = {f"{n}-{i}": (a.seq, a.hash) for n, mine in enumerate(answers) for i, a in enumerate(mine)}
    assert in_the_log == told
    for account in range(7):
        (balance,) = ledger.balances(f"customers:{account}")
        assert balance.credits == EACH * sum(n + 1 for n in range(THREADS) if n % 7 == account)
    ledger.seal()
    ledger.publish()
    assert ledger.audit().unsealed == 0


def test_one_id_from_all_callers_is_one_entry(ledger: Ledger) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(ledger.record, [pay("same", 5)], by=f"service:{n}") for n in range(THREADS)]
        answers = [future.result(PATIENCE)[0].entry() for future in asked]
    assert {(a.seq, a.hash) for a in answers} == {(1, answers[0].hash)}
    assert sum(not a.replayed for a in answers) == 1
    assert [b.credits for b in ledger.balances("customers:a")] == [5]


class Thrower(list[Any]):
    """A payload whose reading fails."""

    def __iter__(self) -> Iterator[Any]:
        raise KeyError("no such thing")


class Strange(Mapping[str, Any]):
    """A command whose reading fails."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("not today")

    def __len__(self) -> int:
        return 1


class Stream:
    """An Arrow stream that fails."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise OSError("the file is gone")


def failing() -> Iterator[dict[str, Any]]:
    yield pay("from a generator")
    raise ZeroDivisionError


def endless() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


BAD: list[tuple[str, str, Callable[[], Any], type[Exception] | str]] = [
    ("nobody", "objects", lambda: [pay("bad")], Rejected),
    ("user:\ud800", "objects", lambda: [pay("bad")], Rejected),
    ("user:x", "no format", lambda: b"", Rejected),
    ("user:x", "json", lambda: "text", Rejected),
    ("user:x", "objects", lambda: None, Rejected),
    ("user:x", "objects", lambda: Thrower([pay("bad")]), KeyError),
    ("user:x", "objects", failing, ZeroDivisionError),
    ("user:x", "arrow", Stream, OSError),
    ("user:x", "arrow", lambda: pa.table({"nonsense": [1]}), Rejected),
    ("user:x", "objects", lambda: [Strange()], "malformed"),
    ("user:x", "objects", endless, "malformed"),
    ("user:x", "objects", lambda: [{"id": float("nan")}], "malformed"),
    ("user:x", "objects", lambda: [{"id": 10**5000}], "malformed"),
    ("user:x", "json", lambda: b"{", "malformed"),
    ("user:x", "json", lambda: b"[" * 1_000_000, "malformed"),
    ("user:x", "ndjson", lambda: b'{"id":"\xff"}', "malformed"),
]


@pytest.mark.parametrize("by, format, payload, answer", BAD)
def test_a_bad_request_is_its_own_callers_error_alone(
    fragile: Ledger, by: str, format: Any, payload: Callable[[], Any], answer: type[Exception] | str
) -> None:
    """Good neighbours on both sides, one of whom brings what can be read only once."""
    table = pa.Table.from_pylist([{"id": f"arrow-{i}", **pay("")["legs"][0]} for i in range(3)])
    own_errors_come_at_once = isinstance(answer, type) and (format == "arrow" or answer is ZeroDivisionError)
    with together(fragile, 3 if own_errors_come_at_once else 4) as pool:
        before = pool.submit(fragile.record, (pay(f"generated-{i}") for i in range(3)), by="user:a")
        bad = pool.submit(fragile.record, payload(), by=by, format=format)
        if own_errors_come_at_once:
            assert isinstance(bad.exception(PATIENCE), Exception)
        stream = pool.submit(fragile.record, table.to_reader(), by="user:b", format="arrow")
        after = pool.submit(fragile.record, [pay("after")], by="user:c")
    for good, keys in (
        (before, [f"generated-{i}" for i in range(3)]),
        (stream, [f"arrow-{i}" for i in range(3)]),
        (after, ["after"]),
    ):
        outcomes = good.result(PATIENCE)
        assert [fragile.entry(outcome.entry().seq).id for outcome in outcomes] == keys
    found = ended(bad)
    if isinstance(answer, str):
        assert isinstance(found, list)
        assert [getattr(outcome, "code", None) for outcome in found] == [answer]
    else:
        assert type(found) is answer
    assert fragile.head().size == 1 + 7
    fragile.seal()


class Unforeseen(Exception):  # what nobody has named
    """Of no family."""


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("error", [Unforeseen("?"), KeyboardInterrupt(), RetryLater("the database is away")])
def test_an_error_in_the_common_transaction_reaches_every_caller(
    fragile: Ledger, broken: Broken, error: BaseException, landed: bool
) -> None:
    def fail() -> None:
        raise error

    fragile.record([pay("first")], by="user:x")
    (broken.after if landed else broken.before)["commit"] = fail
    with together(fragile, 16) as pool:
        asked = [pool.submit(fragile.record, [pay(f"t{n}")], by="user:x") for n in range(16)]
    errors = [ended(future) for future in asked]
    assert [found is error for found in errors].count(True) == 1  # the one who wrote
    told = [found for found in errors if found is not error]
    assert all(isinstance(found, RetryLater) and found.__cause__ is error for found in told)
    assert len({id(found) for found in told}) == 15
    (broken.after if landed else broken.before).clear()
    again = [fragile.record([pay(f"t{n}")], by="user:x")[0].entry() for n in range(16)]
    assert {answer.replayed for answer in again} == {landed}
    assert sorted(answer.seq for answer in again) == list(range(2, 18))
    assert [b.credits for b in fragile.balances("customers:a")] == [17]
    assert fragile.audit().size == 18


@pytest.mark.parametrize("error", [Unforeseen("?"), RetryLater("the database is away")])
@pytest.mark.parametrize("method", ["head", "by_id", "balances", "definitions", "remainders", "entries", "expiring"])
def test_an_error_in_a_read_leaves_nothing_half_done(
    fragile: Ledger, broken: Broken, method: str, error: Exception
) -> None:
    """Whichever read fails, at whichever moment: the next request is decided as if nothing had happened."""
    limited = {"kind": "account", "name": "customers:a", "limit": "debits_must_not_exceed_credits"}
    fragile.record([limited, pay("in", 100), {"kind": "pending", **pay("hold", 1)}], by="user:x").accepted()
    left = 0

    def fail() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            broken.before.clear()
            raise error

    refused = [pay("too much", 1000, "customers:a", "bank"), {"kind": "post", "id": "p", "pending": "nobody"}]
    for nth in range(6):
        assert fragile._recorder is not None
        fragile._recorder._fresh = False
        left = nth
        broken.before[method] = fail
        with suppress(type(error)):
            fragile.record(refused, by="user:x")
        broken.before.clear()
        outcomes = list(fragile.record([*refused, pay(f"{method}-{nth}", 7)], by="user:x"))
        assert [getattr(outcome, "code", None) for outcome in outcomes] == [
            "insufficient_funds",
            "target_not_found",
            None,
        ]
    assert [b.credits for b in fragile.balances("customers:a")] == [100 + 6 * 7]
    fragile.audit()


def test_what_is_tampered_with_is_refused_however_often_it_is_asked(fragile: Ledger, broken: Broken) -> None:
    limited = {"kind": "account", "name": "customers:a", "limit": "debits_must_not_exceed_credits"}
    fragile.record([limited, pay("in", 100)], by="user:x").accepted()
    true = broken.disk.definitions["customers:a"]
    broken.disk.definitions["customers:a"] = true.replace(b"limit", b"limbo")
    assert fragile._recorder is not None
    fragile._recorder._fresh = False
    for _ in range(3):
        with pytest.raises(IntegrityViolation, match="definition of account customers:a"):
            fragile.record([pay("out", 1000, "customers:a", "bank")], by="user:x")
    broken.disk.definitions["customers:a"] = true
    assert fragile.record([pay("out", 1000, "customers:a", "bank")], by="user:x")[0].code == "insufficient_funds"  # type: ignore[union-attr]


def test_a_dry_run_that_fails_leaves_nothing_open(fragile: Ledger, broken: Broken) -> None:
    class Gone(Exception):
        pass

    def fail() -> None:
        raise Gone

    fragile.record([pay("in", 100)], by="user:x").accepted()
    broken.before["by_id"] = fail
    with pytest.raises(Gone):
        fragile.record([pay("x")], by="user:x", dry_run=True)
    broken.before.clear()
    with pytest.raises(Rejected, match="not a request"):
        fragile.record(None, by="user:x", dry_run=True)
    assert fragile.record([pay("x")], by="user:x", dry_run=True)[0].entry().seq == 2
    assert fragile.record([pay("x")], by="user:x")[0].entry().seq == 2
