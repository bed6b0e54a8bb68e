"""Every seeded bug is caught, by the invariant that is there for it, within a few seeds."""

from __future__ import annotations

import pytest

from tests.simulation import checks, honesty, invariants, restraint
from tests.simulation.course import run
from tests.simulation.invariants import Violation
from tests.simulation.mutants import MUTANTS, Mutant

WITHIN_SEEDS = 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_seeded_bug_is_caught_by_its_invariant(mutant: Mutant) -> None:
    caught: list[str] = []
    for seed in range(1, WITHIN_SEEDS + 1):
        try:
            run(seed, mutant.parts, mutant.kinds)
        except Violation as violation:
            caught.append(violation.name)
        except KeyError as error:  # a broken world may fall over before an invariant looks: that does not count
            caught.append(f"fell over: {error!r}")
        if mutant.caught_by in caught:
            return
    pytest.fail(f"{mutant.name}: {mutant.caught_by} saw nothing in {WITHIN_SEEDS} seeds; others did: {set(caught)}")


def test_the_same_schedules_without_the_bug_violate_nothing() -> None:
    for kinds in {mutant.kinds for mutant in MUTANTS}:
        for seed in (1, 2, 3):
            run(seed, kinds=kinds)


def test_each_invariant_named_by_a_mutant_is_a_function() -> None:
    known = {*vars(invariants), *vars(honesty), *vars(restraint), *vars(checks)}
    assert {mutant.caught_by for mutant in MUTANTS} - known == set()


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 15
