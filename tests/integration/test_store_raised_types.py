"""A release that raises a built-in type: what stood there before waits for its upgrade, what is new does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.conftest import ConnectStore
from tests.support.servers import Database
from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.problems import DocumentsRefused
from trimtab.model.trees import HIDDEN
from trimtab.model.values import thaw
from trimtab_store import checking
from trimtab_store.editing import Request
from trimtab_store.evolution import builtin
from trimtab_store.files import read_tree
from trimtab_store.sources import applying
from trimtab_store.sources.planning import TreePlan, Wanted
from trimtab_store.sources.target import Sources
from trimtab_store.store import Store

EMPTY = 3
"""The revision that made the last environment: each is there and holds nothing."""
STAMP = "meta.optimizer.ga.schema_version"


def as_share(own: builtin.Own) -> builtin.Own:
    """Percent become shares: whoever is upgraded twice has a hundredth."""
    return {at: content if at != ("size",) or content == HIDDEN else share(content) for at, content in own.items()}


def share(content: bytes) -> bytes:
    percent = canonical.decode(content)
    assert isinstance(percent, int | float)
    return canonical.encode(percent / 100)


def renamed(own: builtin.Own) -> builtin.Own:
    return {("max_login_attempts",) if at == ("attempts",) else at: content for at, content in own.items()}


@pytest.fixture
def raised(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with a document from before optimizers and security were raised to version 2: in base and production."""
    write(store, "base", {"optimizer.ga": {"size": 50, "seed": 1}})
    write(store, "production", {"optimizer.ga.size": 30}, "mode=live")
    monkeypatch.setattr(builtin, "UPGRADES", {"optimizer": (as_share,), "security": (renamed,)})
    return store


def write(store: Store, environment: str, values: dict[str, Any], layer: str = "", **words: Any) -> tuple[str, ...]:
    with store.edit(environment, author="ada", **words) as edit:
        for path, value in values.items():
            edit.set(path, value, layer)
    return edit.committed.warnings


def unset(store: Store, environment: str, path: str) -> None:
    with store.edit(environment, author="ada", force="a test") as edit:
        edit.unset(path)


def read(store: Store, environment: str, path: str, **labels: str) -> Json:
    return thaw(store.get(path, environment, labels).value)


def own(store: Store, environment: str, path: str = "meta") -> dict[str, bytes]:
    return {item.path: item.content for item in store.queries.items(environment, path, own=True)}


def waiting(store: Store, kind: str = "optimizer") -> dict[str, dict[str, int]]:
    return {one.environment: dict(one.documents) for one in store.plan_upgrade(kind).upgrades}


def upgrade(store: Store, kind: str = "optimizer") -> None:
    store.upgrade(store.plan_upgrade(kind), author="ada")


def head(store: Store, environment: str) -> int:
    return store.history.environment(environment, limit=1)[0].position.revision


def sizes(store: Store) -> tuple[Json, Json]:
    return read(store, "base", "optimizer.ga.size"), read(store, "production", "optimizer.ga.size", mode="live")


def test_while_every_type_is_at_its_first_version_nothing_is_stamped(store: Store) -> None:
    assert builtin.UPGRADES == {}
    write(store, "base", {"optimizer.ga": {"size": 50}, "token.So11111111111111111111111111111111111111112": token()})
    write(store, "production", {"optimizer.ga.size": 30}, "mode=live")
    write(store, "production", {"optimizer.other": {"size": 30}})
    before = head(store, "production")
    write(store, "production", {"optimizer.other.size": 31})
    store.rollback("production", before, author="ada")
    store.import_environment(store.export_environment("base"), environment="testing", author="ada")
    assert [own(store, name) for name in ("base", "production", "testing")] == [{}, {}, {}]


def token() -> dict[str, Any]:
    return {"address": "So11111111111111111111111111111111111111112", "symbol": "SOL", "decimals": 9}


