"""One row of named values -> one transaction of one leg, as a mapping file says. CSV and JSONL share this."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tallystick.errors import Rejected
from tallystick.ledger.importing.lines import Command, Line, Occurrences, Problem, Skipped, Unbookable
from tallystick.ledger.importing.mapping import ImportMapping, MalformedMapping, Template
from tallystick.ledger.importing.values import account_name, asset_name, minor_units, one_line, path_name, segment

__all__ = ["RowMapper", "bind_columns"]

SURROGATE = re.compile("[\ud800-\udfff]")  # what `decode` leaves of a byte outside the encoding


def bind_columns(mapping: ImportMapping, header: Sequence[str]) -> dict[str, int | str]:
    """For each name that the mapping uses: the index of its column, or its default text.

    `Rejected` if a column is missing or a title that is used stands twice: no row of such a file can be trusted.
    """
    titles = [title.strip() for title in header]
    bound: dict[str, int | str] = {}
    for name in mapping.used():
        column = mapping.columns.get(name)
        wanted = column.titles if column else (name,)
        found = [index for index, title in enumerate(titles) if title in wanted]
        if len(found) == 1:
            bound[name] = found[0]
        elif not found and column and column.default is not None:
            bound[name] = column.default
        else:
            raise Rejected(
                f"the file has {len(found) or 'no'} column{'s' * (len(found) > 1)} for {name!r}",
                next_step="Name the right title under [columns] in the mapping.",
                expected=" or ".join(wanted),
                found=", ".join(titles),
            )
    return bound


class RowMapper:
    """Turns rows into lines; keeps count of equal rows and of the ids given out."""

    def __init__(self, mapping: ImportMapping) -> None:
        missing = [name for name in ("debit", "credit", "asset") if getattr(mapping, name) is None]
        if mapping.amount is None:
            missing.append("amount")
        if missing:
            raise MalformedMapping(
                "the mapping does not say how a row becomes a transaction",
                next_step="docs/how-to/import.md shows a whole mapping.",
                missing=", ".join(missing),
            )
        self._mapping = mapping
        self._used = mapping.used()
        self._rows = Occurrences()
        self._ids: dict[str, int] = {}

    def line(self, number: int, values: Mapping[str, str], original: str | tuple[str, ...]) -> Line:
        """The line of a row whose values are bare text without surrounding space."""
        digest, occurrence = self._rows.number([values[name] for name in self._mapping.digest or self._used])
        for rule in self._mapping.skip:
            if rule.applies(values):
                return Line(number, Skipped(rule.why), original)
        try:
            command = self._command({**values, "digest": digest, "occurrence": str(occurrence)})
        except Unbookable as error:
            return Line(number, error.problem, original)
        # A second row with the id of a first would be answered as its repetition and lost.
        first = self._ids.setdefault(str(command["id"]), number)
        if first != number:
            reason = f"line {first} has the same id {command['id']!r}; {{occurrence}} in the id keeps both"
            return Line(number, Problem("id", reason), original)
        return Line(number, command, original)

    def _command(self, values: Mapping[str, str]) -> Command:
        mapping = self._mapping
        assert mapping.debit and mapping.credit and mapping.asset
        if found := SURROGATE.search("\n".join(values.values())):
            raise Unbookable("", f"{found[0]!a} is no character: a byte that is not of the file's encoding")
        asset, scale = asset_name(mapping.asset.require("asset", values, str), mapping.assets)
        amount = self._amount(values, scale)
        debit, credit = self._account("debit", mapping.debit, values), self._account("credit", mapping.credit, values)
        if debit == credit:
            raise Unbookable("debit", f"debit and credit are both {debit!r}")
        if amount < 0:
            debit, credit = credit, debit
        leg = {"debit": debit, "credit": credit, "asset": asset, "amount": str(abs(amount))}
        command: Command = {"id": self._id(values), "legs": [leg]}
        if mapping.date:
            command["effective"] = mapping.dates.read(values[mapping.date])
        reference = one_line(mapping.reference.expand(values, str), 256) if mapping.reference else ""
        if reference:
            command["reference"] = reference
        metadata = {name: template.expand(values, str).strip() for name, template in mapping.metadata.items()}
        if any(metadata.values()):
            command["metadata"] = {name: text for name, text in metadata.items() if text}
        return command

    def _amount(self, values: Mapping[str, str], scale: int) -> int:
        rule = self._mapping.amount
        assert rule
        texts = [values[name] if name else "" for name in (rule.plus, rule.minus)]
        if not any(texts):
            raise Unbookable("amount", "the amount is empty")
        plus, minus = (minor_units(text, scale, rule.numbers) if text else 0 for text in texts)
        amount = plus - minus
        if amount == 0:
            raise Unbookable("amount", "the amount is zero, so there is nothing to book")
        if amount < 0 and rule.negative == "refuse":
            raise Unbookable("amount", f"{' '.join(texts).strip()!r} is negative, which the mapping refuses")
        return amount

    def _account(self, member: str, template: Template, values: Mapping[str, str]) -> str:
        # A template that is one field and nothing else holds whole account names.
        name = template.require(member, values, path_name if template.literals == ("", "") else segment)
        return account_name(member, self._mapping.accounts.get(name, name))

    def _id(self, values: Mapping[str, str]) -> str:
        text = self._mapping.id.require("id", values, str)
        if one_line(text, 129) != text or not 0 < len(text) <= 128:
            raise Unbookable("id", f"{text!r} is no id: 1 to 128 characters on one line")
        return text
