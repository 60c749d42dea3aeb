from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from importing.mappings import OXFORD, SIMPLE

from tallystick.errors import Rejected
from tallystick.ledger.importing import Line, MalformedMapping, Problem, Skipped, parse_mapping, read_lines

HEADER = "Date,Code,Supplier,Amount,Note\n"


def read(rows: str, mapping: bytes = SIMPLE, encoding: str = "utf-8") -> list[Line]:
    return list(read_lines((HEADER + rows).encode(encoding), "csv", parse_mapping(mapping)))


def leg(line: Line) -> tuple[str, str, str, str]:
    assert isinstance(line.outcome, dict), line.outcome
    (only,) = line.outcome["legs"]  # type: ignore[misc,attr-defined]
    return only["debit"], only["credit"], only["asset"], only["amount"]


def reason(line: Line) -> str:
    assert isinstance(line.outcome, Problem), line.outcome
    return line.outcome.reason


def test_a_row_becomes_a_transaction() -> None:
    (line,) = read("07/04/2015,D3701,ACME Ltd,1054.5,rent\n")
    assert line.number == 2
    assert isinstance(line.outcome, dict)
    assert str(line.outcome.pop("id")).startswith("row:")
    assert line.outcome == {
        "legs": [{"debit": "expense:D3701", "credit": "supplier:ACME-Ltd", "asset": "GBP/2", "amount": "105450"}],
        "effective": "2015-04-07T00:00:00Z",
        "reference": "rent",
        "metadata": {"note": "rent"},
    }


@pytest.mark.parametrize(
    "text, moved",
    [
        ("1054.11", "105411"),
        ('"1,054.11"', "105411"),
        ('"1,23,456.00"', "12345600"),
        ("£12", "1200"),
        ("+0.10", "10"),
        (".5", "50"),
        ("5.", "500"),
        ("1.500", "150"),
    ],
)
def test_amounts(text: str, moved: str) -> None:
    (line,) = read(f"07/04/2015,D1,A,{text},\n")
    assert leg(line) == ("expense:D1", "supplier:A", "GBP/2", moved)


@pytest.mark.parametrize(
    "text, moved", [("-0.01", "1"), ("(12.50)", "1250"), ("12.50-", "1250"), ('"-1,054"', "105400")]
)
def test_a_negative_amount_swaps_debit_and_credit(text: str, moved: str) -> None:
    (line,) = read(f"07/04/2015,D1,A,{text},\n")
    assert leg(line) == ("supplier:A", "expense:D1", "GBP/2", moved)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "empty"),
        ("0.00", "zero"),
        ("-0", "zero"),
        ("1.005", "3 decimal places"),
        ('"1,05"', "not an amount"),
        ("1e3", "not an amount"),
        ("nan", "not an amount"),
        ("1_000", "not an amount"),
        ("١٢", "not an amount"),
        ("--1", "not an amount"),
        ("n/a", "not an amount"),
        ("9" * 40, "2^127"),
    ],
)
def test_bad_amounts_are_listed(text: str, why: str) -> None:
    (line,) = read(f"07/04/2015,D1,A,{text},\n")
    assert why in reason(line)
    assert line.outcome == Problem("amount", reason(line))


def test_continental_numbers() -> None:
    mapping = SIMPLE.replace(b'column = "Amount"', b'column = "Amount"\ndecimal = ","')
    (line,) = read('07/04/2015,D1,A,"1.054,5",\n', mapping)
    assert leg(line)[3] == "105450"


def test_separate_columns_for_in_and_out() -> None:
    mapping = b"""
    [amount]
    plus = "In"
    minus = "Out"
    [transaction]
    debit = "bank"
    credit = "suspense"
    asset = "{Currency}"
    """
    rows = b"In,Out,Currency\n5.00,,EUR\n,7,JPY\n1,1,EUR\n,,EUR\n1,,XYZ\n"
    lines = list(read_lines(rows, "csv", parse_mapping(mapping)))
    assert leg(lines[0]) == ("bank", "suspense", "EUR/2", "500")
    assert leg(lines[1]) == ("suspense", "bank", "JPY/0", "7")
    assert "zero" in reason(lines[2])
    assert "empty" in reason(lines[3])
    assert "no scale is known for 'XYZ'" in reason(lines[4])


