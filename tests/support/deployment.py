"""What deploys us, read as the tools that will run it read it: compose, the manifests of Kubernetes, the Dockerfile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final = ROOT / "docker-compose.yml"
DOCKERFILE: Final = ROOT / "Dockerfile"
MANIFESTS: Final = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")


def tool(name: str) -> str:
    """A program of the wheels that are installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


@dataclass(frozen=True)
class Prepared:
    """What `deploy/compose/prepare` made."""

    secrets: Path
    settings: Path

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()


def prepare(folder: Path, path: str = "") -> Prepared:
    """Run `deploy/compose/prepare` into a folder; again, if it ran before. It finds trimtab beside this Python."""
    made = Prepared(folder / "secrets", folder / "settings.env")
    path = path or f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [DEPLOY / "compose" / "prepare", made.secrets],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": path, "TRIMTAB_COMPOSE_ENV": str(made.settings)},
    )
    assert done.returncode == 0, done.stderr
    return made


def compose(*arguments: str | Path, file: Path = COMPOSE) -> subprocess.CompletedProcess[str]:
    """Run docker compose over the project; `config` needs no engine."""
    command = [tool("docker-compose"), "--project-directory", str(ROOT), "--file", str(file), *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def compose_model(made: Prepared) -> dict[str, Any]:
    """The whole project as compose understands it, with every variable filled in."""
    done = compose("--env-file", made.settings, "--profile", "tools", "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    model: dict[str, Any] = json.loads(done.stdout)
    return model


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def manifests() -> list[dict[str, Any]]:
    """Every object for Kubernetes."""
    return [one for path in MANIFESTS for one in documents(path)]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each workload, and the Pod that it makes."""
    for one in manifests():
        template = one.get("spec", {}).get("template")
        if template is not None:
            yield one["metadata"]["name"], template


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """WORKLOAD/CONTAINER, the Pod's specification, and the container's."""
    for name, pod in pods():
        for one in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            yield f"{name}/{one['name']}", pod["spec"], one


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: what it stands on, and its instructions."""

    name: str
    base: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == word]


def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile by their names."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for part in re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]:
        first, *rest = [line for line in part.splitlines() if line.strip()]
        _, base, _, name = first.split()
        lines = tuple((word, " ".join(told.split())) for word, _, told in (line.partition(" ") for line in rest))
        found[name] = Stage(name, base, lines)
    return found


def variables_of(container: dict[str, Any]) -> dict[str, str]:
    """What a container of Kubernetes is given by name, without what only a cluster knows."""
    return {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}


def flags_of(arguments: list[str]) -> dict[str, list[str]]:
    """`--flag=value` arguments by flag."""
    found: dict[str, list[str]] = {}
    for one in arguments:
        flag, _, value = one.partition("=")
        found.setdefault(flag, []).append(value)
    return found
