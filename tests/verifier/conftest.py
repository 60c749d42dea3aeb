from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tallystick_verify import Report, Tampering, open_source, parse_policy, verify_ledger
from tallystick_verify.bodies import read_bodies

from .ledger_builder import Ledger, small_ledger

Verify = Callable[..., Report]
Notice = Callable[..., Tampering]


@pytest.fixture
def ledger() -> Ledger:
    return small_ledger()


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    """Publish a ledger, with a checkpoint of its own or another one, and verify it to the bottom."""

    def run(ledger: Ledger, checkpoint: bytes = b"", policy: bytes = b"", seen: list[bytes] | None = None) -> Report:
        folder = open_source(str(ledger.write(tmp_path, checkpoint)))
        return verify_ledger(
            folder,
            parse_policy(policy or ledger.policy()),
            depth="auditor",
            bodies=partial(read_bodies, folder, "bodies/"),  # type: ignore[arg-type]
            seen=seen or [],
        )

    return run


@pytest.fixture
def notice(verify: Verify) -> Notice:
    """What the verifier finds."""

    def run(*args: object, **named: object) -> Tampering:
        with pytest.raises(Tampering) as caught:
            verify(*args, **named)
        assert caught.value.report.exit_code == 1
        assert caught.value.report.verdict == "TAMPERING FOUND"
        return caught.value

    return run
