"""One target under atheris: `guided.py NAME CORPUS [libFuzzer options]`. Started by `python -m tests.fuzz`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["tallystick", "zipfile"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        target(data)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
