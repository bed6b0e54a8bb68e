from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import segments
from trimtab.model import trees
from trimtab.model.trees import Builder, Node

contents = st.sampled_from([trees.HIDDEN, b"1", b"{}", b'"x"'])
wide = st.integers(0, 200).map(lambda number: ("w", f"n{number}"))
places = segments | wide
flat_items = st.dictionaries(places, contents, max_size=150)


def _walked(tree: Node) -> list[tuple[tuple[str, ...], bytes]]:
    return list(trees.walk(tree))


@given(st.lists(st.tuples(places, st.none() | contents), max_size=200))
def test_putting_and_removing_agrees_with_a_plain_dict(edits: list[tuple[tuple[str, ...], bytes | None]]) -> None:
    oracle: dict[tuple[str, ...], bytes] = {}
    tree: Node = trees.EMPTY
    for path, content in edits:
        before = _walked(tree)
        if content is None:
            oracle.pop(path, None)
            changed = trees.remove(tree, path)
        else:
            oracle[path] = content
            changed = trees.put(tree, path, content)
        assert _walked(tree) == before, "the old tree changed"
        tree = changed
    assert _walked(tree) == sorted(oracle.items())
    for path, _ in edits:
        assert trees.content_of(trees.descend(tree, path)) == oracle.get(path)
    if not oracle:
        assert trees.is_empty(tree)


@given(flat_items, st.randoms())
def test_a_builder_makes_the_same_tree_in_whatever_order_the_items_come(
    oracle: dict[tuple[str, ...], bytes], random: Random
) -> None:
    shuffled = list(oracle.items())
    random.shuffle(shuffled)
    for items in (sorted(oracle.items()), shuffled):
        builder = Builder()
        for path, content in items:
            builder.put(path, content)
        tree: Node = builder.finish()
        assert _walked(tree) == sorted(oracle.items())
        for path, content in oracle.items():
            assert trees.content_of(trees.descend(tree, path)) == content
            tree = trees.remove(tree, path)
        assert trees.is_empty(tree)


@given(flat_items, places, contents)
def test_a_built_tree_is_not_changed_by_putting_into_it(
    oracle: dict[tuple[str, ...], bytes], path: tuple[str, ...], content: bytes
) -> None:
    builder = Builder()
    for place, held in oracle.items():
        builder.put(place, held)
    tree = builder.finish()
    assert _walked(trees.put(tree, path, content)) == sorted({**oracle, path: content}.items())
    assert _walked(tree) == sorted(oracle.items())


def test_interior_nodes_that_hold_nothing_any_more_vanish() -> None:
    tree = trees.put(trees.EMPTY, ("a", "b", "c"), b"1")
    assert trees.is_empty(trees.remove(tree, ("a", "b", "c")))
    assert _walked(trees.remove(tree, ("a", "b"))) == _walked(tree)
    assert _walked(trees.remove(tree, ("a", "x", "y"))) == _walked(tree)
