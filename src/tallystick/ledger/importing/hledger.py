"""hledger journals (https://hledger.org/1.25/hledger.html, "Journal format") -> lines.

    transaction = date ["=" date] [status] ["(" code ")"] description [";" comment] LF posting…
    date        = YYYY ("-" | "/" | ".") M ("-" | "/" | ".") D
    status      = "*" | "!"
    posting     = indent [status] account [2 spaces or tab, amount ["@" price] ["=" assertion]] [";" comment]
    amount      = number commodity | commodity number

An asset's decimal places are those of its `commodity` directive, of the mapping's `[assets]`, or of ISO 4217.
Directives that only describe (`account`, `commodity`, `P`, `D`, `tag`, `payee`, `~` and `=` rules, which hledger
applies on request only) are listed as skipped; those that would change what is booked (`include`, `alias`, `apply`,
`Y`) are problems, for leaving them out would book something else than hledger reads. Prices and balance assertions
are not carried over; unbalanced virtual postings are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tallystick.ledger.importing.blocks import Block, blocks, lines_of
from tallystick.ledger.importing.delimited import decode
from tallystick.ledger.importing.lines import Command, Line, Skipped, Unbookable, physical_lines
from tallystick.ledger.importing.mapping import ImportMapping
from tallystick.ledger.importing.postings import Posting, journal_command
from tallystick.ledger.importing.values import ASSET, Dates, Numbers

__all__ = ["read_hledger"]

HEAD = re.compile(
    r"(?P<date>\d{4}([-/.])\d{1,2}\2\d{1,2})(?:=\S+)?(?:\s+(?P<status>[*!]))?(?:\s+\((?P<code>[^)]*)\))?"
    r"(?:\s+(?P<description>[^;]*))?(?:;(?P<comment>.*))?"
)
QUOTED_OR_SIGN = r"\"[^\"]+\"|[^\s\d\"+\-.,;@=*(){}\[\]]+"
AMOUNT = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<left>{QUOTED_OR_SIGN})?\s*(?P<number>[+-]?[\d.,\s]*\d[\d.,]*)\s*(?P<right>{QUOTED_OR_SIGN})?"
)
DATES = Dates(("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"))
DESCRIBING = ("account", "commodity", "P", "D", "tag", "payee", "decimal-mark", "~", "=", "end")
TAG = re.compile(r"(?:^|,)\s*([\w-]+):([^,]*)")


def _amount(text: str) -> tuple[str, str]:
    match = AMOUNT.fullmatch(text.strip())
    if not match or bool(match["left"]) == bool(match["right"]):
        raise Unbookable("legs", f"{text.strip()!r} is no amount with one commodity")
    sign = match["sign"] or ""
    if sign and match["number"][0] in "+-":
        raise Unbookable("legs", f"{text.strip()!r} has two signs")
    return sign + match["number"].strip(), (match["left"] or match["right"]).strip('"')


def _posting(line: str) -> Posting | None:
    body = line.partition(";")[0].rstrip()
    body = re.sub(r"^[*!]\s+", "", body)
    if not body:
        return None
    account, _, rest = re.sub(r"\s*(?:\t| {2})\s*", "\0", body, count=1).partition("\0")
    if account.startswith("("):
        raise Unbookable("legs", f"{account} is an unbalanced virtual posting, which double entry has no place for")
    account = account.strip("[]")
    # An assertion or a price stands after the amount; neither moves anything.
    amount = re.split(r"@|=|\{", rest, maxsplit=1)[0].strip()
    if not amount:
        if rest.strip():
            raise Unbookable("legs", f"{line!r} assigns a balance; write the amount that it moves")
        return Posting(account, None, None)
    return Posting(account, *_amount(amount))


def _tags(comment: str) -> dict[str, str]:
    return {name: value.strip() for name, value in TAG.findall(comment)}


def _outside_comments(text: str) -> str:
    """The text with `comment` … `end comment` blocks blanked, so that line numbers stay."""
    out, inside = [], False
    for line in physical_lines(text):
        word = line.strip()
        inside = inside or word == "comment"
        out.append("" if inside else line)
        inside = inside and word != "end comment"
    return "\n".join(out)


def _declared(text: str, numbers: Numbers) -> dict[str, str]:
    """The scale of each asset code that a `commodity` directive shows with its decimal places."""
    found = {}
    for sample in re.findall(r"^commodity\s+([^;\n]*\d[^;\n]*)", text, re.MULTILINE):
        try:
            number, name = _amount(sample)
        except Unbookable:  # a form that we do not read declares nothing; its amounts then have no known scale
            continue
        asset = f"{name}/{len(number.partition(numbers.decimal)[2])}"
        if ASSET.fullmatch(asset):
            found[name] = asset
    return found


def read_hledger(data: bytes, mapping: ImportMapping | None) -> Iterator[Line]:
    """One line for each transaction and each directive."""
    given = mapping or ImportMapping()
    text = _outside_comments(decode(data, given.encoding))
    mark = re.search(r"^decimal-mark\s+([.,])", text, re.MULTILINE)
    if mark:
        given = replace(given, journal=Numbers(mark[1], "," if mark[1] == "." else "."))
    assets = {"€": "EUR/2", "£": "GBP/2", **_declared(text, given.journal), **given.assets}

    def read(block: Block) -> Command | Skipped:
        word = re.split(r"\s", block.head, maxsplit=1)[0]
        if word in DESCRIBING or word[0] in "~=":
            return Skipped(f"a directive: {word}")
        head = HEAD.fullmatch(block.head)
        if not head:
            reason = f"{word!r} starts neither a transaction nor a directive that can be left out"
            raise Unbookable("", reason)
        comments = [head["comment"] or "", *(line.partition(";")[2] for line in block.rest if line.startswith(";"))]
        metadata = {"description": head["description"] or ""}
        for comment in comments:
            metadata.update(_tags(comment))
        if head["status"] == "!":
            metadata["status"] = "pending"
        postings = [posting for posting in map(_posting, block.rest) if posting]
        return journal_command(postings, given, assets, DATES.read(head["date"]), head["code"] or "", metadata)

    return lines_of(blocks(text, ";#*"), "hledger", read)
