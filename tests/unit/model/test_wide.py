from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import trees, wide
from trimtab.model.trees import Branch
from trimtab.model.wide import Wide

contents = st.sampled_from([trees.HIDDEN, b"1", b"{}", b'"x"'])
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


documents = st.dictionaries(st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=8), contents, max_size=70)


@given(st.dictionaries(keys, documents | contents, max_size=80), st.dictionaries(keys, documents, max_size=10))
def test_documents_of_leaves_come_back_equal(start: dict[str, Branch], more: dict[str, Branch]) -> None:
    ours = Wide[Branch].of(start)
    for key, document in more.items():
        ours = ours.set(key, document)
    expected = {**start, **more}
    assert dict(ours.items()) == expected
    assert {key: ours.get(key) for key in expected} == expected


def _reached(thing: object) -> list[object]:
    """Everything that the collector meets below a mapping, types left out."""
    found: list[object] = []
    for below in gc.get_referents(thing):
        if not isinstance(below, type):
            found += [below, *_reached(below)]
    return found


def test_the_collector_tracks_no_document_and_no_bucket_of_documents() -> None:
    document: Branch = {"a": b"1", "": b"", "\u00e9": b'"x"'}
    ours = Wide[Branch].of({str(number): document for number in range(2_000)}).set("more", document)
    gc.collect()
    reached = _reached(ours)
    assert sum(isinstance(one, bytes) for one in reached) == 2_001, "one bytes object for each document"
    assert not any(isinstance(one, dict) and gc.is_tracked(one) for one in reached)  # pyright: ignore[reportUnknownArgumentType]


def test_a_large_document_is_not_copied_at_every_look() -> None:
    large: Branch = {"a": b"1" * 8_000}
    assert Wide[Branch].of({"x": large})["x"] is large
