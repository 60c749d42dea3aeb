"""Programs that others wrote, built once per machine through the Go module proxy and kept outside the repository."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"


def go_program(package: str, version: str) -> Path:
    """The program of a Go package, from the cache or built into it. Skips where Go is missing, fails there in CI."""
    name = package.rpartition("/")[2]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tallystick" / "bin"
    program = cache / f"{name}-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test workers, one build
        if program.exists():
            return program
        go = shutil.which("go")
        if go is None:
            (pytest.fail if IN_CI else pytest.skip)(f"Go is needed to build {package}: it is not on PATH")
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "GOBIN": folder, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
            done = subprocess.run(
                [go, "install", f"{package}@{version}"], check=False, env=environment, capture_output=True, text=True
            )
            if done.returncode:
                pytest.fail(f"go install {package}@{version} failed:\n{done.stderr}")
            shutil.move(Path(folder) / name, program)
    return program


@pytest.fixture(scope="session")
def fsck() -> Path:
    """Tessera's checker of tlog-tiles logs: derives every tile and the root again from the entry bundles."""
    return go_program("github.com/transparency-dev/tessera/cmd/fsck", "v1.0.4")
