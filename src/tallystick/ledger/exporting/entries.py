"""What every exporter reads of an entry, and how it spells amounts and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

__all__ = ["ExportEntry", "decimal_text", "legs_of", "metadata_of", "moment", "time_text"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ExportEntry(Protocol):
    """An entry: the stub's members, its hash, and the values of the parts that are not destroyed by their path."""

    @property
    def seq(self) -> int: ...
    @property
    def id(self) -> str | None: ...
    @property
    def at(self) -> int:
        """Microseconds since 1970 UTC."""
        ...

    @property
    def kind(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def stub(self) -> Mapping[str, Any]: ...
    @property
    def values(self) -> Mapping[str, Any]: ...


def legs_of(entry: ExportEntry) -> list[Mapping[str, Any]]:
    """The legs that are not destroyed, in order."""
    return [value for path, value in entry.values.items() if path.startswith("legs/")]


def metadata_of(entry: ExportEntry) -> dict[str, str]:
    """The metadata that is not destroyed, in order."""
    return dict(_metadata(entry))


def _metadata(entry: ExportEntry) -> Iterator[tuple[str, str]]:
    for path, value in entry.values.items():
        if path.startswith("metadata/"):
            yield path.removeprefix("metadata/"), value


def decimal_text(minor_units: str | int, asset: str) -> str:
    """An amount of `CODE/SCALE` with its decimal places.

    >>> decimal_text("-5", "EUR/2"), decimal_text("1200", "JPY/0")
    ('-0.05', '1200')
    """
    scale = int(asset.partition("/")[2])
    text = str(minor_units)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else sign + digits


def moment(at: int) -> datetime:
    """Microseconds since 1970 UTC as a time."""
    return EPOCH + timedelta(microseconds=at)


def time_text(at: int) -> str:
    """RFC 3339 with microseconds.

    >>> time_text(1_700_000_000_000_001)
    '2023-11-14T22:13:20.000001Z'
    """
    return moment(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
