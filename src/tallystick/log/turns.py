"""Callers that overlap take turns: one of them, who leads, does the work of all who wait, then another leads.

Nobody waits for a lock that the others want as well: each caller sleeps until his own ticket was worked off, or until
it is his turn to lead. (With one lock for all, whoever let go of it last tends to get it again, and works for himself
alone.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from tallystick.errors import RetryLater

__all__ = ["Busy", "Ticket", "Turns"]


class Busy(RetryLater):
    """The queue of waiting callers is full."""


class Ticket:
    """One caller's place in the queue."""

    __slots__ = ("_awake", "_leads")

    def __init__(self) -> None:
        self._awake = threading.Lock()  # locked while its caller sleeps
        self._awake.acquire()
        self._leads = False  # set by whoever led before


T = TypeVar("T", bound=Ticket)


class Turns(Generic[T]):
    """The queue; `most` callers may wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._gate = threading.Lock()
        self._waiting: list[T] = []
        self._taken: list[T] = []  # by the one who leads
        self._led = False

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, ticket: T, work: Callable[[], None]) -> None:
        """Return when the ticket was worked off, by this caller's `work` or by another's, which calls `take`.

        `Busy` if too many wait. What `work` raises is raised here.
        """
        with self._gate:
            if len(self._waiting) >= self._most:
                raise Busy("too many callers are waiting", waiting=self._most, next_step="Retry after a pause.")
            self._waiting.append(ticket)
            ticket._leads = not self._led  # noqa: SLF001 (tickets are this module's)
            self._led = True
        try:
            if not ticket._leads:  # noqa: SLF001
                ticket._awake.acquire()  # noqa: SLF001
            if ticket._leads:  # noqa: SLF001
                work()
        finally:
            self._leave(ticket)

    def take(self) -> list[T]:
        """All who wait now; for `work`, once."""
        with self._gate:
            self._taken, self._waiting = self._waiting, []
            return self._taken

    def _leave(self, ticket: T) -> None:
        """Wake those whose tickets were worked off, and let the next one lead; also when a caller was interrupted."""
        with self._gate:
            if not ticket._leads:  # noqa: SLF001
                if ticket in self._waiting:  # interrupted in his sleep: nobody shall wait for him to lead
                    self._waiting.remove(ticket)
                return
            taken, self._taken = self._taken, []
            if ticket in self._waiting:  # interrupted before he took
                self._waiting.remove(ticket)
            following = self._waiting[0] if self._waiting else None
            self._led = following is not None
            if following is not None:
                following._leads = True  # noqa: SLF001
        if following is not None:  # first: he works while the others go away and come back
            following._awake.release()  # noqa: SLF001
        for other in taken:
            if other is not ticket:
                other._awake.release()  # noqa: SLF001
