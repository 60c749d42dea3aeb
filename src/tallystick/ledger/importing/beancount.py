"""beancount journals (https://beancount.github.io/docs/beancount_language_syntax.html) -> lines.

    transaction = date flag [payee] narration {"#" tag | "^" link} LF {metadata | posting}
    flag        = "*" | "!" | "txn"
    metadata    = indent key ":" value
    posting     = indent [flag] account [number commodity ["{" cost "}"] ["@" price]] [";" comment]

Directives that only describe or check (`open`, `close`, `commodity`, `balance`, `price`, `note`, `document`, `event`,
`query`, `custom`, `option`, `plugin`) are listed as skipped; those that would change what is booked (`include`, `pad`,
`pushtag`, …) are problems. Lots are not booked: what is bought at a cost balances by itself or is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tallystick.ledger.importing.blocks import Block, blocks, lines_of
from tallystick.ledger.importing.delimited import decode
from tallystick.ledger.importing.lines import Command, Line, Skipped, Unbookable
from tallystick.ledger.importing.mapping import ImportMapping
from tallystick.ledger.importing.postings import Posting, journal_command
from tallystick.ledger.importing.values import Dates

__all__ = ["read_beancount"]

STRING = r'"((?:[^"\\]|\\.)*)"'
DATED = re.compile(r"(?P<date>\d{4}[-/]\d{1,2}[-/]\d{1,2})\s+(?P<word>\S+)\s*(?P<rest>.*)")
HEAD = re.compile(rf"(?:{STRING})?\s*(?:{STRING})?(?P<marks>(?:\s*[#^][\w/.-]+)*)\s*(?:;.*)?")
METADATA = re.compile(r"([a-z][\w-]*):\s*(.*)")
POSTING = re.compile(
    r"(?:[*!]\s+)?(?P<account>[A-Z]\S*)(?:\s+(?P<number>[+-]?\s*[\d.,]+)\s+(?P<commodity>[A-Z][A-Z0-9'._-]*))?"
    r"\s*(?:\{.*?\}+)?\s*(?:@.*?)?\s*(?:;.*)?"
)
DATES = Dates(("%Y-%m-%d", "%Y/%m/%d"))
DESCRIBING = ("open", "close", "commodity", "balance", "price", "note", "document", "event", "query", "custom")


def _transaction(block: Block, flag: str, rest: str, date: str, mapping: ImportMapping) -> Command:
    head = HEAD.fullmatch(rest)
    if not head:
        raise Unbookable("", f"{rest!r} is no payee and narration")
    first, second = (re.sub(r"\\(.)", r"\1", text) if text is not None else None for text in head.group(1, 2))
    payee, narration = (first, second) if second is not None else (None, first)
    metadata = {"payee": payee or "", "narration": narration or ""}
    marks = head["marks"].split()
    metadata["tags"] = " ".join(mark[1:] for mark in marks if mark[0] == "#")
    metadata["links"] = " ".join(mark[1:] for mark in marks if mark[0] == "^")
    if flag == "!":
        metadata["flag"] = "!"
    postings: list[Posting] = []
    for line in block.rest:
        if line.startswith(";"):
            continue
        pair = METADATA.fullmatch(line)
        if pair:
            if not postings:  # what stands below a posting describes that posting only
                metadata[pair[1]] = pair[2].strip('"')
            continue
        posting = POSTING.fullmatch(line)
        if not posting:
            raise Unbookable("legs", f"{line!r} is no posting that can be read")
        number = posting["number"].replace(" ", "") if posting["number"] else None
        postings.append(Posting(posting["account"], number, posting["commodity"]))
    return journal_command(postings, mapping, mapping.assets, DATES.read(date), "", metadata)


def read_beancount(data: bytes, mapping: ImportMapping | None) -> Iterator[Line]:
    """One line for each transaction and each directive."""
    given = mapping or ImportMapping()

    def read(block: Block) -> Command | Skipped:
        word = block.head.split(maxsplit=1)[0]
        if word in ("option", "plugin"):
            return Skipped(f"a directive: {word}")
        dated = DATED.fullmatch(block.head)
        if dated and dated["word"] in DESCRIBING:
            return Skipped(f"a directive: {dated['word']}")
        if dated and dated["word"] in ("*", "!", "txn"):
            return _transaction(block, dated["word"], dated["rest"], dated["date"], given)
        reason = f"{dated['word'] if dated else word!r} is neither a transaction nor a directive that can be left out"
        raise Unbookable("", reason)

    return lines_of(blocks(decode(data, given.encoding), ";#*%"), "beancount", read)
