"""docs/rules.md says what is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.unit.validation.asking import ask, said
from trimtab import categories
from trimtab_store.cli import app
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.validation import cel_process, cel_text
from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.cel_faults import faults
from trimtab_store.validation.cel_rules import rules_of
from trimtab_store.validation.rules import Rule

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def example() -> dict[str, Any]:
    (text,) = [block for kind, block in BLOCKS if kind == "yaml"]
    found: Any = load_yaml(text.encode(), name="rules.md")
    return found["rule"]  # type: ignore[no-any-return]


def named(name: str) -> Rule:
    (rule,) = rules_of([(name, example()[name])])
    return rule


def test_the_built_in_rules_are_those() -> None:
    assert re.findall(r"^\| `([a-z]+-?[a-z]+)` \|", PAGE.partition("## Your own")[0], re.MULTILINE) == [
        rule.name for rule in BUILT_IN_RULES
    ]


@pytest.mark.parametrize("name", sorted(example()))
def test_an_example_is_a_rule(name: str) -> None:
    value = example()[name]
    assert categories.check("rule", value, f"rule.{name}") == []
    assert list(faults(value, f"rule.{name}")) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "count"),
    [
        ("live_leverage", {}, {"risk": {"global": {"max_leverage": 2}}}, 0),
        ("live_leverage", {}, {"risk": {"global": {"max_leverage": 2.1}}}, 1),
        ("small_steps", {"risk": {"global": {"max_leverage": 2}}}, {"risk": {"global": {"max_leverage": 3}}}, 0),
        ("small_steps", {"risk": {"global": {"max_leverage": 2}}}, {"risk": {"global": {"max_leverage": 3.1}}}, 1),
        ("small_steps", {}, {"risk": {"global": {"max_leverage": 3.1}}}, 0),
        ("kept", {"risk": {"global": {"max_leverage": 2}}}, {}, 1),
        (
            "below_the_limit",
            {},
            {"risk": {"global": {"max_leverage": 2}}, "strategy": {"a": {"parameters": {"leverage": 3}}}},
            1,
        ),
        ("below_the_limit", {}, {"strategy": {"a": {"parameters": {}}}}, 0),
    ],
)
def test_an_example_does_what_it_says(name: str, old: dict[str, Any], new: dict[str, Any], count: int) -> None:
    assert len(said(ask(named(name), old, new, {"mode": "live"}))) == count


def test_the_commands_are_calls() -> None:
    (calls,) = [block for kind, block in BLOCKS if not kind]
    group: Any = typer.main.get_command(app.app)
    for line in calls.splitlines():
        words = shlex.split(line)
        command = group.commands[words[1]].commands[words[2]]
        with command.make_context(words[2], words[3:]) as context:
            assert context.params


def test_the_figures_are_those() -> None:
    for figure in (
        f"{cel_process.PROCESSOR_SECONDS:g} s of processor time",
        f"{cel_process.MEMORY_BYTES // 1024**2} MiB of memory",
        f"at most {cel_text.MAX_LENGTH:,} characters",
    ):
        assert figure in " ".join(PAGE.split())
