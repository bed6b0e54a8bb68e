"""The wheel, which is what users get: what is in it, what it asks for, and that it works away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.support.servers import Database
from trimtab_store import migrate

ROOT = Path(__file__).parents[2]
AGENT_NEEDS = {
    "cryptography",
    "immutables",
    "orjson",
    "psycopg[binary]",
    "pydantic",
    "pydantic-settings",
    "redis",
    "tenacity",
}
"""A database toolkit, a command line or a web framework would be one too many for a bot."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, built with the hatchling that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=ROOT)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    alone = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", "install", *alone, "--target", str(folder), str(wheel), cwd=folder)
    return folder


def run(*command: str, cwd: Path, **variables: str) -> str:
    """What a program says that must succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIMTAB_", "PYTHON"))}
    done = subprocess.run(
        command, cwd=cwd, env=kept | variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    return done.stdout


def files(folder: Path) -> set[str]:
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file.parent.name != "__pycache__"
    }


def test_it_holds_the_packages_the_migrations_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    packages = {
        f"{package}/{name}"
        for side, package in (("agent", "trimtab"), ("store", "trimtab_store"), ("sidecar", "trimtab_sidecar"))
        for name in files(ROOT / side / package)
    }
    assert names == packages | {f"trimtab_store/migrations/{name}" for name in files(ROOT / "migrations")}
    assert {"trimtab/py.typed", "trimtab_store/py.typed", "trimtab_sidecar/py.typed"} <= names
    assert {"trimtab_store/lua/append.lua", "trimtab_store/migrations/sql/0001_commit.sql"} <= names


def test_without_an_extra_it_asks_for_what_an_agent_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    asked = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert {text.partition(">=")[0] for text in asked} == AGENT_NEEDS
    assert set(metadata.get_all("Provides-Extra", [])) >= {"store", "servers", "sidecar"}


def test_what_is_installed_knows_the_built_in_templates(installed: Path, tmp_path: Path) -> None:
    program = "from trimtab_store.cli import main; main()"
    said = run(sys.executable, "-c", program, "template", "list", "--json", cwd=tmp_path, PYTHONPATH=str(installed))
    data = ROOT / "store" / "trimtab_store" / "templates" / "data"
    assert {one["name"] for one in json.loads(said)["templates"]} == {file.stem for file in data.rglob("*.yaml")}


def test_what_is_installed_migrates_a_database(installed: Path, empty_database: Database, tmp_path: Path) -> None:
    program = "from trimtab_store.cli import main; main()"
    where = {"PYTHONPATH": str(installed), "TRIMTAB_OWNER_URL": empty_database.url}
    where_from = "import trimtab, trimtab_store.migrate as at; print(trimtab.__file__, at.__file__)"
    found = run(sys.executable, "-c", where_from, cwd=tmp_path, **where).split()
    assert all(Path(one).is_relative_to(installed) for one in found), found
    said = run(sys.executable, "-c", program, "migrate", cwd=tmp_path, **where)
    assert said == f"The schema is at {migrate.known()[-1]}.\n"
    migrate.check(empty_database.url)
