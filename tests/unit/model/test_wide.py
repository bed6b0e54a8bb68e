from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import wide
from trimtab.model.wide import Wide

keys = st.integers(0, 3000).map(str)
Edits = list[tuple[str, int | None]]


@pytest.fixture(autouse=True, scope="module")
def _small_buckets() -> object:
    """Buckets that split early, so that a few thousand keys make several levels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide, "_SPLIT", 3)
        yield


def _same(ours: Wide[int], oracle: dict[str, int]) -> None:
    assert dict(ours.items()) == oracle
    assert len(ours) == len(oracle)
    assert bool(ours) == bool(oracle)


@given(
    st.dictionaries(keys, st.integers(), max_size=60), st.lists(st.tuples(keys, st.none() | st.integers()), max_size=60)
)
def test_setting_and_deleting_agrees_with_a_dict_and_leaves_the_old_mapping_alone(
    start: dict[str, int], edits: Edits
) -> None:
    ours, oracle = Wide[int].of(start), dict(start)
    for key, value in edits:
        before, copy = ours, dict(oracle)
        if value is None:
            if oracle.pop(key, None) is None:
                continue
            ours = ours.delete(key)
        else:
            oracle[key] = value
            ours = ours.set(key, value)
        _same(before, copy)
    _same(ours, oracle)
    for key, _ in edits:
        assert ours.get(key) == oracle.get(key)
        assert (key in ours) == (key in oracle)


def test_thousands_of_keys_go_through_several_levels() -> None:
    oracle = {str(number): number for number in range(5000)}
    ours = Wide[int].of(oracle)
    _same(ours, oracle)
    for number in range(0, 5000, 2):
        ours = ours.delete(str(number))
        del oracle[str(number)]
    _same(ours, oracle)
    assert ours["77"] == 77
    for missing in ("76", "none"):
        with pytest.raises(KeyError):
            ours[missing]
        with pytest.raises(KeyError):
            ours.delete(missing)
