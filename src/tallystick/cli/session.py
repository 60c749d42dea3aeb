"""What every command shares: which installation and ledger, and how results are said.

Results go to stdout, all else to stderr. With `--json` a result is one JSON object on one line, a list one object a
line, an error one object on stderr. Progress bars are drawn on a terminal only.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich import progress as bars
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tallystick.errors import TallystickError

if TYPE_CHECKING:
    from tallystick.log.ledger import Ledger
    from tallystick.wiring import Installation

__all__ = [
    "MOMENT",
    "Progress",
    "Session",
    "by_option",
    "options",
    "pass_session",
    "safe",
    "silent",
    "stderr_console",
    "stdout_console",
]

WIDTH_OFF_TERMINAL = 4000  # nothing is cut or wrapped where a program reads
Progress = Callable[[int, int], None]
F = TypeVar("F", bound=Callable[..., Any])


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def safe(value: object) -> str:
    """Text that a terminal shows and does not obey: what is not printable stands escaped."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def stdout_console() -> Console:
    """The console for results."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH_OFF_TERMINAL, highlight=False)


def stderr_console() -> Console:
    """The console for everything else."""
    return Console(file=sys.stderr, width=None if sys.stderr.isatty() else WIDTH_OFF_TERMINAL, highlight=False)


@dataclass(slots=True)
class Session:
    """One run of the command line."""

    home: Path | None = None
    json: bool = False
    origin: str | None = None

    @contextmanager
    def installation(self) -> Iterator[Installation]:
        """The installation, closed afterwards."""
        from tallystick import wiring

        with wiring.open_installation(self.home) as installation:
            yield installation

    @contextmanager
    def ledger(self, *, write: bool = False) -> Iterator[Ledger]:
        """The ledger that `--ledger` names, or the only one."""
        with self.installation() as installation:
            ledger = installation.open(self.chosen(installation.ledgers()), write=write)
            try:
                yield ledger
            finally:
                ledger.close()

    def chosen(self, origins: Sequence[str]) -> str:
        """The origin to work on."""
        if self.origin is not None:
            return self.origin
        if len(origins) == 1:
            return origins[0]
        if not origins:
            raise click.UsageError("there is no ledger yet: `tallystick ledger create ORIGIN` makes one")
        raise click.UsageError(f"there are several ledgers, name one with --ledger: {', '.join(origins)}")

    def show(self, result: Mapping[str, Any], text: RenderableType) -> None:
        """One result."""
        if self.json:
            self.write_json(result)
        else:
            stdout_console().print(Text(text) if isinstance(text, str) else text)

    def rows(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, right: Sequence[str] = ()) -> None:
        """A list: JSON lines, or a table of some of its members."""
        if self.json:
            for row in rows:
                self.write_json(row)
            return
        table = Table(*columns, box=None, pad_edge=False)
        for column in table.columns:
            column.overflow = "fold"
            if column.header in right:
                column.justify = "right"
        for row in rows:
            table.add_row(*(Text(safe("" if row.get(name) is None else row[name])) for name in columns))
        stdout_console().print(table)

    def write_json(self, result: Mapping[str, Any]) -> None:
        """One object, one line."""
        sys.stdout.write(json.dumps(result, ensure_ascii=False, separators=(",", ":"), default=_json_value) + "\n")

    def note(self, text: str) -> None:
        """Something for a person, not a result."""
        if not self.json:
            stderr_console().print(Text(text))

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """A callback (done, total) that moves a bar, if somebody looks on."""
        if self.json or not sys.stderr.isatty():
            yield silent
            return
        texts = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
        with bars.Progress(*texts, bars.TimeRemainingColumn(), console=stderr_console(), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def complain(self, error: TallystickError) -> None:
        """An error, on stderr."""
        if self.json:
            sys.stderr.write(json.dumps(error.diagnostics(), ensure_ascii=False, default=_json_value) + "\n")
            return
        console = stderr_console()
        console.print(Text.assemble((f"{type(error).__name__}: ", "bold red"), safe(error.message)))
        facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        for name, value in error.facts.items():
            if value is not None:
                facts.add_row(Text(f"  {name}", "dim"), Text(safe(value.hex() if isinstance(value, bytes) else value)))
        if error.facts:
            console.print(facts)
        if error.next_step:
            console.print(Text(safe(error.next_step), "bold"))


def _json_value(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value not in (None, False):
        setattr(context.ensure_object(Session), str(parameter.name), value)


def options(*, ledger: bool = False) -> Callable[[F], F]:
    """`--json`, `--home` and, for commands on one ledger, `--ledger`, kept in the session."""

    def add(function: F) -> F:
        kept: dict[str, Any] = {"expose_value": False, "is_eager": True, "callback": _keep}
        function = click.option("--json", is_flag=True, help="Print JSON, one object a line.", **kept)(function)
        folder = click.Path(file_okay=False, path_type=Path)
        text = "Folder of the installation; else TALLYSTICK_HOME, else the working folder."
        function = click.option("--home", type=folder, help=text, **kept)(function)
        if ledger:
            text = "Origin of the ledger; may be left out if there is only one."
            function = click.option("-l", "--ledger", "origin", metavar="ORIGIN", help=text, **kept)(function)
        return function

    return add


def by_option(function: F) -> F:
    """`--by`, by default the user who runs the program."""
    text = "Who asks: user:…, service:…; default: user: and the name of whoever runs this."
    return click.option("--by", default=lambda: f"user:{pwd.getpwuid(os.getuid()).pw_name}", help=text)(function)


class _Moment(click.ParamType[int]):
    """An RFC 3339 time, or a day, as microseconds since 1970 UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-01-31 or 2026-01-31T12:00:00Z", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


MOMENT = _Moment()
pass_session = click.make_pass_decorator(Session, ensure=True)
