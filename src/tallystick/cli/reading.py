"""`balance`, `statement`, `entries`, `trial-balance`."""

from __future__ import annotations

import sys
from typing import Any

import click

from tallystick.cli.accounts import balance_members
from tallystick.cli.session import MOMENT, Session, options, pass_session, safe
from tallystick.ledger.exporting import decimal_text, object_of, time_text

__all__ = ["balance", "entries", "statement", "trial_balance"]


@click.command(short_help="The balances of an account.")
@click.argument("account")
@click.option("--asset", help="One asset only.")
@click.option("--at-seq", type=click.IntRange(min=0), help="After this entry.")
@click.option("--at", type=MOMENT, help="As it was recorded at this time.")
@click.option("--effective", type=MOMENT, help="Counting what took effect by this time, whenever it was recorded.")
@options(ledger=True)
@pass_session
def balance(
    session: Session, account: str, asset: str | None, at_seq: int | None, at: int | None, effective: int | None
) -> None:
    """The balances of ACCOUNT: now, after an entry, or at a time.

    `balance` is credits minus debits.

    \b
    Examples:
      tallystick balance customers:ada
      tallystick balance customers:ada --at 2026-01-31T23:59:59Z --json
    """
    if sum(moment is not None for moment in (at_seq, at, effective)) > 1:
        raise click.UsageError("--at-seq, --at and --effective exclude each other")
    with session.ledger() as ledger:
        if effective is not None:
            found = ledger.effective_balances(account, asset, effective)
        else:
            found = ledger.balances(account, asset, at_seq=at_seq, at=at)
    numbers = ("balance", "debits", "credits", "pending_debits", "pending_credits")
    session.rows(map(balance_members, found), ("asset", *numbers), right=numbers)


@click.command(short_help="What happened on an account.")
@click.argument("account")
@click.argument("asset", required=False)
@click.option("--from", "first", type=click.IntRange(min=0), default=0, metavar="SEQ", help="First entry.")
@click.option("--to", "end", type=click.IntRange(min=0), metavar="SEQ", help="Last entry.")
@options(ledger=True)
@pass_session
def statement(session: Session, account: str, asset: str | None, first: int, end: int | None) -> None:
    """Every entry that touched ACCOUNT in ASSET, with the balance after it.

    ASSET may be left out if the account has one only.

    \b
    Example:
      tallystick statement customers:ada EUR/2
    """
    with session.ledger() as ledger:
        if asset is None:
            held = [row.asset for row in ledger.balances(account)]
            if len(held) > 1:
                raise click.UsageError(f"{account} holds several assets, name one: {', '.join(held)}")
            if not held:
                return
            asset = held[0]
        if not session.json:
            sys.stdout.write(f"{'seq':>8}  {'effective':<27}  {'debit':>14}  {'credit':>14}  {'balance':>14}  id\n")
        for line in ledger.statement(account, asset, first, None if end is None else end + 1):
            members = {
                "seq": line.entry.seq,
                "effective": time_text(line.effective),
                "kind": line.entry.kind,
                "id": line.entry.id,
                "reference": line.entry.values.get("reference"),
                "debit": decimal_text(line.debits, asset),
                "credit": decimal_text(line.credits, asset),
                "balance": decimal_text(line.after.credits - line.after.debits, asset),
            }
            if session.json:
                session.write_json(members)
            else:
                moved = [
                    members[name] if units else "" for name, units in (("debit", line.debits), ("credit", line.credits))
                ]
                sys.stdout.write(
                    f"{members['seq']:>8}  {members['effective']:<27}  {moved[0]:>14}  {moved[1]:>14}  "
                    f"{members['balance']:>14}  {safe(line.entry.id or line.entry.kind)}\n"
                )


@click.command(short_help="Entries in order.")
@click.option("--from", "first", type=click.IntRange(min=0), default=0, metavar="SEQ", help="First entry.")
@click.option("--to", "end", type=click.IntRange(min=0), metavar="SEQ", help="Last entry.")
@click.option("--id", help="The entry with this id.")
@click.option("--account", help="Only entries that touch this account.")
@click.option("-m", "--metadata", metavar="KEY=VALUE", help="Only entries with this metadata.")
@options(ledger=True)
@pass_session
def entries(
    session: Session, first: int, end: int | None, id: str | None, account: str | None, metadata: str | None
) -> None:
    """Entries in order, all of them or those asked for.

    \b
    Examples:
      tallystick entries --from 1000 --to 1010
      tallystick entries --account customers:ada -m invoice=2026-17 --json
    """
    wanted: tuple[str, str] | None = None
    if metadata is not None:
        key, mark, value = metadata.partition("=")
        if not mark:
            raise click.BadParameter(f"{metadata!r} is not KEY=VALUE", param_hint="--metadata")
        wanted = (key, value)
    with session.ledger() as ledger:
        last = None if end is None else end + 1
        found = [ledger.entry(id)] if id else ledger.entries(first, last, account=account, metadata=wanted)
        for entry in found:
            members = object_of(entry)
            if session.json:
                session.write_json(members)
            else:
                sys.stdout.write(f"{entry.seq:>8}  {members['at']}  {entry.kind:<11}  {safe(_summary(members))}\n")


def _summary(members: dict[str, Any]) -> str:
    legs = members.get("legs", [])
    moved = [
        f"{leg['debit']} <- {leg['credit']} {decimal_text(leg['amount'], leg['asset'])} {leg['asset'][:-2]}"
        for leg in legs[:2]
    ]
    more = [f"and {len(legs) - 2} more"] if len(legs) > 2 else []
    named = members.get("account", {}).get("name", "") if isinstance(members.get("account"), dict) else ""
    said = [members.get("id", ""), named, *moved, *more, members.get("reference", "")]
    return "  ".join(text for text in said if text)


@click.command("trial-balance", short_help="Totals per asset over all accounts.")
@options(ledger=True)
@pass_session
def trial_balance(session: Session) -> None:
    """Totals per asset over all accounts; exit 1 if an asset does not balance."""
    with session.ledger() as ledger:
        totals = ledger.trial_balance()
    numbers = ("accounts", "debits", "credits", "pending_debits", "pending_credits")
    rows = [
        {
            "asset": total.asset,
            "accounts": total.accounts,
            **{name: decimal_text(getattr(total, name), total.asset) for name in numbers[1:]},
        }
        for total in totals
    ]
    session.rows(rows, ("asset", *numbers), right=numbers)
