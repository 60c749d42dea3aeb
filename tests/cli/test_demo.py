"""What `make demo` shows: the product's main job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick.cli import main


@pytest.fixture(scope="module")
def shown(repository: Path) -> tuple[int, dict[str, object], float]:
    environment = {**os.environ, "PYTHONPATH": str(repository / "verifier")}
    started = time.monotonic()
    command = [sys.executable, "-c", "from tallystick.cli import main; main()", "demo", "--json"]
    ran = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=120)
    assert ran.stdout, ran.stderr.decode()
    return ran.returncode, json.loads(ran.stdout), time.monotonic() - started


@pytest.mark.threat(1)
def test_every_tampering_is_caught_by_everybody(shown: tuple[int, dict[str, object], float]) -> None:
    code, story, _ = shown
    assert code == 0
    assert story["proven"] is True
    assert story["caught"] == [True, True]
    for tampering in story["tamperings"]:  # type: ignore[attr-defined]
        assert len(tampering["witnesses"]) == 4
        for witness in tampering["witnesses"]:
            assert witness["noticed"]
            assert witness["entry"] is not None
            assert abs(witness["entry"] - tampering["seq"]) <= 1
            assert witness["expected"] != witness["found"]


def test_clean_and_restored_ledgers_verify(shown: tuple[int, dict[str, object], float]) -> None:
    _, story, _ = shown
    for witnesses in (story["clean"], story["restored"]):
        assert [witness["noticed"] for witness in witnesses] == [False] * 4  # type: ignore[attr-defined]


def test_it_takes_less_than_half_a_minute(shown: tuple[int, dict[str, object], float]) -> None:
    assert shown[2] < 30


def test_it_prints_for_people_and_keeps_a_folder(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository / "verifier"))
    picture = tmp_path / "demo.svg"
    result = CliRunner().invoke(main, ["demo", str(tmp_path / "demo"), "--picture", str(picture)])
    assert result.exit_code == 0, result.output
    assert "font-face" not in picture.read_text()
    assert "Tampering 2" in result.stdout
    assert "every tampering caught" in result.stdout
    assert (tmp_path / "demo" / "receipt" / "payment.tlog-proof").exists()
    assert CliRunner().invoke(main, ["demo", str(tmp_path / "demo")]).exit_code == 64
