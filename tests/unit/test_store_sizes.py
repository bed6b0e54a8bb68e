"""The bounds of a snapshot's length, against snapshots that are really made."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimtab.model import snapshots
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab_store.reading import Head
from trimtab_store.sizes import HEADER_BYTES, Growth, Known, Sizes, now, size_of

LONGEST = "e" * 63
DIMENSIONS = tuple(f"d{number}" * 20 for number in range(16))
LAYERS = ["", *(f"{dimension}={number}" for dimension in DIMENSIONS[:3] for number in range(12))]
FOREST = Forest({"base": None, LONGEST: "base"}, {"base": DIMENSIONS})

places = st.tuples(st.sampled_from(LAYERS), st.sampled_from(["a", "b.c", 'q."dot.ted"', '"é".x']))
outcomes = st.sampled_from([None, b"", b"1", b'"' + b"x" * 300 + b'"'])


def edits_of(wanted: dict[tuple[str, str], bytes | None]) -> tuple[LeafEdit, ...]:
    made: list[LeafEdit] = []
    for (layer, path), content in sorted(wanted.items()):
        if content is None:
            made.append(LeafEdit(layer, path, "remove"))
        else:
            made.append(LeafEdit(layer, path, "put", content) if content else LeafEdit(layer, path, "hide"))
    return tuple(made)


def length(state: State) -> int:
    return len(snapshots.encode(Snapshot(LONGEST, Position(1, 2**62), bytes(32), state, 2**62)))


@given(st.dictionaries(places, outcomes, max_size=40), st.dictionaries(places, outcomes, min_size=1, max_size=40))
@example({}, {(layer, "a"): b"1" for layer in LAYERS})  # the least change for the most new groups
@example({(layer, "a"): b"1" for layer in LAYERS}, {(layer, "a"): None for layer in LAYERS})
def test_no_change_makes_a_snapshot_grow_by_more_than_its_bounds(
    held: dict[tuple[str, str], bytes | None], wanted: dict[tuple[str, str], bytes | None]
) -> None:
    before = State(FOREST.lineage(LONGEST)).apply(LONGEST, edits_of(held))
    edits = edits_of(wanted)
    change = Change(environment=LONGEST, author="a", reason="", time="", kind="edit", edits=edits).encode()
    growth, after = Growth.of(LONGEST, before, edits, change), before.apply(LONGEST, edits)
    grown = length(after) - length(before)
    assert grown <= growth.close + 1  # one more digit in the number of items
    assert growth.close <= growth.most
    assert 0 < length(after) <= size_of(after) <= length(after) + HEADER_BYTES + 24 * len(after.trees)


@pytest.mark.parametrize(
    ("known", "head", "far"),
    [
        ((1, 100, 1000, 0.0), Head(1, 105, 90), True),
        ((1, 100, 1000, 9.9), Head(1, 105, 90), True),  # a few commits, however long ago
        ((1, 100, 1000, 0.5), Head(1, 900, 90), True),  # many commits, but no time for much
        ((1, 100, 1000, 9.9), Head(1, 900, 90), False),
        ((1, 100, 2**30 // 2 + 1, 0.0), Head(1, 100, 90), False),
        ((1, 100, 1000, 0.0), Head(1, 105, 101), False),  # another parent may have brought anything
        ((1, 100, 1000, 0.0), Head(2, 105, 90), False),
        ((1, 100, 1000, 0.0), Head(1, 99, 90), False),  # not the history that it was asked of
    ],
)
def test_a_line_is_not_asked_for_while_nothing_can_have_made_it_large(
    known: tuple[int, int, int, float], head: Head, *, far: bool
) -> None:
    epoch, revision, size, ago = known
    sizes = Sizes({"base": Known(epoch, revision, size, now() - ago)})
    assert sizes.is_far("base", head) is far
    assert not sizes.is_far("other", head)


def test_the_longest_header_fits_what_is_left_for_it() -> None:
    names = [f"{number:02d}".replace("0", "a").replace("1", "b") for number in range(16)]
    lineage = [f"e{name}".ljust(63, "x") for name in names]
    forest = Forest({name: lineage[n - 1] if n else None for n, name in enumerate(lineage)}, {lineage[0]: DIMENSIONS})
    state = State(forest.lineage(lineage[-1]))
    assert len(state.lineage.environments) == 16
    assert len(snapshots.encode(Snapshot(lineage[-1], Position(2**62, 2**62), bytes(32), state, 2**62))) < HEADER_BYTES
