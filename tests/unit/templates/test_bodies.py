"""How documents are made of what is given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError
from trimtab_store.templates.bodies import Body, places


def filled(value: Json, path: str = "bot.<id>", **more: Json) -> tuple[str, Json] | None:
    return Body(path, value).fill({"id": "mm", **more})


@pytest.mark.parametrize("value", [5, 0.1, True, "text", ["a", {"b": 1}], {"c": [1]}, "1.50"])
def test_a_place_that_stands_alone_takes_the_value_as_it_is(value: Json) -> None:
    assert filled({"x": "<x>"}, x=value) == ("bot.mm", {"x": value})


def test_a_place_inside_text_takes_the_text() -> None:
    found = filled({"a": "logs/<id>.log", "b": "<n> of <flag>"}, n=5, flag=True)
    assert found == ("bot.mm", {"a": "logs/mm.log", "b": "5 of true"})


def test_two_less_than_signs_stand_for_one() -> None:
    assert filled({"a": "<<b>", "c": "x < y", "d": "<<<id>"}) == ("bot.mm", {"a": "<b>", "c": "x < y", "d": "<mm"})


def test_what_is_given_is_not_read_for_places() -> None:
    assert filled({"a": "<x>", "b": "-<x>-"}, x="<id>") == ("bot.mm", {"a": "<id>", "b": "-<id>-"})


def test_what_is_not_given_is_left_out_with_objects_that_hold_nothing_else() -> None:
    body: Json = {"a": {"b": "<b>", "c": "<c>"}, "d": {"e": "<e>"}, "f": ["<f>", 1], "g": {}, "h": []}
    assert filled(body, b=1) == ("bot.mm", {"a": {"b": 1}, "f": [1], "g": {}, "h": []})
    assert filled({"d": {"e": "<e>"}}) is None


@pytest.mark.parametrize("name", ["plain", "a.b", 'say "hi"', "<id>", "a b"])
def test_a_place_in_a_path_is_one_segment_whatever_it_holds(name: str) -> None:
    found = Body("bot.<id>.labels", 1).fill({"id": name})
    assert found is not None
    assert paths.parse(found[0]) == ("bot", name, "labels")


def test_a_place_inside_a_segment_is_written_in_quotes() -> None:
    assert filled(1, 'bot."eu-<id>"') == ("bot.eu-mm", 1)


def test_an_id_that_no_path_can_hold_is_refused() -> None:
    with pytest.raises(PathError):
        Body("bot.<id>", 1).fill({"id": "a\nb"})


def test_instances_share_nothing() -> None:
    shared: dict[str, Json] = {"n": [1]}
    body = Body("bot.<id>", {"a": "<x>", "b": "<x>", "c": {"d": [1]}})
    first, second = body.fill({"id": "m", "x": shared}), body.fill({"id": "m", "x": shared})
    assert first is not None
    assert second is not None
    value = first[1]
    assert isinstance(value, dict)
    for inner in value.values():
        assert isinstance(inner, dict)
        inner["n"] = "changed"
    assert second == ("bot.m", {"a": {"n": [1]}, "b": {"n": [1]}, "c": {"d": [1]}})
    assert shared == {"n": [1]}


NAMES = ("a", "b", "c")
LEAVES = st.sampled_from(["<a>", "<b>", "<c>", "x<a>-<b>", "<<a>", "<d", "plain", "", 5, None, True, 0.5])
BODIES = st.recursive(LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from("klm"), one))
VALUES = st.sampled_from(["<b>", "word", 7, True, [1, ["<a>"]], {"k": "<c>"}])
OUT = object()


def oracle(value: Json, given: dict[str, Json]) -> Any:
    """The same by looking at each text anew; what is left out is `OUT`."""
    if isinstance(value, str):
        if value in {f"<{name}>" for name in NAMES}:
            return given.get(value[1:-1], OUT)
        text = value.replace("<<", "\0")
        for name in NAMES:
            text = text.replace(f"<{name}>", str(given.get(name)))
        return text.replace("\0", "<")
    if isinstance(value, list):
        return [made for one in value if (made := oracle(one, given)) is not OUT]
    if isinstance(value, dict):
        found = {key: made for key, one in value.items() if (made := oracle(one, given)) is not OUT}
        return found if found or not value else OUT
    return value


@given(body=BODIES, a=st.sampled_from(["word", 7]), b=st.sampled_from(["w", 0.5]), c=st.none() | VALUES)
@settings(deadline=None)
def test_a_body_is_filled_as_by_looking_at_each_text_anew(body: Any, a: Any, b: Any, c: Any) -> None:
    values = {"a": a, "b": b, **({} if c is None else {"c": c})}
    wanted = oracle(body, values)
    assert Body("bot.x", body).fill(values) == (None if wanted is OUT else ("bot.x", wanted))


def test_every_place_is_found() -> None:
    found = list(places("bot.<id>", {"a": "<b>", "c": ["x<d>"], "<e>": {"f": "<g>"}}))
    assert [(one.name, one.alone, one.key) for one in found] == [
        ("id", False, False),
        ("b", True, False),
        ("d", False, False),
        ("e", False, True),
        ("g", True, False),
    ]