def test_what_stood_there_is_found_without_a_stamp_and_upgraded_once(raised: Store) -> None:
    assert waiting(raised) == {"production": {"optimizer.ga": 1}, "base": {"optimizer.ga": 1}}
    upgrade(raised)
    assert sizes(raised) == (0.5, 0.3)
    assert own(raised, "base") == own(raised, "production") == {STAMP: b"2"}
    assert waiting(raised) == {}
    upgrade(raised)
    assert sizes(raised) == (0.5, 0.3)


def test_what_is_written_anew_is_stamped_in_the_same_revision_and_is_not_found(raised: Store) -> None:
    before = len(raised.history.environment("base", limit=9))
    write(raised, "base", {"optimizer.new": {"size": 0.5}})
    assert own(raised, "base") == {"meta.optimizer.new.schema_version": b"2"}
    assert len(raised.history.environment("base", limit=9)) == before + 1
    assert waiting(raised)["base"] == {"optimizer.ga": 1}
    write(raised, "production", {"optimizer.new.size": 0.4}, "mode=live")
    assert own(raised, "production") == {"meta.optimizer.new.schema_version": b"2"}
    upgrade(raised)
    assert read(raised, "production", "optimizer.new.size", mode="live") == 0.4
    assert read(raised, "base", "optimizer.new.size") == 0.5


def test_an_edit_of_an_old_document_leaves_it_waiting(raised: Store) -> None:
    write(raised, "base", {"optimizer.ga.size": 60})
    write(raised, "production", {"optimizer.ga.size": 20})
    write(raised, "testing", {"optimizer.ga.size": 10})
    assert [own(raised, name) for name in ("base", "production", "testing")] == [{}, {}, {}]
    assert set(waiting(raised)) == {"base", "production", "testing"}
    upgrade(raised)
    assert [read(raised, name, "optimizer.ga.size") for name in ("base", "production", "testing")] == [0.6, 0.2, 0.1]


def test_an_interrupted_upgrade_goes_on_where_it_ended(raised: Store) -> None:
    planned = raised.plan_upgrade("optimizer")
    with raised.edit("production", author="ada") as edit:
        for operation in planned.upgrades[0].operations:
            edit.add(operation)
    assert waiting(raised) == {"base": {"optimizer.ga": 1}}
    write(raised, "testing", {"optimizer.ga.size": 10})
    assert set(waiting(raised)) == {"testing", "base"}
    upgrade(raised)
    assert sizes(raised) == (0.5, 0.3)
    assert read(raised, "testing", "optimizer.ga.size") == 0.1


def test_a_document_that_only_an_heir_had_is_new_above_it(raised: Store) -> None:
    unset(raised, "base", "optimizer.ga")
    write(raised, "base", {"optimizer.ga": {"size": 0.7}})
    assert (own(raised, "base"), own(raised, "production")) == ({STAMP: b"2"}, {})
    assert waiting(raised) == {"production": {"optimizer.ga": 1}}
    upgrade(raised)
    assert sizes(raised) == (0.7, 0.3)


def test_the_stamp_goes_and_stays_with_its_document(raised: Store) -> None:
    upgrade(raised)
    write(raised, "base", {"meta.optimizer.ga": {"owner": "ada"}})
    assert own(raised, "base") == {STAMP: b"2", "meta.optimizer.ga.owner": b'"ada"'}
    unset(raised, "base", "optimizer.ga")
    assert own(raised, "base") == {"meta.optimizer.ga.owner": b'"ada"'}
    assert own(raised, "production") == {STAMP: b"2"}
    with raised.edit("testing", author="ada") as edit:
        edit.hide("optimizer.ga")
    assert own(raised, "testing") == {}
    assert waiting(raised) == {}


def test_who_says_for_which_version_a_document_is_written_is_believed(raised: Store) -> None:
    write(raised, "base", {"optimizer.old": {"size": 40}, "meta.optimizer.old.schema_version": 1})
    assert waiting(raised)["base"] == {"optimizer.ga": 1, "optimizer.old": 1}
    upgrade(raised)
    assert read(raised, "base", "optimizer.old.size") == 0.4


