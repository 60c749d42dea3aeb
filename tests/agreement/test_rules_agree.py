"""The kernel decides, the independent verifier re-derives: over random histories the two agree.

Of every entry that the kernel wrote, the verifier finds nothing wrong and the same balances. Of every command that the
kernel refused, the entry that a cheating writer would have written is refused by the verifier with the same code, where
a log alone can show it.
"""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

from histories import Command, History
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import Disk, MemoryStore

from tallystick.core.encoding import canonical
from tallystick.ledger.outcome import Refused
from tallystick.log.recorder import Recorder
from tallystick_verify.entry import Part, Stub, check_body, parse_body, parse_stub
from tallystick_verify.errors import Violation
from tallystick_verify.rules import Book
from tallystick_verify.totals import Totals, available

ORIGIN = "agree.example/ledger"
START = 1_795_478_400_000_000
SALT = "0" * 32
# What a log alone cannot show (verifier/tallystick_verify/rules.py), or shows only as another code of the same class.
UNSEEN = {"malformed", "id_conflict", "amounts_mismatch", "group_refused"}


class Pair:
    """One ledger on a fake disk, and the verifier's book of it."""

    def __init__(self, random: Random) -> None:
        self.random, self.now = random, START
        self.disk = Disk()
        self.recorder = Recorder(MemoryStore(ORIGIN, self.disk), lambda: self.now, random.randbytes, floor=0)
        genesis = {"accounts": random.choice(["implicit", "explicit"]), "by": "user:a", "keys": []}
        self.recorder.append("genesis", canonical(genesis))
        self.book = Book()
        self.legs: dict[str, list[Command]] = {}
        self.seen = 0
        self.follow()

    def follow(self) -> None:
        """The book takes what the kernel wrote."""
        for row in self.disk.rows[self.seen :]:
            stub, parts = parse_stub(row.stub), parse_body(row.body or b"[]")
            check_body(stub, parts)
            self.book.apply(stub, parts)
            if row.id is not None:
                self.legs[row.id] = [part[2] for part in parts if part[1].startswith("legs/")]
        self.seen = len(self.disk.rows)

    def record(self, commands: list[Command]) -> tuple[Command, Refused] | None:
        """Record in one batch; the last command if it was refused, for then the book stands where the kernel stood."""
        self.now += self.random.choice([1, 1000, 10**6])
        outcome = self.recorder.record(commands, format="objects", by="user:a")[-1]
        self.follow()
        return None if "group" in commands[-1] or not isinstance(outcome, Refused) else (commands[-1], outcome)

    def forge(self, command: Command) -> tuple[Stub, list[Part]]:
        """The entry that a writer without scruples would have written for the command."""
        kind = command["kind"]
        parts: list[tuple[str, Any]] = [("by", "user:a")]
        if "id" in command:
            parts.append(("id", command["id"]))
        if kind == "account":
            parts.append(("account", self._definition(command)))
            if command.get("action", "open") != "open":
                parts.append(("action", command["action"]))
        if "event" in command:
            parts.append(("event", command["event"]))
        if kind == "policy":
            parts.append(("policy", {"closed_before": command["closed_before"]}))
        parts += [(name, command[name]) for name in ("pending", "reverses") if name in command]
        legs = self._legs(command)
        parts += [(f"legs/{i}", leg) for i, leg in enumerate(legs)]
        parts += [
            (f"balancing/{i}", {"requested": leg["amount"], "side": leg["balancing"]})
            for i, leg in enumerate(command.get("legs", ()))
            if "balancing" in leg
        ]
        parts += [(f"balances/{i}", balance) for i, balance in enumerate(self._balances(kind, legs))]
        parts += [(name, command[name]) for name in ("effective", "expires", "reason", "reference") if name in command]
        keys = sorted(command.get("metadata", {}), key=lambda key: key.encode("utf-16-be"))
        parts += [(f"metadata/{key}", command["metadata"][key]) for key in keys]
        last = parse_stub(self.disk.rows[-1].stub)
        body: list[Part] = [[SALT, path, value] for path, value in parts]
        stub = Stub(max(self.now, last.at + 1), last.batch, "0" * 64, kind, ORIGIN, len(body), "0" * 64, last.seq + 1)
        return stub, body

    def _definition(self, command: Command) -> Command:
        before = self.book.definitions.get(command["name"], {"name": command["name"]})
        action = command.get("action", "open")
        if action in {"open", "update"}:
            definition = {k: command[k] for k in ("limit", "overdraft", "normal") if k in command}
            if definition.get("limit") == "none":
                del definition["limit"]
            if "assets" in command:
                definition["assets"] = sorted(command["assets"])
            if action == "update" and "state" in before:
                definition["state"] = before["state"]
            return definition | {"name": command["name"]}
        state = {"freeze": "frozen", "close": "closed"}.get(action)
        without = {k: v for k, v in before.items() if k != "state"}
        return without | ({"state": state} if state else {})

    def _legs(self, command: Command) -> list[Command]:
        if "legs" in command:
            made: list[Command] = []
            for leg in command["legs"]:
                plain = {name: value for name, value in leg.items() if name != "balancing"}
                moved = self._moved(command["kind"], made, leg) if "balancing" in leg else leg["amount"]
                made.append(plain | {"amount": moved})
            return made
        target = command.get("pending", command.get("reverses"))
        if target is None:
            return []
        legs = []
        amounts = command.get("amounts")
        default = [{"amount": "1", "asset": "EUR/2", "credit": "a", "debit": "b"}] * len(amounts or [1])
        recorded = self.book._recorded.get(target)
        if amounts is None and recorded is not None and any(recorded.remaining):
            amounts = [str(remaining) for remaining in recorded.remaining]
        of_target = self.legs.get(target) or default
        if amounts is not None and not any(amount != "0" for amount in amounts[: len(of_target)]):
            amounts = None  # an entry without legs would be another fault
        for i, leg in enumerate(of_target):
            amount = leg["amount"] if amounts is None else amounts[i] if i < len(amounts) else "0"
            if amount != "0":
                debit, credit = leg["debit"], leg["credit"]
                if command["kind"] == "reversal":
                    debit, credit = credit, debit
                legs.append({"amount": amount, "asset": leg["asset"], "credit": credit, "debit": debit, "of": i})
        return legs

    def _moved(self, kind: str, before: list[Command], leg: Command) -> str:
        """What a balancing leg may move; all that was asked for if that is nothing."""
        totals = self._after(kind, before)
        amount = int(leg["amount"])
        for side in ("debit", "credit"):
            if leg.get("balancing") in {side, "both"}:
                key = (leg[side], leg["asset"])
                known = totals.get(key) or self.book.totals.get(key, Totals())
                definition = self.book.definitions.get(leg[side], {})
                amount = min(amount, available(side, definition, leg["asset"], known)[0])
        return str(amount) if amount > 0 else leg["amount"]

    def _balances(self, kind: str, legs: list[Command]) -> list[dict[str, str]]:
        return [totals.as_part(*key) for key, totals in self._after(kind, legs).items()]

    def _after(self, kind: str, legs: list[Command]) -> dict[tuple[str, str], Totals]:
        touched: dict[tuple[str, str], Totals] = {}
        for leg in legs:
            for side in ("debit", "credit"):
                key = (leg[side], leg["asset"])
                if key not in touched:
                    known = self.book.totals.get(key, Totals())
                    touched[key] = Totals(known.debits, known.credits, known.pending_debits, known.pending_credits)
                touched[key].effect(kind, side, int(leg["amount"]))
        return touched


