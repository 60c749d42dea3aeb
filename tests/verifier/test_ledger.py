from __future__ import annotations

from functools import partial
from pathlib import Path

from tallystick_verify import open_source, parse_policy, verify_ledger
from tallystick_verify.bodies import read_bodies

from .ledger_builder import small_ledger


def test_a_small_ledger_verifies_at_both_depths(tmp_path: Path) -> None:
    ledger = small_ledger()
    folder = open_source(str(ledger.write(tmp_path)))
    policy = parse_policy(ledger.policy())
    report = verify_ledger(folder, policy)
    assert report.exit_code == 0
    report = verify_ledger(folder, policy, depth="auditor", bodies=partial(read_bodies, folder, "bodies/"))
    assert report.exit_code == 0
