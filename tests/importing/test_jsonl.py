from __future__ import annotations

from tallystick.ledger.importing import Line, Problem, Skipped, parse_mapping, read_lines

MAPPING = b"""
[columns]
amount = ["amount", "value.amount"]
date = "paid.on"
[amount]
column = "amount"
[date]
column = "date"
formats = ["%Y-%m-%d"]
[transaction]
debit = "fees:{fee}"
credit = "customer:{payee.id|unknown}"
asset = "{value.currency|GBP}"
"""


def read(text: str, mapping: bytes | None = None) -> list[Line]:
    return list(read_lines(text.encode(), "jsonl", parse_mapping(mapping) if mapping else None))


def test_commands_pass_as_they_are() -> None:
    one, empty, two = read('{"id":"1","legs":[]}\n\n{"kind":"void","id":"2","pending":"p"}\r\n')
    assert one.outcome == {"id": "1", "legs": []}
    assert empty.outcome == Skipped("an empty line")
    assert two.outcome == {"kind": "void", "id": "2", "pending": "p"}
    assert two.number == 3


def test_what_is_no_object_is_listed() -> None:
    lines = read('[1]\n{"id":"a","id":"b"}\n{"id":NaN}\n{"id"\n"x\n' + "[" * 100_000)
    assert [type(line.outcome) for line in lines] == [Problem] * 6
    assert "stands twice" in lines[1].outcome.reason  # type: ignore[union-attr]


def test_mapped_objects_keep_the_digits_of_numbers() -> None:
    lines = read(
        '{"amount":0.1,"paid":{"on":"2024-01-02"},"fee":"f","payee":{"id":7}}\n'
        '{"value":{"amount":90071992547409931.25,"currency":"EUR"},"paid":{"on":"2024-01-02"},"fee":"f"}\n'
        '{"amount":1e3,"paid":{"on":"2024-01-02"},"fee":"f"}\n'
        '{"amount":1,"fee":null}\n',
        MAPPING,
    )
    assert [line.outcome["legs"] for line in lines[:2]] == [  # type: ignore[index]
        [{"debit": "fees:f", "credit": "customer:7", "asset": "GBP/2", "amount": "10"}],
        [{"debit": "fees:f", "credit": "customer:unknown", "asset": "EUR/2", "amount": "9007199254740993125"}],
    ]
    assert lines[2].outcome == Problem("amount", "'1e3' is not an amount")
    assert lines[3].outcome == Problem("debit", "column 'fee' is empty")
