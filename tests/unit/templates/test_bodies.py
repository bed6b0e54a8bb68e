"""How documents are made of what is given."""

from __future__ import annotations

import pytest

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError
from trimtab_store.templates.bodies import Body, places


def filled(value: Json, path: str = "bot.<id>", **given: Json) -> tuple[str, Json] | None:
    return Body(path, value).fill({"id": "mm", **given})


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


def test_every_place_is_found() -> None:
    found = list(places("bot.<id>", {"a": "<b>", "c": ["x<d>"], "<e>": {"f": "<g>"}}))
    assert [(one.name, one.alone, one.key) for one in found] == [
        ("id", False, False),
        ("b", True, False),
        ("d", False, False),
        ("e", False, True),
        ("g", True, False),
    ]