@pytest.mark.parametrize(
    "text, time",
    [
        ("07/04/2015", "2015-04-07T00:00:00Z"),
        ("2015-04-07", "2015-04-07T00:00:00Z"),
        ("2015-04-07T01:30:00.250+0200", "2015-04-06T23:30:00.25Z"),
    ],
)
def test_dates(text: str, time: str) -> None:
    (line,) = read(f"{text},D1,A,1,\n")
    assert isinstance(line.outcome, dict)
    assert line.outcome["effective"] == time


@pytest.mark.parametrize("text", ["31/02/2015", "07-04-15", "42101", "", "07/04/20155", "1/1/1066", "13/13/2015"])
def test_broken_dates_are_listed(text: str) -> None:
    (line,) = read(f"{text},D1,A,1,\n")
    assert isinstance(line.outcome, Problem)
    assert line.outcome.member == "effective"


def test_days_outside_the_period_are_listed() -> None:
    mapping = SIMPLE.replace(b"[amount]", b"not_before = 2015-04-01\nnot_after = 2015-06-30\n[amount]")
    lines = read("31/03/2015,D1,A,1,\n01/04/2015,D1,A,1,\n30/06/2015,D1,A,1,\n01/07/2051,D1,A,1,\n", mapping)
    assert [isinstance(line.outcome, dict) for line in lines] == [False, True, True, False]
    assert "not between 2015-04-01 and 2015-06-30" in reason(lines[3])


def test_account_segments() -> None:
    rows = "07/04/2015,D1,Café & Söhne,1,\n07/04/2015,D1,,1,\n07/04/2015,,A,1,\n07/04/2015,日本,A,1,\n"
    first, fallback, empty, foreign = read(rows)
    assert leg(first)[1] == "supplier:Cafe-Sohne"
    assert leg(fallback)[1] == "supplier:unknown"
    assert reason(empty) == "column 'Code' is empty"
    assert "nothing of which can stand here" in reason(foreign)


def test_long_names_stay_apart() -> None:
    one, two = read(f"07/04/2015,D1,{'x' * 90}a,1,\n07/04/2015,D1,{'x' * 90}b,1,\n")
    assert len(leg(one)[1]) == len("supplier:") + 64
    assert leg(one)[1] != leg(two)[1]


def test_a_field_alone_is_a_whole_account_name() -> None:
    mapping = SIMPLE.replace(b'"expense:{Code}"', b'"{Code}"')
    one, two = read("07/04/2015,assets:bank main,A,1,\n07/04/2015,assets::x,A,1,\n", mapping)
    assert leg(one)[0] == "assets:bank-main"
    assert "nothing of which can stand here" in reason(two)


def test_accounts_can_be_renamed() -> None:
    mapping = SIMPLE + b'[accounts]\n"expense:D1" = "expense:rent"\n"supplier:A" = "expense:rent"\n'
    one, two = read("07/04/2015,D1,B,1,\n07/04/2015,D1,A,1,\n", mapping)
    assert leg(one)[0] == "expense:rent"
    assert "both 'expense:rent'" in reason(two)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings(encoding: str) -> None:
    (line,) = read("07/04/2015,D1,A,£1,Gebühr – fällig\n", encoding=encoding)
    assert isinstance(line.outcome, dict)
    assert line.outcome["reference"] == "Gebühr – fällig"


def test_a_byte_outside_the_encoding_refuses_its_row_only() -> None:
    data = HEADER.encode() + b"07/04/2015,D1,A,1,caf\xe9\n07/04/2015,D1,A,2,tea\n"
    mapping = parse_mapping(SIMPLE + b'[csv]\nencoding = "utf-8"\n')
    bad, good = read_lines(data, "csv", mapping)
    assert "encoding" in reason(bad)
    assert leg(good)[3] == "200"


