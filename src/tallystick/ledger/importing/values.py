"""Foreign spellings of amounts, assets, account names and times, read strictly into the ledger's own.

amount   = [sign] digits [decimal digits] [sign] | "(" amount ")", digits plain or grouped by the thousands separator
asset    = CODE "/" scale | a name that the mapping's `[assets]` explains | an ISO 4217 code
account  = segments of `[A-Za-z0-9_.-]{1,64}` joined by ":"
time     = text that one of the mapping's `strptime` formats reads; without a zone it is UTC

>>> minor_units("-1,054.5", 2)
-105450
>>> segment("Café & Co / Söhne")
'Cafe-Co-Sohne'
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from tallystick.ledger.importing.lines import Unbookable

__all__ = [
    "ASSET",
    "EARLIEST",
    "LATEST",
    "Dates",
    "Numbers",
    "account_name",
    "asset_name",
    "minor_units",
    "one_line",
    "path_name",
    "segment",
    "time_text",
]

AMOUNT_END = 1 << 127
ASSET = re.compile(r"[A-Z][A-Z0-9]{0,15}/(?:[0-9]|1[0-8])")
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})*")

# ISO 4217, active currencies; those that are not listed with another number of places have two.
CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD "
    "MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG "
    "QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD "
    "TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW".split()
)
PLACES = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a file writes numbers. `strip` holds characters to leave out, such as currency signs."""

    decimal: str = "."
    thousands: str = ","
    strip: str = ""
    shape: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mark, group = re.escape(self.decimal), re.escape(self.thousands)
        grouped = rf"[0-9]{{1,3}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}}|" if self.thousands else ""
        shape = re.compile(rf"(?P<whole>{grouped}[0-9]*)(?:{mark}(?P<part>[0-9]*))?")
        object.__setattr__(self, "shape", shape)


PLAIN = Numbers()


def minor_units(text: str, scale: int, numbers: Numbers = PLAIN) -> int:
    """A signed amount in minor units of `scale` places; `Unbookable` if it is none, is finer or too large."""
    bare = text.strip().replace("\N{MINUS SIGN}", "-")
    if numbers.strip:
        bare = bare.translate({ord(character): None for character in numbers.strip}).strip()
    if numbers.thousands == " ":
        bare = bare.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    negative = False
    if bare.startswith("(") and bare.endswith(")"):
        negative, bare = True, bare[1:-1].strip()
    elif bare[:1] in ("-", "+"):
        negative, bare = bare[0] == "-", bare[1:].lstrip()
    elif bare[-1:] in ("-", "+"):
        negative, bare = bare[-1] == "-", bare[:-1].rstrip()
    match = numbers.shape.fullmatch(bare)
    if not match or not (match["whole"] or match["part"]):
        raise Unbookable("amount", f"{text!r} is not an amount" if text.strip() else "the amount is empty")
    places = (match["part"] or "").rstrip("0")
    if len(places) > scale:
        raise Unbookable("amount", f"{text!r} has {len(places)} decimal places where the asset has {scale}")
    whole = match["whole"].replace(numbers.thousands, "") if numbers.thousands else match["whole"]
    units = int((whole or "0") + places.ljust(scale, "0"))
    if units >= AMOUNT_END:
        raise Unbookable("amount", f"{text!r} is 2^127 minor units or more")
    return -units if negative else units


def asset_name(text: str, assets: Mapping[str, str]) -> tuple[str, int]:
    """(`CODE/SCALE`, scale) of an asset as a file names it; `Unbookable` if its scale is not known."""
    bare = text.strip()
    name = assets.get(bare, bare)
    if name in CURRENCIES:
        name = f"{name}/{PLACES.get(name, 2)}"
    if not ASSET.fullmatch(name):
        raise Unbookable("asset", f'no scale is known for {bare!r}; name it in [assets], e.g. "{bare}" = "GBP/2"')
    return name, int(name.partition("/")[2])


@lru_cache(maxsize=1 << 16)  # the same few names stand in every row
def segment(text: str) -> str:
    """Text as one segment of an account name; empty if nothing of it can stand there.

    Letters lose their accents, every run of other characters becomes one `-`, and what is too long is cut and ends in
    eight hex digits of SHA-256 so that two long names stay two.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-")
    if len(name) > 64:
        name = name[:55] + "-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return name


def path_name(text: str) -> str:
    """Text that is a whole account name, segment by segment; empty if one of them is."""
    segments = [segment(part) for part in text.split(":")]
    return ":".join(segments) if all(segments) else ""


def account_name(member: str, name: str) -> str:
    """The name if it is an account's, else `Unbookable`."""
    if not ACCOUNT.fullmatch(name) or len(name) > 255:
        raise Unbookable(member, f"{name!r} is not an account name")
    return name


def one_line(text: str, limit: int) -> str:
    """Text without control characters and line breaks, cut to `limit` characters, as ids and references must be."""
    if not text.isprintable():
        text = "".join(" " if c < " " or c == "\x7f" else c for c in text)
    return " ".join(text.split())[:limit].rstrip()


def time_text(moment: datetime) -> str:
    """A time as entries write it."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


@dataclass(frozen=True, slots=True)
class Dates:
    """The formats of a date column, tried in order, and the days (inclusive) between which it must lie."""

    formats: Sequence[str]
    not_before: datetime = EARLIEST
    not_after: datetime = LATEST

    @lru_cache(maxsize=4096)  # noqa: B019 (a mapping lives as long as the program)
    def read(self, text: str) -> str:
        """The effective time; `Unbookable` if no format fits, the day does not exist or lies outside."""
        bare = text.strip()
        if not bare:
            raise Unbookable("effective", "the date is empty")
        for form in self.formats:
            try:
                moment = datetime.strptime(bare, form)  # noqa: DTZ007 (without a zone it is UTC, below)
            except ValueError:
                continue
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            if not self.not_before.date() <= moment.date() <= self.not_after.date():
                raise Unbookable(
                    "effective", f"{text!r} is not between {self.not_before:%Y-%m-%d} and {self.not_after:%Y-%m-%d}"
                )
            return time_text(moment)
        raise Unbookable("effective", f"{text!r} is no date of the form {' or '.join(self.formats)}")