def live(number: int, commands: int) -> Counter[str]:
    """One history; the codes on which the two agreed."""
    random = Random(number)
    pair, agreed = Pair(random), Counter[str]()
    history = History(random)
    for _ in range(commands):
        found = pair.record([history.command(pair.now) for _ in range(random.choice([1, 1, 2, 3]))])
        if found is None or found[1].code in UNSEEN:
            continue
        command, refused = found
        stub, parts = pair.forge(command)
        try:
            pair.book.apply(stub, parts)
        except Violation as violation:
            assert violation.code == refused.code, (command, refused, violation)
            agreed[refused.code] += 1
        else:
            raise AssertionError(("the verifier accepts what the kernel refused", command, refused))
    assert all(total == 0 for total in pair.book.trial_balance().values())
    for key, balance in pair.disk.balances.items():
        derived = pair.book.totals[key]
        found = (balance.debits, balance.credits, balance.pending_debits, balance.pending_credits)
        assert found == (derived.debits, derived.credits, derived.pending_debits, derived.pending_credits)
    assert {name: json.loads(text) for name, text in pair.disk.definitions.items()} == pair.book.definitions
    return agreed


@given(number=st.integers(min_value=0, max_value=2**32))
@settings(max_examples=150)
def test_the_two_agree(number: int) -> None:
    live(number, 60)


def test_every_code_that_a_log_shows_was_met() -> None:
    met: Counter[str] = Counter()
    for number in range(60):
        met += live(number, 120)
    expected = {
        "target_not_found", "target_wrong_kind", "pending_closed", "already_reversed", "pending_expired",
        "exceeds_pending", "exceeds_original", "period_closed", "period_in_future", "account_not_found",
        "account_closed", "account_frozen", "asset_scale_conflict", "asset_not_allowed", "nothing_available",
        "balance_overflow", "insufficient_funds", "account_exists", "account_not_frozen", "account_not_closed",
        "account_not_empty",
    }  # fmt: skip
    assert expected <= set(met)
