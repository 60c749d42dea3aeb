from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tallystick_verify import Book, Malformed, Violation
from tallystick_verify.entry import StubReader

from .ledger_builder import ORIGIN, START_US, Ledger, small_ledger

EUR = "EUR/2"
LIMIT = "debits_must_not_exceed_credits"


ASKED = {"requested": "5", "side": "debit"}


def book_of(ledger: Ledger, upto: int | None = None) -> Book:
    """The book after the entries of a ledger; the last one read may violate."""
    book, read = Book(), StubReader(ledger.origin).read
    for entry in ledger.entries[:upto]:
        book.apply(read(entry.stub), entry.parts)
    return book


def refused(ledger: Ledger) -> Violation:
    """What the last entry is refused with; everything before it must stand, and the book stay as it was."""
    book = book_of(ledger, -1)
    before = repr((book.totals, book.definitions, book.scales, book.used, book.closed_before))
    last = ledger.entries[-1]
    with pytest.raises(Violation) as caught:
        book.apply(StubReader(ledger.origin).read(last.stub), last.parts)
    assert repr((book.totals, book.definitions, book.scales, book.used, book.closed_before)) == before
    assert caught.value.facts["seq"] == len(ledger.entries) - 1
    return caught.value


def leg(debit: str, credit: str, amount: int, of: int | None = None, asset: str = EUR, **more: Any) -> dict[str, Any]:
    given = {"debit": debit, "credit": credit, "asset": asset, "amount": amount, **more}
    return given if of is None else given | {"of": of}


def test_a_true_history_is_accepted_and_its_balances_derived() -> None:
    book = book_of(small_ledger())
    assert not book.open
    assert set(book.trial_balance().values()) == {0}
    assert book.totals["customers:0001", EUR].debits == 50 + 300 + 720
    assert book.definitions["customers:0002"]["state"] == "frozen"


def opened(*names: str, **definition: Any) -> Ledger:
    ledger = Ledger()
    for name in names:
        ledger.account(name, **definition)
    return ledger


def held(amount: int = 100, **more: Any) -> Ledger:
    ledger = Ledger()
    ledger.money("pending", "hold", ("a", "b", EUR, amount), **more)
    return ledger


def paid(amount: int = 100) -> Ledger:
    ledger = Ledger()
    ledger.pay("pay", "a", "b", amount)
    return ledger


def an_id_again(ledger: Ledger) -> None:
    ledger.pay("pay", "a", "b", 100)


def a_target_that_is_not_there(ledger: Ledger) -> None:
    ledger.money("post", "p", leg("a", "b", 1, 0), pending="nobody")


def a_post_of_a_transaction(ledger: Ledger) -> None:
    ledger.money("post", "p", leg("a", "b", 1, 0), pending="pay")


def a_reversal_of_a_pending(ledger: Ledger) -> None:
    ledger.money("reversal", "r", leg("b", "a", 1, 0), reverses="hold")


def a_post_after_the_whole(ledger: Ledger) -> None:
    ledger.money("post", "p", leg("a", "b", 100, 0), pending="hold")
    ledger.money("post", "q", leg("a", "b", 1, 0), pending="hold")


def a_second_reversal(ledger: Ledger) -> None:
    ledger.money("reversal", "r", leg("b", "a", 100, 0), reverses="pay")
    ledger.money("reversal", "s", leg("b", "a", 1, 0), reverses="pay")


def a_late_post(ledger: Ledger) -> None:
    ledger.money("post", "p", leg("a", "b", 1, 0), pending="hold")


def more_legs_than_the_target(ledger: Ledger) -> None:
    ledger.money("post", "p", leg("a", "b", 1, 1), pending="hold")


def more_than_was_held(ledger: Ledger) -> None:
    ledger.money("post", "p", leg("a", "b", 101, 0), pending="hold")


def more_than_was_paid(ledger: Ledger) -> None:
    ledger.money("reversal", "r", leg("b", "a", 60, 0), reverses="pay")
    ledger.money("reversal", "s", leg("b", "a", 41, 0), reverses="pay")