def test_quoted_line_breaks_keep_count() -> None:
    lines = read('07/04/2015,D1,A,1,"two\r\nlines"\r\n\r\n07/04/2015,D1,A,x,\r\n')
    assert [line.number for line in lines] == [2, 4, 5]
    assert isinstance(lines[0].outcome, dict)
    assert lines[0].outcome["reference"] == "two lines"
    assert lines[0].outcome["metadata"] == {"note": "two\r\nlines"}
    assert lines[1].outcome == Skipped("an empty row")


def test_an_unclosed_quote_is_listed_with_what_it_swallowed() -> None:
    lines = read('07/04/2015,D1,A,1,ok\n07/04/2015,D1,A,1,"open\n07/04/2015,D1,A,1,lost\n')
    assert leg(lines[0])[3] == "100"
    assert "lines 3 to 4" in reason(lines[1])
    assert "lost" in lines[1].original
    stray = read('07/04/2015,D1,A,1,"a"b\n07/04/2015,D1,A,1,next\n')
    assert [isinstance(line.outcome, dict) for line in stray] == [False, True]


def test_rows_of_another_width_are_listed() -> None:
    short, long = read("07/04/2015,D1,A,1\n07/04/2015,D1,A,1,1,1\n")
    assert reason(short) == "the row has 4 cells, the header 5"
    assert reason(long) == "the row has 6 cells, the header 5"


def test_equal_rows_are_both_kept_and_a_second_reading_gives_the_same_ids() -> None:
    rows = "07/04/2015,D1,A,1,\n07/04/2015,D1,A,1,\n07/04/2015,D1,A,2,\n"
    ids = [line.outcome["id"] for line in read(rows) if isinstance(line.outcome, dict)]
    assert len(set(ids)) == 3
    assert ids == [line.outcome["id"] for line in read(rows) if isinstance(line.outcome, dict)]
    shuffled = [
        line.outcome["id"] for line in read("\n".join(rows.split("\n")[::-1])) if isinstance(line.outcome, dict)
    ]
    assert set(ids) == set(shuffled)


def test_ids_do_not_depend_on_further_columns_or_their_order() -> None:
    mapping = parse_mapping(SIMPLE)
    one = b"Date,Code,Supplier,Amount,Note\n07/04/2015,D1,A,1,n\n"
    other = b"line,Note,Amount,Supplier,Code,Date\n7,n,1,A,D1,07/04/2015\n"
    ids = {next(iter(read_lines(data, "csv", mapping))).outcome["id"] for data in (one, other)}  # type: ignore[index]
    assert len(ids) == 1


def test_ids_of_columns_that_repeat_are_listed() -> None:
    mapping = SIMPLE.replace(b"[transaction]", b'[transaction]\nid = "n-{Note}"')
    lines = read("07/04/2015,D1,A,1,7\n07/04/2015,D1,A,2,7\n07/04/2015,D1,A,2,\n", mapping)
    assert isinstance(lines[0].outcome, dict)
    assert lines[0].outcome["id"] == "n-7"
    assert "line 2 has the same id 'n-7'" in reason(lines[1])
    assert "column 'Note' is empty" in reason(lines[2])


def test_skip_rules() -> None:
    rules = b'[[skip]]\ncolumn = "Note"\nmatches = "^Total"\nwhy = "a total"\n[[skip]]\ncolumn = "Code"\nempty = true\n'
    lines = read("07/04/2015,D1,A,1,Total of all\n07/04/2015,,A,1,\n07/04/2015,D1,A,1,\n", SIMPLE + rules)
    assert lines[0].outcome == Skipped("a total")
    assert lines[1].outcome == Skipped("Code is empty")
    assert isinstance(lines[2].outcome, dict)


