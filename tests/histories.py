"""Random but plausible commands: a small bank whose customers pay, hold, reverse and err."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

Command = dict[str, Any]

ACCOUNTS = ["bank:cash", "bank:fees", "customers:a", "customers:b", "customers:c:eur", "suspense"]
ASSETS = ["EUR/2", "BTC/8", "USD/2"]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(us: int) -> str:
    """A time of docs/reference/entries.md from microseconds since 1970."""
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    fraction = f"{us % 1_000_000:06}".rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


class History:
    """Makes commands one after another; remembers the ids it used, so that later ones can post, void and reverse."""

    def __init__(self, random: Random, prefix: str = "t") -> None:
        self.random = random
        self.prefix = prefix
        self.made = 0
        self.transactions: list[tuple[str, int]] = []  # id, legs
        self.pendings: list[tuple[str, int]] = []
        self.commands: list[Command] = []

    def command(self, now: int) -> Command:
        """The next command; `now` in microseconds since 1970 for time-outs, effective times and closings."""
        kind = self.random.choices(
            [
                "transaction",
                "pending",
                "post",
                "void",
                "reversal",
                "adjustment",
                "event",
                "account",
                "policy",
                "group",
                "again",
            ],
            [40, 10, 8, 4, 8, 4, 2, 12, 1, 4, 3],
        )[0]
        if kind == "again" and self.commands:
            return self._again()
        command = self._group(now) if kind == "group" else self._single(kind if kind != "again" else "transaction", now)
        self.commands.append(command)
        return command

    def _single(self, kind: str, now: int) -> Command:
        self.made += 1
        command: Command = {"kind": kind, "id": f"{self.prefix}{self.made}"}
        if kind == "account":
            return self._account(command)
        if kind == "policy":
            return command | {"closed_before": stamp(now - self.random.choice([1, 10**6, 10**9, -(10**6)]))}
        if kind == "event":
            return command | {"event": "kyc.passed"} | self._extras(now)
        if kind in {"post", "void"}:
            target, legs = self._target(self.pendings)
            command["pending"] = target
            if kind == "post":
                command |= self._amounts(legs) | self._extras(now)
            return command
        if kind == "reversal":
            target, legs = self._target(self.transactions)
            return command | {"reverses": target} | self._amounts(legs) | self._extras(now)
        count = self.random.choice([1, 1, 1, 2, 3])
        command["legs"] = [self._leg() for _ in range(count)]
        if kind == "adjustment":
            command["reason"] = "counted again"
        if kind == "pending" and self.random.random() < 0.6:
            command["expires"] = stamp(now + self.random.choice([-1, 10**5, 10**6, 10**7]))
        (self.pendings if kind == "pending" else self.transactions).append((command["id"], count))
        return command | self._extras(now)

    def _group(self, now: int) -> Command:
        kinds = ["transaction", "pending", "adjustment", "post", "reversal"]
        return {"group": [self._single(self.random.choice(kinds), now) for _ in range(self.random.randint(1, 3))]}

    def _again(self) -> Command:
        """An earlier command, as it was or with one member changed."""
        command = dict(self.random.choice(self.commands))
        if "legs" in command and self.random.random() < 0.4:
            command["legs"] = [dict(command["legs"][0], amount="7"), *command["legs"][1:]]
        return command

    def _leg(self) -> Command:
        debit, credit = self.random.sample(ACCOUNTS, 2)
        asset = self.random.choices([*ASSETS, "EUR/3"], [80, 10, 10, 1])[0]
        leg: Command = {"debit": debit, "credit": credit, "asset": asset, "amount": str(self.random.randint(1, 500))}
        if self.random.random() < 0.1:
            leg["balancing"] = self.random.choice(["debit", "credit", "both"])
        if self.random.random() < 0.01:
            leg["amount"] = str(2**127 - 1)
        return leg

    def _target(self, known: list[tuple[str, int]]) -> tuple[str, int]:
        if not known or self.random.random() < 0.05:
            return (self.random.choice(self.transactions + self.pendings)[0] if self.transactions else "nobody"), 1
        return self.random.choice(known[-8:])

    def _amounts(self, legs: int) -> Command:
        if self.random.random() < 0.5:
            return {}
        count = legs if self.random.random() < 0.95 else legs + 1
        return {"amounts": [str(self.random.choice([0, 1, 5, 50, 400])) for _ in range(count)]}

    def _account(self, command: Command) -> Command:
        action = self.random.choice(["open", "open", "update", "freeze", "unfreeze", "close", "reopen"])
        command["name"] = self.random.choice([*ACCOUNTS, "customers:new"])
        if action != "open":
            command["action"] = action
        if action in {"open", "update"}:
            limit = self.random.choice(["none", "debits_must_not_exceed_credits", "credits_must_not_exceed_debits"])
            if self.random.random() < 0.8:
                command["limit"] = limit
                if limit != "none" and self.random.random() < 0.5:
                    command["overdraft"] = {"EUR/2": str(self.random.randint(1, 1000))}
            if self.random.random() < 0.2:
                command["assets"] = self.random.sample(ASSETS, self.random.randint(1, 3))
            if self.random.random() < 0.2:
                command["metadata"] = {"owner": "x€y", "\U0001f600": "z"}
        if self.random.random() < 0.5:
            del command["id"]
        return command

    def _extras(self, now: int) -> Command:
        extras: Command = {}
        if self.random.random() < 0.2:
            extras["effective"] = stamp(now - self.random.choice([0, 1, 10**6, 10**8, 10**12]))
        if self.random.random() < 0.2:
            extras["reference"] = 'R-17 "quoted" \\ \u20ac'
        if self.random.random() < 0.2:
            extras["metadata"] = {"invoice": "R/2026-17 €", "b\U0001f600": "1", "b\uffff": "2", "a": "\u0001\n"}
        return extras
