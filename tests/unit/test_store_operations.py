"""What operations make of a line, against plain dicts; files of an environment; ids and addresses. No server."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import errors, items, paths, resolution, states
from trimtab.model.canonical import Json
from trimtab.model.items import Item
from trimtab.model.states import State
from trimtab.model.structure import Forest, Lineage
from trimtab.model.values import thaw
from trimtab_store import portable
from trimtab_store.database import check_address
from trimtab_store.drafts import Draft
from trimtab_store.editing import outermost
from trimtab_store.expectations import label_sets
from trimtab_store.locking import new_version
from trimtab_store.operations import Hide, Replace, Unset, hide_of, layer_text, leaves_of
from trimtab_store.portable import Format

LINEAGE = Lineage(("base", "production"))
FOREST = Forest({"base": None, "production": "base"}, {"base": LINEAGE.dimensions})
segments = st.sampled_from(["a", "b", "c", "d.e", 'q"'])
scalars: st.SearchStrategy[Json] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)
).filter(lambda value: not isinstance(value, str) or "\x00" not in value)


def nested(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.dictionaries(segments, inner, max_size=3).map(dict[str, Json])


leaves: st.SearchStrategy[Json] = scalars | st.lists(scalars, max_size=2).map(list[Json])
values: st.SearchStrategy[Json] = st.recursive(leaves, nested, max_leaves=8)
trees: st.SearchStrategy[dict[str, Json]] = st.dictionaries(segments, values, max_size=3)


def draft(*found: Item) -> Draft:
    state = states.build(LINEAGE, found)
    return Draft("production", state, state)


def of(tree: dict[str, Json]) -> Draft:
    """A draft whose common layer holds a tree below `x`."""
    return draft(*(Item("production", "", path, content) for path, content in items.leaves("x", tree)))


def read(made: Draft) -> Json:
    found = resolution.resolve_at(made.state, {}, "x")
    return None if isinstance(found, resolution.Absent) else thaw(found)


def merged(old: Json, new: Json) -> Json:
    """The plain meaning of merge: objects meet, everything else is replaced; an empty object adds nothing to one."""
    if not isinstance(new, dict) or (new and not isinstance(old, dict)):
        return copy.deepcopy(new)
    if not isinstance(old, dict):
        return {}
    result = dict(old)
    for key, value in new.items():
        result[key] = merged(result[key], value) if key in result else copy.deepcopy(value)
    return result


@given(trees, trees)
def test_merge_is_the_merge_of_plain_objects(old: dict[str, Json], new: dict[str, Json]) -> None:
    made = of(old)
    leaves_of("", "x", new, merges=True).apply(made)
    assert read(made) == merged(old, new)


@given(trees, values)
def test_set_is_a_replacement_and_says_only_what_differs(old: dict[str, Json], new: Json) -> None:
    made = of(old)
    leaves_of("", "x", new).apply(made)
    assert read(made) == new
    again = Draft("production", made.state, made.state)
    leaves_of("", "x", new).apply(again)
    assert again.edits() == ()
    assert made.before.apply("production", made.edits()) == made.state


@given(trees.filter(bool))
def test_unset_and_hide_leave_nothing_of_their_own(tree: dict[str, Json]) -> None:
    for operation, left in ((Unset("", "x"), []), (Hide("", "x"), [("x", b"")])):
        made = of(tree)
        operation.apply(made)
        assert made.own("", "x") == left


@given(trees, trees)
def test_replace_makes_the_own_items_exactly_the_target(old: dict[str, Json], new: dict[str, Json]) -> None:
    made = of(old)
    target = {("mode=live", path): content for path, content in items.leaves("x", new)}
    Replace(target).apply(made)
    assert {(item.layer, item.path): item.content for item in made.state.items("production")} == target
    assert made.before.apply("production", made.edits()).checksum == made.state.checksum


def test_an_edit_in_one_layer_leaves_the_others_alone() -> None:
    made = draft(Item("production", "mode=live", "x.a", b"1"), Item("base", "", "x.b", b"2"))
    leaves_of("", "x", {"c": 3}).apply(made)
    hide_of("mode=live", "x.a").apply(made)
    assert [(edit.layer, edit.path, edit.operation) for edit in made.edits()] == [
        ("", "x.c", "put"),
        ("mode=live", "x.a", "hide"),
    ]
    with pytest.raises(errors.PathNotFound, match=r"base \(common\)"):
        Unset("", "x.b").apply(made)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["", "mode=live", "mode=live,region=ny4"]), st.lists(segments, min_size=1, max_size=3)
                  .map(tuple)),
        st.sampled_from([b"", b"{}", b"1", b"1.0", b'"007"', b"[]", b"null"]),
        max_size=12,
    ),
    st.sampled_from(["json", "yaml"]),
)  # fmt: skip
def test_an_export_reads_back_as_exactly_the_same_items(
    found: dict[tuple[str, tuple[str, ...]], bytes], form: Format
) -> None:
    held = {(layer, paths.join(path)): content for (layer, path), content in found.items()}
    for layer, path in list(held):  # no scalar above an item of its own layer: the store refuses those
        above = [(layer, one) for one in paths.parents(path)]
        if any(held.get(one, b"{}") not in {b"", b"{}"} for one in above) or (
            held[layer, path] not in {b"", b"{}"}
            and any(paths.is_below(other, path) for at, other in held if at == layer)
        ):
            del held[layer, path]
    listed = [Item("production", layer, path, content) for (layer, path), content in held.items()]
    text = portable.export(FOREST, "production", 7, listed, form)
    back = portable.read(text, form)
    assert back.environment == "production"
    assert dict(back.items) == held


@given(st.lists(st.sampled_from(["a", "a.b", "a.b.c", "b.c", "b", "a.bc", 'a."b.c"']), max_size=5))
def test_outermost_keeps_what_lies_below_nothing_else(found: list[str]) -> None:
    kept = outermost(found)
    assert set(kept) <= set(found)
    for one in found:
        assert any(one == other or one.startswith(f"{other}.") for other in kept)
    assert not any(one != other and one.startswith(f"{other}.") for one in kept for other in kept)


def test_everything_is_outside_of_everything() -> None:
    assert outermost(["a", "", "b.c"]) == ("",)


def test_label_sets_are_the_unions_that_a_reader_can_have() -> None:
    state = states.build(
        LINEAGE,
        [
            Item("base", layer, "a.b", b"1")
            for layer in ("", "mode=live", "mode=paper", "region=ny4", "bot=x,mode=live")
        ],
    )
    found = {tuple(sorted(one.items())) for one in label_sets(state)}
    live, paper, ny4, bot = ("mode", "live"), ("mode", "paper"), ("region", "ny4"), ("bot", "x")
    assert found == {(), (live,), (paper,), (ny4,), (bot, live), (live, ny4), (paper, ny4), (bot, live, ny4)}


def test_too_many_kinds_of_readers_are_refused_rather_than_guessed() -> None:
    found = [Item("base", f"bot=b{n},mode=m{n},node=n{n},region=r{n},strategy=s{n}", "a.b", b"1") for n in range(2)]
    found += [Item("base", f"{name}={name}{n}", "a.b", b"1") for name in LINEAGE.dimensions for n in range(8)]
    with pytest.raises(errors.ValidationError, match="readers"):
        label_sets(states.build(LINEAGE, found))


def test_version_ids_grow_and_say_what_they_are() -> None:
    made = [new_version() for _ in range(50)]
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert len(set(made)) == 50
    assert made[0].bytes[:6] <= made[-1].bytes[:6]


@pytest.mark.parametrize(
    ("given", "text"),
    [(None, ""), ("common", ""), ("region=ny4,mode=live", "mode=live,region=ny4"), ({"mode": "live"}, "mode=live")],
)
def test_a_layer_is_named_in_any_of_its_ways(given: str | dict[str, str] | None, text: str) -> None:
    assert layer_text(given) == text


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:secret@h/d", "postgresql://u:secret@h:port/d"])
def test_an_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(errors.SettingError) as caught:
        check_address(url)
    assert "secret" not in str(caught.value)


def test_the_partial_checksum_of_a_draft_moves_as_the_whole_one_would() -> None:
    whole = states.build(LINEAGE, [Item("base", "", f"x.n{n}", b"1") for n in range(20)])
    part = State(LINEAGE)
    leaf = leaves_of("", "y.z", 5).leaves[0]
    made = Draft("production", part, part)
    made.put("", *leaf)
    grown = whole.apply("production", made.edits())
    delta = int.from_bytes(made.state.checksum, "big") - int.from_bytes(part.checksum, "big")
    assert (int.from_bytes(whole.checksum, "big") + delta) % 2**256 == int.from_bytes(grown.checksum, "big")
