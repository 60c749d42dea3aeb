"""The mapping file: how the columns of a foreign file become transactions.

TOML; every table may be left out but those that the format needs.

    format = "csv"                        # csv, jsonl, camt.053, hledger, beancount; left out: by the file's name

    [csv]
    encoding = "auto"                     # or a Python codec; auto: byte order mark, else UTF-8, else cp1252
    delimiter = ","
    skip_lines = 0                        # lines before the header

    [columns]                             # name = title, titles to choose from, or with a default if there is none
    category = ["Expenditure Category", "Expenditure Catergory"]
    body = { titles = ["Body Name", "Client"], default = "OCC" }

    [date]
    column = "Paid Date"
    formats = ["%d/%m/%Y", "%Y-%m-%d"]    # strptime; without a zone: UTC
    not_before = 2015-04-01               # and not_after: days outside are refused
    [amount]
    column = "Amount"                     # or plus = "Paid in" and minus = "Paid out"
    decimal = "."
    thousands = ","
    strip = "£"
    negative = "swap"                     # or "refuse"
    [transaction]
    debit = "expense:{Expenditure Code}"  # accounts: each field becomes one segment
                                          # (a template that is one field only: a whole account name)
    credit = "supplier:{Supplier ID|unknown}"
    asset = "GBP/2"
    id = "row:{digest}:{occurrence}"
    reference = "{Trans No}"
    digest = ["Trans No", "Amount"]       # the columns that `{digest}` covers; left out: all that are used
    [metadata]
    category = "{category}"
    [[skip]]
    column = "Type"
    matches = "^Total"                    # a regular expression; or equals = "…"; or empty = true
    why = "a total, not a booking"

    [assets]                              # what the file calls an asset = CODE/SCALE
    "£" = "GBP/2"
    [accounts]                            # an account name as it would come out = the one to use
    "expense:B1101" = "expense:repairs"
    [statement]                           # camt.053 only
    account = "bank:{account}"
    counterparty = "suspense:{account}"
    [journal]                             # hledger, beancount: how numbers are written
    decimal = "."
    thousands = ","

A template holds fields `{name}` and `{name|what to write if it is empty}`; a name is one of `[columns]` or a column's
title (JSONL: a path such as `payee.id`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from tallystick.errors import Rejected
from tallystick.ledger.importing.lines import Unbookable
from tallystick.ledger.importing.values import ASSET, EARLIEST, LATEST, Dates, Numbers

__all__ = ["AmountRule", "Column", "ImportMapping", "MalformedMapping", "SkipRule", "Template", "parse_mapping"]

ISO_DATES = Dates(("%Y-%m-%d",))
PLAIN_NUMBERS = Numbers()
FIELD = re.compile(r"\{([^{}|]+)(?:\|([^{}]*))?\}")


class MalformedMapping(Rejected):
    """The mapping file says something that cannot be followed; `member` names where."""


@dataclass(frozen=True, slots=True)
class Template:
    """Text with fields: `parts` alternates literals and (field, fallback or None), a literal first and last."""

    text: str
    literals: tuple[str, ...]
    fields: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        pieces = FIELD.split(text)
        literals, names, fallbacks = pieces[0::3], pieces[1::3], pieces[2::3]
        if any("{" in literal or "}" in literal for literal in literals):
            raise ValueError("a brace without its partner")
        return cls(text, tuple(literals), tuple(zip(names, fallbacks, strict=True)))

    def expand(self, values: Mapping[str, str], clean: Callable[[str], str]) -> str:
        """The text with each field's value, after `clean`; the fallback stands in for one that is empty."""
        out = [self.literals[0]]
        for (name, fallback), literal in zip(self.fields, self.literals[1:], strict=True):
            value = clean(values[name])
            out.append(value if value or fallback is None else fallback)
            out.append(literal)
        return "".join(out)

    def require(self, member: str, values: Mapping[str, str], clean: Callable[[str], str]) -> str:
        """Like `expand`, but a field that stays empty is `Unbookable`."""
        for name, fallback in self.fields:
            if not fallback and not clean(values[name]):
                found = f"holds {values[name]!r}, nothing of which can stand here" if values[name] else "is empty"
                raise Unbookable(member, f"column {name!r} {found}")
        return self.expand(values, clean)


