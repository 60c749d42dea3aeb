from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.importing import Line, Problem, Skipped, parse_mapping, read_lines
from tallystick.ledger.importing.lines import Unbookable
from tallystick.ledger.importing.postings import legs


def read(text: str, format: str, mapping: bytes | None = None) -> list[Line]:
    return list(read_lines(text.encode(), format, parse_mapping(mapping) if mapping else None))


def moves(line: Line) -> list[tuple[str, str, str, str]]:
    assert isinstance(line.outcome, dict), line.outcome
    return [(leg["debit"], leg["credit"], leg["asset"], leg["amount"]) for leg in line.outcome["legs"]]  # type: ignore[attr-defined]


def reason(line: Line) -> str:
    assert isinstance(line.outcome, Problem), line.outcome
    return line.outcome.reason


HLEDGER = """\
; opening
commodity $1000.00
decimal-mark .
account expenses:food

2024-05-01 * (INV 7) Market | fruit  ; week:18
    ; project: garden, mood: good
    expenses:food        £70.00
    expenses:rent        30 GBP  ; half
    assets:bank checking  -100.00 GBP = 50 GBP

comment
2024-05-01 not this one
    a  1 EUR
end comment

2024/5/2=2024/5/9 ! two assets
\tassets:eur\t€1,000.50
\tassets:usd\t$-3
\tequity:opening
2024-05-03 wrong
    a  1.00 EUR
    b  -0.99 EUR

2024-05-04 exchange
    a  1.00 EUR @ 1.10 USD
    b  -1.10 USD
"""


def test_an_hledger_journal() -> None:
    lines = read(HLEDGER, "hledger", b'[assets]\n"$" = "USD/2"\n')
    directives, transactions = lines[:3], lines[3:]
    assert [line.outcome for line in directives] == [
        Skipped("a directive: commodity"),
        Skipped("a directive: decimal-mark"),
        Skipped("a directive: account"),
    ]
    assert [line.number for line in transactions] == [6, 17, 21, 25]
    market, opening, wrong, exchange = transactions
    assert moves(market) == [
        ("expenses:food", "assets:bank-checking", "GBP/2", "7000"),
        ("expenses:rent", "assets:bank-checking", "GBP/2", "3000"),
    ]
    assert isinstance(market.outcome, dict)
    assert market.outcome["reference"] == "INV 7"
    assert market.outcome["effective"] == "2024-05-01T00:00:00Z"
    assert market.outcome["metadata"] == {
        "description": "Market | fruit",
        "week": "18",
        "project": "garden",
        "mood": "good",
    }
    assert moves(opening) == [
        ("assets:eur", "equity:opening", "EUR/2", "100050"),
        ("equity:opening", "assets:usd", "USD/2", "300"),
    ]
    assert reason(wrong).startswith("EUR/2 is out by 1 minor units")
    assert "each asset must balance by itself" in reason(exchange)


@pytest.mark.parametrize(
    "text, why",
    [
        ("include other.journal", "'include' starts neither"),
        ("alias a = b", "'alias'"),
        ("Y2024", "'Y2024'"),
        ("05-01 short date\n  a  1 EUR\n  b", "'05-01'"),
        ("2024-02-30 no such day\n  a  1 EUR\n  b", "no date"),
        ("2024-05-01 x\n  a  1 EUR\n  b\n  c", "more than one posting"),
        ("2024-05-01 x\n  (a)  1 EUR\n  b  1 EUR\n  c  -1 EUR", "virtual"),
        ("2024-05-01 x\n  a  = 5 EUR\n  b", "assigns a balance"),
        ("2024-05-01 x\n  a  5\n  b", "no amount with one commodity"),
        ("2024-05-01 x\n  a  1 XYZ\n  b", "no scale is known for 'XYZ'"),
        ("2024-05-01 x\n  a  0 EUR\n  b", "moves nothing"),
        ("2024-05-01 x\n  a  1 EUR\n  a  -1 EUR", "moves nothing"),
        ("2024-05-01 x\n  a  1.005 EUR\n  b", "3 decimal places"),
        ("2024-05-01 x", "moves nothing"),
    ],
)
def test_what_hledger_would_book_otherwise_is_listed(text: str, why: str) -> None:
    bad, good = read(text + "\n\n2024-05-02 y\n  a  1 EUR\n  b\n", "hledger")
    assert why in reason(bad)
    assert moves(good) == [("a", "b", "EUR/2", "100")]