def closing(ledger: Ledger, day: str = "2026-11-20") -> None:
    ledger.add(
        "policy",
        ("by", "user:cfo"),
        ("id", f"pol{len(ledger.entries)}"),
        ("policy", {"closed_before": f"{day}T00:00:00Z"}),
    )


def a_backdated_payment(ledger: Ledger) -> None:
    closing(ledger)
    ledger.pay("late", "a", "b", 1, effective="2026-11-19T23:59:59.999999Z")


def a_closing_that_reopens(ledger: Ledger) -> None:
    closing(ledger)
    closing(ledger)


def a_closing_ahead_of_time(ledger: Ledger) -> None:
    closing(ledger, "2027-01-01")


def money_for_a_stranger(ledger: Ledger) -> None:
    ledger.pay("pay", "a", "x", 1)


def money_from_a_closed_account(ledger: Ledger) -> None:
    ledger.account("a", "close", state="closed")
    ledger.pay("pay", "a", "b", 1)


def money_from_a_frozen_account(ledger: Ledger) -> None:
    ledger.account("b", "freeze", state="frozen")
    ledger.pay("pay", "a", "b", 1)


def another_scale(ledger: Ledger) -> None:
    ledger.pay("pay2", "a", "b", 1, asset="EUR/3")


def two_scales_in_one_entry(ledger: Ledger) -> None:
    ledger.money("transaction", "t", ("a", "b", "GBP/2", 1), ("a", "b", "GBP/0", 1))


def an_asset_that_is_not_taken(ledger: Ledger) -> None:
    ledger.pay("pay", "a", "b", 1, asset="BTC/8")


def a_sweep_of_nothing(ledger: Ledger) -> None:
    ledger.money("transaction", "t", leg("b", "a", 1), leg("b", "c", 0, side="debit", requested="5"))


def a_total_of_two_to_the_127(ledger: Ledger) -> None:
    ledger.pay("1", "a", "b", 2**127 - 1)
    ledger.pay("2", "a", "c", 1)


def more_than_there_is(ledger: Ledger) -> None:
    ledger.pay("1", "x", "a", 100)
    ledger.pay("2", "a", "x", 101)


def pendings_that_count(ledger: Ledger) -> None:
    ledger.pay("1", "x", "a", 100)
    ledger.money("pending", "2", ("a", "x", EUR, 60))
    ledger.pay("3", "a", "x", 41)


def opening_twice(ledger: Ledger) -> None:
    ledger.account("a")


def freezing_a_stranger(ledger: Ledger) -> None:
    ledger.account("x", "freeze", state="frozen")


def closing_what_is_not_empty(ledger: Ledger) -> None:
    ledger.account("a", "close", state="closed")


def unfreezing_what_is_open(ledger: Ledger) -> None:
    ledger.account("a", "unfreeze")


def reopening_what_is_open(ledger: Ledger) -> None:
    ledger.account("a", "reopen")


def a_definition_in_another_scale(ledger: Ledger) -> None:
    ledger.account("x", assets=["EUR/3"])


