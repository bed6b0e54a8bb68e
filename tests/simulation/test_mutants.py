"""Every seeded bug is caught, by the invariant that is there for it, within a few seeds."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation import checks, honesty, invariants, restraint
from tests.simulation.course import run
from tests.simulation.invariants import Violation
from tests.simulation.mutants import MUTANTS, Mutant

WITHIN_SEEDS = 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_seeded_bug_is_caught_by_its_invariant_and_only_because_of_the_bug(mutant: Mutant) -> None:
    others: Counter[str] = Counter()
    for seed in range(1, WITHIN_SEEDS + 1):
        try:
            run(seed, mutant.parts, mutant.kinds)
        except Violation as violation:
            if violation.name == mutant.caught_by:
                run(seed, kinds=mutant.kinds)  # the same schedule without the bug: nothing to catch
                return
            others[violation.name] += 1
        except Exception as error:  # noqa: BLE001 - a broken world may fall over before an invariant looks: reported below
            others[f"fell over: {error!r}"] += 1
    pytest.fail(f"{mutant.name}: {mutant.caught_by} saw nothing in {WITHIN_SEEDS} seeds; instead: {dict(others)}")


def test_each_invariant_named_by_a_mutant_is_a_function() -> None:
    known = {*vars(invariants), *vars(honesty), *vars(restraint), *vars(checks)}
    assert {mutant.caught_by for mutant in MUTANTS} - known == set()


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 15
