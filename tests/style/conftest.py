"""The repository's own sources, parsed once."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest
from style.sources import Module


@pytest.fixture(scope="session")
def modules(repository: Path) -> list[Module]:
    """Every module of the product and of its verifier."""
    found = [*(repository / "src").rglob("*.py"), *(repository / "verifier" / "tallystick_verify").rglob("*.py")]
    texts = [(path.relative_to(repository), path.read_text()) for path in sorted(found)]
    return [Module(path, text, ast.parse(text)) for path, text in texts]


@pytest.fixture(scope="session")
def tracked(repository: Path) -> list[Path]:
    """Every text file that is, or is about to be, part of the repository; relative to it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Path(name) for name in listed.split("\0") if name and (repository / name).is_file()]
