"""Every flag, command, variable and place that a deployment names exists in the programs that will read it."""

from __future__ import annotations

import argparse
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.exceptions import TyperException

from tests.support import deployment
from tests.support.deployment import COMPOSE, DEPLOY, DOCKERFILE
from trimtab.model.errors import UsageError
from trimtab.settings import Settings
from trimtab_sidecar import PROBE, command, probing, settings
from trimtab_store.cli import connecting, relaying
from trimtab_store.cli.app import app
from trimtab_store.keys import SIGNING_KEY

NOT_OURS = {"secrets", "__pycache__"}  # made by `prepare` and by a run of what is here
FILES = [
    COMPOSE,
    DOCKERFILE,
    *(path for path in DEPLOY.rglob("*") if path.is_file() and NOT_OURS.isdisjoint(path.parts)),
]
ADDRESSES = {connecting.DATABASE_URL, connecting.OWNER_URL, connecting.REDIS_URL}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
OF_COMPOSE = {"TRIMTAB_UID", "TRIMTAB_GID", "TRIMTAB_SECRETS", "TRIMTAB_COMPOSE_ENV"}


def bot_parser() -> argparse.ArgumentParser:
    spec = importlib.util.spec_from_file_location("example_bot", DEPLOY / "bot" / "bot.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: argparse.ArgumentParser = module.parser()
    return made


def parse(kind: str, arguments: list[str]) -> None:
    """Have the program itself read its arguments; raises for what it does not know."""
    if kind == "store":
        root = typer.main.get_command(app)
        with root.make_context("trimtab", list(arguments)) as context:
            name, found, rest = root.resolve_command(context, arguments)  # type: ignore[attr-defined]
            found.make_context(name, rest, parent=context).close()
    else:
        (command.parser() if kind == "sidecar" else bot_parser()).parse_args(arguments)


def given(tmp_path: Path) -> list[tuple[str, list[str]]]:
    """The kind of image of each container, and its arguments."""
    model: dict[str, Any] = deployment.compose_model(deployment.prepare(tmp_path))
    found: list[tuple[str, list[str]]] = [(one["image"], one["args"]) for _, _, one in deployment.containers()]
    services = [one for one in model["services"].values() if one.get("command") and not one.get("entrypoint")]
    found += [(one["image"], one["command"]) for one in services]
    kinds = [(re.sub(r":.*|trimtab-", "", image), arguments) for image, arguments in found]
    return [(kind, arguments) for kind, arguments in kinds if kind in {"store", "sidecar", "bot"}]


def test_every_command_and_flag_is_one_that_its_program_knows(tmp_path: Path) -> None:
    found = given(tmp_path)
    assert sorted(kind for kind, _ in found) == ["bot"] * 4 + ["sidecar"] * 4 + ["store"] * 4
    for kind, arguments in found:
        parse(kind, arguments)


def test_every_probe_is_one_that_its_program_answers(tmp_path: Path) -> None:
    model: dict[str, Any] = deployment.compose_model(deployment.prepare(tmp_path))
    asked = [one["healthcheck"]["test"][1:] for one in model["services"].values() if "healthcheck" in one]
    for _, _, container in deployment.containers():
        asked += [container[name]["exec"]["command"] for name in PROBES if name in container]
    ours = [one[2:] for one in asked if one[:2] == ["python", "-m"]]
    assert sorted(one[0] for one in ours) == ["trimtab_sidecar"] * 8 + ["trimtab_store"] * 3
    for module, *words in ours:
        if module == "trimtab_sidecar":
            assert words[0] == PROBE
            probing.parser().parse_args(words[1:])
        else:
            parse("store", words[:1])
            probe = typer.main.get_command(relaying.relay)
            name, found, rest = probe.resolve_command(probe.make_context("relay", []), words[1:])  # type: ignore[attr-defined]
            found.make_context(name, rest).close()


@pytest.mark.parametrize(
    ("kind", "arguments", "refused"),
    [
        ("store", ["relay", "--tempo=1"], TyperException),
        ("store", ["relais"], TyperException),
        ("sidecar", ["--shared=/x", "--tempo=1"], UsageError),
        ("bot", ["--shared=/x", "--bot=y", "--tempo=1"], SystemExit),
    ],
)
def test_a_command_or_flag_that_is_none_is_found(kind: str, arguments: list[str], refused: type[BaseException]) -> None:
    with pytest.raises(refused):
        parse(kind, arguments)


def test_every_variable_is_one_that_something_reads() -> None:
    known = {f"TRIMTAB_{name.upper()}" for name in Settings.model_fields if name != "directory"}
    known |= {*settings._FOLLOWED.values(), *settings._OWN.values(), settings._FILE, SIGNING_KEY}
    known |= ADDRESSES | {f"{name}_FILE" for name in ADDRESSES} | OF_COMPOSE
    for path in FILES:
        used = set(re.findall(r"\bTRIMTAB_[A-Z_]+\b", path.read_text()))
        assert used <= known, path


def test_no_file_holds_a_secret() -> None:
    """No long number, no address with a password that is not put together when it runs, no key."""
    for path in FILES:
        text = path.read_text()
        assert not re.findall(r"\b[0-9a-fA-F]{32,}\b", text), path
        written = re.findall(r"\w+://\w+:([^@\s/]+)@", text)
        assert not [found for found in written if not re.match(r"[%$]|PASSWORD$", found)], path
        assert "PRIVATE KEY" not in text, path
        plain = text.replace(":'", "$")  # a variable of psql
        assert not re.findall(r"(?i)password[\"']?\s*[:=]\s*[\"']?(?![\"'$/]|\s|run/)\w{6,}", plain), path
