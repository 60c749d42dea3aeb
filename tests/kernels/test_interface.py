"""The compiled module is what `_native.pyi` says, all of it is exported, and nothing runs without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tallystick import kernels
from tallystick.kernels import _native


def test_the_stub_describes_the_compiled_module(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text("tallystick.kernels._native.__all__\n")  # made by PyO3; the package has its own
    command = [sys.executable, "-m", "mypy.stubtest", "tallystick.kernels._native", "--allowlist", str(allowed)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_everything_compiled_is_exported() -> None:
    compiled = {name for name in vars(_native) if not name.startswith("_")}
    assert set(kernels.__all__) == compiled


def test_without_the_extension_nothing_runs() -> None:
    program = "import sys; sys.modules['tallystick.kernels._native'] = None; import tallystick.kernels"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "tallystick.kernels._native" in run.stderr.splitlines()[-1]