CHEATS: list[tuple[str, Callable[[], Ledger], Callable[[Ledger], None]]] = [
    ("id_conflict", paid, an_id_again),
    ("target_not_found", paid, a_target_that_is_not_there),
    ("target_wrong_kind", paid, a_post_of_a_transaction),
    ("target_wrong_kind", held, a_reversal_of_a_pending),
    ("pending_closed", held, a_post_after_the_whole),
    ("already_reversed", paid, a_second_reversal),
    ("pending_expired", lambda: held(expires="2026-11-24T00:00:00.123458Z"), a_late_post),
    ("amounts_mismatch", held, more_legs_than_the_target),
    ("exceeds_pending", held, more_than_was_held),
    ("exceeds_original", paid, more_than_was_paid),
    ("period_closed", Ledger, a_backdated_payment),
    ("period_closed", Ledger, a_closing_that_reopens),
    ("period_in_future", Ledger, a_closing_ahead_of_time),
    ("account_not_found", lambda: Ledger(accounts="explicit"), money_for_a_stranger),
    ("account_closed", lambda: opened("a", "b"), money_from_a_closed_account),
    ("account_frozen", lambda: opened("a", "b"), money_from_a_frozen_account),
    ("asset_scale_conflict", paid, another_scale),
    ("asset_scale_conflict", Ledger, two_scales_in_one_entry),
    ("asset_not_allowed", lambda: opened("b", assets=[EUR]), an_asset_that_is_not_taken),
    ("nothing_available", Ledger, a_sweep_of_nothing),
    ("balance_overflow", Ledger, a_total_of_two_to_the_127),
    ("insufficient_funds", lambda: opened("a", limit=LIMIT), more_than_there_is),
    ("insufficient_funds", lambda: opened("a", limit=LIMIT), pendings_that_count),
    ("account_exists", paid, opening_twice),
    ("account_not_found", paid, freezing_a_stranger),
    ("account_not_empty", paid, closing_what_is_not_empty),
    ("account_not_frozen", paid, unfreezing_what_is_open),
    ("account_not_closed", paid, reopening_what_is_open),
    ("asset_scale_conflict", paid, a_definition_in_another_scale),
]


@pytest.mark.parametrize("code,start,cheat", CHEATS, ids=[cheat.__name__ for _, _, cheat in CHEATS])
def test_what_should_have_been_refused_is_refused_with_the_same_code(
    code: str, start: Callable[[], Ledger], cheat: Callable[[Ledger], None]
) -> None:
    ledger = start()
    cheat(ledger)
    if code == "pending_expired":  # in the middle of a batch: `at` is one more than before
        assert ledger.at == START_US + 2
    violation = refused(ledger)
    assert violation.code == code


def test_every_stated_balance_is_compared() -> None:
    for name in ("debits", "credits", "pending_debits", "pending_credits"):
        ledger = paid()
        entry = ledger.pay("pay-2", "a", "b", 1)
        parts = json.loads(json.dumps(entry.parts))
        parts[3][2][name] = "7"
        ledger.entries.pop()
        ledger.add("transaction", *[(path, value) for _, path, value in parts], later=0)
        violation = refused(ledger)
        assert violation.code == "balances_differ"
        assert violation.facts["expected"] == entry.parts[3][2]


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts[::-1],
        lambda parts: [*parts, parts[-1]],
        lambda parts: [*parts, ("metadata/b", "1"), ("metadata/a", "2")],
        lambda parts: [*parts, ("metadata/\ufb33", "1"), ("metadata/😀", "2")],  # astral sorts first in UTF-16
        lambda parts: [*parts, ("metadata/a", 1)],
        lambda parts: [*parts, ("event", "e")],
        lambda parts: [*parts, ("nonsense", "e")],
        lambda parts: [*parts, ("effective", "2026-02-30T00:00:00Z")],
        lambda parts: [*parts, ("effective", "2026-02-03T00:00:00.10Z")],
        lambda parts: [("by", "nobody"), *parts[1:]],
        lambda parts: [("by", "user:"), *parts[1:]],
        lambda parts: [parts[0], ("id", "x\x7f"), *parts[2:]],
        lambda parts: [parts[0], ("id", "x" * 129), *parts[2:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"credit": "a"}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"amount": "01"}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"amount": 1}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"amount": str(2**127)}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"asset": "EUR/19"}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"of": 0}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/1", parts[2][1]), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/00", parts[2][1]), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | {"amount": "0"}), *parts[3:]],
        lambda parts: [*parts[:2], ("legs/0", parts[2][1] | ASKED), *parts[3:]],
        lambda parts: [*parts[:2], ("balancing/0", ASKED), *parts[2:]],
        lambda parts: [*parts, ("balancing/0", ASKED)],
        lambda parts: [*parts[:3], ("balancing/1", ASKED), *parts[3:]],
        lambda parts: [*parts[:3], ("balancing/0", ASKED), ("balancing/0", ASKED), *parts[3:]],
        lambda parts: [*parts[:3], ("balancing/0", ASKED | {"side": "none"}), *parts[3:]],
        lambda parts: [*parts[:3], ("balancing/0", ASKED | {"requested": "0"}), *parts[3:]],
        lambda parts: [*parts[:3], ("balancing/0", ASKED | {"amount": "1"}), *parts[3:]],
        lambda parts: [*parts[:3], ("balancing/0", {"side": "debit"}), *parts[3:]],
    ],
)
def test_parts_of_another_order_or_form_are_malformed(change: Callable[[list[Any]], list[Any]]) -> None:
    ledger = Ledger()
    entry = ledger.pay("pay", "a", "b", 1)
    ledger.entries.pop()
    ledger.add("transaction", *change([(path, value) for _, path, value in entry.parts]), later=0)
    assert refused(ledger).code == "malformed"


