"""JSONL -> lines: one object a line.

Without a mapping the objects are commands as `docs/reference/entries.md` defines them and the journal judges them; with
one, members are columns (`payee.id` for a member of a member) and numbers keep the digits that the file gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tallystick.ledger.importing.delimited import decode
from tallystick.ledger.importing.lines import Line, Problem, Skipped, physical_lines
from tallystick.ledger.importing.mapping import ImportMapping
from tallystick.ledger.importing.rows import RowMapper

__all__ = ["read_jsonl"]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _number(text: str) -> str:
    raise ValueError(f"{text} is no JSON number")


def _parse(text: str, *, as_text: bool) -> dict[str, Any]:
    """A strict object; `as_text` keeps numbers as the file writes them, for a float would round an amount."""
    if as_text:
        value = json.loads(text, object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=_number)
    else:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_number)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _flat(members: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in members.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield prefix + name, "true" if value else "false"
        elif isinstance(value, str):
            yield prefix + name, value.strip()
        elif isinstance(value, list):
            yield prefix + name, json.dumps(value, ensure_ascii=False)


def read_jsonl(data: bytes, mapping: ImportMapping | None) -> Iterator[Line]:
    """The lines of a JSONL file; a member that is absent or null is empty text."""
    mapper = RowMapper(mapping) if mapping else None
    used = mapping.used() if mapping else ()
    text = decode(data, mapping.encoding if mapping else "auto")
    for number, line in enumerate(physical_lines(text), start=1):
        if not line.strip():
            yield Line(number, Skipped("an empty line"), line)
            continue
        try:
            members = _parse(line, as_text=mapper is not None)
        except (ValueError, RecursionError) as error:
            yield Line(number, Problem("", f"not a JSON object: {error}"), line)
            continue
        if mapper is None or mapping is None:
            yield Line(number, members, line)
            continue
        flat = dict(_flat(members))
        values = {}
        for name in used:
            column = mapping.columns.get(name)
            titles = column.titles if column else (name,)
            default = column.default if column and column.default is not None else ""
            values[name] = next((flat[title] for title in titles if title in flat), default)
        yield mapper.line(number, values, line)
