"""`record`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import click

from tallystick.cli.session import Session, by_option, options, pass_session, safe
from tallystick.ledger.importing.lines import Unbookable
from tallystick.ledger.importing.values import asset_name, minor_units, time_text
from tallystick.ledger.outcome import Outcome, Recorded, Refused

__all__ = ["outcome_members", "pairs", "record", "record_one"]

COMMANDS_PER_CALL = 8192
REFUSED_EXIT = 64


def pairs(values: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` options."""
    found = {}
    for text in values:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE")
        found[name] = value
    return found


def outcome_members(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON."""
    if isinstance(outcome, Refused):
        return {"refused": outcome.code, "message": outcome.message, **outcome.facts}
    return {"seq": outcome.seq, "hash": outcome.hash, "replayed": outcome.replayed}


def record_one(session: Session, command: dict[str, Any], by: str, *, dry_run: bool = False) -> None:
    """Record one command; a refusal is raised."""
    with session.ledger(write=True) as ledger:
        (accepted,) = ledger.record([command], format="objects", by=by, dry_run=dry_run).accepted()
    verb = "was recorded before" if accepted.replayed else "would be recorded" if dry_run else "recorded"
    session.show(outcome_members(accepted), f"{verb} as entry {accepted.seq}  {accepted.hash.hex()}")


@click.command(short_help="Record commands, or one transaction.")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--format", type=click.Choice(("auto", "json", "ndjson")), default="auto", show_default=True)
@click.option("--id", help="The transaction's id; asking twice with one id records once.")
@click.option("--debit", metavar="ACCOUNT")
@click.option("--credit", metavar="ACCOUNT")
@click.option("--amount", help="In the asset's own unit, e.g. 10.50.")
@click.option("--asset", help="CODE/SCALE, or a currency of ISO 4217.")
@click.option("--effective", metavar="TIME", help="When it takes effect, if not now.")
@click.option("--reference")
@click.option("-m", "--metadata", multiple=True, metavar="KEY=VALUE", help="Repeatable.")
@click.option("--dry-run", is_flag=True, help="Say what would become of it, record nothing.")
@by_option
@options(ledger=True)
@pass_session
def record(
    session: Session,
    /,
    file: BinaryIO | None,
    format: str,
    by: str,
    dry_run: bool,
    metadata: tuple[str, ...],
    **given: Any,
) -> int:
    """Record commands of FILE (- for stdin) as JSON or NDJSON, or one transaction given by options.

    The commands are those of docs/reference/entries.md. Every outcome is listed; exit 64 if one was refused, while
    the others are recorded (a group is recorded whole or not at all).

    \b
    Examples:
      tallystick record --id inv-7 --debit bank:cash --credit customers:ada --amount 10.50 --asset EUR
      tallystick record payments.ndjson --json
      generate | tallystick record - --by service:payments
    """
    if file is None:
        record_one(session, _transaction(metadata, **given), by, dry_run=dry_run)
        return 0
    if any(given.values()) or metadata:
        raise click.UsageError("FILE and the options of a single transaction exclude each other")
    counts = {"recorded": 0, "replayed": 0, "refused": 0}
    with session.ledger(write=True) as ledger:
        for payload, kind in _payloads(file, format, whole=dry_run):
            recorded = ledger.record(payload, format="json" if kind == "json" else "ndjson", by=by, dry_run=dry_run)
            _report(session, recorded, counts, dry_run=dry_run)
    session.note(", ".join(f"{count} {name}" for name, count in counts.items()) + (" (dry run)" if dry_run else ""))
    return REFUSED_EXIT if counts["refused"] else 0


def _report(session: Session, recorded: Recorded, counts: dict[str, int], *, dry_run: bool) -> None:
    for outcome in recorded:
        refused = isinstance(outcome, Refused)
        counts["refused" if refused else "replayed" if outcome.replayed else "recorded"] += 1  # type: ignore[union-attr]
        if session.json:
            session.write_json(outcome_members(outcome))
        elif isinstance(outcome, Refused):
            facts = "".join(f", {name} {value}" for name, value in outcome.facts.items())
            sys.stdout.write(safe(f"refused {outcome.code}: {outcome.message}{facts}") + "\n")
        else:
            verb = "before " if outcome.replayed else "would be " if dry_run else ""
            sys.stdout.write(f"{verb}entry {outcome.seq}  {outcome.hash.hex()}\n")
    sys.stdout.flush()


def _transaction(metadata: tuple[str, ...], **given: str | None) -> dict[str, Any]:
    missing = [f"--{name}" for name in ("id", "debit", "credit", "amount", "asset") if not given[name]]
    if missing:
        raise click.UsageError(f"give FILE, or a transaction: {', '.join(missing)} missing")
    try:
        asset, scale = asset_name(str(given["asset"]), {})
        amount = minor_units(str(given["amount"]), scale)
    except Unbookable as error:
        raise click.UsageError(error.problem.reason) from None
    leg = {"debit": given["debit"], "credit": given["credit"], "asset": asset, "amount": str(amount)}
    command: dict[str, Any] = {"id": given["id"], "legs": [leg]}
    if given["effective"]:
        command["effective"] = _effective(given["effective"])
    if given["reference"]:
        command["reference"] = given["reference"]
    return {**command, "metadata": pairs(metadata)} if metadata else command


def _effective(text: str) -> str:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time such as 2026-01-31", param_hint="--effective") from None
    return time_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _payloads(file: BinaryIO, format: str, *, whole: bool) -> Iterator[tuple[bytes, str]]:
    """The file in pieces that are recorded by one call each; a dry run must see it whole."""
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    first = buffered.readline()
    while first and not first.strip():
        first = buffered.readline()
    if format == "json" or (format == "auto" and not _is_object(first)):
        yield first + buffered.read(), "json"
        return
    if whole:
        yield first + buffered.read(), "ndjson"
        return
    lines: Iterable[bytes] = [first]
    while lines:
        more = islice(buffered, COMMANDS_PER_CALL - len(list(lines)))
        yield b"".join([*lines, *more]), "ndjson"
        lines = list(islice(buffered, 1))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
