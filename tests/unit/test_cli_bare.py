"""`pip install trimtab` alone: the command says what to install, and an agent lacks nothing."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

from trimtab_store import cli

BLOCKED = """
import importlib.abc, sys

class Blocking(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{fullname!r}}", name=fullname)

sys.meta_path.insert(0, Blocking())
"""
MAIN = "from trimtab_store.cli import main\nmain()"


def python(code: str, blocked: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that lacks some packages."""
    program = BLOCKED.format(blocked=blocked) + code
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


def brought_by_the_extra() -> set[str]:
    """The top-level modules of the distributions that the extra `store` names."""
    wanted = {
        one_spelling(requirement.partition(">=")[0])
        for requirement in importlib.metadata.requires("trimtab") or []
        if requirement.endswith(("extra == 'store'", 'extra == "store"'))
    }
    by_module = importlib.metadata.packages_distributions()
    return {module for module, names in by_module.items() if wanted & set(map(one_spelling, names))}


def one_spelling(distribution: str) -> str:
    """`tomli_w` and `tomli-w` are one."""
    return distribution.lower().replace("_", "-")


def test_what_the_extra_brings_is_known_by_its_names() -> None:
    names = {name for name in brought_by_the_extra() if not name.startswith("_")}
    assert names == cli._OF_THE_EXTRA


def test_a_bare_install_says_in_one_paragraph_what_to_install() -> None:
    said = python(MAIN, set(cli._OF_THE_EXTRA), "status", "-e", "production")
    assert (said.returncode, said.stdout) == (2, ""), said
    assert said.stderr == (
        "trimtab: The command line is not installed: this Python has trimtab for agents, without typer. "
        'Install the rest with: pip install "trimtab[store]".\n'
    )


def test_programs_are_told_so_in_json() -> None:
    said = python(MAIN, set(cli._OF_THE_EXTRA), "status", "--json")
    assert (said.returncode, said.stdout) == (2, ""), said
    error = json.loads(said.stderr)["error"]
    assert (error["code"], 'pip install "trimtab[store]"' in error["remedy"]) == ("usage", True)


@pytest.mark.parametrize("module", sorted(cli._OF_THE_EXTRA))
def test_a_part_that_is_missing_ends_in_no_traceback(module: str) -> None:
    """Whichever part it is: the program is imported whole before a command runs, or does without it."""
    said = python(MAIN, {module}, "--version-of-nothing")
    assert said.returncode == 2, said
    assert "Traceback" not in said.stderr


def test_what_is_missing_for_another_reason_is_told_as_it_is() -> None:
    said = python(MAIN, {"orjson"}, "--help")
    assert said.returncode == 1
    assert "ModuleNotFoundError: No module named 'orjson'" in said.stderr


def test_an_agent_lacks_nothing_in_a_bare_install() -> None:
    said = python("from trimtab import Agent\nprint(Agent.__name__)", set(cli._OF_THE_EXTRA))
    assert (said.returncode, said.stdout, said.stderr) == (0, "Agent\n", "")
