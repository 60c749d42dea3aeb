"""`init`, `ledger …`, `seal`."""

from __future__ import annotations

from pathlib import Path

import click

from tallystick.cli.exports import export
from tallystick.cli.session import Session, by_option, options, pass_session
from tallystick.ledger.exporting import time_text

__all__ = ["audit", "init", "ledger", "seal"]


@click.command(short_help="Make an installation.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--database", metavar="URL", default="sqlite:database", help="sqlite:FOLDER or postgresql://…")
@options()
@pass_session
def init(session: Session, folder: Path | None, database: str) -> None:
    """Make an installation in FOLDER: settings, and beside them database, tiles and keys.

    \b
    Examples:
      tallystick init books
      tallystick init books --database postgresql://tallystick@localhost/tallystick
    """
    from tallystick import wiring

    with wiring.create_installation(folder or session.home, database) as installation:
        home = installation.settings.home
    session.show({"home": home, "database": database}, f"{home} is ready")
    session.note("Next: tallystick ledger create ORIGIN, e.g. bank.example/ledger/customers")


@click.group()
def ledger() -> None:
    """Make, list, seal, publish, audit and export ledgers."""


@ledger.command()
@click.argument("origin")
@click.option("--explicit-accounts", is_flag=True, help="Accounts must be opened before they are used.")
@by_option
@options()
@pass_session
def create(session: Session, origin: str, explicit_accounts: bool, by: str) -> None:
    """Make the ledger ORIGIN with keys of its own.

    \b
    Example:
      tallystick ledger create bank.example/ledger/customers --explicit-accounts
    """
    with session.installation() as installation:
        made = installation.create(origin, by=by, explicit_accounts=explicit_accounts)
        try:
            head = made.head()
        finally:
            made.close()
    session.show({"ledger": origin, "genesis": head.hash, "at": time_text(head.at)}, f"{origin} is open")


@ledger.command("list")
@options()
@pass_session
def list_(session: Session) -> None:
    """List the ledgers with their size and their last entry's time."""
    with session.installation() as installation:
        found = []
        for origin in installation.ledgers():
            opened = installation.open(origin)
            try:
                head = opened.head()
            finally:
                opened.close()
            found.append({"ledger": origin, "entries": head.size, "last": time_text(head.at), "batch": head.batch})
    session.rows(found, ("ledger", "entries", "last", "batch"), right=("entries", "batch"))


def audit(session: Session) -> None:
    """Run the operator's audit and say what it saw."""
    with session.ledger() as opened, session.progress("audit") as progress:
        seen = opened.audit(progress)
    result = {
        "verified": True,
        "ledger": seen.ledger,
        "entries": seen.size,
        "sealed": seen.sealed,
        "published": seen.published,
        "checkpoints": seen.checkpoints,
        "destroyed": [list(place) for place in seen.destroyed],
        "unchecked": list(seen.unchecked),
    }
    text = (
        f"{seen.ledger}: {seen.size} entries agree with each other, with {seen.checkpoints} signed checkpoints, "
        f"the published tiles and the tables beside them."
    )
    if seen.unsealed:
        text += f"\n{seen.unsealed} entries are not sealed: nothing outside the database covers them yet."
    if seen.destroyed:
        text += (
            f"\n{len(seen.destroyed)} parts were destroyed; what they said cannot be checked, that they were there can."
        )
    if seen.unchecked:
        text += "\nSo these could not be checked in the tables: " + "; ".join(seen.unchecked) + "."
    session.show(result, text)


@ledger.command("audit")
@options(ledger=True)
@pass_session
def audit_command(session: Session) -> None:
    """Check everything that is stored: entries, chain, balances, checkpoints, tiles, tables.

    Exit 1 names the first entry or row that contradicts the others. An auditor who does not trust this program uses
    `tallystick-verify`, which shares no code with it.
    """
    audit(session)


@ledger.command("verify")
@options(ledger=True)
@pass_session
def verify_command(session: Session) -> None:
    """The same as `ledger audit`."""
    audit(session)


@click.command(short_help="Sign and publish what was recorded.")
@click.option("--no-publish", is_flag=True, help="Sign, but leave the published tiles as they are.")
@options(ledger=True)
@pass_session
def seal(session: Session, no_publish: bool) -> None:
    """Close the open batch, sign the whole tree, publish tiles and checkpoint.

    Running it again is harmless: what is sealed and published already stays as it is.
    """
    with session.ledger(write=True) as opened:
        sealed = opened.seal()
        published = None if no_publish else opened.publish()
        opened.follow()  # readers find their tables up to date
    result = {
        "sealed": sealed.size if sealed else None,
        "batch": sealed.batch if sealed else None,
        "root": sealed.root if sealed else None,
        "published": published.size if published else None,
    }
    text = f"sealed {sealed.size} entries, root {sealed.root.hex()}" if sealed else "everything is sealed already"
    session.show(result, text + (f"; published {published.size}" if published else ""))


@ledger.command()
@options(ledger=True)
@pass_session
def publish(session: Session) -> None:
    """Publish what is sealed as tiles, then the checkpoint."""
    with session.ledger() as opened:
        published = opened.publish()
    result = {"published": published.size if published else None, "before": published.before if published else None}
    text = f"published {published.size} entries ({published.before} before)" if published else "nothing is sealed yet"
    session.show(result, text)


@ledger.command()
@options(ledger=True)
@pass_session
def rebuild(session: Session) -> None:
    """Derive the reading tables (statements, metadata) again from the entries."""
    with session.ledger(write=True) as opened:
        shown = opened.rebuild()
    session.show({"entries": shown}, f"the reading tables show {shown} entries")


@ledger.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@options(ledger=True)
@pass_session
def bodies(session: Session, folder: Path) -> None:
    """Write all parts of the published entries into FOLDER, for an auditor who reads the tiles.

    They are private: give them to auditors only. With them `tallystick-verify` derives every balance again.

    \b
    Example:
      tallystick ledger bodies ./bodies
      tallystick-verify ledger tiles/bank.example+ledger+customers --policy policy --bodies ./bodies
    """
    count = 0
    with session.ledger() as opened:
        for name, data in opened.bodies():
            path = folder / name.removeprefix("bodies/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            count += 1
    session.show({"folder": folder, "files": count}, f"{count} files written into {folder}")


ledger.add_command(seal)
ledger.add_command(export)
