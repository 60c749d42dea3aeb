"""Recording: commands become entries, and are durable when the call returns.

After each step, what a crash means there:

1. Parse, load the state that the commands touch, apply the rules in memory. Crash: an unanswered request is lost.
2. One database transaction stores entries, ids, balances and the head, with a compare-and-set on the head.
   Crash before it commits: as 1. After: recorded, the answer is lost; the same id asked again gets the first answer.
3. The state in memory follows. If anything raised on the way, memory is forgotten and read again.

Callers that come while a transaction is being written share the next one (group commit, see turns.py): one of them
writes for all. What is wrong with one caller's request is that caller's error alone; what goes wrong with the
transaction is told to each of them.

Whenever the head is read, it must be what the last entries say, and must extend what this process saw before: nothing
is written onto a head row that was changed, or behind, or beside, what was already answered.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from tallystick.errors import IntegrityViolation, Rejected, RetryLater, TallystickError
from tallystick.kernels import Batch, Journal, Requests
from tallystick.ledger.outcome import Recorded
from tallystick.log.ending import check_head, check_known, genesis
from tallystick.log.tree import ZERO_HASH
from tallystick.log.turns import Busy, Ticket, Turns
from tallystick.storage.ports import EntryRow, Head, HeadMoved, IdExists, LedgerStore

__all__ = ["Busy", "Clock", "ClockWentBack", "Format", "Randomness", "Recorder", "WentBack"]

Format = Literal["json", "ndjson", "objects", "arrow"]

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""
Randomness = Callable[[int], bytes]
"""That many unpredictable bytes."""

CLOCK_TOLERANCE_US = 1_000_000
QUEUE_MAX = 10_000
HEAD_RETRIES = 8


class ClockWentBack(RetryLater):
    """The clock is behind the last entry by more than the tolerance: entries would be stamped with a false time."""


class WentBack(IntegrityViolation):
    """The database is behind what this process, a checkpoint or the tiles have already seen."""


class _Ticket(Ticket):
    """One caller's request. `parsed` already if its payload can be read only once."""

    __slots__ = ("error", "parsed", "recorded", "request")

    def __init__(self, request: tuple[str, Format, Any], parsed: Requests | None = None) -> None:
        super().__init__()
        self.request, self.parsed = request, parsed
        self.recorded: Recorded | None = None
        self.error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.recorded is not None or self.error is not None


def _told(error: BaseException) -> TallystickError:
    """What the other callers of a transaction are told: an exception object belongs to one thread."""
    if isinstance(error, TallystickError):
        told: TallystickError = copy.copy(error)
    else:
        told = RetryLater(
            "the transaction that was written for several callers broke off",
            cause=repr(error),
            next_step="It is not known whether it landed: ask again with the same ids.",
        )
    told.__cause__ = error
    return told


