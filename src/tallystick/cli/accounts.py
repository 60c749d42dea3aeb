"""`account …`."""

from __future__ import annotations

import json
from typing import Any

import click

from tallystick.cli.recording import pairs, record_one
from tallystick.cli.session import Session, by_option, options, pass_session
from tallystick.errors import Rejected
from tallystick.ledger.exporting import decimal_text
from tallystick.ledger.importing.lines import Unbookable
from tallystick.ledger.importing.values import asset_name, minor_units
from tallystick.storage.ports import BalanceRow

__all__ = ["account", "balance_members"]

LIMITS = ("debits_must_not_exceed_credits", "credits_must_not_exceed_debits", "none")


def balance_members(row: BalanceRow) -> dict[str, Any]:
    """A balance for people and programs: `balance` is credits minus debits, in the asset's own unit."""
    return {
        "account": row.account,
        "asset": row.asset,
        "balance": decimal_text(row.credits - row.debits, row.asset),
        "debits": decimal_text(row.debits, row.asset),
        "credits": decimal_text(row.credits, row.asset),
        "pending_debits": decimal_text(row.pending_debits, row.asset),
        "pending_credits": decimal_text(row.pending_credits, row.asset),
    }


@click.group()
def account() -> None:
    """Open, list and change accounts."""


def _overdraft(values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name, amount in pairs(values).items():
        try:
            asset, scale = asset_name(name, {})
            found[asset] = str(minor_units(amount, scale))
        except Unbookable as error:
            raise click.BadParameter(error.problem.reason, param_hint="--overdraft") from None
    return found


def _definition(action: str) -> click.Command:
    @click.argument("name")
    @click.option("--id", help="An id, so that asking twice does it once.")
    @click.option("--limit", type=click.Choice(LIMITS), help="Which side may not exceed the other.")
    @click.option(
        "--normal", type=click.Choice(("debit", "credit")), help="The side on which the account normally stands."
    )
    @click.option(
        "--overdraft", multiple=True, metavar="ASSET=AMOUNT", help="How far the limit may be passed; repeatable."
    )
    @click.option("--asset", "assets", multiple=True, help="An allowed asset, e.g. EUR/2; repeatable. Default: all.")
    @click.option("-m", "--metadata", multiple=True, metavar="KEY=VALUE", help="Repeatable.")
    @click.option("--reason")
    @by_option
    @options(ledger=True)
    @pass_session
    def command(
        session: Session, /, by: str, overdraft: tuple[str, ...], metadata: tuple[str, ...], **given: Any
    ) -> None:
        members = {
            **given,
            "assets": list(given["assets"]),
            "overdraft": _overdraft(overdraft),
            "metadata": pairs(metadata),
        }
        record_one(session, {"kind": "account", "action": action, **{k: v for k, v in members.items() if v}}, by)

    what = "Open the account NAME" if action == "open" else "Replace the whole definition of the account NAME"
    command.__doc__ = f"""{what}.

    \b
    Example:
      tallystick account {action} customers:ada --limit debits_must_not_exceed_credits --overdraft EUR/2=100.00
    """
    return click.command(action)(command)


def _change(action: str, what: str) -> click.Command:
    @click.argument("name")
    @click.option("--id", help="An id, so that asking twice does it once.")
    @click.option("--reason")
    @by_option
    @options(ledger=True)
    @pass_session
    def command(session: Session, /, by: str, **given: str | None) -> None:
        members = {name: value for name, value in given.items() if value}
        record_one(session, {"kind": "account", "action": action, **members}, by)

    command.__doc__ = what
    return click.command(action)(command)


account.add_command(_definition("open"))
account.add_command(_definition("update"))
account.add_command(_change("freeze", "Refuse every posting to the account NAME until it is unfrozen."))
account.add_command(_change("unfreeze", "Let the account NAME be posted to again."))
account.add_command(_change("close", "Close the account NAME, whose balances must be zero."))
account.add_command(_change("reopen", "Open the closed account NAME again."))


def _members(name: str, definition: bytes | None, balances: list[BalanceRow]) -> dict[str, Any]:
    stated = json.loads(definition) if definition else {}
    return {
        "account": name,
        "state": stated.get("state", "open"),
        "limit": stated.get("limit"),
        "definition": stated or None,
        "balances": [balance_members(row) for row in balances],
    }


@account.command("list")
@click.argument("prefix", default="")
@options(ledger=True)
@pass_session
def list_(session: Session, prefix: str) -> None:
    """List the accounts whose name starts with PREFIX.

    \b
    Example:
      tallystick account list customers: --json
    """
    with session.ledger() as ledger:
        found = [_members(*each) for each in ledger.accounts(prefix)]
    for each in found:
        each["balance"] = ", ".join(f"{b['balance']} {b['asset'].partition('/')[0]}" for b in each["balances"])
    session.rows(found, ("account", "state", "limit", "balance"), right=("balance",))


@account.command()
@click.argument("name")
@options(ledger=True)
@pass_session
def show(session: Session, name: str) -> None:
    """Show the definition and the balances of the account NAME."""
    with session.ledger() as ledger:
        found = next((_members(*each) for each in ledger.accounts(name) if each[0] == name), None)
    if found is None:
        raise Rejected("no such account", account=name, next_step="`tallystick account list` shows all.")
    lines = [f"{name} ({found['state']})"]
    stated = {key: value for key, value in (found["definition"] or {}).items() if key not in ("name", "state")}
    lines += [f"  {key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in stated.items()]
    lines += [
        f"  {b['balance']} {b['asset']}  (debits {b['debits']}, credits {b['credits']})" for b in found["balances"]
    ]
    session.show(found, "\n".join(lines))
