from __future__ import annotations

import pytest

from tallystick.errors import Rejected
from tallystick.ledger.importing import Line, Problem, Skipped, parse_mapping, read_lines

ENTRY = """<Ntry><NtryRef>{ref}</NtryRef><Amt Ccy="{ccy}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{more}
<Sts>{status}</Sts><BookgDt><Dt>2024-03-01</Dt></BookgDt><ValDt><Dt>{date}</Dt></ValDt>
<AcctSvcrRef>{bank}</AcctSvcrRef><NtryDtls>{details}</NtryDtls></Ntry>"""
DETAILS = """<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs>{amount}<CdtDbtInd>{direction}</CdtDbtInd><RltdPties>
<Dbtr><Pty><Nm>Ada</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>FR76</IBAN></Id></DbtrAcct><Cdtr><Nm>Bob</Nm></Cdtr>
<CdtrAcct><Id><Othr><Id>999</Id></Othr></Id></CdtrAcct></RltdPties>
<RmtInf><Ustrd>Invoice</Ustrd><Ustrd>77</Ustrd></RmtInf></TxDtls>"""
BALANCE = """<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>
<CdtDbtInd>CRDT</CdtDbtInd></Bal>"""


def entry(amount: str = "10.00", direction: str = "CRDT", **given: str) -> str:
    members = {
        "ref": "1",
        "ccy": "EUR",
        "more": "",
        "status": "BOOK",
        "date": "2024-03-02",
        "bank": "B1",
        "details": "",
    }
    return ENTRY.format(amount=amount, direction=direction, **(members | given))


def details(id: str, amount: str = "", direction: str = "CRDT") -> str:
    return DETAILS.format(id=id, amount=f'<Amt Ccy="EUR">{amount}</Amt>' if amount else "", direction=direction)


def statement(*entries: str, balances: str = "", prologue: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>\n{prologue}<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">\n'
        "<BkToCstmrStmt><Stmt><Id>S-9</Id><Acct><Id><IBAN>DE02 1234</IBAN></Id></Acct>\n"
        f"{balances}\n" + "\n".join(entries) + "</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def read(*entries: str, balances: str = "", mapping: bytes | None = None) -> list[Line]:
    data = statement(*entries, balances=balances)
    return list(read_lines(data, "camt.053", parse_mapping(mapping) if mapping else None))


def test_money_in_debits_the_account_and_money_out_credits_it() -> None:
    money_in, money_out = read(entry("10.00"), entry("2.5", "DBIT", details=details("E2E-1", direction="DBIT")))
    assert isinstance(money_in.outcome, dict)
    assert isinstance(money_out.outcome, dict)
    assert money_in.outcome["legs"] == [
        {"debit": "bank:DE02-1234", "credit": "suspense:DE02-1234", "asset": "EUR/2", "amount": "1000"}
    ]
    assert money_out.outcome["legs"] == [
        {"debit": "suspense:DE02-1234", "credit": "bank:DE02-1234", "asset": "EUR/2", "amount": "250"}
    ]
    assert money_in.outcome["effective"] == "2024-03-02T00:00:00Z"
    assert money_in.outcome["reference"] == "B1"
    assert money_out.outcome["reference"] == "E2E-1"
    assert money_out.outcome["metadata"] == {
        "statement": "S-9",
        "booking_date": "2024-03-01",
        "bank_reference": "B1",
        "end_to_end": "E2E-1",
        "remittance": "Invoice 77",
    }
    assert money_in.number == 5


def test_a_reversal_goes_the_way_that_it_went() -> None:
    (line,) = read(entry("10.00", "DBIT", more="<RvslInd>true</RvslInd>"))
    assert isinstance(line.outcome, dict)
    assert line.outcome["legs"][0]["credit"] == "bank:DE02-1234"  # type: ignore[index]
    assert line.outcome["metadata"]["reversal"] == "true"  # type: ignore[index]


def test_details_that_sum_up_become_legs() -> None:
    mapping = b'[statement]\naccount = "assets:bank"\ncounterparty = "party:{counterparty_account|unknown}"\n'
    both = details("a", "6.00") + details("b", "4.00")
    (line,) = read(entry(details=both), mapping=mapping)
    assert [(leg["credit"], leg["amount"]) for leg in line.outcome["legs"]] == [  # type: ignore[index]
        ("party:FR76", "600"),
        ("party:FR76", "400"),
    ]
    for incomplete in (details("a", "6.00") + details("b", "3.00"), details("a") + details("b", "4.00")):
        (line,) = read(entry(details=incomplete), mapping=mapping)
        assert [leg["amount"] for leg in line.outcome["legs"]] == ["1000"]  # type: ignore[index]


def test_what_the_bank_has_not_booked_is_skipped() -> None:
    pending, coded = read(entry(status="PDNG"), entry(status="<Cd>BOOK</Cd>"))
    assert pending.outcome == Skipped("not booked by the bank: status PDNG")
    assert isinstance(coded.outcome, dict)


def test_bad_entries_are_listed() -> None:
    lines = read(
        entry("1.005"), entry("0.00"), entry(ccy="XXX"), entry(direction="?"), entry(date="2024-02-30"), entry("7.00")
    )
    assert [isinstance(line.outcome, Problem) for line in lines] == [True] * 5 + [False]


def test_ids_survive_another_numbering_and_keep_equal_entries_apart() -> None:
    first = read(entry(), entry(ref="2"), entry("3"))
    again = read(entry(ref="8"), entry("3", ref="9"), entry(ref="10"))
    ids = [line.outcome["id"] for line in first]  # type: ignore[index]
    assert len(set(ids)) == 3
    assert set(ids) == {line.outcome["id"] for line in again}  # type: ignore[index]


def test_a_statement_that_does_not_add_up_is_listed() -> None:
    opening = BALANCE.format(code="OPBD", amount="100.00")
    assert len(read(entry(), balances=opening + BALANCE.format(code="CLBD", amount="110.00"))) == 1
    wrong, _ = read(entry(), balances=opening + BALANCE.format(code="CLBD", amount="111.00"))
    assert isinstance(wrong.outcome, Problem)
    assert "opening 10000 and entries 1000 give 11000, closing is 11100" in wrong.outcome.reason


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE d SYSTEM "file:///etc/passwd">',
        "<!DOCTYPE d>",
    ],
)
def test_document_types_are_refused(prologue: str) -> None:
    with pytest.raises(Rejected, match="declares a type"):
        list(read_lines(statement(entry(), prologue=prologue), "camt.053"))


def test_what_is_no_statement_is_refused() -> None:
    with pytest.raises(Rejected, match=r"not XML.*line 1"):
        list(read_lines(b"<a>", "camt.053"))
    with pytest.raises(Rejected, match=r"not a camt\.053"):
        list(read_lines(b"<Document/>", "camt.053"))
    with pytest.raises(Rejected, match="nested"):
        list(read_lines(b"<a>" * 200, "camt.053"))
    with pytest.raises(Rejected, match=r"unknown field.*found iban"):
        read(entry(), mapping=b'[statement]\ncounterparty = "x:{iban}"\n')
