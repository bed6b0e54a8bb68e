"""Every command explains itself, with an example that typer accepts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from trimtab_store.cli import app as program


def commands(command: Any = None, words: tuple[str, ...] = ("trimtab",)) -> dict[tuple[str, ...], Any]:
    """Every command by its words; groups are left out, but for one that does something itself."""
    found: Any = typer.main.get_command(program.app) if command is None else command
    inner = getattr(found, "commands", None)
    if inner is None:
        return {words: found}
    named = {name: one for word, below in inner.items() for name, one in commands(below, (*words, word)).items()}
    return named | ({words: found} if found.invoke_without_command else {})


COMMANDS = commands()
EXAMPLES = [
    (words, line.strip().removeprefix("Example: "))
    for words, command in COMMANDS.items()
    for line in command.help.splitlines()
    if line.strip().startswith("Example: ")
]
EXPECTED = {
    "up", "get", "set", "merge", "unset", "hide", "list", "history", "diff", "rollback", "export", "import", "validate",
    "explain", "watch", "status", "env list", "env create", "env inherit", "env dimensions", "epoch declare", "backup",
    "plan", "apply", "restore", "relay", "relay probe", "keys create", "keys list", "migrate", "sidecar",
    "schema upgrade", "schema put", "schema list", "schema get",
    "impact", "mode", "registry find", "registry show", "registry tree", "registry orphans",
    "template list", "template show", "template new", "template put", "rule put", "rule list", "rule get", "rule test",
}  # fmt: skip


def test_there_is_every_command() -> None:
    assert {" ".join(words[1:]) for words in COMMANDS} == EXPECTED


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_an_example(words: tuple[str, ...]) -> None:
    assert [example for named, example in EXAMPLES if named == words]


@pytest.mark.parametrize(("words", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_an_example_is_a_call_of_its_command(words: tuple[str, ...], example: str) -> None:
    typed = shlex.split(example)
    assert tuple(typed[: len(words)]) == words
    with COMMANDS[words].make_context(words[-1], typed[len(words) :]) as context:
        assert context.params


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_ends_well_and_shows_the_example_unfolded(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run([*words[1:], "--help"]) == 0
    said = capsys.readouterr()
    for named, example in EXAMPLES:
        if named == words:
            assert f"Example: {example}\n" in said.out
    assert said.err == ""


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is(words: tuple[str, ...]) -> None:
    for option in COMMANDS[words].params:
        if not getattr(option, "hidden", False):
            assert option.help, option.name
            assert option.opts[0].startswith("--") or option.param_type_name == "argument" or len(option.opts) > 1


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[-1] not in {"relay", "sidecar"}], ids=" ".join)
def test_a_program_can_read_what_every_command_says(words: tuple[str, ...]) -> None:
    assert any("--json" in option.opts for option in COMMANDS[words].params)


@pytest.mark.parametrize("arguments", [[], ["env"], ["epoch"], ["keys"], ["template"]])
def test_a_call_without_a_command_is_a_wrong_call_that_gets_the_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run(arguments) == 2
    assert capsys.readouterr().err.startswith("Usage: trimtab ")


def test_the_help_names_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    program.run(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0 done, 1 internal, 2 usage, 3 not found, 4 refused by validation, 5 conflict," in said
    assert said.endswith("8 committed but not yet served everywhere, 9 awaiting approval.")


PAGE = Path(__file__).parents[2] / "docs" / "registry.md"
TYPED = [line for line in PAGE.read_text().splitlines() if line.startswith("trimtab ")]


@pytest.mark.parametrize("line", TYPED)
def test_what_the_page_of_the_registry_shows_can_be_typed(line: str) -> None:
    typed = shlex.split(line)
    words = max((one for one in COMMANDS if tuple(typed[: len(one)]) == one), key=len)
    with COMMANDS[words].make_context(words[-1], typed[len(words) :]) as context:
        assert context.params
