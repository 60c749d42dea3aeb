"""What an import does with the lines of a file.

1. Every line is read; nothing is recorded yet. Lines that are no bookings are counted with their reasons.
2. Unless bad lines are to be skipped, one bad line stops here: nothing of the file is recorded.
3. Unless they are, all commands are tried out together (a dry run); one refusal stops here likewise.
4. Commands are recorded in calls of 8,192. Crash between two calls: the first ones are recorded; the same import again
   records the rest, for every command has an id that depends on its content alone.

A refusal in step 4 is possible only if bad lines are skipped, or if somebody else records at the same time; it is
listed like the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from tallystick.cli.session import Progress, silent
from tallystick.ledger.importing import Command, Line, Problem, Skipped
from tallystick.ledger.outcome import Recorded, Refused
from tallystick.log.recorder import Format

__all__ = ["BadLine", "Intake", "Records", "take_in"]

COMMANDS_PER_CALL = 8192
GROUP_MEMBERS_MAX = 1000  # docs/reference/entries.md; a longer one is one malformed command


class Records(Protocol):
    """What the import needs of a ledger."""

    def record(self, payload: bytes, *, by: str, format: Format, dry_run: bool = False) -> Recorded:
        """Record commands; outcomes in order."""
        ...


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not booked. `code` is the refusal's, or `unreadable` if it never became a command."""

    line: Line
    code: str
    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Command:
    """A line that can be booked, as JSON; `members` is how many outcomes it has: a group one for each of its own."""

    number: int
    original: str | tuple[str, ...]
    members: int
    text: bytes

    @classmethod
    def of(cls, line: Line, command: Command) -> _Command:
        group = command.get("group")
        members = len(group) if isinstance(group, list) and 1 <= len(group) <= GROUP_MEMBERS_MAX else 1
        text = json.dumps(command, separators=(",", ":")).encode()  # ASCII: a lone surrogate stays one, and is refused
        return cls(line.number, line.original, members, text)


@dataclass(slots=True)
class Intake:
    """What became of a file. `recorded` is false if nothing was recorded: a dry run, or bad lines that stopped it."""

    lines: int = 0
    good: int = 0
    booked: int = 0
    replayed: int = 0
    skipped: list[Line] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    recorded: bool = False


def take_in(
    lines: Iterable[Line],
    ledger: Records,
    *,
    by: str,
    skip_bad: bool = False,
    dry_run: bool = False,
    before_recording: Callable[[Sequence[BadLine]], None],
    progress: Progress = silent,
) -> Intake:
    """Import the lines of one file; `before_recording` is told of the lines that are bad so far."""
    intake = Intake()
    commands: list[_Command] = []
    for line in lines:  # 1
        intake.lines += 1
        match line.outcome:
            case Problem(member, reason):
                intake.bad.append(BadLine(line, "unreadable", member, reason))
            case Skipped():
                intake.skipped.append(line)
            case command:
                commands.append(_Command.of(line, command))
    intake.good = len(commands)
    if intake.bad and not (skip_bad or dry_run):  # 2
        return intake
    if dry_run or not skip_bad:  # 3
        tried = _record(commands, ledger, by, dry_run=True)
        refused = [bad for _, bad in tried if bad]
        intake.bad += refused
        intake.good -= len(refused)
        if dry_run or refused:
            intake.bad.sort(key=lambda bad: bad.line.number)
            return intake
    before_recording(intake.bad)
    intake.recorded, intake.good = True, 0
    for first in range(0, len(commands), COMMANDS_PER_CALL):  # 4
        for replayed, bad in _record(commands[first : first + COMMANDS_PER_CALL], ledger, by, dry_run=False):
            if bad:
                intake.bad.append(bad)
                continue
            intake.good += 1
            intake.replayed += replayed
            intake.booked += not replayed
        progress(min(first + COMMANDS_PER_CALL, len(commands)), len(commands))
    intake.bad.sort(key=lambda bad: bad.line.number)
    return intake


def _record(
    commands: Sequence[_Command], ledger: Records, by: str, *, dry_run: bool
) -> Iterator[tuple[bool, BadLine | None]]:
    """(replayed, what is bad) of each command: a group is replayed if all of it is, bad if one member is."""
    recorded = ledger.record(b"\n".join(command.text for command in commands), format="ndjson", by=by, dry_run=dry_run)
    outcomes = iter(recorded)
    for command in commands:
        own = list(islice(outcomes, command.members))
        culprits = [outcome for outcome in own if isinstance(outcome, Refused) and outcome.code != "group_refused"]
        if culprits:
            facts = "".join(f"; {name} {value}" for name, value in culprits[0].facts.items() if name != "member")
            member = str(culprits[0].facts.get("member", ""))
            line = Line(command.number, Problem(member, culprits[0].message + facts), command.original)
            yield False, BadLine(line, culprits[0].code, member, culprits[0].message + facts)
        else:
            yield all(outcome.entry().replayed for outcome in own), None
