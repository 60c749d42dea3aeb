"""`export`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from tallystick.cli.session import Progress, Session, options, pass_session
from tallystick.ledger.exporting import EXPORTERS, ExportEntry

__all__ = ["export"]


@click.command(short_help="Write entries for other programs.")
@click.option("--format", "-f", type=click.Choice(tuple(EXPORTERS)), required=True)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File; default: stdout.")
@click.option("--from", "first", type=click.IntRange(min=0), default=0, metavar="SEQ", help="First entry.")
@click.option("--to", "end", type=click.IntRange(min=0), metavar="SEQ", help="Last entry.")
@click.option("--account", help="Only entries that touch this account.")
@options(ledger=True)
@pass_session
def export(
    session: Session, format: str, output: Path | None, first: int, end: int | None, account: str | None
) -> None:
    """Write entries as JSONL, CSV (a row a leg), Parquet or an hledger journal.

    A file appears whole or not at all.

    \b
    Examples:
      tallystick export -f parquet -o entries.parquet
      tallystick export -f hledger | hledger -f - balance
    """
    write = EXPORTERS[format]
    with session.ledger() as ledger, session.progress("export") as progress:
        last = ledger.head().size if end is None else end + 1
        entries = _counted(ledger.entries(first, last, account=account), last - first, progress)
        if output is None:
            if format == "parquet" and sys.stdout.isatty():
                raise click.UsageError("Parquet is not for a terminal: name a file with -o")
            write(entries, sys.stdout.buffer)
            return
        part = output.with_name(output.name + ".part")
        try:
            with part.open("wb") as file:
                count = write(entries, file)
                _settle(file)
            part.replace(output)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    session.show({"entries": count, "file": output}, f"{count} entries written to {output}")


def _settle(file: BinaryIO) -> None:
    if not file.closed:
        file.flush()
        os.fsync(file.fileno())


def _counted(entries: Iterator[ExportEntry], total: int, progress: Progress) -> Iterator[ExportEntry]:
    for done, entry in enumerate(entries, start=1):
        if done % 1000 == 0:
            progress(done, total)
        yield entry
