"""Templates on a real store: instances become revisions, templates of one's own are inherited and found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import KEY
from tests.support.console import Console
from tests.support.servers import Database
from tests.support.templates import small
from trimtab.model.errors import ConflictError
from trimtab.model.problems import DocumentsRefused
from trimtab_store.files.yaml_writer import dump_yaml
from trimtab_store.store import Store
from trimtab_store.templates import Templates, standing

STAGING = ("-e", "staging")
NEW = ("template", "new", "bot_scalper_paper", "scalper-2", *STAGING)


def read(console: Console, path: str, environment: str) -> Any:
    return console.done("get", path, "-e", environment)["value"]


def test_an_instance_becomes_one_revision_and_is_read_back(console: Console) -> None:
    done = console.done(*NEW, "--set", "position_size=0.03")
    assert (done["template"], done["documents"]) == ("bot_scalper_paper", ["bot.scalper-2"])
    found = read(console, "bot.scalper-2", "staging")
    assert (found["bot_id"], found["environment"]) == ("scalper-2", "staging")
    assert found["risk_management"]["position_size"] == 0.03
    (newest, *_) = console.done("history", *STAGING)
    assert newest["reason"] == "from the template bot_scalper_paper 1.0.0"


def test_the_same_instance_again_changes_nothing(console: Console) -> None:
    first = console.done(*NEW)
    again = console.done(*NEW)
    assert (first["created"], again["created"], again["revision"]) == (True, False, first["revision"])


def test_what_stands_there_is_replaced_only_when_told_to(console: Console) -> None:
    console.done(*NEW)
    other = (*NEW, "--set", "position_size=0.01")
    said = console(*other, "--json")
    assert (said.code, said.error["what"]) == (5, "bot.scalper-2 stands there already")
    assert said.error["remedy"] == "Choose another id, or add --replace"
    assert read(console, "bot.scalper-2.risk_management.position_size", "staging") == 0.05
    assert console.done(*other, "--replace")["paths"] == ["bot.scalper-2.risk_management.position_size"]


def test_a_jump_of_a_limit_needs_force_here_too(console: Console) -> None:
    console.done("template", "new", "circuit_breaker_colocated", *STAGING)
    assert console("template", "new", "circuit_breaker_batch", *STAGING, "--json").error["remedy"] == (
        "Add --replace if it may go"
    )
    jump = ("template", "new", "circuit_breaker_batch", "--replace", *STAGING)
    assert (console(*jump, "--dry-run").code, console(*jump).code) == (4, 4)
    assert console.done(*jump, "--force", "a slow venue")["created"]


def test_a_dry_run_shows_the_documents_and_commits_nothing(console: Console) -> None:
    found = console.done(*NEW, "--dry-run")
    assert found["documents"]["bot.scalper-2"]["bot_id"] == "scalper-2"
    assert found["environments"] == ["staging"]
    assert console("get", "bot.scalper-2", *STAGING).code == 3


def test_an_overlay_may_hold_an_instance(console: Console) -> None:
    words = ("template", "new", "trader_tight", "-e", "production", "-l", "region=ld4", "--reason", "a test")
    console.done(*words)
    found = console.done("get", "trader.default_slippage_bps", "-e", "production", "--label", "region=ld4")
    assert found["value"] == 20
    assert read(console, "trader.default_slippage_bps", "production") == 100


def test_production_wants_a_reason(console: Console) -> None:
    said = console("template", "new", "trader_tight", "-e", "production")
    assert said.code == 2
    assert "No reason is given" in said.err


def put(console: Console, tmp_path: Path, **changed: object) -> Any:
    (tmp_path / "small.yaml").write_text(dump_yaml(small(**changed)))
    return console.done("template", "put", "small.yaml", "-e", "base")


def test_a_template_of_ones_own_is_inherited_listed_and_used(console: Console, tmp_path: Path) -> None:
    assert put(console, tmp_path)["template"] == "small"
    listed = console.done("template", "list", *STAGING)["templates"]
    origins = {one["name"]: one["origin"] for one in listed}
    assert (origins["small"], origins["bot_scalper_paper"]) == ("base", "built in")
    console.done("template", "new", "small", "x-1", "--set", "exchange=hyperliquid", *STAGING)
    assert read(console, "strategy.x-1.name", "staging") == "x-1 on hyperliquid"
    assert console("template", "show", "small").code == 3


def test_a_template_that_contradicts_itself_or_takes_a_built_in_name_is_not_put(
    console: Console, tmp_path: Path
) -> None:
    for changed, code, part in (
        ({"validation_rules": ["stop_loss > 1"]}, 4, "does not hold for the defaults"),
        ({"name": "mev_strict"}, 2, "is a built-in template"),
    ):
        (tmp_path / "small.yaml").write_text(dump_yaml(small(**changed)))
        said = console("template", "put", "small.yaml", "-e", "base")
        assert (said.code, part in said.err) == (code, True), said


def test_a_default_that_an_environment_changes_counts_there(console: Console, tmp_path: Path) -> None:
    put(console, tmp_path)
    console.done("set", "template.small.defaults.stop_loss", "0.01", *STAGING)
    shown = console.done("template", "show", "small", *STAGING)
    assert (shown["origin"], shown["defaults"]["stop_loss"]) == ("base, staging", 0.01)
    for environment, expected in (("staging", 0.01), ("testing", 0.02)):
        words = ("template", "new", "small", "x", "--set", "exchange=hyperliquid", "--dry-run", "-e", environment)
        assert console.done(*words)["documents"]["strategy.x"]["parameters"]["stop_loss"] == expected


def test_every_built_in_template_can_be_committed_where_its_exchanges_are(
    fleet_database: Database,
) -> None:
    with Store.connect(fleet_database.login("trimtab_writer"), signing_key=KEY) as store:
        templates = Templates.of(store.queries, "testing")
        refused: dict[str, str] = {}
        for one in sorted(templates, key=lambda found: (found.category != "exchange", found.name)):
            try:
                identity = {"id": one.name.replace("_", "-")} if one.takes_id and one.category != "token" else {}
                account = {"account": "SECURE:account"} if one.name == "exchange_ibkr" else {}
                with store.edit("testing", author="test", force="one after the other") as edit:
                    templates.new(one.name, None, {**one.examples(), **identity, **account}).put(edit)
            except DocumentsRefused as error:
                refused[one.name] = str(error)
        assert refused == {}


def test_an_instance_that_somebody_else_made_first_is_not_overwritten(store: Store) -> None:
    templates = Templates.of(store.queries, "testing")
    ours, theirs = templates.new("trader_standard"), templates.new("trader_tight")
    seen = standing.look(store.queries, "testing", "", ours)
    with store.edit("testing", author="first") as edit:
        theirs.put(edit)
    with pytest.raises(ConflictError), store.edit("testing", author="second", expect=seen.revision) as edit:
        ours.put(edit)
    assert standing.look(store.queries, "testing", "", ours).others == ("trader",)
    assert standing.look(store.queries, "testing", "", theirs).others == ()
