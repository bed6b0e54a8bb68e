"""What docs/templates.md shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from tests.support.console import Console
from trimtab import categories
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.templates import built_in, definition

PAGE: Final = (Path(__file__).parents[3] / "docs" / "templates.md").read_text()


def block(kind: str, beginning: str) -> str:
    """The fenced block of a kind that begins so."""
    (found,) = [
        text
        for named, text in re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
        if named == kind and text.startswith(beginning)
    ]
    return str(found)


def test_the_template_of_ones_own_is_one() -> None:
    made = definition.read(load_yaml(block("yaml", "name: opening"), name="page"))
    instance = made.instance({"id": "a", "symbols": ["SPY"], "stop_loss": 0.02}, check=categories.check)
    assert instance.documents == {
        "strategy.a": {
            "name": "Opening a",
            "exchange": "ibkr",
            "symbols": ["SPY"],
            "parameters": {"stop_loss": 0.02, "take_profit": 0.03, "order_type": "limit"},
        }
    }


def test_a_refusal_reads_as_it_is_shown(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command, _, said = block("", "$ trimtab").partition("\n")
    found = Console(capfd, monkeypatch, tmp_path)(*shlex.split(command)[2:])
    assert found.err.split() == said.split()


def test_every_category_of_built_in_templates_is_listed() -> None:
    listed = {word for row in re.findall(r"^\| ([a-z_, ]+) \|", PAGE, re.MULTILINE) for word in row.split(", ")}
    assert {one.category for one in map(built_in.template, built_in.files())} <= listed
