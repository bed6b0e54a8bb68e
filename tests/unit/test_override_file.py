from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from trimtab import categories, override
from trimtab.model import canonical, states, views
from trimtab.model.canonical import Json
from trimtab.model.errors import SettingError
from trimtab.model.items import Item
from trimtab.model.overriding import MAX_OVERRIDES, wanted
from trimtab.model.structure import Lineage
from trimtab.model.views import empty

LEVERAGE = "risk.global.max_leverage"


def paths_of(file: Path) -> dict[str, object]:
    _, told = override.read(file).over(empty({}))
    return {one.path: one.value for one in told}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("local.json", '{"risk": {"global": {"max_leverage": 1.5}}, "bot": {"x.y": {"symbols": ["A"]}}}'),
        ("local.toml", 'risk.global.max_leverage = 1.5\n[bot."x.y"]\nsymbols = ["A"]\n'),
    ],
)
def test_a_file_of_overrides_is_json_or_toml(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert paths_of(tmp_path / name) == {"risk.global.max_leverage": 1.5, 'bot."x.y".symbols': ("A",)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.json", None),
        ("local.json", b"[1]"),
        ("local.json", b'{"a": 1, "a": 2}'),
        ("local.json", b"risk: 1"),
        ("local.json", b"\xff\xfe{\x00}\x00"),
        ("local.json", b" " * (override.MAX_BYTES + 1)),
        ("local.toml", b"a = [1"),
        ("local.toml", b"\xff"),
        ("local.toml", b"risk.at = 2026-01-05\n"),
        ("local.toml", b"risk.x = inf\n"),
        ("local.json", b'{"a": {' + b",".join(b'"x%d": 1' % n for n in range(MAX_OVERRIDES + 1)) + b"}}"),
    ],
)
def test_any_other_file_is_refused_naming_it(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match="local overrides") as caught:
        override.read(file)
    assert str(file) in caught.value.what
    assert caught.value.why
    assert "TOML" in caught.value.remedy


DOCUMENTS: dict[str, Json] = {
    "override": {"config": {"permitted": True, "overridable": ["**"], "protected": []}},
    "risk": {"global": {"max_leverage": 3, "min_liquidity": 5000}},
    "mev": {"protection": {"min_priority_fee": 1000, "max_priority_fee": 5000}},
    "trading": {"mode_of_old": 1},
    "free": {"text": {"x": 1}},
    "logging": {"level": "INFO"},
}


def why(tmp_path: Path, wish: Json, documents: dict[str, Json] = DOCUMENTS) -> dict[str, str]:
    (tmp_path / "local.json").write_bytes(canonical.encode(wish))
    items = [Item("base", "", path, content) for path, content in wanted(documents).items()]
    before = views.build(states.build(Lineage(("base",)), items), {})
    view, told = override.read(tmp_path / "local.json").over(before)
    for one in told:
        assert view.index.get(one.path) == (before.index.get(one.path) if one.why else one.value)
    return {one.path: one.why for one in told}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("risk_limits", "risk.global.max_leverage", -3),
        ("risk_limits", "risk.global.max_levrage", 2),
        ("mev", "mev.protection.max_priority_fee", 999),
    ],
)
def test_what_a_commit_would_be_refused_for_is_refused_on_the_node_in_the_same_words(
    tmp_path: Path, kind: str, path: str, value: int
) -> None:
    category, document, field = path.split(".")
    section = cast("dict[str, dict[str, Json]]", DOCUMENTS[category])[document]
    problems = categories.check(kind, {**section, field: value}, f"{category}.{document}")
    assert why(tmp_path, {category: {document: {field: value}}}) == {path: str(problems[0])}


def test_overrides_that_are_right_only_together_hold_together(tmp_path: Path) -> None:
    together: Json = {"mev": {"protection": {"min_priority_fee": 6000, "max_priority_fee": 7000}}}
    assert set(why(tmp_path, together).values()) == {""}
    apart: dict[str, Json] = {"mev": {"protection": {"min_priority_fee": 6000}}}
    assert set(why(tmp_path, apart).values()) != {""}


def test_one_that_is_wrong_leaves_the_others_of_its_document(tmp_path: Path) -> None:
    told = why(tmp_path, {"risk": {"global": {"max_leverage": -3, "min_liquidity": 6000}}})
    assert {path: bool(said) for path, said in told.items()} == {LEVERAGE: True, "risk.global.min_liquidity": False}


def test_what_was_wrong_before_is_not_held_against_an_override(tmp_path: Path) -> None:
    broken: dict[str, Json] = {**DOCUMENTS, "risk": {"global": {"max_leverage": 3, "unheard_of": 1}}}
    assert why(tmp_path, {"risk": {"global": {"max_leverage": 2}}}, broken) == {LEVERAGE: ""}
    assert why(tmp_path, {"risk": {"global": {"unheard_of": 2}}}, broken) != {"risk.global.unheard_of": ""}


def test_documents_that_no_category_knows_are_not_looked_at_and_text_is_not_repeated(tmp_path: Path) -> None:
    assert why(tmp_path, {"free": {"text": {"x": 2}}}) == {"free.text.x": ""}
    told = why(tmp_path, {"logging": {"level": "hunter2"}})["logging.level"]
    assert told
    assert "hunter2" not in told