@dataclass(frozen=True, slots=True)
class Column:
    """Titles to choose from; `default` is the value if the file has none of them (None: the file is refused)."""

    titles: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class AmountRule:
    """Amount = `plus` column minus `minus` column (either may be absent)."""

    plus: str | None
    minus: str | None
    numbers: Numbers
    negative: Literal["swap", "refuse"]


@dataclass(frozen=True, slots=True)
class SkipRule:
    """Rows whose `column` passes the test are no bookings."""

    column: str
    test: Literal["equals", "matches", "empty"]
    value: str
    why: str

    def applies(self, values: Mapping[str, str]) -> bool:
        text = values[self.column]
        if self.test == "equals":
            return text == self.value
        return not text if self.test == "empty" else re.search(self.value, text) is not None


ROW_ID = Template.parse("row:{digest}:{occurrence}")
BANK = Template.parse("bank:{account}")
SUSPENSE = Template.parse("suspense:{account}")


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """A parsed mapping file; the module's grammar says what each table means."""

    format: str | None = None
    encoding: str = "auto"
    delimiter: str = ","
    skip_lines: int = 0
    columns: Mapping[str, Column] = field(default_factory=dict)
    date: str | None = None
    dates: Dates = ISO_DATES
    amount: AmountRule | None = None
    debit: Template | None = None
    credit: Template | None = None
    asset: Template | None = None
    id: Template = ROW_ID
    reference: Template | None = None
    digest: tuple[str, ...] | None = None
    metadata: Mapping[str, Template] = field(default_factory=dict)
    skip: Sequence[SkipRule] = ()
    assets: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    statement_account: Template = BANK
    counterparty: Template = SUSPENSE
    journal: Numbers = PLAIN_NUMBERS

    def used(self) -> tuple[str, ...]:
        """The names of all columns that the mapping speaks of, sorted."""
        names = set(self.columns)
        for template in (self.debit, self.credit, self.asset, self.id, self.reference, *self.metadata.values()):
            if template:
                names.update(name for name, _ in template.fields)
        if self.amount:
            names.update(name for name in (self.amount.plus, self.amount.minus) if name)
        names.update(rule.column for rule in self.skip)
        names.update(self.digest or ())
        if self.date:
            names.add(self.date)
        return tuple(sorted(names - {"digest", "occurrence"}))


class _Table:
    """A TOML table that is read member by member; what was not read at the end was misspelt."""

    def __init__(self, name: str, values: object) -> None:
        self.name = name
        if not isinstance(values, dict):
            raise MalformedMapping("the mapping's member must be a table", member=name)
        self.left: dict[str, Any] = dict(values)

    def fail(self, member: str, why: str) -> MalformedMapping:
        where = f"{self.name}.{member}" if self.name else member
        return MalformedMapping(f"the mapping cannot be followed: {why}", member=where)

    def take(self, member: str, kind: type, default: Any = None) -> Any:
        value = self.left.pop(member, default)
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool)):
            raise self.fail(member, f"expected {kind.__name__}, found {value!r}")
        return value

    def one_of(self, member: str, choices: Sequence[str], default: str) -> str:
        value: str = self.take(member, str, default)
        if value not in choices:
            raise self.fail(member, f"expected one of {', '.join(choices)}, found {value!r}")
        return value

    def optional(self, member: str) -> Template | None:
        return self.template(member, None) if member in self.left else None

    def template(self, member: str, default: Template | None) -> Template:
        text = self.take(member, str)
        if text is None:
            if default is None:
                raise self.fail(member, "it is missing")
            return default
        try:
            return Template.parse(text)
        except ValueError as error:
            raise self.fail(member, f"{text!r} has {error}") from None

    def table(self, member: str) -> _Table:
        return _Table(f"{self.name}.{member}" if self.name else member, self.left.pop(member, {}))

    def strings(self, member: str) -> tuple[str, ...] | None:
        value = self.left.pop(member, None)
        if value is None:
            return None
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not values or not all(isinstance(v, str) and v for v in values):
            raise self.fail(member, f"expected text or a list of texts, found {value!r}")
        return tuple(values)

    def finish(self) -> None:
        for member in self.left:
            raise self.fail(member, "there is no such member")


def _column(columns: _Table, name: str) -> Column:
    if not isinstance(columns.left[name], dict):
        return Column(columns.strings(name) or ())
    table = columns.table(name)
    column = Column(table.strings("titles") or (name,), table.take("default", str))
    table.finish()
    return column