BEANCOUNT = """\
option "title" "x"
plugin "beancount.plugins.auto"
2024-01-01 open Assets:Bank EUR
* Section

2024-05-01 * "Market" "Fruit \\"fresh\\"" #food ^inv-7
  week: "18"
  Expenses:Food   70.00 EUR
    kind: "fruit"
  ! Expenses:Rent  30 EUR ; half
  Assets:Bank  -100.00 EUR
2024-05-02 txn "Only narration"
  Assets:Bank  1,000.00 EUR
  Income:Salary
2024-05-03 ! "Shares"
  Assets:Shares  2 ACME {50.00 EUR}
  Assets:Bank  -100.00 EUR
2024-05-04 balance Assets:Bank  0 EUR
2024-05-05 pad Assets:Bank Equity:Opening
include "other.beancount"
"""


def test_a_beancount_journal() -> None:
    lines = read(BEANCOUNT, "beancount", b'[assets]\nACME = "ACME/0"\n')
    assert [type(line.outcome).__name__ for line in lines] == [
        "Skipped", "Skipped", "Skipped", "dict", "dict", "Problem", "Skipped", "Problem", "Problem",
    ]  # fmt: skip
    market, salary, shares = lines[3:6]
    assert moves(market) == [
        ("Expenses:Food", "Assets:Bank", "EUR/2", "7000"),
        ("Expenses:Rent", "Assets:Bank", "EUR/2", "3000"),
    ]
    assert market.outcome["metadata"] == {  # type: ignore[index]
        "payee": "Market",
        "narration": 'Fruit "fresh"',
        "tags": "food",
        "links": "inv-7",
        "week": "18",
    }
    assert moves(salary) == [("Assets:Bank", "Income:Salary", "EUR/2", "100000")]
    assert "ACME/0 is out by 2" in reason(shares)
    assert "'pad'" in reason(lines[7])
    assert "'include'" in reason(lines[8])


def test_equal_transactions_are_both_kept() -> None:
    lines = read("2024-05-01 x\n  a  1 EUR\n  b\n" * 2, "hledger")
    ids = [line.outcome["id"] for line in lines]  # type: ignore[index]
    assert ids[0].endswith(":1")
    assert ids[1] == ids[0][:-1] + "2"


ACCOUNTS = st.sampled_from("abcde")
ASSETS = st.sampled_from(("EUR/2", "JPY/0"))


@given(st.lists(st.tuples(ACCOUNTS, ASSETS, st.integers(-50, 50)), max_size=12))
def test_legs_move_what_the_postings_say(postings: list[tuple[str, str, int]]) -> None:
    wanted: dict[tuple[str, str], int] = {}
    for account, asset, units in postings:
        wanted[account, asset] = wanted.get((account, asset), 0) + units
    sums = {asset: sum(u for _, found, u in postings if found == asset) for _, asset, _ in postings}
    if any(sums.values()) or not any(wanted.values()):
        with pytest.raises(Unbookable):
            legs(postings)
        return
    moved: dict[tuple[str, str], int] = {}
    for leg in legs(postings):
        assert leg["debit"] != leg["credit"]
        assert int(leg["amount"]) > 0
        for side, sign in (("debit", 1), ("credit", -1)):
            key = (leg[side], leg["asset"])
            moved[key] = moved.get(key, 0) + sign * int(leg["amount"])
    assert {key: units for key, units in moved.items() if units} == {key: u for key, u in wanted.items() if u}
