"""Signed notes and the three kinds of signature, with foreign vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.checkpoint import Checkpoint
from tallystick.core.cosignature import TimestampedSignature, ed25519_message, mldsa_message
from tallystick.core.digest import EMPTY_ROOT, Seconds, TreeSize, parse_base64_digest
from tallystick.core.note import (
    Note,
    NotSigned,
    SignatureLine,
    SignatureRefused,
    SignatureType,
    VerifiedNote,
    VerifierKey,
    open_note,
)
from tallystick.errors import IntegrityViolation, Malformed, Misconfigured

EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    b"This is an example message.\n\n\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Z"
    b"tg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
ORDINARY, STAMPED, QUANTUM = SignatureType


def signed(text: bytes, *signers: samples.Cosigner, time: int = 7) -> bytes:
    checkpoint = Checkpoint.parse(text)
    return Note(text, tuple(signer.line(checkpoint, time) for signer in signers)).format()


@pytest.fixture
def text() -> bytes:
    return samples.ledger().checkpoint().format()


# --- the format


def test_the_example_of_the_specification() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    assert key.format() == EXAMPLE_KEY
    opened = open_note(EXAMPLE, [key])
    assert opened.text == b"This is an example message.\n"
    assert [s.key for s in opened.signatures] == [key] and not opened.unknown


def test_text_and_signatures_part_at_the_last_empty_line() -> None:
    line = "— a AAAAAAE=\n"
    assert Note.parse(f"one\n\ntwo\n\n{line}".encode()).text == b"one\n\ntwo\n"
    assert Note.parse(f"one\n\n\n{line}".encode()).text == b"one\n\n"
    assert Note.parse(f"\n\n{line}".encode()).text == b"\n"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "text\n",
        "text\n\n",
        "— a AAAAAAE=\n",
        "text\n— a AAAAAAE=\n",
        "text\n\n— a AAAAAAE=",
        "text\n\n— a AAAAAAE=\n\n",
        "text\n\n- a AAAAAAE=\n",
        "text\n\n—a AAAAAAE=\n",
        "text\n\n—  AAAAAAE=\n",
        "text\n\n— a  AAAAAAE=\n",
        "text\n\n— a AAAAAAE= \n",
        "text\n\n— a AAAAAA==\n",
        "text\n\n— a AAAAAAF=\n",
        "text\n\n— a+b AAAAAAE=\n",
        "text\n\n— a\u00a0b AAAAAAE=\n",
        "text\n\n— a\u2003b AAAAAAE=\n",
        "text\r\n\n— a AAAAAAE=\n",
        "te\txt\n\n— a AAAAAAE=\n",
        "te\0xt\n\n— a AAAAAAE=\n",
        "text\n\n— a AAAAAAE=\nmore\n",
    ],
)
def test_notes_that_are_none(raw: str) -> None:
    with pytest.raises(Malformed):
        Note.parse(raw.encode())


def test_a_note_is_utf8_and_says_where_it_is_not() -> None:
    with pytest.raises(Malformed, match="position 2"):
        Note.parse(b"te\xff\n\n\xe2\x80\x94 a AAAAAAE=\n")


@pytest.mark.parametrize("count", [16, 100])
def test_sixteen_signatures_and_more_are_read(count: int) -> None:
    raw = b"text\n\n" + b"\xe2\x80\x94 a AAAAAAE=\n" * count
    assert len(Note.parse(raw).signatures) == count


def test_more_than_a_hundred_signatures_are_refused() -> None:
    with pytest.raises(Malformed, match="too many signatures"):
        Note.parse(b"text\n\n" + b"\xe2\x80\x94 a AAAAAAE=\n" * 101)
    with pytest.raises(Malformed, match="too long"):
        Note.parse(b"x" * (1 << 20) + b"\n\n\xe2\x80\x94 a AAAAAAE=\n")


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("foo", "fop"),
        EXAMPLE_KEY + "=",
        EXAMPLE_KEY.replace("AekyeRrm", "AukyeRrm"),
        EXAMPLE_KEY.replace("+Ae", "+"),
        "+" + EXAMPLE_KEY,
        "a b+530d903a+AQ==",
        "a+530d903a+",
    ],
)
def test_verifier_keys_that_are_none(vkey: str) -> None:
    with pytest.raises(Malformed):
        VerifierKey.parse(vkey)


# --- who signed


def test_nothing_else_makes_a_verified_note() -> None:
    with pytest.raises(TypeError):
        VerifiedNote(Note.parse(EXAMPLE), (), (), object())


def test_an_unknown_key_is_ignored_even_if_it_shares_name_or_id() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    same_name = SignatureLine(key.name, b"\0\0\0\0", b"x")
    same_id = SignatureLine("example.com/bar", key.key_id, b"x")
    raw = Note.parse(EXAMPLE).signed_also([same_name, same_id]).format()
    assert open_note(raw, [key]).unknown == (same_name, same_id)


def test_a_failing_signature_of_a_known_key_refuses_the_note() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    raw = Note.parse(EXAMPLE).signed_also([SignatureLine(key.name, key.key_id, bytes(64))]).format()
    with pytest.raises(SignatureRefused, match=r"key example.com/foo; key_id 530d903a"):
        open_note(raw, [key])


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    with pytest.raises(NotSigned):
        open_note(EXAMPLE, [])
    with pytest.raises(NotSigned):
        open_note(EXAMPLE, [VerifierKey("example.com/bar", ORDINARY, bytes(32))])


def test_two_keys_of_one_name_and_id_are_ambiguous() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    with pytest.raises(Misconfigured):
        open_note(EXAMPLE, [key, key])


@pytest.mark.parametrize("kind", SignatureType)
def test_each_kind_of_signature(kind: SignatureType, text: bytes) -> None:
    signer = samples.cosigner("cosigner.example", kind)
    opened = open_note(signed(text, signer), [signer.key])
    assert opened.signatures[0].time == (7 if kind.timestamped else None)
    for other in (text.replace(b"\n12\n", b"\n13\n"), text.replace(b"bank", b"bonk")):
        moved = signed(text, signer).replace(text, other)
        with pytest.raises(SignatureRefused):
            open_note(moved, [signer.key])


@pytest.mark.parametrize("kind", [STAMPED, QUANTUM])
def test_the_time_is_signed(kind: SignatureType, text: bytes) -> None:
    signer = samples.cosigner("cosigner.example", kind)
    (line,) = Note.parse(signed(text, signer)).signatures
    body = TimestampedSignature(Seconds(8), TimestampedSignature.parse(line.body).signature).format()
    with pytest.raises(SignatureRefused):
        open_note(Note(text, (SignatureLine(line.name, line.key_id, body),)).format(), [signer.key])


@pytest.mark.parametrize("kind", SignatureType)
@given(data=st.data())
def test_every_bit_of_a_signature_counts(kind: SignatureType, data: st.DataObject) -> None:
    text = samples.ledger().checkpoint().format()
    signer = samples.cosigner("cosigner.example", kind)
    (line,) = Note.parse(signed(text, signer)).signatures
    at, bit = data.draw(st.integers(0, len(line.body) - 1)), data.draw(st.integers(0, 7))
    body = bytearray(line.body)
    body[at] ^= 1 << bit
    with pytest.raises((SignatureRefused, Malformed)):  # Malformed: a time beyond 2^63
        open_note(Note(text, (SignatureLine(line.name, line.key_id, bytes(body)),)).format(), [signer.key])


def test_the_cosigners_name_is_bound_by_mldsa_only(text: bytes) -> None:
    """C2SP tlog-cosignature says so of 0x04: the same key must not serve two cosigners."""
    for kind, bound in ((STAMPED, False), (QUANTUM, True)):
        signer = samples.cosigner("cosigner.example", kind)
        renamed = VerifierKey("other.example", kind, signer.key.public_key)
        (line,) = Note.parse(signed(text, signer)).signatures
        raw = Note(text, (SignatureLine(renamed.name, renamed.key_id, line.body),)).format()
        if bound:
            with pytest.raises(SignatureRefused):
                open_note(raw, [renamed])
        else:
            assert open_note(raw, [renamed]).signatures[0].key == renamed


def test_a_cosignature_is_of_a_checkpoint_alone() -> None:
    signer = samples.cosigner("cosigner.example", STAMPED)
    line = signer.key.line(signer.signer.sign(b"cosignature/v1\ntime 7\nhello\n"), Seconds(7))
    with pytest.raises(Malformed):
        open_note(Note(b"hello\n", (line,)).format(), [signer.key])


@pytest.mark.parametrize("kind", SignatureType)
def test_a_signature_of_the_wrong_length(kind: SignatureType, text: bytes) -> None:
    key = samples.cosigner("cosigner.example", kind).key
    for body in (b"x", bytes(8), bytes(9), bytes(71), bytes(3000)):
        with pytest.raises((SignatureRefused, Malformed)):
            open_note(Note(text, (SignatureLine(key.name, key.key_id, body),)).format(), [key])


# --- what is signed


def test_the_messages_of_the_specification() -> None:
    root = parse_base64_digest("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", "root")
    checkpoint = Checkpoint("example.com/behind-the-sofa", TreeSize(20852163), root)
    assert ed25519_message(Seconds(1679315147), checkpoint) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert (
        mldsa_message("w.example", Seconds(1679315147), checkpoint)
        == (
            b"subtree/v1\n\0"
            b"\x09w.example"
            b"\0\0\0\0\x64\x18\x50\xcb"  # as in the example of the specification
            b"\x1bexample.com/behind-the-sofa"
            b"\0\0\0\0\0\0\0\0"
            b"\0\0\0\0\x01\x3e\x2d\xc3"
        )
        + root
    )


@pytest.mark.parametrize(
    "text", [b"", b"a\n", b"a\n1\n", b"a\n1\nAAAA\n", b"a\n01\nx\n", b"a\n1\n\n", b"\n1\nx\n", b"\xff\n"]
)
def test_checkpoints_that_are_none(text: bytes) -> None:
    with pytest.raises(Malformed):
        Checkpoint.parse(text)


def test_a_checkpoint_has_no_extension_lines_and_the_empty_tree_one_root() -> None:
    text = samples.ledger().checkpoint().format()
    for wrong in (text + b"extra\n", text[:-1], text + b"\n", text.replace(b"\n12\n", b"\n0\n")):
        with pytest.raises(Malformed):
            Checkpoint.parse(wrong)
    assert Checkpoint("a", TreeSize(0), EMPTY_ROOT).anchor != Checkpoint("b", TreeSize(0), EMPTY_ROOT).anchor


# --- foreign vectors


def groups(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = json.loads((folder / "wycheproof" / name).read_text())
    for group in found["testGroups"]:
        key = group["publicKey"]
        for case in group["tests"]:
            yield key["pk"] if isinstance(key, dict) else key, case


@pytest.mark.parametrize("name, kind", [("ed25519_test.json", ORDINARY), ("mldsa_44_verify_test.json", QUANTUM)])
def test_wycheproof(foreign_vectors: Path, name: str, kind: SignatureType) -> None:
    seen = 0
    for public_key, case in groups(foreign_vectors, name):
        wrong = case["result"] == "invalid"
        if case.get("ctx") and not wrong:
            wrong = True  # valid for a context; ours is empty, so for us it is not
        try:
            key = VerifierKey("wycheproof", kind, bytes.fromhex(public_key))
            key.verify_message(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        except (IntegrityViolation, Malformed):
            refused = True
        else:
            refused = False
        assert refused == wrong, f"{case['tcId']}: {case['comment']}"
        seen += 1
    assert seen >= 150