@pytest.mark.parametrize("back", ["production", "base", "both"])
def test_a_rollback_over_the_upgrade_brings_the_old_version_back(raised: Store, back: str) -> None:
    before = {name: head(raised, name) for name in ("production", "base")}
    upgrade(raised)
    chosen = ["production", "base"] if back == "both" else [back]
    for name in chosen:
        raised.rollback(name, before[name], author="ada", force="a test")
        assert own(raised, name) == {}
    assert waiting(raised) == {name: {"optimizer.ga": 1} for name in chosen}
    upgrade(raised)
    assert sizes(raised) == (0.5, 0.3)


def test_a_rollback_to_after_the_upgrade_brings_the_stamp_back(raised: Store) -> None:
    upgrade(raised)
    after = head(raised, "production")
    raised.rollback("production", EMPTY, author="ada", force="a test")
    assert own(raised, "production") == {}
    raised.rollback("production", after, author="ada")
    assert own(raised, "production") == {STAMP: b"2"}
    assert waiting(raised) == {}


def test_what_is_pinned_keeps_the_version_that_it_was_of(raised: Store) -> None:
    before = head(raised, "testing")
    upgrade(raised)
    between = head(raised, "testing")
    raised.rollback("testing", before, author="ada", pin=True, force="a test")
    assert read(raised, "testing", "optimizer.ga.size") == 50
    assert waiting(raised) == {"testing": {"optimizer.ga": 1}}
    raised.rollback("testing", EMPTY, author="ada", force="a test")
    write(raised, "base", {"optimizer.ga.size": 0.9})
    raised.rollback("testing", between, author="ada", pin=True)
    assert read(raised, "testing", "optimizer.ga.size") == 0.5
    assert own(raised, "testing") == {STAMP: b"2"}
    assert waiting(raised) == {}


def test_files_bring_documents_of_the_newest_version_and_leave_stamps_alone(raised: Store, tmp_path: Path) -> None:
    upgrade(raised)
    files = tmp_path / "base" / "all.yaml"
    files.parent.mkdir()
    files.write_text("optimizer: {ga: {size: 0.5, seed: 2}, more: {size: 0.1}}\n")
    planned = plan(raised, tmp_path, prune=True)
    shown = {(one.path, one.new) for one in planned.environments[0].differences}
    assert shown == {
        ("optimizer.ga.seed", b"2"),
        ("optimizer.more.size", b"0.1"),
        ("meta.optimizer.more.schema_version", b"2"),
    }
    applying.apply(raised, planned, lambda _: None)
    assert own(raised, "base") == {STAMP: b"2", "meta.optimizer.more.schema_version": b"2"}
    assert [plan(raised, tmp_path, prune=prune).changes for prune in (True, False)] == [False, False]
    assert waiting(raised) == {}


