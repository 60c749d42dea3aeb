"""The parts of a body: their order and their forms, by kind (docs/reference/entries.md, "Parts, in this order").

    by · id · account · action · event · policy · pending · reverses · legs/0… · balancing/i… · balances/0… ·
    effective · expires · reason · reference · metadata/<key>…

`arrange` sorts a body's parts into their groups or raises `Violation("malformed")`. A destroyed part has lost its
path; what it may have been follows from its neighbours and from what the kind allows. `Groups.lost` names every group
that may have lost something: more than was lost, perhaps, never less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallystick_verify.entry import Part
from tallystick_verify.errors import Violation

__all__ = ["FORMS", "Groups", "arrange", "check_balance"]

ORDER = (
    "by", "id", "account", "action", "event", "policy", "pending", "reverses", "legs", "balancing", "balances",
    "effective", "expires", "reason", "reference", "metadata",
)  # fmt: skip
_RANK = {group: rank for rank, group in enumerate(ORDER)}
_MANY = frozenset({"legs", "balancing", "balances", "metadata"})
_MONEY = ("by", "id", "legs", "balances")
_TALK = ("reference", "metadata")

FORMS: dict[str, tuple[frozenset[str], frozenset[str]]] = {  # kind: groups that must be there, groups that may
    kind: (frozenset(required), frozenset((*required, *optional)))
    for kind, required, optional in (
        ("transaction", _MONEY, ("balancing", "effective", *_TALK)),
        ("pending", _MONEY, ("balancing", "effective", "expires", *_TALK)),
        ("post", (*_MONEY, "pending"), ("effective", *_TALK)),
        ("void", (*_MONEY, "pending"), ("reason", *_TALK)),
        ("reversal", (*_MONEY, "reverses"), ("effective", "reason", *_TALK)),
        ("adjustment", (*_MONEY, "reason"), ("balancing", "effective", *_TALK)),
        ("expire", ("by", "pending", "legs", "balances"), ()),
        ("event", ("by", "id", "event"), ("effective", *_TALK)),
        ("account", ("by", "account"), ("id", "action", "reason", "metadata")),
        ("policy", ("by", "id", "policy"), ("reason",)),
    )
}
_LEG = {"amount", "asset", "credit", "debit"}
_BALANCE = {"account", "asset", "credits", "debits", "pending_credits", "pending_debits"}
_AMOUNT = re.compile("[1-9][0-9]{0,38}")
_TOTAL = re.compile("0|[1-9][0-9]{0,38}")
_ASSET = re.compile("[A-Z][A-Z0-9]{0,15}/(?:[0-9]|1[0-8])")
_ACCOUNT = re.compile("[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})*")
_TIME = re.compile(r"(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{0,5}[1-9])?Z", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_BY = re.compile("(?:user|service|capture|system):.+", re.DOTALL)


@dataclass(slots=True)
class Groups:
    """The parts of one body by group. A leg is balancing if its number is in `balancing`."""

    one: dict[str, Any] = field(default_factory=dict)
    legs: list[dict[str, Any]] = field(default_factory=list)
    balancing: dict[int, dict[str, Any]] = field(default_factory=dict)
    balances: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    # Destroyed parts that may have been legs may each have been `balancing/…` as well, and at most one part may have
    # been a balance: then the balances show whether a leg is missing, for it would have raised two of them.
    legs_show: bool = False


# --- forms of values -------------------------------------------------------------------------------------------------


def _text(longest: int, shortest: int = 1) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and shortest <= len(value) <= longest and _CONTROL.search(value) is None


def _whole(form: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


_is_account_form, _is_asset = _whole(_ACCOUNT), _whole(_ASSET)


def _is_account(value: object) -> bool:
    return _is_account_form(value) and len(str(value)) <= 255


def _is_amount(value: object) -> bool:
    return isinstance(value, str) and _AMOUNT.fullmatch(value) is not None and int(value) < 2**127


def _is_total(value: object) -> bool:
    return isinstance(value, str) and _TOTAL.fullmatch(value) is not None and int(value) < 2**127


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:  # no such day or hour
        return False
    return True


def _is_by(value: object) -> bool:
    return _text(128)(value) and _whole(_BY)(value)


def _is_definition(value: object) -> bool:
    if not isinstance(value, dict) or not {"name"} <= set(value) <= {
        "assets",
        "limit",
        "name",
        "normal",
        "overdraft",
        "state",
    }:
        return False
    assets, overdraft = value.get("assets", ["X/0"]), value.get("overdraft", {"X/0": "1"})
    return (
        _is_account(value["name"])
        and value.get("limit", "debits_must_not_exceed_credits")
        in ("debits_must_not_exceed_credits", "credits_must_not_exceed_debits")
        and value.get("normal", "debit") in ("debit", "credit")
        and value.get("state", "frozen") in ("frozen", "closed")
        and isinstance(assets, list)
        and 1 <= len(assets) <= 64
        and all(_is_asset(asset) for asset in assets)
        and assets == sorted(set(assets))
        and isinstance(overdraft, dict)
        and 1 <= len(overdraft) <= 64
        and all(_is_asset(asset) and _is_amount(amount) for asset, amount in overdraft.items())
        and ("overdraft" not in value or "limit" in value)
    )


def _is_leg(kind: str, value: object) -> bool:
    if not isinstance(value, dict):
        return False
    members, amount = _LEG, _is_amount
    if kind in ("post", "void", "expire", "reversal"):
        members = _LEG | {"of"}
        if type(value.get("of")) is not int or not 0 <= value["of"] < 1000:
            return False
    elif "balancing" in FORMS[kind][1]:
        amount = _is_total  # a balancing leg of nothing is refused by its own code, `nothing_available`
    return (
        set(value) == members
        and amount(value["amount"])
        and _is_asset(value["asset"])
        and _is_account(value["debit"])
        and _is_account(value["credit"])
        and value["debit"] != value["credit"]
    )


_VALUES: dict[str, Callable[[Any], bool]] = {
    "by": _is_by,
    "id": _text(128),
    "account": _is_definition,
    "action": lambda value: value in ("update", "freeze", "unfreeze", "close", "reopen"),
    "event": _text(128),
    "policy": lambda value: (
        isinstance(value, dict) and set(value) == {"closed_before"} and _is_time(value["closed_before"])
    ),
    "pending": _text(128),
    "reverses": _text(128),
    "balancing": lambda value: (
        isinstance(value, dict)
        and set(value) == {"requested", "side"}
        and _is_amount(value["requested"])
        and value["side"] in ("debit", "credit", "both")
    ),
    "balances": lambda value: isinstance(value, dict),  # compared as a whole with what follows from the legs
    "effective": _is_time,
    "expires": _is_time,
    "reason": _text(1024),
    "reference": _text(256),
    "metadata": lambda value: isinstance(value, str) and len(value) <= 4096,
}


def _malformed(message: str, **facts: object) -> Violation:
    return Violation("malformed", message, **facts)


def check_balance(value: dict[str, Any]) -> None:
    """A stated balance has the form of one; needed only where there is nothing to compare it with."""
    totals = [value.get(name) for name in sorted(_BALANCE - {"account", "asset"})]
    if (
        set(value) != _BALANCE
        or not _is_account(value["account"])
        or not _is_asset(value["asset"])
        or not all(map(_is_total, totals))
    ):
        raise _malformed("not a balance", found=value)


# --- order -----------------------------------------------------------------------------------------------------------


def _place(path: str) -> tuple[int, int | bytes]:
    """Sort key of a path: the rank of its group, then its number or its metadata key in UTF-16 code units."""
    group, slash, rest = path.partition("/")
    rank = _RANK.get(group)
    if rank is None or bool(slash) != (group in _MANY):
        raise _malformed("a part of no known path", path=path)
    if group == "metadata":
        if not _text(128)(rest):
            raise _malformed("a metadata key of another form", path=path)
        return rank, rest.encode("utf-16-be")  # RFC 8785 §3.2.3
    if slash and not _TOTAL.fullmatch(rest):
        raise _malformed("a part of no known path", path=path)
    return rank, int(rest) if slash else 0


def arrange(kind: str, parts: Sequence[Part]) -> Groups:
    """The parts of an entry of this kind by group; `Violation("malformed")` if they are not what the kind has."""
    required, allowed = FORMS[kind]
    groups = Groups()
    places: list[tuple[int, int | bytes] | None] = []
    before: tuple[int, int | bytes] = (-1, 0)
    for part in parts:
        if isinstance(part, str):
            places.append(None)
            continue
        _, path, value = part
        place = _place(path)
        group = ORDER[place[0]]
        if group not in allowed:
            raise _malformed(f"a {kind} has no such part", path=path)
        if place[0] < before[0] or (place[0] == before[0] and not _before(before[1], place[1])):
            raise _malformed("part out of order, or twice", path=path)
        before = place
        places.append(place)
        if not (_is_leg(kind, value) if group == "legs" else _VALUES[group](value)):
            raise _malformed("a part's value has another form", path=path, found=value)
        if group == "legs":
            groups.legs.append(value)
        elif group == "balancing":
            groups.balancing[int(place[1])] = value
        elif group == "balances":
            groups.balances.append(value)
        elif group == "metadata":
            groups.metadata[path] = value
        else:
            groups.one[group] = value
    _find_lost(groups, places, required, allowed)
    for group in required - groups.lost:
        if not (group in groups.one or (group == "legs" and groups.legs) or (group == "balances" and groups.balances)):
            raise _malformed(f"a {kind} lacks a part", path=group)
    _check_whole(kind, groups, places)
    return groups


def _before(one: int | bytes, other: int | bytes) -> bool:
    return one < other if isinstance(one, int) and isinstance(other, int) else bytes(one) < bytes(other)


def _check_whole(kind: str, groups: Groups, places: Sequence[tuple[int, int | bytes] | None]) -> None:
    """What only all parts together show."""
    for group in ("legs", "balances"):
        numbers = [place[1] for place in places if place is not None and place[0] == _RANK[group]]
        if group not in groups.lost and numbers != list(range(len(numbers))):
            raise _malformed("a number is left out", path=group, found=numbers)
    if "legs" not in groups.lost or groups.legs_show:
        for number in groups.balancing.keys() - set(range(len(groups.legs))):
            if "legs" not in groups.lost:
                raise _malformed("balancing, and no such leg", path=f"balancing/{number}")
            groups.legs_show = False
    of_legs = [place[1] for place in places if place is not None and place[0] == _RANK["legs"]]
    for number_of_leg, leg in zip(of_legs, groups.legs, strict=True):
        if leg["amount"] == "0" and number_of_leg not in groups.balancing:
            raise _malformed("a leg moves nothing", path=f"legs/{number_of_leg!r}", found=leg)
    groups.legs_show &= of_legs == list(range(len(of_legs)))
    if max(groups.balancing, default=0) > 999 or len(groups.legs) > 1000 or len(groups.metadata) > 64:
        raise _malformed("too many parts of a group", found=max(len(groups.legs), len(groups.metadata)))
    if kind == "account" and groups.one.get("action") in ("freeze", "unfreeze", "close", "reopen") and groups.metadata:
        raise _malformed("metadata belongs to open and update", path=next(iter(groups.metadata)))
    if kind == "expire" and groups.one.get("by", "system:expiry") != "system:expiry":
        raise _malformed("only the log itself expires", path="by", expected="system:expiry", found=groups.one["by"])


def _find_lost(
    groups: Groups,
    places: Sequence[tuple[int, int | bytes] | None],
    required: frozenset[str],
    allowed: frozenset[str],
) -> None:
    """Fill `lost`: for each run of destroyed parts, all that can stand between its neighbours."""
    runs: list[tuple[int, set[str]]] = []
    start = 0
    while start < len(places):
        if places[start] is not None:
            start += 1
            continue
        end = start
        while end < len(places) and places[end] is None:
            end += 1
        left = places[start - 1] if start else None
        right = places[end] if end < len(places) else None
        low = left[0] if left else 0
        high = right[0] if right else len(ORDER)
        can = {group for group in allowed if low <= _RANK[group] <= high and group not in groups.one}
        if low < _RANK["legs"] and end - start == 1:  # no leg before it that it could be of
            can.discard("balancing")
        if right is not None and isinstance(right[1], int) and ORDER[right[0]] in _MANY:
            before = right[1] if left is None or left[0] != right[0] else end - start
            if before == 0:  # nothing of a group stands before its number 0
                can.discard(ORDER[right[0]])
            elif (
                before == end - start and ORDER[right[0]] != "balancing"
            ):  # all that is lost is needed to count up to this number
                can = {ORDER[right[0]]}
        runs.append((end - start, can))
        start = end
    legs_lost = any("legs" in can for _, can in runs)
    touched = {(leg[side], leg["asset"]) for leg in groups.legs for side in ("debit", "credit")}
    for length, can in runs:
        if not legs_lost and len(touched) == len(groups.balances):
            can.discard("balances")
        if not can & _MANY and length > len(can):
            raise _malformed("more parts than this kind of entry has", found=len(places))
        missing = {
            group for group in can & required if group not in _MANY and sum(group in other for _, other in runs) == 1
        }
        if len(missing) == length:
            can.intersection_update(missing)
    groups.lost = set[str]().union(*(can for _, can in runs))
    groups.legs_show = (
        all("balancing" in can for _, can in runs if "legs" in can)
        and sum(length for length, can in runs if "balances" in can) <= 1
    )
