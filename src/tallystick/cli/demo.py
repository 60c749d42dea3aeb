"""`demo`: the story of demo_story.py, printed."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tallystick.cli.demo_story import Proven, Story, Tampering, Witness, tell
from tallystick.cli.session import Session, options, pass_session, stdout_console

__all__ = ["demo"]

INCOMPLETE_EXIT = 2
HEX_SHOWN = 12
PICTURE_COLUMNS = 130


@click.command(short_help="See a ledger at work, tampered with, and who notices.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Keep what is printed as SVG, too.")
@options()
@pass_session
def demo(session: Session, folder: Path | None, picture: Path | None) -> int:
    """Open a ledger, record, seal, prove, verify; then change a row behind its back and see who notices.

    Works in a temporary folder, or in FOLDER, which must be new or empty and is kept. Exit 0 only if the untouched
    ledger verified, every tampering was caught by everybody who looked, and the restored ledger verified again.

    \b
    Examples:
      tallystick demo
      tallystick demo ./demo --json
    """
    started = monotonic()
    console = _console(session, picture)
    with _workplace(folder) as place:
        story = tell(place, lambda so_far: _print(console, so_far))
    seconds = round(monotonic() - started, 1)
    if session.json:
        session.write_json({**story.facts(), "seconds": seconds})
    elif story.proven:
        kept = f" Everything is in {folder}." if folder else ""
        text = Text(f"Verified, every tampering caught, verified again when put right: {seconds} s.{kept}", "green")
        console.print(Panel(text, expand=False, border_style="green"))
    else:
        text = Text("NOT PROVEN: see above who missed a tampering, or saw one that was not there.", "bold red")
        console.print(Panel(text, expand=False, border_style="red"))
    if picture is not None:
        drawn = console.export_svg(title="tallystick demo")
        # Without its fonts from elsewhere: nothing is fetched to show it.
        picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), encoding="utf-8")
    return 0 if story.proven else INCOMPLETE_EXIT


def _console(session: Session, picture: Path | None) -> Console:
    if picture is not None:
        return Console(record=True, width=PICTURE_COLUMNS, quiet=session.json, highlight=False)
    return Console(quiet=True) if session.json else stdout_console()


@contextlib.contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="tallystick-demo-") as name:
            yield Path(name)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty")
    yield folder


def _print(console: Console, story: Story) -> None:
    """The step that has just been added."""
    if story.restored:
        _heading(console, "The row is put back")
        _witnesses(console, story.restored)
    elif story.tamperings:
        _tampering(console, len(story.tamperings), story.tamperings[-1])
    elif story.clean:
        _heading(console, "Everybody verifies")
        _witnesses(console, story.clean)
    elif story.receipt:
        _receipt(console, story.receipt)
    elif story.recording:
        done = story.recording
        _say(console, f"{done.transactions} payments of a CSV file, {done.accounts} accounts: {done.entries} entries")
        _say(console, f"sealed {done.seals} times; root of the signed tree {done.root[:HEX_SHOWN]}…")
        for asset, debits, credits in done.trial_balance:
            _say(console, f"trial balance {asset}: debits {debits}, credits {credits}")
    elif story.opened:
        _heading(console, "A ledger is opened, payments are recorded, sealed, published")
        _say(console, f"{story.opened.ledger}, signed with Ed25519 and ML-DSA-44")


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, "bold"))


def _say(console: Console, text: str) -> None:
    console.print(Text(f"  {text}"))


def _receipt(console: Console, receipt: Proven) -> None:
    _heading(console, f"{receipt.account} gets a receipt for payment {receipt.id}")
    _say(console, f"entry {receipt.seq}: {receipt.amount} {receipt.asset[:3]} to {receipt.counterparty}")
    _say(console, f"{receipt.bytes:,} bytes, and not one of them is of anybody else's balance")


def _witnesses(console: Console, witnesses: tuple[Witness, ...]) -> None:
    table = _table("who", "says")
    for witness in witnesses:
        style = "red" if witness.noticed else "green"
        table.add_row(Text(f"  {witness.who}"), Text(witness.says, style))
    console.print(table)


def _tampering(console: Console, number: int, tampering: Tampering) -> None:
    _heading(console, f"Tampering {number}: {tampering.title}")
    _say(console, f"entry {tampering.seq}: {tampering.before} becomes {tampering.after}, behind the ledger's back")
    table = _table("who", "noticed at", "expected", "found", "says")
    for witness in tampering.witnesses:
        noticed = Text(f"entry {witness.entry}", "red") if witness.noticed else Text("NOT NOTICED", "bold red")
        said = witness.says.removeprefix(f"entry {witness.entry}: ")
        table.add_row(Text(f"  {witness.who}"), noticed, _short(witness.expected), _short(witness.found), Text(said))
    console.print(table)
    _say(console, f"The receipt that the customer has kept still proves {tampering.before}.")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(f"  {column}" if column == "who" else column, header_style="dim", no_wrap=column != "says")
    return table


def _short(value: str) -> Text:
    return Text(value if len(value) <= HEX_SHOWN else value[:HEX_SHOWN] + "…")
