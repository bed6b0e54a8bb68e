"""The registry as functions of a line: what it lists, how it is asked, and what hangs in the air."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical, states
from trimtab.model.errors import PathNotFound, UsageError
from trimtab.model.items import Item, leaves
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab_store.registry import Node, Registry

LINEAGE = Lineage(("base", "production"))


def line(values: dict[str, Any], environment: str = "production", layer: str = "") -> list[Item]:
    return [Item(environment, layer, at, text) for path, value in values.items() for at, text in leaves(path, value)]


def state(*groups: list[Item]) -> State:
    return states.build(LINEAGE, [item for group in groups for item in group])


def registry(*groups: list[Item]) -> Registry:
    return Registry(state(*groups))


FLEET = registry(
    line({"risk.global": {"max_leverage": 3}, "strategy.mm": {"name": "mm"}, "notes.todo.a": 1}, "base"),
    line({"strategy.mm.enabled": True}),
    line({"strategy.mr.enabled": True}, layer="mode=live"),
    line(
        {
            "meta.risk.global": {"owner": "ann", "tags": ["core", "risk"]},
            "meta.strategy.mm": {
                "owner": "ann", "tags": ["core"], "status": "draft", "dependencies": ["risk.global", "exchange.x"],
            },
            "meta.strategy.gone": {"status": "retired"},
            "schema.notes": {"documents": "notes.*", "version": 2, "text": "{}"},
        }
    ),
)  # fmt: skip


def found(**asked: Any) -> list[str]:
    return [one.path for one in FLEET.find(**asked)]


def test_documents_are_listed_whether_or_not_anybody_described_them() -> None:
    assert {path: (one.type, one.status, one.exists) for path, one in FLEET.entries.items()} == {
        "notes.todo": ("notes", None, True),
        "risk.global": ("risk_limits", "active", True),
        "schema.notes": ("schema", None, True),
        "strategy.gone": ("strategy", "retired", False),
        "strategy.mm": ("strategy", "draft", True),
        "strategy.mr": ("strategy", None, True),
    }


def test_they_are_found_by_any_of_their_metadata() -> None:
    assert found(kind="strategy") == ["strategy.gone", "strategy.mm", "strategy.mr"]
    assert found(owner="ann") == ["risk.global", "strategy.mm"]
    assert found(owner="ann", status="draft") == ["strategy.mm"]
    assert found(tags=["core"]) == ["risk.global", "strategy.mm"]
    assert found(tags=["core", "risk"]) == ["risk.global"]
    assert found(kind="notes") == ["notes.todo"]
    assert found(tags=["nothing"]) == []


def test_any_field_of_metadata_finds_and_sentences_by_a_part() -> None:
    about = registry(
        line({"risk.global.max_leverage": 3, "strategy.mm.name": "mm", "strategy.mr.name": "mr"}),
        line(
            {
                "meta.strategy.mm": {
                    "config_id": "c-7", "description": "Makes the market", "dependencies": ["risk.global"],
                    "schema_version": 1, "created_at": "2026-03-01T00:00:00Z", "warnings": ["Thin at night"],
                    "validation_errors": ["none of note"], "last_validated": "2026-03-02T00:00:00Z",
                },
                "meta.strategy.mr": {"description": "Reverts", "type": "reverting", "tags": ["core", "slow"]},
            }
        ),
    )  # fmt: skip

    def where(*said: tuple[str, str]) -> list[str]:
        return [one.path for one in about.find(where=said)]

    for condition in [
        ("config_id", "c-7"), ("description", "the MARKET"), ("dependencies", "risk.global"),
        ("created_at", "2026-03-01T00:00:00Z"), ("warnings", "night"), ("validation_errors", "note"),
        ("last_validated", "2026-03-02T00:00:00Z"),
    ]:  # fmt: skip
        assert where(condition) == ["strategy.mm"], condition
    assert where(("type", "reverting")) == where(("tags", "slow")) == ["strategy.mr"]
    assert where(("status", "active")) == ["strategy.mm", "strategy.mr"]
    assert where(("schema_version", "1")) == ["risk.global", "strategy.mm", "strategy.mr"]
    assert where(("config_id", "c-7"), ("tags", "slow")) == where(("config_id", "c")) == []


def test_what_no_metadata_can_say_is_a_wrong_question_and_not_an_empty_answer() -> None:
    with pytest.raises(UsageError, match=r"no status 'activ'.*Did you mean active"):
        FLEET.find(status="activ")
    with pytest.raises(UsageError, match=r"no field 'ownr'.*Did you mean owner"):
        FLEET.find(where=[("ownr", "ann")])


def test_metadata_belong_to_the_document_that_they_are_about() -> None:
    named = ["meta.risk.global.owner", "strategy.mm.name", "notes.todo.a.b"]
    assert FLEET.documents_of(named) == {"risk.global", "strategy.mm", "notes.todo"}


def test_a_document_is_named_by_anything_in_it() -> None:
    assert FLEET.entry("risk.global.max_leverage").path == "risk.global"
    with pytest.raises(PathNotFound, match=r"Did you mean risk\.global"):
        FLEET.entry("risk.globl")


def test_trees_lead_both_ways() -> None:
    assert FLEET.tree("strategy.mm") == (
        Node("strategy.mm", 0, exists=True),
        Node("risk.global", 1, exists=True),
        Node("exchange.x", 1, exists=False),
    )
    assert FLEET.tree("risk.global", dependents=True) == (
        Node("risk.global", 0, exists=True),
        Node("strategy.mm", 1, exists=True),
    )


def test_what_hangs_in_the_air_is_told_with_the_reason() -> None:
    assert [(one.path, one.why.partition(",")[0]) for one in FLEET.orphans()] == [
        ("notes.todo", "it has no metadata"),
        ("schema.notes", "it has no metadata"),
        ("strategy.gone", "it has metadata"),
        ("strategy.mm", "it depends on exchange.x"),
        ("strategy.mr", "it has no metadata"),
    ]


NAMES = [f"strategy.s{number}" for number in range(6)]


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), min_size=1))
def test_a_tree_holds_everything_that_can_be_reached_and_follows_it_once(graph: dict[str, list[str]]) -> None:
    made = registry(
        line(dict.fromkeys((f"{name}.enabled" for name in graph), True)),
        line({f"meta.{name}.dependencies": below for name, below in graph.items()}),
    )
    start = min(graph)
    reached: set[str] = {start}
    while more := {one for name in reached for one in graph.get(name, [])} - reached:
        reached |= more
    tree = made.tree(start)
    assert {one.path for one in tree} == reached
    assert sum(not one.repeats for one in tree) == len(reached)
    expected = 1 + sum(len(set(graph.get(name, []))) for name in reached)
    assert len(tree) == expected
    for name in reached & graph.keys():
        assert start in {one.path for one in made.tree(name, dependents=True)}


KEPT = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)
)


@given(st.recursive(KEPT, lambda inner: st.lists(inner, max_size=2)))
def test_metadata_of_any_shape_are_read(value: Any) -> None:
    content = canonical.encode(value) if value != [] else b"[]"
    fields = ("owner", "tags", "status", "dependencies", "schema_version", "type")
    made = registry([Item("production", "", f"meta.risk.global.{name}", content) for name in fields])
    assert [one.path for one in made.find()] == ["risk.global"]
    assert made.orphans()