def test_a_header_that_does_not_fit_refuses_the_file() -> None:
    with pytest.raises(Rejected, match=r"no column for 'Code'.*found Date, Amount"):
        list(read_lines(b"Date,Amount\n", "csv", parse_mapping(SIMPLE)))
    with pytest.raises(Rejected, match="2 columns for 'Date'"):
        list(read_lines(b"Date,Date,Code,Supplier,Amount,Note\n", "csv", parse_mapping(SIMPLE)))
    with pytest.raises(Rejected, match="no header"):
        list(read_lines(b"", "csv", parse_mapping(SIMPLE)))
    with pytest.raises(Rejected, match="needs a mapping"):
        list(read_lines(b"", "csv"))


def test_lines_before_the_header_and_another_delimiter() -> None:
    mapping = parse_mapping(SIMPLE + b'[csv]\nskip_lines = 2\ndelimiter = ";"\n')
    data = b"Account 12\nfrom, to\nDate;Code;Supplier;Amount;Note\n07/04/2015;D1;A;1;n\n"
    (line,) = read_lines(data, "csv", mapping)
    assert line.number == 4


@pytest.mark.parametrize(
    "text, member",
    [
        (b"[date]\ncolum = 'x'", "date.colum"),
        (b"nonsense = 1", "nonsense"),
        (b"[amount]\ndecimal = ';'", "amount.decimal"),
        (b"[amount]\nthousands = '.'", "amount.thousands"),
        (b"[transaction]\ndebit = 'a:{b'", "transaction.debit"),
        (b"[[skip]]\ncolumn = 'a'", "skip.0.column"),
        (b"[[skip]]\ncolumn = 'a'\nmatches = '('", "skip.0.matches"),
        (b"[assets]\nGBP = 'pounds'", "assets.GBP"),
        (b"[columns]\na = []", "columns.a"),
        (b"[csv]\nskip_lines = true", "csv.skip_lines"),
        (b"[date]\nnot_before = 'yesterday'", "date.not_before"),
        (b"csv = 1", "csv"),
    ],
)
def test_a_malformed_mapping_names_the_member(text: bytes, member: str) -> None:
    with pytest.raises(MalformedMapping) as error:
        parse_mapping(text)
    assert error.value.facts["member"] == member


def test_a_mapping_without_rules_for_rows_is_refused() -> None:
    with pytest.raises(MalformedMapping, match="debit, credit, asset, amount"):
        list(read_lines(b"a\n", "csv", parse_mapping(b"")))
    with pytest.raises(MalformedMapping, match="not TOML"):
        parse_mapping(b"= =")


@pytest.mark.parametrize(
    "quarter, rows, refunds", [("apr-jun-2015", 3993, 6), ("oct-dec-2016", 3847, 3), ("apr-jun-2017", 4052, 7)]
)
def test_the_oxford_quarters_import_whole(oxford: Path, quarter: str, rows: int, refunds: int) -> None:
    data = (oxford / f"{quarter}.csv").read_bytes()
    lines = list(read_lines(data, "csv", parse_mapping(OXFORD)))
    assert len(lines) == rows
    booked = [line for line in lines if isinstance(line.outcome, dict)]
    assert all(isinstance(line.outcome, (dict, Problem)) for line in lines)
    assert len(booked) == rows
    assert len({line.outcome["id"] for line in booked}) == rows  # type: ignore[index]
    assert sum(leg(line)[0].startswith("supplier:") for line in booked) == refunds
    reader = csv.DictReader(io.StringIO(data.decode()))
    total = sum(round(float(row["Amount"]) * 100) for row in reader)
    assert sum(int(leg(line)[3]) * (1 if leg(line)[0].startswith("expense:") else -1) for line in booked) == total


def test_damaged_oxford_rows_are_listed_and_the_rest_is_booked(oxford: Path) -> None:
    text = (oxford / "oct-dec-2016.csv").read_text()
    damaged = text.replace("06/12/2016,1033147 - 2", "31/11/2016,1033147 - 2").replace(",3022.4,", ",,")
    lines = list(read_lines(damaged.encode(), "csv", parse_mapping(OXFORD)))
    bad = [line for line in lines if isinstance(line.outcome, Problem)]
    assert len(lines) == 3847
    assert [line.number for line in bad] == [3]
