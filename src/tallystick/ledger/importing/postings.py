"""Postings of a plain-text journal -> legs.

A journal's transaction lists signed postings that sum to zero; a ledger's transaction lists legs that each move one
amount from one account to another. In each asset the debits are matched with the credits in the order of the file:
+70 food, +30 rent, -100 bank gives the legs bank -> food 70 and bank -> rent 30.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tallystick.ledger.importing.lines import Command, Unbookable
from tallystick.ledger.importing.mapping import ImportMapping
from tallystick.ledger.importing.values import account_name, asset_name, minor_units, one_line, path_name

__all__ = ["Posting", "journal_command", "legs"]


@dataclass(frozen=True, slots=True)
class Posting:
    """`number` and `commodity` as the file writes them; both None if the amount is left out."""

    account: str
    number: str | None
    commodity: str | None


def legs(moves: Sequence[tuple[str, str, int]]) -> list[dict[str, str]]:
    """Legs of (account, asset, signed minor units); `Unbookable` if an asset does not sum to zero or nothing moves."""
    out: list[dict[str, str]] = []
    for asset in dict.fromkeys(asset for _, asset, _ in moves):
        totals: dict[str, int] = {}
        sides: dict[str, set[bool]] = {}
        rows = [(account, units) for account, found, units in moves if found == asset and units]
        for account, units in rows:
            totals[account] = totals.get(account, 0) + units
            sides.setdefault(account, set()).add(units > 0)
        if any(len(signs) == 2 for signs in sides.values()):  # a leg cannot lead from an account to itself
            rows = [(account, units) for account, units in totals.items() if units]
        if sum(totals.values()) != 0:
            reason = f"{asset} is out by {sum(totals.values())} minor units; each asset must balance by itself"
            raise Unbookable("legs", f"{reason}, so an exchange needs an account that takes both sides")
        credits = [(account, -units) for account, units in rows if units < 0]
        for debit, needed in ((account, units) for account, units in rows if units > 0):
            missing = needed
            while missing:
                credit, offered = credits.pop(0)
                amount = min(missing, offered)
                out.append({"debit": debit, "credit": credit, "asset": asset, "amount": str(amount)})
                missing -= amount
                if offered > amount:
                    credits.insert(0, (credit, offered - amount))
    if not out:
        raise Unbookable("legs", "the transaction moves nothing")
    if len(out) > 1000:
        raise Unbookable("legs", f"the transaction needs {len(out)} legs; an entry has at most 1,000")
    return out


def _moves(
    postings: Sequence[Posting], mapping: ImportMapping, assets: Mapping[str, str]
) -> list[tuple[str, str, int]]:
    moves: list[tuple[str, str, int]] = []
    left_out: list[str] = []
    for posting in postings:
        name = mapping.accounts.get(posting.account) or path_name(posting.account)
        account = account_name("legs", name)
        if posting.number is None or posting.commodity is None:
            left_out.append(account)
        else:
            asset, scale = asset_name(posting.commodity, assets)
            moves.append((account, asset, minor_units(posting.number, scale, mapping.journal)))
    if len(left_out) > 1:
        raise Unbookable("legs", "more than one posting leaves its amount out")
    for account in left_out:
        for asset in dict.fromkeys(asset for _, asset, _ in moves):
            moves.append((account, asset, -sum(units for _, found, units in moves if found == asset)))
    return moves


def journal_command(
    postings: Sequence[Posting],
    mapping: ImportMapping,
    assets: Mapping[str, str],
    effective: str,
    reference: str,
    metadata: Mapping[str, str],
) -> Command:
    """A transaction without its id; `assets` explains commodities (the mapping's and the file's own)."""
    command: Command = {"legs": legs(_moves(postings, mapping, assets)), "effective": effective}
    if one_line(reference, 256):
        command["reference"] = one_line(reference, 256)
    shown = {one_line(name, 128): one_line(text, 4096) for name, text in metadata.items() if one_line(text, 4096)}
    if shown:
        command["metadata"] = shown
    return command
