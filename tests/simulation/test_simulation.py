"""Seeded simulation. A seed that fails is printed; `SIMULATION_SEEDS=17 pytest tests/simulation` runs it alone."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from world import simulate

from tallystick.custody.ports import Signer

SEEDS = os.environ.get("SIMULATION_SEEDS", "0-999")
GROUP = 50


def _seeds() -> list[range]:
    first, _, last = SEEDS.partition("-")
    end = int(last or first) + 1
    return [range(start, min(start + GROUP, end)) for start in range(int(first), end, GROUP)]


@pytest.mark.parametrize("seeds", _seeds(), ids=lambda seeds: f"seeds {seeds.start}-{seeds.stop - 1}")
@pytest.mark.slow
def test_no_fault_loses_or_forks(seeds: range, soft_signers: Sequence[Signer]) -> None:
    grown = 0
    for seed in seeds:
        try:
            grown += len(simulate(seed, soft_signers).acknowledged)
        except BaseException as error:
            error.add_note(f"SIMULATION_SEEDS={seed}")
            raise
    assert grown > len(seeds)
