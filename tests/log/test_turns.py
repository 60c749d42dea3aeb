"""Overlapping callers: each is worked off once, whoever leads, whatever interrupts him."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tallystick.log.turns import Busy, Ticket, Turns

PATIENCE = 30


class Numbered(Ticket):
    """A ticket that can be told from others."""

    __slots__ = ("done", "number")

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.done = number, 0


def test_each_is_worked_off_once_and_several_at_a_time() -> None:
    turns, runs = Turns[Numbered](1000), list[int]()

    def work() -> None:
        taken = turns.take()
        runs.append(len(taken))
        for ticket in taken:
            ticket.done += 1

    def caller(first: int) -> list[int]:
        tickets = [Numbered(first + i) for i in range(200)]
        for ticket in tickets:
            turns.submit(ticket, work)
        return [ticket.done for ticket in tickets]

    with ThreadPoolExecutor(32) as pool:
        answers = [future.result(PATIENCE) for future in [pool.submit(caller, 1000 * n) for n in range(32)]]
    assert all(done == [1] * 200 for done in answers)
    assert sum(runs) == 32 * 200
    assert len(turns) == 0


def test_who_fails_while_leading_passes_the_lead_on() -> None:
    turns = Turns[Numbered](10)
    leading, go_on = threading.Event(), threading.Event()

    def broken() -> None:
        leading.set()
        assert go_on.wait(PATIENCE)
        raise KeyboardInterrupt

    def sound() -> None:
        for ticket in turns.take():
            ticket.done += 1

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(turns.submit, Numbered(0), broken)
        assert leading.wait(PATIENCE)
        tickets = [Numbered(1), Numbered(2)]
        others = [pool.submit(turns.submit, ticket, sound) for ticket in tickets]
        while len(turns) < 3:
            assert not others[0].done()
        go_on.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(PATIENCE)
        for other in others:
            other.result(PATIENCE)
    assert [ticket.done for ticket in tickets] == [1, 1]
    turns.submit(last := Numbered(3), sound)
    assert last.done == 1


def test_a_full_queue_is_said_at_once() -> None:
    turns = Turns[Numbered](1)
    leading, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        leading.set()
        assert go_on.wait(PATIENCE)
        turns.take()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(turns.submit, Numbered(0), slow)
        assert leading.wait(PATIENCE)
        with pytest.raises(Busy, match="waiting 1"):
            turns.submit(Numbered(1), slow)
        go_on.set()
        first.result(PATIENCE)
