"""What an edit does, and what is refused with nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import ConnectStore
from tests.support.servers import Database
from trimtab.model import errors
from trimtab.model.canonical import Json
from trimtab.model.values import thaw
from trimtab_store.editing import EditBlock
from trimtab_store.store import Store
from trimtab_store.verification import prove
from trimtab_store.writer import Committed

AUTHOR = "ada"
Write = Callable[[EditBlock[Committed]], None]


def write(store: Store, environment: str, path: str, value: object, layer: str | None = None) -> Committed:
    with store.edit(environment, author=AUTHOR, reason="test") as edit:
        edit.set(path, value, layer)
    return edit.committed


def read(store: Store, environment: str, path: str, **labels: str) -> Json:
    return thaw(store.get(path, environment, labels).value)


def everything(store: Store, environment: str, **labels: str) -> Json:
    return thaw(store.queries.document(environment, labels=labels).value)


def test_a_commit_names_its_revision_its_paths_and_the_lines_that_it_extends(store: Store) -> None:
    committed = write(store, "base", "plain.global", {"max_leverage": 3.0, "limits": [1, 2]})
    assert committed.revision == 4
    assert committed.paths == ("plain.global.limits", "plain.global.max_leverage")
    assert committed.environments == ("base", "production", "testing")
    assert committed.created
    assert not committed.replayed
    assert write(store, "production", "a.b", 1).environments == ("production",)


def test_set_replaces_the_subtree_of_its_layer_only(store: Store) -> None:
    write(store, "base", "a.b", {"x": 1, "y": {"z": 2}})
    write(store, "base", "a.b", {"live": True}, "mode=live")
    write(store, "base", "a.b", {"y": {"w": 3}})
    assert everything(store, "production") == {"a": {"b": {"y": {"w": 3}}}}
    assert everything(store, "production", mode="live") == {"a": {"b": {"y": {"w": 3}, "live": True}}}


def test_set_of_a_scalar_replaces_a_subtree_and_a_subtree_replaces_a_scalar_in_one_layer(store: Store) -> None:
    write(store, "base", "a.b", {"x": 1})
    write(store, "base", "a.b", 5)
    assert read(store, "base", "a.b") == 5
    write(store, "base", "a.b", {"x": {"y": 1}})
    assert read(store, "base", "a") == {"b": {"x": {"y": 1}}}


def test_merge_keeps_the_siblings(store: Store) -> None:
    write(store, "base", "a.b", {"x": 1, "y": {"z": 2}, "s": 1})
    with store.edit("base", author=AUTHOR) as edit:
        edit.merge("a.b", {"x": 9, "y": {"w": 3}, "s": {"deep": True}, "e": {}})
        edit.merge("a.b.y", {})
    assert read(store, "base", "a.b") == {"x": 9, "y": {"z": 2, "w": 3}, "s": {"deep": True}, "e": {}}


def test_unset_shows_what_lies_below_and_says_so_if_there_is_nothing_of_its_own(store: Store) -> None:
    write(store, "base", "a.b", 1)
    write(store, "production", "a.b", 2)
    with store.edit("production", author=AUTHOR) as edit:
        edit.unset("a.b")
    assert read(store, "production", "a.b") == 1
    with pytest.raises(errors.PathNotFound, match=r"base \(common\)"), store.edit("production", author=AUTHOR) as edit:
        edit.unset("a.b")


def test_hide_masks_what_is_inherited_also_what_is_added_later(store: Store) -> None:
    write(store, "base", "a.b", {"x": 1})
    with store.edit("production", author=AUTHOR, force="nothing is to be left") as edit:
        edit.hide("a.b")
    write(store, "base", "a.b.later", 2)
    assert everything(store, "production") == {}
    assert read(store, "testing", "a.b") == {"x": 1, "later": 2}
    with store.edit("production", author=AUTHOR) as edit:
        edit.unset("a.b")
    assert read(store, "production", "a.b") == {"x": 1, "later": 2}


def test_hide_removes_the_layers_own_items(store: Store) -> None:
    write(store, "production", "a.b", {"x": 1, "y": 2})
    with store.edit("production", author=AUTHOR, force="nothing is to be left") as edit:
        edit.hide("a.b")
    assert [(item.path, item.content) for item in store.queries.items("production")] == [("a.b", b"")]


def test_operations_apply_in_order_and_become_one_revision(store: Store) -> None:
    with store.edit("base", author=AUTHOR) as edit:
        edit.set("a.b", {"x": 1, "y": 2})
        edit.unset("a.b.x")
        edit.merge("a.b", {"z": 3})
        edit.set("c.d", 1, layer={"mode": "live", "region": "ny4"})
        edit.set("gone.x", 1)
        edit.unset("gone")
    assert edit.committed.revision == 4
    assert edit.committed.paths == ("a.b.y", "a.b.z", "c.d")
    assert everything(store, "base", mode="live", region="ny4") == {"a": {"b": {"y": 2, "z": 3}}, "c": {"d": 1}}


def test_a_block_that_raises_commits_nothing(store: Store) -> None:
    def broken() -> None:
        with store.edit("base", author=AUTHOR) as edit:
            edit.set("a.b", 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert store.queries.items("base") == ()


def test_an_edit_that_changes_nothing_makes_no_revision(store: Store) -> None:
    first = write(store, "base", "a.b", {"x": 1})
    again = write(store, "base", "a.b", {"x": 1})
    assert not again.created
    assert (again.revision, again.hash, again.paths) == (first.revision, first.hash, ())
    with store.edit("base", author=AUTHOR) as edit:
        pass
    assert not edit.committed.created
    assert write(store, "base", "a.b", {"x": 1.0}).created, "1 and 1.0 are different values"


def test_an_edit_through_a_bots_labels_follows_them(store: Store) -> None:
    write(store, "base", "risk.global.max_leverage", 3.0)
    write(store, "base", "risk.global.max_leverage", 1.0, "mode=live")
    write(store, "production", "fleet.bots.mm.labels", {"mode": "paper"})
    assert read(store, "production", "risk.global.max_leverage", bot="mm") == 3.0
    write(store, "production", "fleet.bots.mm.labels", {"mode": "live"})
    assert read(store, "production", "risk.global.max_leverage", bot="mm") == 1.0
    assert read(store, "testing", "risk.global.max_leverage", bot="mm") == 3.0


HOSTILE = [
    "'; DROP TABLE trimtab.links; --",
    "%s %(x)s $1 ${x} {{x}}",
    "redis.call('FLUSHALL')",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202e\u2066evil\u2069",
    "é e\u0301 \u200d 👩‍👩‍👧 \uffff",
    "\\x00 \\u0000 \\",
    "x" * 30_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_are_values_like_any_other(store: Store, text: str) -> None:
    write(store, "base", "a.b", {"text": text, "list": [text, {"k": text}]})
    assert read(store, "base", "a.b.text") == text
    key = {"text": text, "list": [text, {"k": text}]}
    assert read(store, "base", "a.b") == key
    with store.edit("base", author=text[:900], reason=text[:9000], idempotency_key=text[:100]) as edit:
        edit.set("a.c", 1)
    entry = store.history.environment("base", limit=1)[0]
    assert (entry.author, entry.reason) == (text[:900], text[:9000])


@pytest.mark.parametrize("segment", [HOSTILE[0], HOSTILE[1], HOSTILE[2], "a.b", 'quo"te', "back\\slash", "é"])
def test_hostile_segments_are_paths_like_any_other(store: Store, segment: str) -> None:
    committed = write(store, "base", "a", {segment: {"x": 1}})
    assert read(store, "base", committed.paths[0]) == 1
    assert everything(store, "base") == {"a": {segment: {"x": 1}}}


REFUSED: dict[str, tuple[type[errors.TrimtabError], str, Write]] = {
    "path": (errors.PathError, "grammar|unexpected|segment", lambda edit: edit.set("a..b", 1)),
    "path with a control": (errors.PathError, r"U\+001B|control|\\u001b", lambda edit: edit.set('a."\x1b[2J"', 1)),
    "NaN": (errors.ValueRefused, "NaN", lambda edit: edit.set("a.b", float("nan"))),
    "Infinity inside": (errors.ValueRefused, "Infinity", lambda edit: edit.set("a.b", {"c": [float("inf")]})),
    "U+0000": (errors.ValueRefused, r"U\+0000", lambda edit: edit.set("a.b", "x\x00y")),
    "surrogate": (errors.ValueRefused, "surrogate", lambda edit: edit.set("a.b", "\ud800")),
    "wide integer": (errors.ValueRefused, "64 bits", lambda edit: edit.set("a.b", 2**63)),
    "set of Python": (errors.ValueRefused, "set", lambda edit: edit.set("a.b", {1, 2})),
    "long item": (errors.ValueRefused, "65536", lambda edit: edit.set("a.b", "x" * 70_000)),
    "deep path": (errors.PathError, "32", lambda edit: edit.set(".".join("a" * 33), 1)),
    "unknown dimension": (errors.LayerError, "moda", lambda edit: edit.set("a.b", 1, "moda=live")),
    "layer grammar": (errors.LayerError, "dimension=label", lambda edit: edit.set("a.b", 1, "live")),
    "identity label": (errors.LayerError, "region", lambda edit: edit.set("fleet.bots.x.labels.region", "ny4")),
    "labels in an attribute layer": (
        errors.LayerError,
        "mode",
        lambda edit: edit.set("fleet.bots.x.labels.strategy", "mm", "mode=live"),
    ),
    "label that is no string": (
        errors.ValueRefused,
        "flat object",
        lambda edit: edit.set("fleet.bots.x.labels.mode", 1),
    ),
    "scalar over a subtree": (errors.LayerConflict, "taken", lambda edit: edit.set("taken", 1, "mode=live")),
    "subtree under a scalar": (errors.LayerConflict, "taken.scalar", lambda edit: edit.set("taken.scalar.x", 1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing(store: Store, name: str) -> None:
    kind, words, do = REFUSED[name]
    before = write(store, "base", "taken", {"tree": {"x": 1}, "scalar": 1})

    def attempt() -> None:
        with store.edit("production", author=AUTHOR) as edit:
            edit.set("fine.before", 1)
            do(edit)

    with pytest.raises(kind, match=words) as caught:
        attempt()
    assert type(caught.value) is kind
    assert caught.value.remedy
    assert write(store, "base", "next.one", 1).revision == before.revision + 1
    assert store.queries.items("production", "fine") == ()


def test_a_conflict_in_any_line_that_the_edit_reaches_is_refused(store: Store) -> None:
    write(store, "testing", "a.b", 1, "mode=live")
    with pytest.raises(errors.LayerConflict, match="testing"):
        write(store, "base", "a.b.c", 1)
    assert write(store, "base", "a.c", 1).created


def test_layers_that_never_meet_do_not_conflict(store: Store) -> None:
    write(store, "base", "a.b", 1, "mode=live")
    write(store, "base", "a.b.c", 1, "mode=paper")
    assert read(store, "base", "a.b", mode="paper") == {"c": 1}


def test_an_unknown_environment_is_answered_with_the_nearest(store: Store) -> None:
    with pytest.raises(errors.EnvironmentNotFound, match="production"):
        write(store, "prodution", "a.b", 1)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ({"author": ""}, errors.UsageError),
        ({"author": "x" * 2000}, errors.UsageError),
        ({"author": "x\x00"}, errors.ValueRefused),
        ({"author": "a", "reason": "r" * 20_000}, errors.UsageError),
        ({"author": "a", "idempotency_key": ""}, errors.UsageError),
        ({"author": "a", "idempotency_key": "k" * 600}, errors.UsageError),
        ({"author": "a", "expect": -1}, errors.UsageError),
    ],
)
def test_words_that_cannot_be_kept_are_refused(store: Store, words: dict[str, object], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        store.edit("base", **words)  # type: ignore[arg-type]


def test_more_than_16_mib_at_once_are_refused(store: Store) -> None:
    def attempt() -> None:
        with store.edit("base", author=AUTHOR) as edit:
            for number in range(270):
                edit.set(f"a.b.n{number}", "x" * 65_000)

    with pytest.raises(errors.ValueRefused, match="16777216"):
        attempt()


def test_validate_checks_everything_and_commits_nothing(store: Store) -> None:
    with store.validate("base") as edit:
        edit.set("a.b", {"x": 1})
    assert edit.result.paths == ("a.b.x",)
    assert edit.result.environments == ("base", "production", "testing")
    assert store.queries.items("base") == ()
    with pytest.raises(errors.LayerError), store.validate("base") as edit:
        edit.set("a.b", 1, "nope=1")


def test_without_a_signing_key_a_store_reads_and_refuses_to_write(connect_store: ConnectStore, store: Store) -> None:
    write(store, "base", "a.b", 1)
    reader = connect_store(signing_key=None)
    assert read(reader, "base", "a.b") == 1
    with pytest.raises(errors.SettingError, match="TRIMTAB_SIGNING_KEY"):
        write(reader, "base", "a.b", 2)


def test_a_signing_key_that_others_may_read_is_refused(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"{}")
    path.chmod(0o644)
    with pytest.raises(errors.SettingError, match="chmod 600"):
        Store.connect(database.url, signing_key=path)


def test_everything_that_was_written_can_be_proven(store: Store, database: Database) -> None:
    value: Json = {"x": [1, {}, "é"], "y": {}}
    write(store, "base", "a.b", value)
    write(store, "production", "a.b.x", 1, "mode=live")
    with store.edit("production", author=AUTHOR) as edit:
        edit.hide("a.b.y")
        edit.unset("a.b.x", "mode=live")
    with Store.connect(database.url) as owner:
        proof = owner.database.read(lambda connection: prove(connection, store.trust))
    assert (proof.lines, proof.links, proof.audited) == (3, 3 + 3 + 1 + 1, 6)
