"""CSV (RFC 4180, any delimiter) -> lines.

Read strictly: a quote that is never closed or not followed by a delimiter makes the lines that it swallowed one
`Problem` instead of one long cell. Byte order marks, CRLF, quoted line breaks and cp1252 are taken as they come.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator

from tallystick.errors import Rejected
from tallystick.ledger.importing.lines import Line, Problem, Skipped
from tallystick.ledger.importing.mapping import ImportMapping, MalformedMapping
from tallystick.ledger.importing.rows import RowMapper, bind_columns

__all__ = ["csv_header", "decode", "read_csv"]

BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decode(data: bytes, encoding: str) -> str:
    """Text; a byte that the encoding lacks becomes a lone surrogate, which refuses the row it stands in."""
    if encoding == "auto":
        encoding = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
        if encoding == "utf-8":
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                encoding = "cp1252"
    try:
        return data.decode(encoding, "surrogateescape")
    except LookupError:
        raise MalformedMapping("the mapping names an unknown encoding", member="csv.encoding", found=encoding) from None
    except UnicodeDecodeError as error:
        raise Rejected("the file is not in its encoding", encoding=encoding, byte=error.start) from None


class _Source:
    """Physical lines, counted, and remembered since the last record."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.number = 0
        self.pending: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            self.pending.append(line)
            yield line

    def taken(self) -> tuple[int, str]:
        """(first line, text) of what was read since the last call."""
        first, text = self.number - len(self.pending) + 1, "".join(self.pending)
        self.pending.clear()
        return first, text


def _records(text: str, mapping: ImportMapping) -> Iterator[tuple[int, str, list[str] | csv.Error]]:
    source = _Source(text)
    lines = iter(source)
    for _ in range(mapping.skip_lines):
        next(lines, None)
    source.taken()
    reader = csv.reader(lines, delimiter=mapping.delimiter, strict=True)
    while True:
        try:
            cells: list[str] | csv.Error = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = error
        yield (*source.taken(), cells)


def csv_header(data: bytes, mapping: ImportMapping) -> list[str]:
    """The titles, or `Rejected` if the file has none."""
    for _, _, cells in _records(decode(data, mapping.encoding), mapping):
        if isinstance(cells, csv.Error):
            raise Rejected(f"the header cannot be read: {cells}")
        if any(cell.strip() for cell in cells):
            return cells
    raise Rejected("the file has no header", next_step="Give a CSV file whose first row names the columns.")


def read_csv(data: bytes, mapping: ImportMapping) -> Iterator[Line]:
    """The lines after the header; `Rejected` before the first of them if the header does not fit the mapping."""
    mapper = RowMapper(mapping)
    header = csv_header(data, mapping)
    bound = bind_columns(mapping, header)
    records = _records(decode(data, mapping.encoding), mapping)
    for _, _, cells in records:
        if cells == header:
            break
    for number, text, cells in records:
        if isinstance(cells, csv.Error):
            last = number + max(text.count("\n"), 1) - 1
            where = f" (lines {number} to {last})" if last > number else ""
            yield Line(number, Problem("", f"not CSV: {cells}{where}"), text)
        elif not any(cell.strip() for cell in cells):
            yield Line(number, Skipped("an empty row"), tuple(cells))
        elif len(cells) != len(header):
            reason = f"the row has {len(cells)} cells, the header {len(header)}"
            yield Line(number, Problem("", reason), tuple(cells))
        else:
            values = {name: cells[where].strip() if isinstance(where, int) else where for name, where in bound.items()}
            yield mapper.line(number, values, tuple(cells))