def test_a_balance_that_is_left_out_is_missed() -> None:
    ledger = Ledger()
    entry = ledger.pay("pay", "a", "b", 1)
    ledger.entries.pop()
    ledger.add("transaction", *[(path, value) for _, path, value in entry.parts[:-1]], later=0)
    assert refused(ledger).code == "balances_differ"


def test_a_leg_must_be_its_targets() -> None:
    for wrong in (leg("a", "c", 1, 0), leg("b", "a", 1, 0), leg("a", "b", 1, 0, "USD/2")):
        ledger = held()
        ledger.money("post", "p", wrong, pending="hold")
        assert refused(ledger).code == "legs_differ"


def test_a_release_takes_all_that_remains() -> None:
    ledger = held()
    ledger.money("void", "v", leg("a", "b", 99, 0), pending="hold")
    assert refused(ledger).code == "legs_differ"


def test_a_balancing_leg_moves_just_what_is_available() -> None:
    for moved in (39, 41):
        ledger = Ledger()
        ledger.pay("pay", "x", "a", 40)
        ledger.money("transaction", "t", leg("a", "b", moved, side="debit", requested="50"))
        violation = refused(ledger)
        assert (violation.code, violation.facts["expected"]) == ("legs_differ", 40)


def test_only_a_command_with_legs_of_its_own_can_be_balancing() -> None:
    ledger = held()
    ledger.money("post", "p", leg("a", "b", 1, 0, side="debit", requested="1"), pending="hold")
    assert refused(ledger).code == "malformed"


def test_a_debt_may_shrink_even_below_the_limit() -> None:
    ledger = paid()  # a owes 100
    ledger.account("a", "update", limit=LIMIT)
    ledger.pay("back", "b", "a", 10)
    book_of(ledger)
    ledger.pay("more", "a", "b", 1)
    violation = refused(ledger)
    assert (violation.code, violation.facts["needed"], violation.facts["available"]) == ("insufficient_funds", 1, -90)


def test_an_overdraft_is_honoured_to_the_cent() -> None:
    ledger = opened("a", limit=LIMIT, overdraft={EUR: "100"})
    ledger.pay("1", "a", "b", 100)
    book_of(ledger)
    ledger.pay("2", "a", "b", 1)
    assert refused(ledger).code == "insufficient_funds"


