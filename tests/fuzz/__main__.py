"""`python -m tests.fuzz --seconds N [--target NAME]`: fuzz all targets for N seconds together.

With atheris (coverage guided) each target runs in a process of its own, for libFuzzer ends its process; without it, or
with `--plain`, the mutational fuzzer of `mutation.py` runs here. A failing input is shown; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from fuzz.mutation import mutate  # noqa: E402
from fuzz.targets import TARGETS, Target  # noqa: E402


def plain(name: str, target: Target, seconds: float, seed: int) -> str:
    """What to say of a target that held; an exception with the input otherwise."""
    random, end, runs, accepted = Random(f"{seed} {name}"), time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        data = mutate(random, target.seeds)
        try:
            accepted += target(data)
        except Exception as broken:
            broken.add_note(f"{name}, seed {seed}, run {runs}: {data!r}")
            raise
        runs += 1
    return f"{runs} runs, {accepted} accepted"


def guided(name: str, target: Target, seconds: float, seed: int) -> str:
    """The same in a process of its own, by coverage. A failing input is left in the folder that the error names."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for i, data in enumerate(target.seeds):
        (corpus / str(i)).write_bytes(data)
    limits = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-seed={seed}",
        "-timeout=10",
        f"-artifact_prefix={folder}/",
    ]
    command = [sys.executable, str(TESTS / "fuzz" / "guided.py"), name, str(corpus), *limits]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    ends = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    if done.returncode or not ends:
        raise AssertionError("\n".join([done.stderr[-2000:], done.stdout[-4000:], f"{name}: the input is in {folder}"]))
    shutil.rmtree(folder)
    return ends[-1].removeprefix("Done ")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for all targets together")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="one target only; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris")
    options = parser.parse_args()
    chosen = options.target or list(TARGETS)
    run = plain if options.plain or importlib.util.find_spec("atheris") is None else guided
    for name in chosen:
        said = run(name, TARGETS[name], options.seconds / len(chosen), options.seed)
        sys.stdout.write(f"{name}: {said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