def _numbers(table: _Table) -> Numbers:
    decimal = table.one_of("decimal", (".", ","), ".")
    thousands = table.take("thousands", str, "," if decimal == "." else ".")
    if len(thousands) > 1 or thousands.isdigit() or thousands == decimal:
        raise table.fail("thousands", f"expected none or one character other than decimal, found {thousands!r}")
    return Numbers(decimal, thousands, table.take("strip", str, ""))


def _amount(table: _Table) -> AmountRule | None:
    column, plus, minus = (table.take(member, str) for member in ("column", "plus", "minus"))
    numbers = _numbers(table)
    negative = table.one_of("negative", ("swap", "refuse"), "swap")
    if column and (plus or minus):
        raise table.fail("column", "it excludes plus and minus")
    if not (column or plus or minus):
        return None
    return AmountRule(column or plus, minus, numbers, "swap" if negative == "swap" else "refuse")


def _day(table: _Table, member: str, default: datetime) -> datetime:
    value = table.left.pop(member, None)
    if value is None:
        return default
    if not isinstance(value, date) or isinstance(value, datetime):
        raise table.fail(member, f"expected a day such as 2015-04-01, found {value!r}")
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _skip(name: str, values: object) -> SkipRule:
    table = _Table(name, values)
    column = table.take("column", str)
    equals, matches, empty = table.take("equals", str), table.take("matches", str), table.take("empty", bool)
    why = table.take("why", str)
    table.finish()
    if column is None or sum(test is not None for test in (equals, matches, empty)) != 1 or empty is False:
        raise table.fail("column", "a rule names a column and one of equals, matches and empty = true")
    if equals is not None:
        return SkipRule(column, "equals", equals, why or f"{column} is {equals!r}")
    if empty:
        return SkipRule(column, "empty", "", why or f"{column} is empty")
    try:
        re.compile(matches)
    except re.error as error:
        raise table.fail("matches", f"{matches!r} is no regular expression: {error}") from None
    return SkipRule(column, "matches", matches, why or f"{column} matches {matches!r}")


def parse_mapping(data: bytes) -> ImportMapping:
    """Read a mapping file; `MalformedMapping` names the member at fault."""
    try:
        root = _Table("", tomllib.loads(data.decode("utf-8-sig")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MalformedMapping(f"the mapping is not TOML: {error}") from None
    plain = ImportMapping()
    csv, columns, day, amount = root.table("csv"), root.table("columns"), root.table("date"), root.table("amount")
    transaction, metadata, statement = root.table("transaction"), root.table("metadata"), root.table("statement")
    assets, accounts, journal = root.table("assets"), root.table("accounts"), root.table("journal")
    delimiter = csv.take("delimiter", str, plain.delimiter)
    if len(delimiter) != 1:
        raise csv.fail("delimiter", f"expected one character, found {delimiter!r}")
    formats = day.strings("formats") or plain.dates.formats
    mapping = ImportMapping(
        format=root.take("format", str),
        encoding=csv.take("encoding", str, plain.encoding),
        delimiter=delimiter,
        skip_lines=csv.take("skip_lines", int, plain.skip_lines),
        columns={name: _column(columns, name) for name in tuple(columns.left)},
        date=day.take("column", str),
        dates=Dates(formats, _day(day, "not_before", EARLIEST), _day(day, "not_after", LATEST)),
        amount=_amount(amount),
        debit=transaction.optional("debit"),
        credit=transaction.optional("credit"),
        asset=transaction.optional("asset"),
        id=transaction.template("id", plain.id),
        reference=transaction.optional("reference"),
        digest=transaction.strings("digest"),
        metadata={name: metadata.template(name, None) for name in tuple(metadata.left)},
        skip=tuple(_skip(f"skip.{i}", rule) for i, rule in enumerate(root.take("skip", list, []))),
        assets={name: assets.take(name, str) for name in tuple(assets.left)},
        accounts={name: accounts.take(name, str) for name in tuple(accounts.left)},
        statement_account=statement.template("account", plain.statement_account),
        counterparty=statement.template("counterparty", plain.counterparty),
        journal=_numbers(journal),
    )
    columns.left.clear()
    for table in (root, csv, columns, day, amount, transaction, metadata, statement, assets, accounts, journal):
        table.finish()
    for name, asset in mapping.assets.items():
        if not ASSET.fullmatch(asset):
            raise assets.fail(name, f"expected CODE/SCALE such as GBP/2, found {asset!r}")
    return mapping