def test_environments_that_are_applied_together_are_stamped_together(raised: Store, tmp_path: Path) -> None:
    for name, text in {
        "base/all.yaml": "optimizer: {more: {size: 0.1}}\n",
        "production/all.yaml": "optimizer: {more: {size: 0.2}, ga: {seed: 3}}\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    applying.apply(raised, plan(raised, tmp_path, None), lambda _: None)
    stamp = {"meta.optimizer.more.schema_version": b"2"}
    assert (own(raised, "base"), own(raised, "production")) == (stamp, stamp)
    assert waiting(raised) == {"production": {"optimizer.ga": 1}, "base": {"optimizer.ga": 1}}
    assert not plan(raised, tmp_path, None).changes


def plan(store: Store, directory: Path, environment: str | None = "base", *, prune: bool = False) -> TreePlan:
    tree = read_tree(directory, variables={}, known=store.forest())
    words = Request(environment="", author="ada", reason="files")
    sources = Sources({}, process=environment is not None)
    return store.plan_files(tree, Wanted(words=words, environment=environment, prune=prune, sources=sources))


def test_a_write_above_documents_stamps_only_those_that_are_new(raised: Store) -> None:
    with raised.edit("testing", author="ada") as edit:
        edit.merge("optimizer", {"made": {"size": 0.5}, "ga": {"seed": 4}})
    assert own(raised, "testing") == {"meta.optimizer.made.schema_version": b"2"}
    assert waiting(raised)["testing"] == {"optimizer.ga": 1}


def test_an_export_brings_its_stamps_along_and_an_older_file_is_taken_as_new(raised: Store) -> None:
    older = raised.export_environment("base")
    upgrade(raised)
    newer = raised.export_environment("base")
    raised.import_environment(newer, environment="testing", author="ada")
    assert own(raised, "testing") == {STAMP: b"2"}
    raised.import_environment(older, environment="testing", author="ada")
    assert own(raised, "testing") == {STAMP: b"2"}
    assert waiting(raised) == {}
    raised.import_environment(
        older.replace(b'"values": {', b'"values": {"meta": {"optimizer": {"ga": {"schema_version": 1}}}, '),
        environment="testing",
        author="ada",
    )
    assert waiting(raised) == {"testing": {"optimizer.ga": 1}}


@pytest.fixture
def secured(connect_store: ConnectStore, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A document that the model of today does not know, as a release before it had it; then the type is raised."""
    write(connect_store(rules=()), "base", {"security": {"attempts": 5, "session_timeout": 60}})
    monkeypatch.setattr(builtin, "UPGRADES", {"security": (renamed,)})
    return store


def test_what_the_newer_model_finds_wrong_with_a_waiting_document_is_a_warning(secured: Store) -> None:
    told = write(secured, "base", {"security.session_timeout": 61})
    assert "It waits for `trimtab schema upgrade security`" in " ".join(told)
    assert "waits for" in " ".join(secured.checked("base").warnings)
    upgrade(secured, "security")
    assert read(secured, "base", "security.max_login_attempts") == 5
    with pytest.raises(DocumentsRefused, match="attempts"):
        write(secured, "base", {"security.attempts": 6})


def test_a_new_document_has_to_fit_the_newer_model(secured: Store, tmp_path: Path) -> None:
    unset(secured, "base", "security")
    with pytest.raises(DocumentsRefused, match="attempts"):
        write(secured, "base", {"security": {"attempts": 5}})
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "all.yaml").write_text("security: {attempts: 5}\n")
    with pytest.raises(DocumentsRefused, match="attempts"):
        checking.check_tree(read_tree(tmp_path, variables={}), None, Sources({}, process=False))


@pytest.fixture
def report(database: Database) -> Iterator[Any]:
    with psycopg.connect(database.url, autocommit=True) as connection:

        def report(understands: dict[str, int]) -> None:
            connection.execute(
                "INSERT INTO trimtab.agent_reports VALUES ('production', 'mm-1', clock_timestamp(), %s)",
                (Jsonb({"labels": {}, "understands": understands, "closed": False}),),
            )

        yield report


def test_an_agent_of_the_release_before_needs_force(raised: Store, report: Any) -> None:
    report({})
    with pytest.raises(DocumentsRefused, match="the running agent mm-1 understands version 1"):
        write(raised, "production", {"optimizer.new": {"size": 0.5}})
    with pytest.raises(DocumentsRefused, match="understands version 1"):
        upgrade(raised)
    write(raised, "production", {"optimizer.ga.size": 10})
    write(raised, "production", {"optimizer.new": {"size": 0.5}}, force="it does not read that")


def test_an_agent_that_understands_the_newer_version_does_not(raised: Store, report: Any) -> None:
    report({"optimizer": 2})
    write(raised, "production", {"optimizer.new": {"size": 0.5}})
    upgrade(raised)
    assert waiting(raised) == {}
