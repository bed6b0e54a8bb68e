"""Thousands of seeded runs: `TRIMTAB_SEEDS` of them, from `TRIMTAB_FIRST_SEED`. A failing seed says how to see it."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulation.course import MIN_EVENTS, MIN_FAULTS, MIN_KINDS, follow
from tests.simulation.invariants import Violation
from tests.simulation.world import Parts, World

FIRST = int(os.environ.get("TRIMTAB_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("TRIMTAB_SEEDS", "2400"))
LONG_SEEDS = int(os.environ.get("TRIMTAB_SEEDS", "20000"))
BLOCK = 200
"""Seeds of one test: enough for every kind of fault to be fired in each, few enough to share out among workers."""


pytestmark = pytest.mark.timeout(1200)  # a block is ten seconds of work, and much longer on a busy machine


@pytest.fixture(autouse=True)
def _collector_at_rest() -> Iterator[None]:
    """A world is garbage as a whole when its run is over: collecting in between only costs time."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _run_block(first: int) -> None:
    fired: Counter[str] = Counter()
    kinds: set[str] = set()
    for seed in range(first, first + BLOCK):
        world = World(seed, Parts())
        kinds |= world.faults.kinds.keys()
        try:
            follow(world)
        except Violation as violation:
            pytest.fail(f"seed {seed}: {violation}\nreplay it: python -m tests.simulation --seed {seed} --trace")
        assert world.events >= MIN_EVENTS, f"seed {seed} had {world.events} events"
        assert world.fired.total() >= MIN_FAULTS, f"seed {seed} had {dict(world.fired)}"
        assert len(world.fired) >= MIN_KINDS, f"seed {seed} had {dict(world.fired)}"
        fired.update(world.fired)
        if seed % 20 == 0:
            gc.collect()
    never = kinds - fired.keys()
    assert never == set(), "these faults never fired"


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BLOCK))
def test_no_invariant_is_violated_and_every_fault_fires(first: int) -> None:
    _run_block(first)


@pytest.mark.long
@pytest.mark.parametrize("first", range(FIRST + SEEDS, FIRST + SEEDS + LONG_SEEDS, BLOCK))
def test_no_invariant_is_violated_in_many_more_seeds(first: int) -> None:
    _run_block(first)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 8, 50])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    one, two = World(seed, Parts()), World(seed, Parts())
    follow(one)
    follow(two)
    assert one.trace.digest() == two.trace.digest()
    assert one.fired == two.fired


def test_two_seeds_give_two_traces() -> None:
    one, two = World(1, Parts()), World(2, Parts())
    follow(one)
    follow(two)
    assert one.trace.digest() != two.trace.digest()