class TestExpiry:
    expires = "2026-11-24T00:00:01Z"
    second = 10**6

    def test_a_batch_that_begins_with_something_due_is_noticed(self) -> None:
        ledger = held(expires=self.expires)
        ledger.pay("late", "a", "b", 1, later=2 * self.second)
        violation = refused(ledger)
        assert (violation.code, violation.facts["expected"]) == (
            "expiry_missing",
            START_US // self.second * self.second + self.second,
        )

    def test_only_some_of_what_was_due_expired(self) -> None:
        ledger = held(expires=self.expires)
        ledger.money("pending", "hold-2", ("a", "b", EUR, 5), expires=self.expires)
        ledger.money("expire", None, leg("a", "b", 100, 0), pending="hold", later=2 * self.second)
        ledger.pay("late", "a", "b", 1)
        assert refused(ledger).code == "expiry_missing"

    @pytest.mark.parametrize("expired,code", [(1000, None), (999, "expiry_missing")])
    def test_a_thousand_expire_before_one_batch(self, expired: int, code: str | None) -> None:
        ledger = Ledger()
        for number in range(1001):
            ledger.money("pending", f"hold-{number}", ("a", "b", EUR, 1), expires=self.expires)
        for number in range(expired):
            later = 1 if number else 2 * self.second
            ledger.money("expire", None, leg("a", "b", 1, 0), pending=f"hold-{number}", later=later)
        ledger.pay("after", "a", "b", 1)
        if code is None:
            book_of(ledger)
            ledger.pay("late", "a", "b", 1, later=2)
        assert refused(ledger).code == "expiry_missing"  # the last one comes before the next batch at the latest

    def test_expiries_come_in_order(self) -> None:
        ledger = held(expires=self.expires)
        ledger.money("pending", "hold-2", ("a", "b", EUR, 5), expires=self.expires)
        ledger.money("expire", None, leg("a", "b", 5, 0), pending="hold-2", later=2 * self.second)
        assert refused(ledger).code == "expiry_differs"

    def test_nothing_expires_before_its_time(self) -> None:
        ledger = held(expires=self.expires)
        ledger.money("expire", None, leg("a", "b", 100, 0), pending="hold")
        assert refused(ledger).code == "expiry_differs"

    def test_a_seal_does_not_begin_a_batch(self) -> None:
        ledger = held(expires=self.expires)
        ledger.at += 2 * self.second
        ledger.seal()
        ledger.money("expire", None, leg("a", "b", 100, 0), pending="hold")
        book_of(ledger)

    def test_only_the_log_expires(self) -> None:
        ledger = held(expires=self.expires)
        ledger.money("expire", None, leg("a", "b", 100, 0), pending="hold", later=2 * self.second, by="user:me")
        assert refused(ledger).code == "malformed"


class TestDefinitions:
    def test_a_freeze_changes_nothing_else(self) -> None:
        ledger = opened("a", limit=LIMIT)
        ledger.account("a", "freeze", state="frozen")
        assert refused(ledger).code == "definition_differs"

    def test_an_update_keeps_the_state(self) -> None:
        ledger = opened("a")
        ledger.account("a", "freeze", state="frozen")
        ledger.account("a", "update", limit=LIMIT)
        assert refused(ledger).code == "definition_differs"

    def test_an_account_without_definition_can_be_closed_and_reopened(self) -> None:
        ledger = paid()
        ledger.pay("back", "b", "a", 100)
        ledger.account("a", "close", state="closed")
        ledger.account("a", "reopen")
        assert book_of(ledger).definitions["a"] == {"name": "a"}

    @pytest.mark.parametrize(
        "definition",
        [
            {"limit": "none"},
            {"overdraft": {EUR: "1"}},
            {"limit": LIMIT, "overdraft": {}},
            {"limit": LIMIT, "overdraft": {EUR: "0"}},
            {"assets": []},
            {"assets": ["USD/2", "EUR/2"]},
            {"assets": ["EUR/2", "EUR/2"]},
            {"state": "open"},
            {"colour": "red"},
            {"name": "a b"},
            {"name": ":a"},
            {"name": "a" * 65},
        ],
    )
    def test_a_definition_of_another_form_is_malformed(self, definition: dict[str, Any]) -> None:
        ledger = Ledger()
        ledger.add("account", ("by", "user:x"), ("account", {"name": "a", **definition}))
        assert refused(ledger).code == "malformed"


