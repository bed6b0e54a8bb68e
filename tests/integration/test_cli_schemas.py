"""`trimtab schema` and `trimtab validate`: registering, reading, and everything that is wrong at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.conftest import FLEET
from tests.support.console import Console

BASE = ("-e", "base", "--reason", "a test")
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"window": {"type": "integer", "minimum": 1}},
    "required": ["window"],
    "additionalProperties": False,
}


@pytest.fixture
def momentum(console: Console, tmp_path: Path) -> Path:
    """A file that holds a schema, beside the store."""
    assert console("status").code == 0
    file = tmp_path / "momentum.json"
    file.write_text(json.dumps(SCHEMA))
    return file


def test_a_schema_is_put_listed_and_read_back(console: Console, momentum: Path) -> None:
    done = console.done("schema", "put", "momentum", str(momentum), "--documents", "signals.*", *BASE)
    assert (done["schema"], done["version"], done["created"]) == ("momentum", 1, True)
    listed = {one["name"]: one for one in console.done("schema", "list", "-e", "production")["schemas"]}
    assert listed["momentum"] == {"name": "momentum", "documents": "signals.*", "version": 1, "built_in": False}
    assert listed["risk_limits"]["documents"] == "risk.global"
    found = console.done("schema", "get", "momentum", "-e", "production")
    assert (found["schema"], found["version"]) == (SCHEMA, 1)
    said = console("set", "signals.fast.windo", "5", *BASE, "--json")
    assert said.code == 4
    assert {(one["path"], one["rule"]) for one in said.error["problems"]} == {
        ("signals.fast.window", "required"),
        ("signals.fast.windo", "unknown-field"),
    }


def test_putting_it_again_counts_versions(console: Console, momentum: Path) -> None:
    console.done("schema", "put", "momentum", str(momentum), "--documents", "signals.*", *BASE)
    again = console.done("schema", "put", "momentum", str(momentum), *BASE)
    assert (again["created"], again["version"]) == (False, 1)
    momentum.with_suffix(".yaml").write_text("type: object\nproperties: {window: {type: integer}}\n")
    changed = console.done("schema", "put", "momentum", str(momentum.with_suffix(".yaml")), *BASE)
    assert (changed["created"], changed["version"]) == (True, 2)
    said = console("schema", "put", "momentum", str(momentum), "--version", "1", *BASE, "--json")
    assert (said.code, [one["rule"] for one in said.error["problems"]]) == (4, ["schema-version"])


def test_the_built_in_schemas_are_read_by_type_and_by_document(console: Console) -> None:
    by_type = console.done("schema", "get", "risk_limits", "-e", "production")
    by_path = console.done("schema", "get", "risk.global", "-e", "production")
    assert by_type == by_path
    assert by_path["schema"]["properties"]["max_leverage"]
    assert json.loads(console("schema", "get", "token.x", "-e", "production").out)["properties"]["symbol"]
    said = console("schema", "get", "risk.globl", "-e", "production")
    assert said.code == 3
    assert "Did you mean" in said.err


def test_a_new_schema_needs_documents_and_a_file_that_is_json(console: Console, momentum: Path) -> None:
    assert console("schema", "put", "momentum", str(momentum), *BASE).code == 2
    momentum.write_text("{")
    assert console("schema", "put", "momentum", str(momentum), "--documents", "signals.*", *BASE).code == 4
    assert console("schema", "put", "momentum", "gone.json", "--documents", "signals.*", *BASE).code == 2


def tree(folder: Path, **files: str) -> Path:
    """A directory with base ← live."""
    (folder / "fleet.yaml").write_text(
        "environments:\n  - name: base\n    dimensions: [mode, bot]\n  - name: live\n    parent: base\n"
    )
    for name, text in files.items():
        environment, _, category = name.partition("_")
        (folder / environment).mkdir(exist_ok=True)
        (folder / environment / f"{category}.yaml").write_text(text)
    return folder


def test_a_directory_is_judged_without_a_server_and_told_everything_at_once(console: Console, tmp_path: Path) -> None:
    console.variables(DATABASE_URL=None, OWNER_URL=None, REDIS_URL=None, DIRECTORY=tmp_path / "none")
    folder = tree(
        tmp_path,
        base_risk="risk:\n  global: {maxLeverage: 2, max_portfolio_risk: 50}\n",
        live_logging="logging: {levl: INFO}\n",
    )
    said = console("validate", str(folder), "--json")
    assert said.code == 4
    told = {(one["path"], one["rule"], one["environment"]) for one in said.error["problems"]}
    assert told == {("risk.global.max_portfolio_risk", "unit", "base"), ("logging.levl", "unknown-field", "live")}
    assert console("validate", str(folder), "-e", "base").code == 4
    (folder / "base" / "risk.yaml").write_text("risk:\n  global: {maxLeverage: 2}\n")
    assert console.done("validate", str(folder), "-e", "base")["items"] == 1
    assert console("validate", str(folder), "-e", "nobody").code == 3


def test_the_example_fleet_is_valid(console: Console) -> None:
    found = console.done("validate", str(FLEET))
    assert (found["valid"], found["warnings"]) == (True, [])
    assert found["environments"] == ["base", "development", "testing", "staging", "production"]


def test_a_schema_in_a_directory_judges_its_documents(console: Console, tmp_path: Path) -> None:
    text = json.dumps(json.dumps(SCHEMA))
    folder = tree(
        tmp_path,
        base_schema=f"schema:\n  signals: {{documents: signals.*, version: 1, text: {text}}}\n",
        live_signals="signals:\n  fast: {window: 0}\n",
    )
    said = console("validate", str(folder), "--json")
    assert [(one["path"], one["environment"]) for one in said.error["problems"]] == [("signals.fast.window", "live")]


def test_warnings_of_what_is_stored_are_told(console: Console) -> None:
    rule = {"documents": "risk.global", "cel": "false", "message": "look again", "severity": "warn"}
    console.done("set", "rule.look", json.dumps(rule), *BASE)
    said = console("validate", "-e", "production")
    assert said.code == 0
    assert "Warning: risk.global: look again" in said.out
    assert console.done("validate", "-e", "production")["warnings"]
