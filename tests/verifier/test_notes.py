"""Signed notes, keys, checkpoints and trust policies, and how strict they are."""

from __future__ import annotations

import pytest

from tallystick_verify import Configuration, Malformed, Tampering, parse_policy
from tallystick_verify.note import parse_base64, parse_checkpoint_text, parse_decimal, parse_vkey, split_note

from .ledger_builder import ORIGIN, Ledger, Signer

LOG = Signer(ORIGIN)
ED, PQ = LOG.vkey(0x01), LOG.vkey(0x06)
WITNESSES = [Signer(f"witness{number}.example", 0x04) for number in range(5)]
W = [witness.vkey(0x04) for witness in WITNESSES]
NOTE = "text\n\n— name AAAAAAA=\n"


@pytest.mark.parametrize("text", ["", "00", "01", "+1", "-1", "1_0", " 1", "1 ", "٤", "1.0", "0x1", str(2**63)])
def test_only_canonical_decimals(text: str) -> None:
    with pytest.raises(Malformed):
        parse_decimal(text)


@pytest.mark.parametrize("text", ["AA", "AA=", "AB==", "AA==\n", "A A==", "AA-_", "AA==AA==", "é"])
def test_only_canonical_base64(text: str) -> None:
    with pytest.raises(Malformed):
        parse_base64(text)


@pytest.mark.parametrize(
    "note",
    [
        "text\n",
        "text\n\n",
        "text\n— name AAAAAAA=\n",
        "text\n\n— name AAAAAAA=",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name  AAAAAAA=\n",
        "text\n\n— a+b AAAAAAA=\n",
        "text\n\n— a\u00a0b AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n",
        "text\r\n\n— name AAAAAAA=\n",
        "te\x00xt\n\n— name AAAAAAA=\n",
        "text\n\n" + "— name AAAAAAA=\n" * 101,
    ],
)
def test_notes_of_another_form(note: str) -> None:
    with pytest.raises(Malformed):
        split_note(note.encode())


def test_a_note_is_split_at_its_last_blank_line() -> None:
    text, signatures = split_note(b"one\n\n" + NOTE.encode())
    assert text == b"one\n\ntext\n"
    assert signatures == [("name", bytes(4), b"\0")]
    assert len(split_note(("text\n\n" + "— name AAAAAAA=\n" * 100).encode())[1]) == 100
    with pytest.raises(Malformed):
        split_note(b"\xff" + NOTE.encode())


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "o\n1\nAA==\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 43 + "=\nextension\n",
    ],
)
def test_a_checkpoint_has_three_lines(text: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint_text(text.encode())


def test_vkeys() -> None:
    for vkey in (ED, PQ, *W):
        assert str(parse_vkey(vkey)) == vkey
    name, key_id, material = ED.split("+", 2)
    for bad in (
        f"{name}+{key_id}",
        f"{name}+00000000+{material}",
        f"{name}+{key_id.upper()}+{material}",
        f"+{key_id}+{material}",
        f"{name} +{key_id}+{material}",
        f"{name}+{key_id}+{material[:-4]}",
        f"{name}+{key_id}+A{material[1:]}",
    ):
        if bad != ED:
            with pytest.raises(Malformed):
                parse_vkey(bad)


def policy_of(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [f"log {ED}"],
        ["quorum none"],
        [f"log {ED}", "quorum none", "quorum none"],
        [f"log {ED}", f"log {ED}", "quorum none"],
        [f"log {W[0]}", "quorum none"],
        [f"log {ED}", f"witness w {ED}", "quorum w"],
        [f"log {ED}", "quorum w", f"witness w {W[0]}"],
        [f"log {ED}", f"witness none {W[0]}", "quorum none"],
        [f"log {ED}", f"witness w {W[0]}", f"witness w {W[1]}", "quorum w"],
        [f"log {ED}", f"witness w {W[0]}", f"witness v {W[0]}", "quorum w"],
        [f"log {ED}", f"witness w {W[0]}", "group g 2 w", "quorum g"],
        [f"log {ED}", f"witness w {W[0]}", "group g 0 w", "quorum g"],
        [f"log {ED}", f"witness w {W[0]}", "group g +1 w", "quorum g"],
        [f"log {ED}", f"witness w {W[0]}", "group g any w w", "quorum g"],
        [f"log {ED}", f"witness w {W[0]}", "group g any w", "group h any w", "quorum h"],
        [f"log {ED}", f"witness w {W[0]}", "group g any none", "quorum g"],
        [f"log {ED}", f"witness w {W[0]}", "group g any", "quorum w"],
        [f"log {ED}", "quorum none", "quota 5"],
        [f"log {ED}", "quorum none\r"],
        [f"log {ED} https://one.example https://two.example", "quorum none"],
    ],
)
def test_policies_that_cannot_be_used(lines: list[str]) -> None:
    with pytest.raises(Configuration):
        parse_policy(policy_of(*lines))


def test_a_policy_line_is_named() -> None:
    with pytest.raises(Configuration) as caught:
        parse_policy(policy_of("# ours", f"log {ED}", "quorum nobody"))
    assert caught.value.facts["line"] == 3
    with pytest.raises(Configuration):
        parse_policy(policy_of(f"log {ED}", "quorum none")[:-1])


@pytest.mark.parametrize(
    "signers,enough", [((0, 1, 3), True), ((0, 1), False), ((0, 3), False), ((1, 2, 4), True), ((3, 4), False)]
)
def test_quorums_of_groups(signers: tuple[int, ...], enough: bool) -> None:
    policy = parse_policy(
        policy_of(
            f"\tlog  {ED} https://log.example ",
            *(f"witness w{number} {vkey}" for number, vkey in enumerate(W)),
            "group X 2 w0 w1 w2",
            "group Y any w3 w4",
            "group both all X Y",
            "",
            "  # the rule",
            "quorum both",
        )
    )
    ledger = Ledger()
    ledger.seal()
    lines = b"".join(WITNESSES[number].line(0x04, ledger.text(), 7) for number in signers)
    if enough:
        accepted = policy.accept(ledger.checkpoint() + lines)
        assert len(accepted.signatures) == 1 + len(signers)  # the ML-DSA one is not in this policy
    else:
        with pytest.raises(Tampering, match="quorum"):
            policy.accept(ledger.checkpoint() + lines)


def test_a_log_is_believed_under_its_own_name_only() -> None:
    other = Signer("other.example/log")
    policy = parse_policy(policy_of(f"log {ED}", f"log {other.vkey(1)}", "quorum none"))
    ledger = Ledger()
    policy.accept(ledger.text() + b"\n" + ledger.log.line(1, ledger.text(), 0))
    with pytest.raises(Tampering, match="not signed by a log"):
        policy.accept(ledger.text() + b"\n" + other.line(1, ledger.text(), 0))
