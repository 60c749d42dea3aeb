"""What all tests share: foreign vectors, repeatable randomness, and no test that is left out unseen."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tallystick.custody.softkey import SoftKey, create_soft_key

pytest_plugins = ["servers"]

REPOSITORY = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if IN_CI else "dev")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def foreign_vectors() -> Path:
    """The folder of vectors that others made; `TALLYSTICK_VECTORS`, else beside the repository."""
    folder = Path(os.environ.get("TALLYSTICK_VECTORS", REPOSITORY.parent / "shared" / "vectors"))
    if not folder.is_dir():
        pytest.skip(f"no foreign vectors at {folder}; set TALLYSTICK_VECTORS")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def soft_signers(tmp_path_factory: pytest.TempPathFactory) -> list[SoftKey]:
    """A ledger's two keys, soft ones."""
    folder = tmp_path_factory.mktemp("keys")
    return [create_soft_key(folder / "ed25519.pem", "ed25519"), create_soft_key(folder / "ml-dsa-44.pem", "ml-dsa-44")]