class TestDestroyedParts:
    """What follows from a destroyed part is said, and nothing is passed in silence."""

    @pytest.mark.parametrize("paths", [("metadata/invoice",), ("by",), ("reference",), ("reason",)])
    def test_what_no_rule_rests_on_is_gone_without_consequence(self, paths: tuple[str, ...]) -> None:
        ledger = small_ledger()
        for entry in range(len(ledger.entries)):
            if not any(part[1] == "policy" for part in ledger.entries[entry].parts) and not any(
                part[1] == "expires" for part in ledger.entries[entry].parts
            ):
                ledger.destroy(entry, *paths)
        assert "balance" not in str(book_of(ledger).open)

    def test_a_destroyed_id_leaves_its_targets_undecided(self) -> None:
        ledger = paid()
        ledger.destroy(1, "id")
        ledger.money("reversal", "r", leg("b", "a", 100, 0), reverses="pay")
        book = book_of(ledger)
        assert any("target_not_found" in what for what in book.open)
        assert book.totals["a", EUR].credits == 100

    def test_destroyed_legs_leave_balances_on_the_logs_word_once(self) -> None:
        ledger = paid()
        ledger.destroy(1, "legs/0", "balances/0", "balances/1")
        ledger.pay("pay-2", "a", "b", 5)
        ledger.pay("pay-3", "a", "b", 5)
        book = book_of(ledger)
        assert any("the log's own word" in what for what in book.open)
        assert book.totals["a", EUR].debits == 110
        entry = ledger.pay("pay-4", "a", "b", 5)
        entry.parts[3][2]["debits"] = "0"
        violation = refused(ledger)  # what was stated since must go on
        assert violation.code == "balances_differ"

    def test_a_destroyed_definition_leaves_limits_undecided_and_says_so(self) -> None:
        ledger = opened("a", limit=LIMIT)
        ledger.destroy(1, "account")
        ledger.pay("1", "x", "a", 100)
        ledger.account("a", "freeze", limit=LIMIT, state="frozen")
        ledger.pay("2", "a", "x", 101)
        book = book_of(ledger)
        assert any("insufficient_funds" in what for what in book.open)
        assert any("account_frozen" in what for what in book.open)

    def test_destroyed_balances_alone_lose_only_the_comparison(self) -> None:
        ledger = paid()
        ledger.destroy(1, "balances/0")
        ledger.pay("pay-2", "a", "b", 5)
        book = book_of(ledger)
        assert list(book.open) == ["destroyed, perhaps balances: not checked"]

    @pytest.mark.parametrize("more", [(), ("metadata/k",), ("balancing/2",), ("balancing/2", "metadata/k")])
    def test_what_was_asked_for_alone_leaves_everything_else_checked(self, more: tuple[str, ...]) -> None:
        ledger = paid()
        sweep = {"side": "debit", "requested": "500"}
        legs = leg("b", "c", 100, **sweep), leg("x", "b", 1), leg("b", "c", 1, **sweep)
        entry = ledger.money("transaction", "sweep", *legs, metadata={"k": "v"})
        ledger.destroy(2, "balancing/0", *more)
        ledger.money("reversal", "r", leg("c", "b", 100, 0), reverses="sweep")
        book = book_of(ledger)
        assert list(book.open) == ["destroyed, perhaps balancing: not checked"]
        ledger.money("reversal", "r2", leg("c", "b", 1, 0), reverses="sweep")
        assert refused(ledger).code == "exceeds_original"
        # A leg that is gone, too, is not mistaken for it.
        ledger.destroy(2, "legs/2")
        assert any("the log's own word" in what or "legs" in what for what in book_of(ledger).open)
        assert len(entry.parts) == 11

    def test_more_destroyed_parts_than_a_kind_can_have_are_malformed(self) -> None:
        ledger = paid()
        ledger.pay("p2", "a", "b", 1)
        ledger.entries[-1].parts.insert(1, "00" * 32)
        ledger.entries[-1].parts.insert(1, "00" * 32)
        assert refused(ledger).code == "malformed"


def test_a_kind_without_rules_is_left_open() -> None:
    ledger = Ledger()
    ledger.add("capture", ("by", "capture:crm"), ("row", 1))
    assert list(book_of(ledger).open) == ["this verifier knows no rules for the kind capture"]


def test_a_genesis_says_how_accounts_come_to_be() -> None:
    ledger = Ledger(accounts="somehow")
    assert refused(ledger).code == "malformed"


def test_malformed_stubs_never_reach_the_book() -> None:
    with pytest.raises(Malformed):
        StubReader(ORIGIN).read(b'{"at":1}')
