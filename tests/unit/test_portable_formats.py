"""Files of every format that is written: store → file → store gives the same items, byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical, paths
from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab.model.items import Item, leaves
from trimtab.model.structure import Forest
from trimtab_store import portable
from trimtab_store.files import dump_toml, dump_yaml, load_toml, read_tree
from trimtab_store.files.toml_text import MAX_TOML_BYTES

MARK = b"\xef\xbb\xbf"
ODD = [
    *("", " ", "a.b", '"', "'", "\\", "\x7f", "\x85", "\u2028", "\u202e", "\r\n"),
    *("1979-05-27", "inf", "true", "[x]", "#", "=", "${X}"),
]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(ODD)
SEGMENTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


def values(keys: st.SearchStrategy[str], scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=10
    )


def documents(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    below = st.dictionaries(SEGMENTS, values(SEGMENTS, scalars), min_size=1, max_size=3)
    return st.dictionaries(SEGMENTS, below, max_size=3)


WITH_NULL, WITHOUT_NULL = documents(SCALARS | st.none()), documents(SCALARS)


@given(st.dictionaries(TEXTS, values(TEXTS, SCALARS), max_size=4))
def test_toml_is_read_back_as_it_was_written(value: Any) -> None:
    assert canonical.encode(load_toml(dump_toml(value), name="x")) == canonical.encode(value)


@pytest.mark.parametrize("form", ["json", "yaml", "toml"])
@given(data=st.data())
def test_an_export_is_imported_as_it_was(data: st.DataObject, form: portable.Format) -> None:
    drawn = WITHOUT_NULL if form == "toml" else WITH_NULL
    items = [
        Item("base", layer, path, content)
        for layer in ("", "mode=live")
        for category, value in data.draw(drawn).items()
        for path, content in leaves(paths.write(category), value)
    ]
    items.append(Item("base", "mode=live", "venue.hidden", b""))
    forest = Forest({"base": None}, {"base": ("mode",)})
    text = portable.export(forest, "base", 7, items, form)
    found = portable.read(text, form)
    assert found.environment == "base"
    assert found.items == {(item.layer, item.path): item.content for item in items}


def test_null_is_refused_in_toml_by_every_path_that_holds_it() -> None:
    items = [
        Item("base", "", "a.b", b"null"),
        Item("base", "", "a.c", b"[1,[null]]"),
        Item("base", "mode=live", "a.b", b"null"),
        Item("base", "", "a.d", b"1"),
    ]
    with pytest.raises(ValueRefused) as caught:
        portable.export(Forest({"base": None}, {"base": ("mode",)}), "base", 1, items, "toml")
    assert "a.b (common), a.c (common), a.b (mode=live)" in str(caught.value)
    assert "a.d" not in str(caught.value)


def test_what_no_reader_would_take_back_is_not_written() -> None:
    with pytest.raises(ValueRefused, match="TOML has no null"):
        dump_toml({"a": [{"b": None}]})
    with pytest.raises(ValueRefused, match="larger than 2 MiB"):
        dump_toml({"a": "x" * MAX_TOML_BYTES})


def escaped(value: Json) -> Json:
    """A value as a file says it, where ${ would begin a reference."""
    if isinstance(value, dict):
        return {key: escaped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [escaped(child) for child in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


WRITERS: dict[str, Callable[[Any], str]] = {
    "yaml": dump_yaml,
    "json": lambda value: canonical.encode(value).decode(),
    "toml": dump_toml,
}


@given(WITHOUT_NULL, WITHOUT_NULL, st.data())
def test_a_tree_of_files_in_any_formats_holds_what_was_written(common: Any, overlay: Any, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        base = Path(place) / "base"
        (base / "overlays").mkdir(parents=True)
        for number, (category, value) in enumerate(common.items()):
            ending = data.draw(st.sampled_from(sorted(WRITERS)))
            text = WRITERS[ending]({category: escaped(value)})
            (base / f"{number}.{ending}").write_bytes(data.draw(st.sampled_from([b"", MARK])) + text.encode())
        if overlay:
            ending = data.draw(st.sampled_from(sorted(WRITERS)))
            (base / "overlays" / f"mode=live.{ending}").write_text(WRITERS[ending](escaped(overlay)), newline="")
        (found,) = read_tree(Path(place), variables={}).environments
    assert {(item.layer, item.path): item.content for item in found.items()} == {
        (layer, path): content
        for layer, values in (("", common), ("mode=live", overlay))
        for category, value in values.items()
        for path, content in leaves(paths.write(category), value)
    }
