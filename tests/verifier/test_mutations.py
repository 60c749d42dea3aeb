"""Every byte of a small bundle: changed, it is refused, or shown to be nobody's word."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tallystick_verify import (
    Malformed,
    Tampering,
    VerificationError,
    open_source,
    parse_policy,
    verify_bundle,
    verify_ledger,
    verify_receipt,
)
from tallystick_verify.bodies import read_bodies
from tallystick_verify.policy import TrustPolicy

from .ledger_builder import Ledger, Signer, write

STRANGER = Signer("stranger.example/w", 0x04)


class Memory:
    """A source in memory."""

    name = "memory"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, limit: int) -> bytes | None:
        raw = self.files.get(path)
        assert raw is None or len(raw) <= limit
        return raw

    def lines(self, path: str, limit: int) -> Generator[bytes, None, None] | None:
        raw = self.files.get(path)
        if raw is None:
            return None
        if not raw.endswith(b"\n"):
            raise Malformed("the last line does not end", file=path)
        return (line for line in raw[:-1].split(b"\n"))


def tiny_ledger() -> Ledger:
    ledger = Ledger()
    ledger.pay("p", "a", "b", 1)
    ledger.seal()
    return ledger


def mutations(raw: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """Each position with one bit changed; at some a byte doubled or left out besides."""
    for at in range(0, len(raw), step):
        yield at, raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]
        if at % 5 == 0:
            yield at, raw[:at] + raw[at : at + 1] + raw[at:]
        if at % 5 == 1:
            yield at, raw[:at] + raw[at + 1 :]


def accepted(files: dict[str, bytes], name: str, policy: TrustPolicy, step: int) -> set[int]:
    """The positions whose change went unnoticed."""
    unnoticed = set()
    for at, changed in mutations(files[name], step):
        if changed == files[name]:
            continue
        source = Memory(files | {name: changed})
        try:
            verify_ledger(
                source, policy, depth="auditor", bodies=lambda size, s=source: read_bodies(s, "bodies/", size)
            )  # type: ignore[misc]
        except VerificationError:
            continue
        unnoticed.add(at)
    return unnoticed


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3", "bodies/000.jsonl"])
def test_every_byte_of_a_ledger(name: str) -> None:
    ledger = tiny_ledger()
    files = ledger.files(ledger.checkpoint())
    assert accepted(files, name, parse_policy(ledger.policy()), 13 if name == "checkpoint" else 1) == set()


@pytest.mark.slow
def test_every_byte_of_a_checkpoint() -> None:
    ledger = tiny_ledger()
    assert accepted(ledger.files(), "checkpoint", parse_policy(ledger.policy()), 1) == set()


def test_only_a_strangers_signature_may_change() -> None:
    """A signature that the policy does not know says nothing; that it is there is not evidence either."""
    ledger = tiny_ledger()
    signed = ledger.checkpoint()
    line = STRANGER.line(0x04, ledger.text(), 1)
    unnoticed = accepted(ledger.files(signed + line), "checkpoint", parse_policy(ledger.policy()), 3)
    assert unnoticed
    assert min(unnoticed) >= len(signed) + len("— ".encode())


def test_every_byte_of_a_receipt() -> None:
    ledger = tiny_ledger()
    policy = parse_policy(ledger.policy())
    proof, disclosure = ledger.proof(1, extra=b"anything"), ledger.disclosure(1, [1, 2])
    verify_receipt(proof, disclosure, policy)
    for at, changed in mutations(disclosure, 1):
        if changed != disclosure:
            with pytest.raises(Tampering):
                verify_receipt(proof, changed, policy)
            assert at < len(disclosure)
    extra = range(proof.index(b"extra ") + 6, proof.index(b"\nindex"))
    for at, changed in mutations(proof, 5):
        if changed == proof:
            continue
        try:
            verify_receipt(changed, disclosure, policy)
        except Tampering:
            continue
        assert at in extra  # which nothing authenticates


@pytest.mark.parametrize("kind", ["ledger", "receipts"])
def test_every_byte_of_a_bundle_as_it_is(tmp_path: Path, kind: str) -> None:
    """With the manifest left alone, its hashes refuse every change of every other file."""
    ledger = tiny_ledger()
    files = ledger.bundle(kind, 1)
    folder = write(files, tmp_path)
    source, policy = open_source(str(folder)), parse_policy(ledger.policy())
    assert verify_bundle(source, policy).exit_code == 0
    for name, raw in files.items():
        words = raw.find(b"Later entries.") if name == "manifest.json" else -1
        for at, changed in mutations(raw, 1 if name == "manifest.json" else 97):
            if changed == raw:
                continue
            (folder / name).write_bytes(changed)
            if words < 0 or not words <= at < words + len("Later entries."):
                with pytest.raises(VerificationError) as caught:
                    verify_bundle(source, policy)
                assert caught.value.exit_code == 1, (name, at)
            else:  # what the maker says it cannot show is only said
                try:
                    verify_bundle(source, policy)
                except Tampering as error:
                    assert "JSON" in error.message
        (folder / name).write_bytes(raw)
