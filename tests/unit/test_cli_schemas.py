"""`trimtab schema` where no store is needed: the built-in schemas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.console import Console
from trimtab import categories


@pytest.fixture
def console(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Console:
    return Console(capfd, monkeypatch, tmp_path)


def test_the_built_in_schemas_are_listed_without_a_store(console: Console) -> None:
    found = console.done("schema", "list")["schemas"]
    assert {one["name"] for one in found} == set(categories.MODELS)
    assert all(one["built_in"] for one in found)


@pytest.mark.parametrize("name", ["risk_limits", "risk.global"])
def test_a_built_in_schema_is_shown_by_its_type_and_by_a_path(console: Console, name: str) -> None:
    assert json.loads(console("schema", "get", name).out) == categories.json_schema("risk_limits")


@pytest.mark.parametrize(
    ("name", "remedy"), [("risk.globl", "Did you mean risk.global?"), ("zzzzzz", "For your own add -e NAME")]
)
def test_what_there_is_none_of_is_told_with_what_to_do(console: Console, name: str, remedy: str) -> None:
    said = console("schema", "get", name, "--json")
    assert (said.code, said.error["remedy"]) == (3, remedy)
