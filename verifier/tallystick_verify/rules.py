"""The rules of double entry, stated a second time and read back from the log alone.

`Book.apply(stub, parts)` takes the entries of one ledger in order and raises `Violation` at the first that should not
be there, leaving the book as it was. The rules are those of docs/reference/entries.md; the code of a violation is the
code with which the command should have been refused, in the same order of precedence, as far as the log can tell:

| code                | what the log shows of it                                                                      |
|---------------------|-----------------------------------------------------------------------------------------------|
| `malformed`         | parts that are missing, superfluous, out of order or of another form; not how the request read |
| `id_conflict`       | every second use of an id, whatever its content: a replay writes nothing                       |
| `amounts_mismatch`  | a leg beyond those of its target; `amounts` that were too short leave no trace                 |
| `group_refused`     | nothing: groups leave no trace, each member is an entry of its own                             |
| all others          | everything                                                                                    |

Codes that only a log can earn: `balances_differ` (a stated balance is not what follows from the entries before),
`legs_differ` (a leg is not what its target or its balancing rule gives), `definition_differs` (an account's definition
does not follow from the one before), `expiry_differs` (an expiry that was not due, or out of order), `expiry_missing`
(a batch began while a pending entry was due).

Destroyed parts: `open` lists, in words, each rule that a destroyed part has put out of reach. Codes that could then
be wrong are no longer raised but listed. Balances that rested on destroyed legs are taken from the log's own word at
their next appearance, and that is listed too.

Memory: a few hundred bytes for each id and each (account, asset).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tallystick_verify.entry import BODY_IN_STUB, Part, Stub
from tallystick_verify.errors import Violation
from tallystick_verify.parts import FORMS, Groups, arrange, check_balance
from tallystick_verify.totals import TOTAL_LIMIT, Recorded, Totals, available, micros

__all__ = ["Book", "Violation"]

EXPIRIES_MAX = 1000  # before one batch; what is left comes before the next (entries: Times)
RELEASES = ("void", "expire")
REVERSIBLE = ("transaction", "post", "adjustment")
_ACCOUNT_CODES = (
    "account_exists",
    "account_not_found",
    "account_closed",
    "account_frozen",
    "account_not_frozen",
    "account_not_closed",
    "account_not_empty",
    "asset_not_allowed",
    "insufficient_funds",
    "nothing_available",
    "legs_differ",
    "definition_differs",
)
_TARGET_CODES = (
    "pending_closed",
    "already_reversed",
    "exceeds_pending",
    "exceeds_original",
    "legs_differ",
    "amounts_mismatch",
    "expiry_differs",
    "expiry_missing",
    "target_not_found",
)
# What a destroyed part of each group makes undecidable in later entries.
_DOUBTS = {
    "id": ("target_not_found", "expiry_differs"),
    "account": _ACCOUNT_CODES,
    "policy": ("period_closed",),
    "pending": _TARGET_CODES,
    "reverses": _TARGET_CODES,
    "legs": (*_TARGET_CODES, "account_not_found"),
    "expires": ("expiry_differs", "expiry_missing", "pending_expired"),
}


class Book:
    """All that follows from the entries of one ledger so far."""

    def __init__(self) -> None:
        self.explicit = False
        self.totals: dict[tuple[str, str], Totals] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.used: dict[str, set[str]] = {}  # account -> its assets
        self.scales: dict[str, str] = {}
        self.closed_before: int | None = None
        self.open: dict[str, int] = {}  # what cannot be decided -> seq of the first entry it concerns
        self._recorded: dict[str, Recorded] = {}
        self._due: list[tuple[int, int, str]] = []  # heap of (expires, seq, id) of pending entries
        self._doubts: dict[str, int] = {}  # code -> seq of the destroyed part that makes it undecidable
        self._epoch = 0
        self._at: int | None = None
        self._expiring_since: int | None = None  # `at` of the first of the `expire` entries just before
        self._expired = 0  # how many those are
        self._seq = 0

    def apply(self, stub: Stub, parts: Sequence[Part]) -> None:
        """Take the next entry; `Violation` if it should not be there."""
        self._seq = stub.seq
        try:
            self._apply(stub, parts)
        except Violation as violation:
            violation.add(ledger=stub.ledger, seq=stub.seq, kind=stub.kind)
            raise
        self._at = stub.at

    def trial_balance(self) -> dict[str, int]:
        """Debits minus credits per asset; zero, always, unless legs were destroyed."""
        sums: dict[str, int] = {}
        for (_, asset), totals in self.totals.items():
            sums[asset] = sums.get(asset, 0) + totals.debits - totals.credits
        return sums

    def _refuse(self, code: str, message: str, **facts: object) -> None:
        """Raise, unless a destroyed part has made this undecidable: then list it."""
        if code not in self._doubts:
            raise Violation(code, message, **facts)
        self._leave_open(f"{code} ({message}) cannot be decided after the part destroyed in entry {self._doubts[code]}")

    def _leave_open(self, what: str) -> None:
        self.open.setdefault(what, self._seq)

    def _apply(self, stub: Stub, parts: Sequence[Part]) -> None:
        if stub.kind in BODY_IN_STUB:
            if stub.kind == "genesis":
                self._genesis(stub)
            self._expiring_since, self._expired = None, 0
            return
        if stub.kind not in FORMS:
            self._leave_open(f"this verifier knows no rules for the kind {stub.kind}")
            return
        # The order below is that of "Refusals, and which comes first".
        groups = arrange(stub.kind, parts)  # 1 malformed
        entry_id = groups.one.get("id")
        if entry_id in self._recorded:  # 2
            raise Violation("id_conflict", "the id was used before", id=entry_id)
        if stub.kind == "account":
            commit = self._account(groups)
        elif stub.kind == "policy":
            commit = self._policy(stub, groups)
        elif stub.kind == "event":
            self._period(stub, groups)
            commit = _nothing
        else:
            commit = self._money(stub, groups)
        self._expiries(stub, groups)
        # Nothing was changed before this line, so a violation leaves the book as it was.
        recorded = Recorded(stub.kind)
        if entry_id is not None:
            self._recorded[entry_id] = recorded
        commit(recorded)
        if recorded.expires is not None and entry_id is not None:
            heapq.heappush(self._due, (recorded.expires, stub.seq, entry_id))
        if stub.kind != "expire":
            self._expiring_since, self._expired = None, 0
        elif self._expiring_since is None or (self._at is not None and stub.at > self._at + 1):
            self._expiring_since, self._expired = stub.at, 1
        else:
            self._expired += 1
        self._lost(groups)

    def _genesis(self, stub: Stub) -> None:
        accounts = stub.body.get("accounts") if isinstance(stub.body, dict) else None
        if accounts not in ("implicit", "explicit"):
            raise Violation(
                "malformed", "genesis says how accounts come to be", expected="implicit or explicit", found=accounts
            )
        self.explicit = accounts == "explicit"

    def _lost(self, groups: Groups) -> None:
        """Say what a destroyed part puts out of reach."""
        for group in sorted(groups.lost):
            for code in _DOUBTS.get(group, ()):
                self._doubts.setdefault(code, self._seq)
        if "legs" in groups.lost:
            self._epoch += 1
        bearing = sorted(groups.lost & {*_DOUBTS, "action", "balances", "balancing"})
        if bearing:
            codes = sorted({code for group in bearing for code in _DOUBTS.get(group, ())})
            follows = f"; from here on not decidable: {', '.join(codes)}" if codes else ""
            every = " and every balance until it is stated again" if "legs" in groups.lost else ""
            self._leave_open(f"destroyed, perhaps {' or '.join(bearing)}: not checked{every}{follows}")

    # --- accounts and periods ----------------------------------------------------------------------------------------

    def _account(self, groups: Groups) -> Callable[[Recorded], None]:
        if "account" in groups.lost:
            return _nothing
        given: dict[str, Any] = groups.one["account"]
        name, action = given["name"], groups.one.get("action", "open")
        old = self.definitions.get(name)
        known = old is not None or name in self.used
        state = (old or {}).get("state")
        if "action" not in groups.lost:
            self._may(action, name, state, known=known)
            if action in ("open", "update"):
                for asset in (*given.get("overdraft", {}), *given.get("assets", ())):
                    self._scale(asset, self.scales, account=name)
                expected = {**given, "state": state}
            else:
                after = {"freeze": "frozen", "close": "closed"}.get(action)
                expected = {**(old or {"name": name}), "state": after}
            if given != {member: value for member, value in expected.items() if value is not None}:
                self._refuse(
                    "definition_differs", "the definition does not follow", account=name, expected=expected, found=given
                )

        def commit(_: Recorded) -> None:
            self.definitions[name] = given

        return commit

    def _may(self, action: str, name: str, state: str | None, *, known: bool) -> None:
        if action == "open":
            if known:
                self._refuse("account_exists", "the account exists", account=name)
            return
        if not known:
            self._refuse("account_not_found", "there is no such account", account=name)
        if action in ("update", "freeze", "close") and state == "closed":
            self._refuse("account_closed", "the account is closed", account=name)
        if action == "freeze" and state == "frozen":
            self._refuse("account_frozen", "the account is frozen", account=name)
        if action == "unfreeze" and state != "frozen":
            self._refuse("account_not_frozen", "the account is not frozen", account=name)
        if action == "reopen" and state != "closed":
            self._refuse("account_not_closed", "the account is not closed", account=name)
        if action == "close":
            for asset in sorted(self.used.get(name, ())):
                totals = self.totals[name, asset]
                if totals.epoch < self._epoch:
                    self._leave_open(f"whether {name} was empty in {asset} rests on destroyed legs")
                elif totals.debits != totals.credits or totals.pending_debits or totals.pending_credits:
                    self._refuse("account_not_empty", "the account is not empty", account=name, asset=asset)

    def _policy(self, stub: Stub, groups: Groups) -> Callable[[Recorded], None]:
        if "policy" in groups.lost:
            return _nothing
        closed = micros(groups.one["policy"]["closed_before"])
        if self.closed_before is not None and closed <= self.closed_before:  # 9
            self._refuse(
                "period_closed", "the books are closed beyond that already", expected=self.closed_before, found=closed
            )
        if closed > stub.at:  # 10
            self._refuse("period_in_future", "the books cannot be closed ahead of time", expected=stub.at, found=closed)

        def commit(_: Recorded) -> None:
            self.closed_before = closed

        return commit

    def _period(self, stub: Stub, groups: Groups) -> None:  # 9
        if self.closed_before is None:
            return
        if "effective" in groups.lost:
            self._leave_open("destroyed, perhaps effective: not checked that it lies in an open period")
            return
        effective = micros(groups.one["effective"]) if "effective" in groups.one else stub.at
        if effective < self.closed_before:
            self._refuse("period_closed", "effective in a closed period", expected=self.closed_before, found=effective)

    # --- targets and expiry ------------------------------------------------------------------------------------------

    def _target(self, stub: Stub, groups: Groups) -> tuple[Recorded, list[int]] | None:
        """The entry that a post, void, expire or reversal takes from, and what it leaves of each leg (3–8)."""
        name = "reverses" if stub.kind == "reversal" else "pending"
        if name in groups.lost or "legs" in groups.lost:
            return None
        target = self._recorded.get(groups.one[name])
        if target is None:  # 3
            self._refuse("target_not_found", "the target does not exist", target=groups.one[name])
            return None
        if target.kind not in (REVERSIBLE if name == "reverses" else ("pending",)):  # 4
            self._refuse(
                "target_wrong_kind", "the target is of another kind", target=groups.one[name], found=target.kind
            )
        if target.legs is None:
            self._leave_open(f"the legs of its target {groups.one[name]} were destroyed")
            return None
        if not any(target.remaining):  # 5
            code = "already_reversed" if name == "reverses" else "pending_closed"
            self._refuse(code, "nothing remains of the target", target=groups.one[name])
        if stub.kind in ("post", "void") and target.expires is not None and target.expires <= stub.at:  # 6
            self._refuse(
                "pending_expired", "the pending entry had expired", target=groups.one[name], expected=target.expires
            )
        left, last = list(target.remaining), -1
        for number, leg in enumerate(groups.legs):
            of, amount = leg["of"], int(leg["amount"])
            if of >= len(left):  # 7
                self._refuse("amounts_mismatch", "the target has no such leg", leg=number, target=groups.one[name])
                return None
            if amount > left[of]:  # 8
                code = "exceeds_original" if name == "reverses" else "exceeds_pending"
                self._refuse(code, "more than remains of the leg", leg=number, needed=amount, available=left[of])
            left[of] -= amount
            debit, credit, asset = target.legs[of]
            expected = (credit, debit, asset) if name == "reverses" else (debit, credit, asset)
            if of <= last or (leg["debit"], leg["credit"], leg["asset"]) != expected:
                self._refuse("legs_differ", "the leg is not its target's", leg=number, expected=expected, found=leg)
            last = of
        if stub.kind in RELEASES and any(left):
            self._refuse("legs_differ", "a release leaves something pending", expected=0, found=sum(left))
        return target, left

    def _first_due(self) -> tuple[int, int, str] | None:
        while self._due and not any(self._recorded[self._due[0][2]].remaining):
            heapq.heappop(self._due)
        return self._due[0] if self._due else None

    def _expiries(self, stub: Stub, groups: Groups) -> None:
        """An `expire` takes the first that is due; a batch of commands begins when none is due (entries: Times)."""
        first = self._first_due()
        if stub.kind == "expire":
            if "pending" in groups.lost or "legs" in groups.lost:
                return
            if first is None or first[2] != groups.one["pending"] or first[0] > stub.at:
                self._refuse(
                    "expiry_differs",
                    "not the entry that is due",
                    expected=first and first[2],
                    found=groups.one["pending"],
                )
            return
        begins_batch = self._at is not None and stub.at > self._at + 1
        since = stub.at if begins_batch else self._expiring_since if self._expired < EXPIRIES_MAX else None
        if since is not None and first is not None and first[0] <= since:
            self._refuse(
                "expiry_missing", "a pending entry was due before this batch", target=first[2], expected=first[0]
            )

    # --- money -------------------------------------------------------------------------------------------------------

    def _money(self, stub: Stub, groups: Groups) -> Callable[[Recorded], None]:
        taken = self._target(stub, groups) if stub.kind in ("post", "reversal", *RELEASES) else None
        self._period(stub, groups)
        if "legs" in groups.lost and not self._balances_show_all_legs(stub.kind, groups):
            return self._money_by_its_word(groups)
        scales, after = dict[str, str](), dict[tuple[str, str], Totals]()
        before = self._before(stub.kind, groups)
        for number in range(len(groups.legs)):  # 11
            self._leg(stub.kind, number, groups, scales, before, after)
        for (account, asset), totals in after.items():  # 12
            self._limit(account, asset, before[account, asset], totals)
        if "balances" not in groups.lost:
            self._compare(groups.balances, after)
        for totals in after.values():
            totals.epoch = self._epoch

        def commit(recorded: Recorded) -> None:
            self.totals.update(after)
            self.scales.update(scales)
            for account, asset in after:
                self.used.setdefault(account, set()).add(asset)
            if taken is not None:
                taken[0].remaining = taken[1]
            if stub.kind == "pending" or stub.kind in REVERSIBLE:
                recorded.legs = tuple((leg["debit"], leg["credit"], leg["asset"]) for leg in groups.legs)
                recorded.remaining = [int(leg["amount"]) for leg in groups.legs]
            if "expires" in groups.one:
                recorded.expires = micros(groups.one["expires"])

        return commit

    def _balances_show_all_legs(self, kind: str, groups: Groups) -> bool:
        """Whether what was destroyed behind the legs was `balancing/…`: the balances are what the shown legs give."""
        if not groups.legs_show:
            return False
        after: dict[tuple[str, str], Totals] = {}
        for leg in groups.legs:
            for side in ("debit", "credit"):
                key = (leg[side], leg["asset"])
                if key not in after:
                    after[key] = replace(self.totals.get(key) or Totals())
                if after[key].epoch < self._epoch:
                    return False
                after[key].effect(kind, side, int(leg["amount"]))
        if groups.balances != [totals.as_part(*key) for key, totals in after.items()]:
            return False
        groups.lost -= {"legs", "balances"}
        return True

    def _before(self, kind: str, groups: Groups) -> dict[tuple[str, str], Totals]:
        """The totals that the legs touch, as they were, in the order in which the legs touch them."""
        before: dict[tuple[str, str], Totals] = {}
        for leg in groups.legs:
            for side in ("debit", "credit"):
                key = (leg[side], leg["asset"])
                before.setdefault(key, self.totals.get(key) or Totals())
        for number, (key, totals) in enumerate(before.items()):
            if totals.epoch == self._epoch:
                continue
            if number >= len(groups.balances) or "balances" in groups.lost:
                self._leave_open(f"the balance of {key[0]} in {key[1]} rests on destroyed legs")
                continue
            # Rests on destroyed legs: take the stated balance back by this entry's own legs.
            moved = Totals()
            for leg in groups.legs:
                for side in ("debit", "credit"):
                    if (leg[side], leg["asset"]) == key:
                        moved.effect(kind, side, int(leg["amount"]))
            stated = groups.balances[number]
            check_balance(stated)
            before[key] = Totals(
                debits=int(stated["debits"]) - moved.debits,
                credits=int(stated["credits"]) - moved.credits,
                pending_debits=int(stated["pending_debits"]) - moved.pending_debits,
                pending_credits=int(stated["pending_credits"]) - moved.pending_credits,
                epoch=self._epoch,
            )
            self._leave_open(f"the balance of {key[0]} in {key[1]} is the log's own word, as legs were destroyed")
        return before

    def _leg(
        self,
        kind: str,
        number: int,
        groups: Groups,
        scales: dict[str, str],
        before: dict[tuple[str, str], Totals],
        after: dict[tuple[str, str], Totals],
    ) -> None:
        leg, asked = groups.legs[number], groups.balancing.get(number)
        sides, asset, amount = (leg["debit"], leg["credit"]), leg["asset"], int(leg["amount"])
        if kind not in RELEASES:
            for account in sides:
                self._usable(account, number)
            self._scale(asset, self.scales | scales if scales else self.scales, leg=number)
            scales.setdefault(*asset.split("/"))
            for account in sides:
                allowed = self.definitions.get(account, {}).get("assets")
                if allowed is not None and asset not in allowed:
                    self._refuse(
                        "asset_not_allowed",
                        "the account does not take this asset",
                        account=account,
                        asset=asset,
                        leg=number,
                    )
        debit, credit = (after.setdefault((account, asset), replace(before[account, asset])) for account in sides)
        if asked is not None:
            self._balancing(number, leg, asked, debit, credit)
        debit.effect(kind, "debit", amount)
        credit.effect(kind, "credit", amount)
        if kind not in RELEASES:
            for account, totals in zip(sides, (debit, credit), strict=True):
                if max(totals.debits, totals.credits, totals.pending_debits, totals.pending_credits) >= TOTAL_LIMIT:
                    self._refuse("balance_overflow", "a total reaches 2^127", account=account, asset=asset, leg=number)

    def _usable(self, account: str, leg: int) -> None:
        definition = self.definitions.get(account)
        if definition is None and self.explicit:
            self._refuse("account_not_found", "the account was never opened", account=account, leg=leg)
        state = (definition or {}).get("state")
        if state is not None:
            self._refuse(f"account_{state}", f"the account is {state}", account=account, leg=leg)

    def _scale(self, asset: str, scales: dict[str, str], **facts: object) -> None:
        code, scale = asset.split("/")
        if scales.get(code, scale) != scale:
            facts.update(asset=asset, expected=scales[code], found=scale)
            self._refuse("asset_scale_conflict", "the asset has another scale in this ledger", **facts)

    def _balancing(
        self, number: int, leg: dict[str, Any], asked: dict[str, Any], debit: Totals, credit: Totals
    ) -> None:
        moves = int(asked["requested"])
        for side, totals in (("debit", debit), ("credit", credit)):
            if asked["side"] in (side, "both"):
                moves = min(moves, available(side, self.definitions.get(leg[side], {}), leg["asset"], totals)[0])
        if moves <= 0:
            self._refuse("nothing_available", "nothing is available to a balancing leg", leg=number, available=moves)
        if moves != int(leg["amount"]):
            self._refuse(
                "legs_differ",
                "a balancing leg moves what is available",
                leg=number,
                expected=moves,
                found=leg["amount"],
            )

    def _limit(self, account: str, asset: str, before: Totals, after: Totals) -> None:
        definition = self.definitions.get(account, {})
        for side in ("debit", "credit"):
            had, limited = available(side, definition, asset, before)
            has, _ = available(side, definition, asset, after)
            if limited and has < 0 and has < had:
                facts = {"account": account, "asset": asset, "needed": had - has, "available": had}
                self._refuse("insufficient_funds", "more than the account's limit allows", **facts)

    def _compare(self, stated: list[dict[str, str]], after: dict[tuple[str, str], Totals]) -> None:
        if len(stated) != len(after):
            raise Violation("balances_differ", "another number of balances", expected=len(after), found=len(stated))
        for number, ((account, asset), totals) in enumerate(after.items()):
            expected = totals.as_part(account, asset)
            if stated[number] != expected:
                raise Violation(
                    "balances_differ",
                    "a stated balance does not follow",
                    balance=number,
                    expected=expected,
                    found=stated[number],
                )

    def _money_by_its_word(self, groups: Groups) -> Callable[[Recorded], None]:
        """Legs were destroyed: nothing can be derived, and the entry cannot be reversed or posted under our eyes."""
        for balance in groups.balances:
            check_balance(balance)

        def commit(recorded: Recorded) -> None:
            recorded.legs = None
            for balance in groups.balances:
                self.used.setdefault(balance["account"], set()).add(balance["asset"])
                self.totals.setdefault((balance["account"], balance["asset"]), Totals(epoch=-1))

        return commit


def _nothing(_: Recorded) -> None:
    """Commit of an entry that changes no state."""
