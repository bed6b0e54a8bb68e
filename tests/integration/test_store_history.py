"""History, states of the past against a replay by a dumb model, rollback, export and import, epochs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import TypeAlias

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.conftest import KEY
from tests.support.servers import Database
from trimtab.model import errors, paths, snapshots
from trimtab.model.canonical import Json, encode
from trimtab.model.links import Position
from trimtab.model.values import thaw
from trimtab_store.portable import Format
from trimtab_store.reading import Moment
from trimtab_store.store import Store
from trimtab_store.verification import prove
from trimtab_store.writer import Committed, Difference

Model: TypeAlias = "dict[tuple[str, str, str], bytes]"
LAYERS = ("", "mode=live", "mode=live,region=ny4", "region=ny4")
PATHS = ("a.b", "a.b.c", "a.b.c.d", "a.x", "a.x.y", "k.one", "k.two", 'q."dot.ted".v')


def write(store: Store, environment: str, path: str, value: object, layer: str | None = None) -> Committed:
    with store.edit(environment, author="test", reason="because") as edit:
        edit.set(path, value, layer)
    return edit.committed


def own(model: Model, environment: str, layer: str, path: str) -> list[tuple[str, str, str]]:
    """The places of a layer at and below a path, found the slow way."""
    return [
        place
        for place in model
        if place[:2] == (environment, layer) and (place[2] == path or paths.is_below(place[2], path))
    ]


def model_leaves(path: str, value: Json) -> dict[str, bytes]:
    if isinstance(value, dict) and value:
        found: dict[str, bytes] = {}
        for segment, below in value.items():
            found.update(model_leaves(paths.child(path, segment), below))
        return found
    return {path: encode(value)}


def random_value(rng: random.Random, depth: int = 0) -> Json:
    if depth < 2 and rng.random() < 0.4:
        return {rng.choice("bcdxy"): random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))}
    choices: list[Json] = [rng.randint(0, 5), rng.random(), "text", None, True, [1, {"z": []}], "é\u2028"]
    return rng.choice(choices)


def random_edit(store: Store, model: Model, rng: random.Random) -> Committed | None:
    """Make one random edit in the store; the model follows if it was not refused."""
    environment = rng.choice(["base", "production", "testing"])
    after = dict(model)
    try:
        with store.edit(environment, author="test", force="by chance") as edit:
            for _ in range(rng.randint(1, 3)):
                layer, path = rng.choice(LAYERS), rng.choice(PATHS)
                verb = rng.choice(["set", "set", "set", "unset", "hide"])
                if verb == "set":
                    value = random_value(rng)
                    edit.set(path, value, layer)
                    for place in own(after, environment, layer, path):
                        del after[place]
                    after.update({(environment, layer, leaf): c for leaf, c in model_leaves(path, value).items()})
                elif verb == "unset":
                    edit.unset(path, layer)
                    for place in own(after, environment, layer, path):
                        del after[place]
                else:
                    edit.hide(path, layer)
                    for place in own(after, environment, layer, path):
                        del after[place]
                    after[environment, layer, path] = b""
    except (errors.LayerConflict, errors.PathNotFound):
        return None
    model.clear()
    model.update(after)
    return edit.committed


def items(store: Store, environment: str, as_of: int | None = None) -> Model:
    found = store.queries.items(environment, as_of=as_of)
    return {(one.environment, one.layer, one.path): one.content for one in found}


def line_of(model: Model, environment: str) -> Model:
    return {place: content for place, content in model.items() if place[0] in {"base", environment}}


@pytest.mark.parametrize("seed", range(4))
def test_every_state_of_the_past_equals_a_replay(store: Store, database: Database, seed: int) -> None:
    rng, model = random.Random(seed), dict[tuple[str, str, str], bytes]()
    past: dict[int, Model] = {3: {}}
    times: dict[int, object] = {}
    for _ in range(60):
        committed = random_edit(store, model, rng)
        if committed is not None and committed.created:
            past[committed.revision] = dict(model)
            times[committed.revision] = committed.committed_at
    assert len(past) > 20
    for revision in rng.sample(sorted(past), 12):
        for environment in ("base", "production"):
            assert items(store, environment, revision) == line_of(past[revision], environment)
    assert items(store, "testing") == line_of(model, "testing")
    one, two = sorted(rng.sample(sorted(past), 2))
    old, new = line_of(past[one], "production"), line_of(past[two], "production")
    expected = [
        Difference(*place, old.get(place), new.get(place))
        for place in sorted(old.keys() | new.keys())
        if old.get(place) != new.get(place)
    ]
    assert list(store.queries.diff("production", one, two)) == expected
    for path in PATHS:  # a scoped read of the past equals the whole one
        for labels in ({}, {"mode": "live"}, {"mode": "live", "region": "ny4"}):
            whole: Json = thaw(store.queries.document("production", labels=labels, as_of=two).value)
            for segment in paths.parse(path):
                whole = whole.get(segment, {}) if isinstance(whole, dict) else {}
            assert thaw(store.queries.document("production", path, labels, two).value) == whole
    with Store.connect(database.url) as owner:
        owner.database.read(lambda connection: prove(connection, KEY.trust()))


@pytest.mark.parametrize("seed", range(4))
def test_a_rollback_brings_back_the_own_items_and_pin_what_readers_saw(store: Store, seed: int) -> None:
    rng, model = random.Random(100 + seed), dict[tuple[str, str, str], bytes]()
    revisions = [one.revision for _ in range(40) if (one := random_edit(store, model, rng)) is not None and one.created]
    tried = done = 0
    for to in rng.sample(revisions, 6):
        then = items(store, "production", to)
        try:
            rolled = store.rollback("production", to, author="test", force="by chance")
        except errors.LayerConflict:
            continue
        now = items(store, "production")
        mine = {place: content for place, content in then.items() if place[0] == "production"}
        assert {place: content for place, content in now.items() if place[0] == "production"} == mine
        inherited = {(one.environment, one.layer, one.path) for one in rolled.inherited}
        differing = {place for place in then.keys() | now.keys() if then.get(place) != now.get(place)}
        assert inherited == differing
        assert {place[0] for place in inherited} <= {"base"}
        tried += 1
        try:
            store.rollback("production", to, author="test", pin=True, force="by chance")
        except errors.ValidationError:
            continue
        done += 1
        for labels in ({}, {"mode": "live"}, {"region": "ny4"}, {"mode": "live", "region": "ny4"}, {"mode": "paper"}):
            seen = [thaw(store.queries.document("production", labels=labels, as_of=one).value) for one in (to, None)]
            assert seen[0] == seen[1]
    assert tried > 0
    assert done > 0


def test_a_rollback_lists_what_a_parent_changed_and_pins_it(store: Store) -> None:
    write(store, "base", "plain.global", {"x": 1, "gone": 1})
    to = write(store, "production", "plain.own", {"y": 1}).revision
    write(store, "production", "plain.own.y", 2)
    with store.edit("base", author="test") as edit:
        edit.set("plain.global.x", 5)
        edit.set("plain.global.x", 7, "mode=live")
        edit.unset("plain.global.gone")
        edit.set("plain.global.new", value=True)
    rolled = store.rollback("production", to, author="test", reason="undo")
    assert {(one.layer, one.path) for one in rolled.inherited} == {
        ("", "plain.global.gone"),
        ("", "plain.global.new"),
        ("", "plain.global.x"),
        ("mode=live", "plain.global.x"),
    }
    assert rolled.committed.paths == ("plain.own.y",)
    pinned = store.rollback("production", to, author="test", pin=True)
    assert set(pinned.pinned) == {"plain.global.gone", "plain.global.new", "plain.global.x"}
    for labels in ({}, {"mode": "live"}):
        assert thaw(store.get("plain", "production", labels).value) == {"global": {"x": 1, "gone": 1}, "own": {"y": 1}}
    assert thaw(store.get("plain.global.x", "testing", {"mode": "live"}).value) == 7
    assert store.history.environment("production", limit=1)[0].kind == "rollback"


def test_a_rollback_to_a_time_before_the_environment_is_refused(store: Store) -> None:
    with pytest.raises(errors.EnvironmentNotFound):
        store.rollback("testing", 1, author="test")
    with pytest.raises(errors.RevisionNotFound):
        store.rollback("testing", 77, author="test")


def test_history_of_an_environment_holds_what_it_inherits(store: Store) -> None:
    write(store, "base", "a.b", {"x": 1, "y": 2})
    write(store, "production", "a.b.x", 2)
    found = store.history.environment("production")
    assert [(one.position.revision, one.environment, one.kind, one.items) for one in found] == [
        (5, "production", "edit", 1),
        (4, "base", "edit", 2),
        (2, "production", "structure", 0),
    ]
    assert [one.position.revision for one in store.history.environment("production", limit=1, before=5)] == [4]
    assert (found[0].author, found[0].reason) == ("test", "because")
    assert [one.position.revision for one in store.history.environment("testing")] == [4, 3]


def test_history_of_a_path_shows_old_and_new_and_what_masked_it(store: Store) -> None:
    write(store, "base", "a.b.x", 1)
    write(store, "base", "a.b.x", 2)
    with store.edit("production", author="test", force="nothing is to be left") as edit:
        edit.hide("a.b")
    write(store, "testing", "a.b.x", 3)
    found = store.history.path("a.b.x", "production")
    assert [(one.position.revision, one.environment, one.path, one.old, one.new) for one in found] == [
        (6, "production", "a.b", None, b""),
        (5, "base", "a.b.x", b"1", b"2"),
        (4, "base", "a.b.x", None, b"1"),
    ]
    assert [one.path for one in store.history.path("a.b", "base", limit=1)] == ["a.b.x"]


def test_a_time_names_the_revision_that_stood_then(store: Store) -> None:
    first = write(store, "base", "a.b", 1)
    second = write(store, "base", "a.b", 2)
    assert thaw(store.get("a.b", "base", as_of=first.committed_at).value) == 1
    assert thaw(store.get("a.b", "base", as_of=second.committed_at + timedelta(days=1)).value) == 2
    east = first.committed_at.astimezone(timezone(timedelta(hours=5)))
    assert store.get("a.b", "base", as_of=east).moment == Moment(first.position, first.committed_at)
    with pytest.raises(errors.EnvironmentNotFound):
        store.get("a.b", "base", as_of=first.committed_at - timedelta(days=1))
    with pytest.raises(errors.UsageError, match="zone"):
        store.get("a.b", "base", as_of=first.committed_at.replace(tzinfo=None))


def test_what_is_not_there_is_answered_with_the_nearest_name(store: Store) -> None:
    write(store, "base", "risk.global.max_leverage", 1)
    with pytest.raises(errors.PathNotFound, match=r"risk\.global\.max_leverage"):
        store.get("risk.global.max_levrage", "production")
    with pytest.raises(errors.EnvironmentNotFound, match="production"):
        store.get("risk.global.max_leverage", "produktion")
    with pytest.raises(errors.RevisionNotFound, match="the newest is 4"):
        store.get("risk.global.max_leverage", "base", as_of=5)
    with pytest.raises(errors.PathNotFound):
        store.explain("nothing.here", "base")


def test_explain_shows_every_layer_the_winner_first(store: Store) -> None:
    write(store, "base", "a.b", 1)
    write(store, "base", "a.b", 2, "mode=live")
    write(store, "production", "a.b", 3)
    found = store.explain("a.b", "production", {"mode": "live"})
    assert [(one.environment, str(one.selector), one.content, one.wins) for one in found] == [
        ("base", "mode=live", b"2", True),
        ("production", "common", b"3", False),
        ("base", "common", b"1", False),
    ]


# Export and import


def rich(store: Store) -> None:
    with store.edit("production", author="test") as edit:
        numbers: Json = {"one": 1, "float": 1.0, "big": 2**63 - 1, "tiny": 5e-324, "list": [1, {"a": []}], "none": None}
        edit.set("n.v", numbers)
        edit.set("n.empty", {})
        edit.set("n.empty.below", 1)
        edit.set("n.text", {"yes": "yes", "no": "no", "num": "007", "multi": "a\nb", "bidi": "\u202e", "tab": "\t"})
        edit.set("n", {"dotted.key": {'quo"te': 1}}, "mode=live,region=ny4")
        edit.hide("hidden.here")
        edit.set("hidden.here.below", 1)
        edit.hide("n", "mode=live")


@pytest.mark.parametrize("form", ["json", "yaml", "toml"])
def test_an_export_comes_back_exactly(store: Store, form: Format) -> None:
    rich(store)
    if form == "toml":
        write(store, "production", "n.v.none", "TOML has no null")
    before = items(store, "production")
    text = store.export_environment("production", form)
    assert not store.import_environment(text, form, author="test").created, "importing an export changes nothing"
    committed = store.import_environment(text, form, environment="testing", author="test")
    assert committed.created
    assert {(layer, path): content for (_, layer, path), content in items(store, "testing").items()} == {
        (layer, path): content for (_, layer, path), content in before.items()
    }
    assert store.export_environment("testing", form, as_of=3) == store.export_environment("testing", form, as_of=2 + 1)


def test_an_import_makes_the_environment_exactly_the_file(store: Store) -> None:
    write(store, "production", "a.b", 1)
    text = store.export_environment("production")
    write(store, "production", "a.c", 1)
    write(store, "production", "a.b", 2, "mode=live")
    store.import_environment(text, author="test")
    assert items(store, "production") == {("production", "", "a.b"): b"1"}


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'{"trimtab": 2}',
        b'{"trimtab": 1, "environment": "production", "layers": {"nope": {}}}',
        b'{"trimtab": 1, "environment": "production", "layers": {"common": {"valeus": {}}}}',
        b'{"trimtab": 1, "environment": "production", "layers": {"common": {"values": {"a": 1}, "hidden": ["a"]}}}',
        b'{"trimtab": 1, "environment": "production", "layers": {"common": {"values": {"a": {"b": NaN}}}}}',
        b'{"trimtab": 1, "environment": "production", "layers": {"moda=live": {"values": {"a": {"b": 1}}}}}',
        b'{"trimtab": 1, "environment": "production", "layers": {"": {"hidden": "a"}}}',
        b'{"trimtab": 1, "layers": {}}',
        b"\xff",
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(store: Store, text: bytes) -> None:
    write(store, "production", "a.b", 1)
    with pytest.raises(errors.TrimtabError) as caught:
        store.import_environment(text, author="test")
    assert caught.value.exit_code in {2, 4}
    assert items(store, "production") == {("production", "", "a.b"): b"1"}


def test_an_export_is_for_people(store: Store) -> None:
    write(store, "production", "plain.global", {"max_leverage": 2.0, "on": True})
    assert json.loads(store.export_environment("production"))["layers"] == {
        "common": {"values": {"plain": {"global": {"max_leverage": 2.0, "on": True}}}}
    }


# Structure


def test_environments_inherit_and_move(store: Store) -> None:
    write(store, "base", "a.b", 1)
    store.create_environment("paper", parent="production", author="test")
    assert thaw(store.get("a.b", "paper").value) == 1
    store.create_environment("other", author="test", dimensions=["mode"])
    store.reparent_environment("paper", "other", author="test", force="nothing is to be left")
    assert thaw(store.queries.document("paper").value) == {}
    assert store.forest().lineage("paper").dimensions == ("mode",)
    assert store.queries.forest(as_of=5).lineage("paper").environments == ("base", "production", "paper")
    store.reparent_environment("paper", None, author="test")
    assert store.forest().parents["paper"] is None
    store.declare_dimensions("other", ["region", "mode"], author="test")
    assert write(store, "other", "a.b", 1, "region=x").created


def test_structure_that_cannot_be_is_refused(store: Store) -> None:
    write(store, "production", "a.b", 1, "mode=live")
    write(store, "testing", "a.b.c", 1, "mode=live")
    store.create_environment("narrow", author="test", dimensions=["region"])
    refused: list[tuple[type[errors.TrimtabError], Callable[[], object]]] = [
        (errors.StructureRefused, lambda: store.create_environment("base", author="t")),
        (errors.StructureRefused, lambda: store.create_environment("Bad Name", author="t")),
        (errors.EnvironmentNotFound, lambda: store.create_environment("x", parent="bas", author="t")),
        (
            errors.StructureRefused,
            lambda: store.create_environment("x", parent="base", dimensions=["mode"], author="t"),
        ),
        (errors.StructureRefused, lambda: store.reparent_environment("base", "production", author="t")),
        (errors.EnvironmentNotFound, lambda: store.reparent_environment("bse", None, author="t")),
        (errors.LayerConflict, lambda: store.reparent_environment("testing", "production", author="t")),
        (errors.StructureRefused, lambda: store.reparent_environment("production", "narrow", author="t")),
        (errors.StructureRefused, lambda: store.declare_dimensions("base", ["region"], author="t")),
        (errors.StructureRefused, lambda: store.declare_dimensions("production", ["mode"], author="t")),
        (errors.StructureRefused, lambda: store.declare_dimensions("base", ["mode", "mode"], author="t")),
    ]
    for kind, attempt in refused:
        with pytest.raises(kind):
            attempt()
    assert store.history.environment("narrow", limit=1)[0].position.revision == 6, "nothing was committed"


# Snapshots and epochs


def test_a_line_begins_with_a_signed_snapshot_and_gets_another_when_it_has_grown(store: Store) -> None:
    def newest(environment: str) -> tuple[Position, int]:
        rows = store.database.read(
            lambda connection: connection.execute(
                "SELECT statement FROM trimtab.snapshots WHERE environment = %s ORDER BY revision", (environment,)
            ).fetchall()
        )
        statement = snapshots.read_statement(rows[-1][0].encode())
        snapshots.verify(statement, KEY.trust(), environment)
        text = store.database.read(
            lambda connection: connection.execute(
                "SELECT string_agg(chunk, ''::bytea ORDER BY n) FROM trimtab.snapshot_chunks"
                " WHERE environment = %s AND revision = %s",
                (environment, statement.revision),
            ).fetchall()
        )
        snapshot = snapshots.decode(statement, bytes(text[0][0]))
        assert {(one.environment, one.layer, one.path): one.content for one in snapshot.state.items()} == items(
            store, environment, statement.revision
        )
        return statement.position, len(rows)

    assert newest("production") == (Position(1, 2), 1)
    for turn in range(12):
        write(store, "base", f"grow.d{turn}.v", "x" * 20_000)
    position, kept = newest("production")
    assert 10 < position.revision <= 15
    assert kept == 2, "the newest two are kept"
    write(store, "production", "a.b", 1)
    store.reparent_environment("production", "testing", author="test")
    assert newest("production")[0].revision == 17, "a change of structure comes with one"


def test_an_epoch_links_every_environment_anew_above_everything_known(store: Store, database: Database) -> None:
    write(store, "base", "a.b", 1)
    with pytest.raises(errors.ConflictError, match="the head of this database is revision 4"):
        store.declare_epoch(3, reason="restore", author="op")
    with pytest.raises(errors.UsageError, match="reason"):
        store.declare_epoch(4, reason=" ", author="op")
    declared = store.declare_epoch(4, reason="restore", author="op", lost="5 to 90", above=90)
    assert declared.position == Position(2, 91)
    assert declared.environments == ("base", "production", "testing")
    assert thaw(store.get("a.b", "production").value) == 1
    assert write(store, "production", "a.b", 2).position == Position(2, 92)
    entry = store.history.environment("testing", limit=1)[0]
    assert (entry.position, entry.kind, entry.environment) == (Position(2, 91), "epoch", "")
    assert thaw(store.get("a.b", "production", as_of=4).value) == 1
    assert store.declare_epoch(92, reason="again", author="op").position == Position(3, 93)
    with Store.connect(database.url) as owner:
        owner.database.read(lambda connection: prove(connection, KEY.trust()))


def test_an_epoch_lies_above_what_agents_reported(store: Store, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as admin:
        for name, report in (
            ("a1", {"epoch": 4, "revision": 50, "proven": 70}),
            ("a2", {"epoch": "x", "revision": 5, "proven": 7}),
        ):
            admin.execute("SELECT trimtab.trimtab_report_v1('base', %s, %s)", (name, Jsonb(report)))
    assert store.declare_epoch(3, reason="r", author="op").position == Position(5, 71)
