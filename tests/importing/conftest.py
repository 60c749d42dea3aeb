from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def oxford(repository: Path) -> Path:
    """Three quarters of a council's expenditure, beside the repository and no part of it."""
    folder = Path(os.environ.get("TALLYSTICK_DATA", repository.parent / "shared" / "data")) / "oxford-spend"
    if not folder.is_dir():
        pytest.skip(f"no expenditure data at {folder}; set TALLYSTICK_DATA")
    return folder