class Recorder:
    """Writes one ledger. `floor` is the largest size known to anybody: a store behind it is refused."""

    def __init__(self, store: LedgerStore, clock: Clock, randomness: Randomness, *, floor: int) -> None:
        self._store, self._clock, self._randomness = store, clock, randomness
        self._journal = Journal(store.origin)
        self._floor = floor
        self._fresh = False  # whether the journal's state is that of the store
        self._last_at = 0
        self._at_head = (0, ZERO_HASH)
        self._writing = threading.RLock()
        self._queue = Turns[_Ticket](QUEUE_MAX)

    def record(self, payload: Any, *, format: Format, by: str) -> Recorded:
        """Record commands; durable on return.

        Refusals are outcomes, not errors; an error means that nothing is known to be recorded, and asking again with
        the same ids is safe.
        """
        ticket = self._ticket(by, format, payload)
        self._queue.submit(ticket, lambda: self._write_queue(ticket))
        if ticket.error is not None:
            raise ticket.error
        assert ticket.recorded is not None
        return ticket.recorded

    def _ticket(self, by: str, format: Format, payload: Any) -> _Ticket:
        """Run what the payload itself runs, on its own caller's thread: an iterator, a stream. Its errors are his."""
        if format == "arrow":
            return _Ticket((by, format, payload), self._parse((by, format, payload)))
        again = isinstance(payload, (dict, list, tuple, str, bytes))  # can be read a second time
        if format == "objects" and not again and isinstance(payload, Iterable):
            payload = list(payload)
        return _Ticket((by, format, payload))

    def try_out(self, payload: Any, *, format: Format, by: str) -> Recorded:
        """What `record` would answer now, with nothing recorded (dry run)."""
        requests = self._parse((by, format, payload))
        with self._writing, self._forgetting():
            self._is_current()
            self._follow_store()
            batch = self._apply(requests, self._store.by_id(requests.ids()))
            batch.outcomes()
            self._journal.rollback(batch)
            return Recorded(batch, 0, len(batch))

    def append(self, kind: str, body: bytes) -> Head:
        """Record an entry of the log itself (genesis, seal); the caller holds `exclusive` if it depends on the head."""
        with self._writing, self._forgetting():
            self._follow_store()
            batch = self._journal.append(kind, body, self._now())
            self._commit(batch)
            self._fresh = kind != "genesis"  # genesis says how accounts come to be: read it as any later start would
            return Head(*batch.head)

    @contextmanager
    def exclusive(self) -> Iterator[Head]:
        """Nothing is recorded meanwhile; yields the head."""
        with self._writing:
            self._is_current()
            self._follow_store()
            yield self._head()

    def _head(self) -> Head:
        head = self._store.head()
        if head is None:
            raise RetryLater("the ledger has no genesis entry yet", ledger=self._store.origin)
        return head

    def _write_queue(self, own: _Ticket) -> None:
        """Write for everybody who waits; the ticket of each of them is done afterwards."""
        tickets: list[_Ticket] = []
        try:
            with self._writing:
                tickets = self._queue.take()
                for together in self._grouped(tickets):
                    self._write(together)
        except BaseException as error:
            for ticket in tickets:
                if not ticket.done:
                    ticket.error = error if ticket is own else _told(error)
            if not isinstance(error, TallystickError):
                raise

    def _write(self, tickets: Sequence[_Ticket]) -> None:
        """One transaction for all."""
        if tickets[0].parsed is not None:
            requests = tickets[0].parsed
        else:
            tickets, requests = self._parse_all(tickets)
        batch = self._store_requests(requests)
        first = 0
        for ticket, count in zip(tickets, requests.counts, strict=True):
            ticket.recorded = Recorded(batch, first, count)
            first += count

    @staticmethod
    def _grouped(tickets: Sequence[_Ticket]) -> Iterator[list[_Ticket]]:
        """All that can be parsed together, then each that was parsed on its own."""
        if together := [ticket for ticket in tickets if ticket.parsed is None]:
            yield together
        yield from ([ticket] for ticket in tickets if ticket.parsed is not None)

    def _parse_all(self, tickets: Sequence[_Ticket]) -> tuple[Sequence[_Ticket], Requests]:
        """A request without commands (a bad `by`, a payload that is no bytes) is its own caller's error alone."""
        try:
            return tickets, self._journal.parse([ticket.request for ticket in tickets])
        except Exception:  # noqa: BLE001 # whoever is to blame is told below
            for ticket in tickets:
                try:
                    self._parse(ticket.request)
                except Exception as error:  # noqa: BLE001 # raised in its caller's thread
                    ticket.error = error
            sound = [ticket for ticket in tickets if ticket.error is None]
            return sound, self._journal.parse([ticket.request for ticket in sound])

    def _parse(self, request: tuple[str, Format, Any]) -> Requests:
        try:
            return self._journal.parse([request])
        except (TypeError, ValueError) as error:
            raise Rejected(f"not a request: {error}", next_step="See docs/how-to/record.md.") from error

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """After an error nothing in memory is believed: a batch may be open, rows half loaded, a write have landed."""
        try:
            yield
        except BaseException:
            self._fresh = False
            raise

    def _store_requests(self, requests: Requests) -> Batch:
        with self._forgetting():
            return self._try_to_store(requests)

    def _try_to_store(self, requests: Requests) -> Batch:
        existing: list[EntryRow] = []
        for _ in range(HEAD_RETRIES):
            self._follow_store()
            try:
                batch = self._apply(requests, existing)
            except IntegrityViolation:
                if self._is_current():
                    raise
                continue  # another writer went on while rows were being read: two heads' rows contradict each other
            if refused := batch.refused_ids():
                known = {row.id for row in existing}
                if found := [row for row in self._store.by_id(refused) if row.id not in known]:
                    self._journal.rollback(batch)
                    existing += found
                    continue
            if batch.count == 0:
                if batch.refused and not self._is_current():
                    continue  # refused by a state that is no more
                self._journal.commit(batch)
                return batch
            try:
                self._commit(batch)
            except IdExists:
                existing = self._store.by_id(requests.ids())
            except HeadMoved:
                continue
            else:
                return batch
        raise RetryLater("other writers were faster every time", tries=HEAD_RETRIES, ledger=self._store.origin)

    def _apply(self, requests: Requests, existing: Sequence[EntryRow]) -> Batch:
        now = self._now()
        accounts, targets = self._journal.missing(requests, now)
        while accounts or targets:
            accounts, targets = self._journal.load(
                accounts,
                list(self._store.definitions(accounts).items()),
                [
                    (b.account, b.asset, str(b.debits), str(b.credits), str(b.pending_debits), str(b.pending_credits))
                    for b in self._store.balances(accounts)
                ],
                targets,
                [(str(row.id), row.seq, row.stub, row.body) for row in self._store.by_id(targets)],
                [(r.id, r.kind, r.remaining, r.expires) for r in self._store.remainders(targets)],
            )
        rows = [(str(row.id), row.seq, row.stub, row.body, row.hash) for row in existing]
        return self._journal.apply(requests, now, self._randomness(32), rows)

    def _commit(self, batch: Batch) -> None:
        try:
            self._store.commit(batch)
        except IdExists:
            self._journal.rollback(batch)
            raise
        except HeadMoved:
            self._fresh = False
            raise
        self._journal.commit(batch)
        self._floor, self._last_at, self._at_head = batch.head[0], batch.head[2], batch.head[:2]

    def _now(self) -> int:
        now = self._clock()
        if now < self._last_at - CLOCK_TOLERANCE_US:
            raise ClockWentBack(
                "the clock is behind the last entry",
                ledger=self._store.origin,
                expected=f">= {self._last_at} µs",
                found=f"{now} µs",
                next_step="Set the clock right; nothing is recorded until it is.",
            )
        return now

    def _follow_store(self) -> None:
        """Load the head and what goes with it, unless memory is known to agree with the store."""
        if self._fresh:
            return
        head = self._store.head()
        size = head.size if head else 0
        if size < self._floor:
            raise WentBack(
                "the database is behind what was already recorded",
                ledger=self._store.origin,
                expected=f">= {self._floor} entries",
                found=size,
                next_step="Do not write. Restore the newest copy, or follow the playbook for suspected tampering.",
            )
        if head is not None:
            check_head(self._store, head)
            check_known(self._store, *self._at_head)
        self._journal.reset(
            (head.size, head.hash, head.at, head.batch, head.batch_first, head.closed_before) if head else None,
            self._explicit_accounts(size),
            list(self._store.assets().items()),
            self._store.expiring(),
        )
        self._floor = max(self._floor, size)
        self._last_at = head.at if head else 0
        self._at_head = (head.size, head.hash) if head else (0, ZERO_HASH)
        self._fresh = True

    def _is_current(self) -> bool:
        """Whether memory still stands where the store stands; if not, it is forgotten."""
        if self._fresh:
            head = self._store.head()
            self._fresh = ((head.size, head.hash) if head else (0, ZERO_HASH)) == self._at_head
        return self._fresh

    def _explicit_accounts(self, size: int) -> bool:
        return size > 0 and genesis(self._store)["accounts"] == "explicit"
