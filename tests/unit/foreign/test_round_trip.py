"""Every shape of file, in and back: through Python, and through the template that a sidecar renders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.foreign_files import BOT, HUMMINGBOT, SHAPES, imported, rendered, view_of
from tests.support.model_strategies import json_scalars, json_values, segment_texts
from trimtab_store import foreign
from trimtab_store.files import dump_yaml
from trimtab_store.foreign.homes import same
from trimtab_store.foreign.secrets import REFERENCE

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

FREQTRADE_NAMES = ["dry_run", "strategy", "telegram", "exchange", "minimal_roi", "stoploss", "api_server", "timeframe"]
HUMMINGBOT_NAMES = [
    "strategy", "controller_name", "id", "exchange", "connector", "log_level", "instance_id", "template_version",
]  # fmt: skip
INNER_NAMES = ["name", "enabled", "token", "chat_id", "key", "pair_whitelist", "a.b", "yes", "1", "A", "a", "items"]
leaves = json_scalars | st.lists(json_values, max_size=3)
objects = st.recursive(
    leaves, lambda inner: st.dictionaries(st.sampled_from(INNER_NAMES) | segment_texts, inner, max_size=4), max_leaves=8
)


def contents(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names) | segment_texts, objects, max_size=6)


def read(program: str, text: bytes) -> Any:
    return foreign.project(program).read(text, "a file")


@pytest.mark.parametrize(("program", "shape", "text"), SHAPES, ids=[f"{one} {two}" for one, two, _ in SHAPES])
def test_a_file_comes_back_equal_in_meaning(program: str, shape: str, text: str) -> None:
    made = imported(program, text)
    view = view_of(made)
    assert same(foreign.content(view.root, BOT, "file"), made.content)
    assert same(read(program, rendered(program, view)), made.content)
    original = read(program, text.encode())
    assert same(_without(original, made.content), made.content), shape
    assert original.keys() == made.content.keys()


def _without(original: Any, content: Json) -> Json:
    """The original with the references of another content."""
    if isinstance(content, dict):
        return {name: _without(original[name], one) for name, one in content.items()}
    if isinstance(content, list):
        return [_without(original[number], one) for number, one in enumerate(content)]
    return content if isinstance(content, str) and content.startswith(REFERENCE) else original


@pytest.mark.parametrize(("shape", "text"), HUMMINGBOT.items())
def test_both_readers_of_hummingbot_read_what_is_rendered(shape: str, text: str) -> None:
    made = imported("hummingbot", text)
    assert same(yaml.safe_load(rendered("hummingbot", view_of(made))), made.content), shape


@given(contents(FREQTRADE_NAMES))
def test_any_json_comes_back(content: dict[str, Any]) -> None:
    made = imported("freqtrade", json.dumps(content))
    view = view_of(made)
    text = rendered("freqtrade", view)
    assert same(json.loads(text), made.content)
    assert same(foreign.content(view.root, BOT, "file"), made.content)


@given(contents(HUMMINGBOT_NAMES))
def test_any_yaml_comes_back_and_everybody_reads_it_alike(content: dict[str, Any]) -> None:
    made = imported("hummingbot", dump_yaml(content))
    view = view_of(made)
    text = rendered("hummingbot", view)
    assert same(read("hummingbot", text), made.content)
    assert same(yaml.safe_load(text), made.content)
    assert same(foreign.content(view.root, BOT, "file"), made.content)
