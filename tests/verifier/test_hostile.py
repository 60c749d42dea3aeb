"""Evidence made by somebody who wants a false verdict, or a person to read one."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from tallystick_verify import cli
from tallystick_verify.cli import main

from .ledger_builder import Ledger, small_ledger, write


def forked(ledger: Ledger) -> Ledger:
    """The same ledger with another last entry, signed by the same keys: the same size, another root."""
    other = copy.deepcopy(ledger)
    last = json.loads(other.entries[-1].stub)
    other.entries[-1].stub = other.entries[-1].stub.replace(b'"at":%d' % last["at"], b'"at":%d' % (last["at"] + 1))
    return other


@pytest.mark.threat(8)
@pytest.mark.parametrize("kind", ["ledger", "receipts"])
@pytest.mark.parametrize("size", [None, 7], ids=["of the bundle's size", "of an earlier size"])
def test_a_receipt_of_another_history_in_a_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, size: int | None
) -> None:
    ledger = small_ledger()
    whole = len(ledger.entries)
    files = ledger.bundle(kind, 3, 4)
    other = forked(ledger)
    if size is not None:
        ledger, other = copy.deepcopy(ledger), copy.deepcopy(other)
        del ledger.entries[size:], other.entries[size:]
        other = forked(other)
        files["entries/4.tlog-proof"] = ledger.proof(4)
        files["entries/4.json"] = ledger.disclosure(4, [0, 1])
    files["entries/3.tlog-proof"], files["entries/3.json"] = other.proof(3), other.disclosure(3, [0, 1])
    place = write(small_ledger().with_manifest(files, kind), tmp_path / "bundle")
    assert json.loads(files["manifest.json"])["size"] == whole
    status = main(["bundle", str(place), "--policy", str(place / "policy"), "--json"])
    failure = json.loads(capsys.readouterr().out)["failure"]
    assert status == 1, failure
    assert failure["message"] == "two signed roots of one size"
    assert failure["tree_size"] == (size or whole)


def test_evidence_cannot_paint_a_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = small_ledger()
    place = write(ledger.bundle(), tmp_path / "bundle")
    (place / "x\x1b[2K\rverdict: verified\u202e").write_bytes(b"")
    assert main(["bundle", str(place), "--policy", str(place / "policy")]) == 1
    out = capsys.readouterr().out
    assert "x\\x1b[2K\\rverdict: verified\\u202e" in out
    assert not {"\x1b", "\r", "\u202e"} & set(out)
    assert main(["receipt", "a\x1b[2Kb", "--disclosure", "x", "--policy", str(place / "policy")]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_bug_is_not_tampering(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cli, "_run", fail)
    assert main(["ledger", str(tmp_path), "--policy", "p"]) == 2
    assert "MemoryError" in capsys.readouterr().err
