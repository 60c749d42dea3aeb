"""`import`."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tallystick.cli.intake import BadLine, Intake, take_in
from tallystick.cli.session import Session, by_option, options, pass_session, safe, stdout_console
from tallystick.errors import Rejected
from tallystick.ledger.importing import FORMATS, csv_header, format_of, parse_mapping, read_lines

__all__ = ["import_", "refused_file"]

REFUSED_EXIT = 64


def refused_file(bad: Sequence[BadLine], header: Sequence[str] | None) -> bytes:
    """The lines that were not booked: as CSV with line and reason before the file's own columns, else as JSONL.

    A CSV file that was put right can be imported as it is: the mapping finds its columns by name.
    """
    text = io.StringIO(newline="")
    if header is None:
        for each in bad:
            members = {"line": each.line.number, "code": each.code, "member": each.member, "reason": each.reason}
            text.write(json.dumps({**members, "original": each.line.original}, ensure_ascii=False) + "\n")
    else:
        writer = csv.writer(text)
        writer.writerow(["line", "reason", *header])
        for each in bad:
            cells = each.line.original
            writer.writerow([each.line.number, _reason(each), *((cells,) if isinstance(cells, str) else cells)])
    return text.getvalue().encode("utf-8", "surrogateescape")


def _reason(bad: BadLine) -> str:
    start = bad.member if bad.code == "unreadable" else " ".join(filter(None, (bad.code, bad.member)))
    return f"{start}: {bad.reason}" if start else bad.reason


@click.command("import", short_help="Import a file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML; see docs/how-to/import.md.",
)
@click.option("--format", type=click.Choice(FORMATS), help="Default: what the mapping or the file's name says.")
@click.option("--dry-run", is_flag=True, help="List every bad line with its reason; record nothing.")
@click.option("--skip-bad", is_flag=True, help="Record the good lines although others are bad.")
@click.option(
    "--refused",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where bad lines go. Default: FILE.refused.csv or .jsonl.",
)
@by_option
@options(ledger=True)
@pass_session
def import_(
    session: Session,
    file: Path,
    mapping_file: Path | None,
    format: str | None,
    dry_run: bool,
    skip_bad: bool,
    refused: Path | None,
    by: str,
) -> int:
    """Import FILE: CSV or JSONL with a mapping, camt.053, hledger or beancount journals.

    Nothing is half imported: if one line is bad, nothing of the file is recorded, unless --skip-bad says to record the
    others. Either way bad lines are listed and written to a file with line and reason. A second import of the same
    lines records nothing twice. Exit 64 if bad lines stopped the import, or a dry run found some.

    \b
    Examples:
      tallystick import spend.csv --mapping spend.toml --dry-run
      tallystick import spend.csv --mapping spend.toml --skip-bad
      tallystick import statement.xml
      tallystick import main.journal --format hledger
    """
    data = file.read_bytes()
    mapping = parse_mapping(mapping_file.read_bytes()) if mapping_file else None
    kind = format or format_of(file.name, mapping)
    header = csv_header(data, mapping) if kind == "csv" and mapping else None
    target = refused or file.with_name(f"{file.name}.refused.{'csv' if kind == 'csv' else 'jsonl'}")

    def keep(bad: Sequence[BadLine]) -> None:
        if bad:
            target.write_bytes(refused_file(bad, header))
        elif skip_bad and not os.access(target.parent, os.W_OK):
            raise Rejected(
                "the file for refused lines could not be written", file=target, next_step="Name another with --refused."
            )

    with session.ledger(write=True) as ledger, session.progress("import") as progress:
        lines = read_lines(data, kind, mapping)
        intake = take_in(
            lines, ledger, by=by, skip_bad=skip_bad, dry_run=dry_run, before_recording=keep, progress=progress
        )
    if intake.bad and not dry_run:
        try:
            keep(intake.bad)
        except OSError as error:
            session.note(
                f"{target}: {error.strerror}; the bad lines are listed below only. Name another file with --refused."
            )
    _report(session, intake, file, target, dry_run=dry_run)
    return 0 if intake.recorded or not intake.bad else REFUSED_EXIT


def _members(bad: BadLine) -> dict[str, Any]:
    return {"line": bad.line.number, "code": bad.code, "member": bad.member, "reason": bad.reason}


def _report(session: Session, intake: Intake, file: Path, target: Path, *, dry_run: bool) -> None:
    reasons = Counter(line.outcome.reason for line in intake.skipped)  # type: ignore[union-attr]
    result = {
        "file": file,
        "dry_run": dry_run,
        "recorded": intake.recorded,
        "lines": intake.lines,
        "good": intake.good,
        "booked": intake.booked,
        "replayed": intake.replayed,
        "skipped": [{"line": line.number, "reason": line.outcome.reason} for line in intake.skipped],  # type: ignore[union-attr]
        "refused": [_members(bad) for bad in intake.bad],
        "refused_file": target if intake.bad and not dry_run else None,
    }
    if session.json:
        session.write_json(result)
        return
    console = stdout_console()
    for bad in intake.bad:
        console.print(Text(f"line {bad.line.number}: {safe(_reason(bad))}"))
    for reason, count in reasons.items():
        first = next(line.number for line in intake.skipped if line.outcome.reason == reason)  # type: ignore[union-attr]
        where = f"line {first}" if count == 1 else f"{count} lines, the first is {first}"
        console.print(Text(f"skipped, {safe(reason)}: {where}"))
    counts = f"{intake.lines} lines: {intake.good} good, {len(intake.bad)} bad, {len(intake.skipped)} skipped"
    if intake.recorded:
        counts += f"; {intake.booked} booked, {intake.replayed} were booked before"
    elif not dry_run:
        counts += "; nothing was recorded"
    console.print(Text(counts))
    if intake.bad and not dry_run:
        console.print(Text(f"bad lines are in {target}"))
    if intake.bad and not intake.recorded:
        session.note("Mend the bad lines, or record the good ones with --skip-bad.")
