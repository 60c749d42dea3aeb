"""ISO 20022 camt.053 (bank to customer statement), any version -> lines: one for each entry (`Ntry`).

    Document/BkToCstmrStmt/Stmt
        Acct/Id/(IBAN | Othr/Id), Bal (Tp/CdOrPrtry/Cd OPBD or PRCD, CLBD)
        Ntry: Amt@Ccy, CdtDbtInd (CRDT | DBIT), RvslInd, Sts, BookgDt, ValDt, AcctSvcrRef, NtryDtls/TxDtls

The statement is the bank's view: CRDT is money that came in. The statement's account is one of ours, an asset, so CRDT
debits it and credits the counterparty. The indicator of a reversal already says which way the reversal itself went
(ISO 20022, ReversalIndicator), so it changes no direction and stands in the metadata. An entry whose details all carry
amounts that sum to its own has one leg for each. The value date is the effective time, the booking date stands in the
metadata. Pending and informational entries are skipped. If opening balance and entries do not give the closing balance,
the statement itself is a problem: something is missing from the file.

Fields of the `[statement]` templates: `account`, `currency`, `code` (bank transaction code), `counterparty`,
`counterparty_account`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tallystick.errors import Rejected
from tallystick.ledger.importing.lines import Command, Line, Occurrences, Problem, Skipped, Unbookable
from tallystick.ledger.importing.mapping import ImportMapping
from tallystick.ledger.importing.values import Dates, Numbers, account_name, asset_name, minor_units, one_line, segment
from tallystick.ledger.importing.xml import Node, parse_xml

__all__ = ["read_camt"]

NUMBERS = Numbers(thousands="")
DATES = Dates(("%Y-%m-%d", "%Y-%m-%d%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f",
               "%Y-%m-%dT%H:%M:%S.%f%z"))  # fmt: skip
SHOWN = (("NtryRef",), ("AcctSvcrRef",), ("Amt",), ("CdtDbtInd",), ("ValDt/Dt", "BookgDt/Dt"))
ACCOUNT_PATHS = ("Id/IBAN", "Id/Othr/Id")


def _signed(node: Node, assets: ImportMapping) -> tuple[str, int]:
    """(asset, minor units, negative for DBIT)."""
    amount = node.find("Amt")
    if amount is None:
        raise Unbookable("amount", f"{node.name} has no Amt")
    asset, scale = asset_name(amount.attributes.get("Ccy", ""), assets.assets)
    units = minor_units(amount.text, scale, NUMBERS)
    direction = node.value("CdtDbtInd")
    if direction not in ("CRDT", "DBIT"):
        raise Unbookable("amount", f"CdtDbtInd is {direction!r}, expected CRDT or DBIT")
    return asset, units if direction == "CRDT" else -units


def _account(member: str, fields: dict[str, str], template: str, mapping: ImportMapping) -> str:
    chosen = mapping.statement_account if template == "account" else mapping.counterparty
    try:
        name = chosen.require(member, fields, segment)
    except KeyError as error:
        raise Rejected("the mapping names an unknown field", member=f"statement.{template}", found=error.args[0],
                       expected=", ".join(fields)) from None  # fmt: skip
    return account_name(member, mapping.accounts.get(name, name))


def _fields(statement: Node, entry: Node, details: Node | None, *, incoming: bool) -> dict[str, str]:
    party = "Dbtr" if incoming else "Cdtr"
    code = [entry.value(f"BkTxCd/{path}") for path in ("Domn/Cd", "Domn/Fmly/Cd", "Domn/Fmly/SubFmlyCd")]
    parties = details.find("RltdPties") if details else None
    return {
        "account": next(filter(None, (statement.value(f"Acct/{path}") for path in ACCOUNT_PATHS)), ""),
        "currency": amount.attributes.get("Ccy", "") if (amount := entry.find("Amt")) else "",
        "code": "-".join(filter(None, code)) or entry.value("BkTxCd/Prtry/Cd"),
        "counterparty": parties.value(f"{party}/Nm", f"{party}/Pty/Nm") if parties else "",
        "counterparty_account": parties.value(*(f"{party}Acct/{path}" for path in ACCOUNT_PATHS)) if parties else "",
    }


def _metadata(entry: Node, details: list[Node], statement_id: str) -> dict[str, str]:
    found = {
        "statement": statement_id,
        "booking_date": entry.value("BookgDt/Dt", "BookgDt/DtTm"),
        "reversal": "true" if entry.value("RvslInd") in ("true", "1") else "",
        "bank_reference": entry.value("AcctSvcrRef"),
        "information": entry.value("AddtlNtryInf"),
    }
    if len(details) == 1:
        refs = {"end_to_end": "EndToEndId", "transaction": "TxId", "instruction": "InstrId", "mandate": "MndtId"}
        found |= {name: details[0].value(f"Refs/{path}") for name, path in refs.items()}
        found["remittance"] = " ".join(node.text.strip() for node in details[0].all("RmtInf/Ustrd"))
        found["structured_reference"] = details[0].value("RmtInf/Strd/CdtrRefInf/Ref")
    return {name: one_line(text, 4096) for name, text in found.items() if text and text != "NOTPROVIDED"}


def _legs(statement: Node, entry: Node, details: list[Node], mapping: ImportMapping) -> list[dict[str, str]]:
    asset, total = _signed(entry, mapping)
    if total == 0:
        raise Unbookable("amount", "the amount is zero, so there is nothing to book")
    moves: list[tuple[Node | None, int]] = [(details[0] if len(details) == 1 else None, total)]
    if len(details) > 1:
        try:
            parts = [_signed(part, mapping) for part in details]
        except Unbookable:  # details need not carry amounts; the entry's own is the one that was booked
            parts = []
        if sum(units for _, units in parts) == total and all(found == asset and units for found, units in parts):
            moves = [(part, units) for part, (_, units) in zip(details, parts, strict=True)]
    out = []
    for part, units in moves:
        fields = _fields(statement, entry, part, incoming=units > 0)
        ours = _account("debit", fields, "account", mapping)
        theirs = _account("credit", fields, "counterparty", mapping)
        if ours == theirs:
            raise Unbookable("credit", f"the statement's account and the counterparty are both {ours!r}")
        debit, credit = (ours, theirs) if units > 0 else (theirs, ours)
        out.append({"debit": debit, "credit": credit, "asset": asset, "amount": str(abs(units))})
    if len(out) > 1000:
        raise Unbookable("legs", f"the entry has {len(out)} details; an entry of the ledger has at most 1,000 legs")
    return out


def _command(statement: Node, entry: Node, mapping: ImportMapping) -> Command | Skipped:
    status = entry.value("Sts/Cd", "Sts/Prtry", "Sts")
    if status != "BOOK":
        return Skipped(f"not booked by the bank: status {status or 'missing'}")
    details = list(entry.all("NtryDtls/TxDtls"))
    command: Command = {"legs": _legs(statement, entry, details, mapping)}
    date = entry.value("ValDt/Dt", "ValDt/DtTm", "BookgDt/Dt", "BookgDt/DtTm")
    command["effective"] = DATES.read(date[:-1] + "+0000" if date.endswith("Z") else date)
    reference = details[0].value("Refs/EndToEndId") if len(details) == 1 else ""
    reference = entry.value("AcctSvcrRef") if reference in ("", "NOTPROVIDED") else reference
    if one_line(reference, 256):
        command["reference"] = one_line(reference, 256)
    metadata = _metadata(entry, details, statement.value("Id"))
    return {**command, "metadata": metadata} if metadata else command


def _content(node: Node) -> list[object]:
    """What an entry says, without its number in the statement."""
    children = [_content(child) for child in node.children if child.name != "NtryRef"]
    return [node.name, sorted(node.attributes.items()), node.text.strip(), children]


def _out_of_balance(statement: Node, mapping: ImportMapping) -> Problem | None:
    """The statement's own sum: opening balance + booked entries = closing balance, if it states both."""
    balances = {}
    try:
        for balance in statement.all("Bal"):
            balances[balance.value("Tp/CdOrPrtry/Cd")] = _signed(balance, mapping)
        opening, closing = balances.get("OPBD", balances.get("PRCD")), balances.get("CLBD")
        if opening is None or closing is None:
            return None
        booked = [entry for entry in statement.all("Ntry") if entry.value("Sts/Cd", "Sts") == "BOOK"]
        moved = sum(_signed(entry, mapping)[1] for entry in booked)
    except Unbookable:
        return None  # the entry at fault is listed by itself
    if opening[1] + moved == closing[1]:
        return None
    reason = (
        f"the statement does not add up: opening {opening[1]} and entries {moved} give {opening[1] + moved}, "
        f"closing is {closing[1]} (minor units of {closing[0]}); entries are missing or changed"
    )
    return Problem("", reason)


def read_camt(data: bytes, mapping: ImportMapping | None) -> Iterator[Line]:
    """One line for each entry, and one for each statement that does not add up."""
    given = mapping or ImportMapping()
    root = parse_xml(data)
    statements = list(root.all("BkToCstmrStmt/Stmt"))
    if root.name != "Document" or not statements:
        raise Rejected("not a camt.053 statement", expected="Document/BkToCstmrStmt/Stmt", found=root.name)
    seen = Occurrences()
    for statement in statements:
        wrong = _out_of_balance(statement, given)
        if wrong:
            yield Line(statement.line, wrong, statement.value("Id"))
        account = next(filter(None, (statement.value(f"Acct/{path}") for path in ACCOUNT_PATHS)), "")
        for entry in statement.all("Ntry"):
            digest, occurrence = seen.number([account, _content(entry)])
            original = " ".join(filter(None, (entry.value(*paths) for paths in SHOWN)))
            try:
                outcome: Command | Problem | Skipped = _command(statement, entry, given)
            except Unbookable as error:
                outcome = error.problem
            if isinstance(outcome, dict):
                outcome = {"id": f"camt:{digest}:{occurrence}", **outcome}
            yield Line(entry.line, outcome, original)
