"""The fuzz targets, each for a bounded number of mutated inputs; `make fuzz` runs them for longer."""

from __future__ import annotations

from random import Random

import pytest
from fuzz.mutation import mutate
from fuzz.targets import TARGETS

RUNS = 2000


@pytest.mark.parametrize("name", TARGETS)
def test_only_refusals_come_out(name: str) -> None:
    target, random = TARGETS[name], Random(name)
    for seed in target.seeds:
        assert target(seed), "a seed is refused"
    for _ in range(RUNS):
        data = mutate(random, target.seeds)
        try:
            target(data)
        except Exception as broken:
            broken.add_note(f"input: {data!r}")
            raise
