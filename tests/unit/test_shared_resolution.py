"""What a reader of shared memory sees is what the model sees: for every state, change and set of labels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.model_oracle import OracleItem
from tests.support.model_strategies import World, as_edit, loose_items, worlds
from tests.support.shared_memory import Paper
from trimtab.model import paths, resolution, states, views
from trimtab.model.errors import PathNotFound
from trimtab.model.items import Item, LeafEdit
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.structure import Lineage
from trimtab.shared import layout

Edits = list[tuple[OracleItem, bool]]
"""Items that are put, or (true) removed."""
Changes = list[tuple[str, Edits]]
History = tuple[World, Changes]
FEW = settings(max_examples=int(settings.default.max_examples / 4) if settings.default else 25)


def weak(path: bytes) -> int:
    """Four hashes for all paths."""
    return (len(path) % 4) << 62


def lowest(_path: bytes) -> int:
    return 0


def highest(_path: bytes) -> int:
    return 2**64 - 1


def check(world: World, paper: Paper) -> None:
    for labels in world.readers:
        view, index = views.build(paper.state, labels), paper.index(labels)
        assert index.root() == view.root
        assert sorted(index) == sorted(view.index)
        assert dict(index.leaves()) == dict(resolution.leaves(view.index.branches, ""))
        for path in {item.path for item in paper.state.items()} | {"a.b.a", "none", 'x."."', "a"}:
            for here in (path, *paths.parents(path)):
                assert views.same(index.peek(here), view.index.peek(here)), (labels, here)


@st.composite
def histories(draw: st.DrawFn, *, conflicting: bool = True) -> History:
    world = draw(worlds(conflicting=conflicting))
    items = loose_items(world.environments, world.dimensions)
    changes = draw(st.lists(st.lists(st.tuples(items, st.booleans()), min_size=1, max_size=3), max_size=3))
    grouped: Changes = []
    for change in changes:
        environment = change[0][0].environment
        grouped.append((environment, [(item, remove) for item, remove in change if item.environment == environment]))
    return world, grouped


def run(world: World, changes: Changes, hash_path: layout.HashPath) -> None:
    paper = Paper(states.build(world.lineage, world.model_items()), hash_path)
    check(world, paper)
    for environment, edits in changes:
        made = {(edit.layer, edit.path): edit for edit in (as_edit(item, remove=gone) for item, gone in edits)}
        paper.apply(environment, made.values())
        check(world, paper)


@FEW
@given(histories())
def test_every_reader_sees_what_the_model_sees_after_every_change(
    history: History,
) -> None:
    run(*history, layout.hash_path)


@FEW
@given(histories())
def test_the_same_where_hashes_collide(history: History) -> None:
    run(*history, weak)


@pytest.mark.parametrize("hash_path", [layout.hash_path, weak, lowest, highest])
@pytest.mark.parametrize("count", [0, 1, 254, 255, 256, 1500])
def test_the_index_finds_every_path_and_no_other(count: int, hash_path: layout.HashPath) -> None:
    items = [Item("base", "", f"token.t{number}", b"%d" % number) for number in range(count)]
    index = Paper(states.build(Lineage(("base",)), items), hash_path).index({})
    step = 1 if hash_path is layout.hash_path else 97
    for number in range(0, count, step):
        assert index[f"token.t{number}"] == number
    for number in range(count, count + 10):
        assert index.peek(f"token.t{number}") is ABSENT
    assert len(index) == count + (count > 0)


def test_a_missing_path_names_the_nearest_one() -> None:
    items = [Item("base", "", "risk.global.max_leverage", b"3")]
    index = Paper(states.build(Lineage(("base",)), items)).index({})
    with pytest.raises(PathNotFound, match=r"risk\.global\.max_leverage\?"):
        index["risk.global.max_levrage"]
    with pytest.raises(PathNotFound, match=r"Did you mean risk\?"):
        index["rsk"]
    assert index.get("no", 5) == 5
    assert ("no" in index, "a..b" in index, bool(index)) == (False, False, True)


def test_a_value_that_straddles_pages_is_read_whole() -> None:
    texts = {f"a.t{number}": "x" * (number * 700) for number in range(1, 90)}
    items = [Item("base", "", path, b'"%b"' % text.encode()) for path, text in texts.items()]
    index = Paper(states.build(Lineage(("base",)), items)).index({})
    found: dict[str, object] = {path: index[path] for path in texts}
    assert found == texts
    assert not isinstance(index.peek("a"), Absent)


@pytest.mark.parametrize("hidden_in", ["", "mode=live"])
@pytest.mark.parametrize("below_in", ["", "mode=live", "bot=x"])
@pytest.mark.parametrize("built", [True, False])
def test_what_lies_below_a_tombstone_shows_where_its_layer_or_a_higher_one_has_it(
    hidden_in: str, below_in: str, *, built: bool
) -> None:
    lineage = Lineage(("base", "production"))
    edits = [
        [LeafEdit(hidden_in, "a", "hide")],
        [LeafEdit(below_in, "a.b.c", "put", b"2")],
        [LeafEdit(below_in, "a.b.c", "remove"), LeafEdit("", "a.d", "put", b"3")],
        [LeafEdit(hidden_in, "a.b", "hide"), LeafEdit("bot=x", "a.b.e", "put", b"4")],
        [LeafEdit("bot=x", "a.b.e", "remove")],
        [LeafEdit(hidden_in, "a", "remove")],
    ]
    paper = Paper(states.build(lineage, [Item("base", "", "a.b.c", b"1"), Item("base", "", "a.x", b"1")]))
    for change in edits:
        paper.apply("production", change)
        if built:
            paper = Paper(paper.state)
        for labels in ({}, {"mode": "live"}, {"bot": "x"}, {"mode": "live", "bot": "x"}):
            view, index = views.build(paper.state, labels), paper.index(labels)
            assert index.root() == view.root
            for path in ("a", "a.b", "a.b.c", "a.d", "a.b.e", "a.x"):
                assert views.same(index.peek(path), view.index.peek(path)), (labels, path)
