"""Backup, restore, and loading a tree of files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.conftest import KEY
from tests.support import servers
from tests.support.servers import Database
from trimtab.model import errors
from trimtab.model.canonical import Json
from trimtab.model.links import Position
from trimtab.model.values import thaw
from trimtab_store import backup, migrate
from trimtab_store.files.tree import read_tree
from trimtab_store.store import Store
from trimtab_store.verification import prove

FLEET = Path(__file__).parents[2] / "examples" / "fleet"


def owner(database: Database) -> Store:
    return Store.connect(database.url, signing_key=KEY)


@pytest.fixture
def full(store: Store, database: Database) -> Iterator[Store]:
    """The environments of `store` with some history in them, over an owner's connection."""
    with owner(database) as made:
        with made.edit("base", author="ada", reason="first") as edit:
            text = "tab\there\\n é \u2028"
            deep: Json = {"list": [1, {"a": []}], "empty": {}}
            edit.set("plain.global", {"x": 1.0, "text": text, "deep": deep})
            edit.set("plain.global.x", 2, "mode=live")
            edit.hide("gone.one")
        with made.edit("production", author="ada", idempotency_key="k") as edit:
            edit.set("plain.global.x", 3)
        store.reparent_environment("testing", "production", author="ada")
        yield made


def everything(store: Store) -> dict[str, object]:
    return {name: store.queries.items(name) for name in store.forest().parents}


def test_a_backup_comes_back_whole_in_a_new_database_and_declares_an_epoch(
    full: Store, database: Database, migrated_template: str, tmp_path: Path
) -> None:
    manifest = full.backup(tmp_path / "b")
    assert manifest.position == Position(1, 6)
    before, then = everything(full), [full.queries.items(name, as_of=4) for name in ("base", "production")]
    with full.edit("base", author="ada") as edit:
        edit.set("after.the.backup", 1)
    with servers.database(database.server, migrated_template) as other, owner(other) as restored:
        committed = restored.restore(tmp_path / "b", reason="the disk died", author="op", above=7)
        assert committed.position == Position(2, 8)
        assert everything(restored) == before
        assert [restored.queries.items(name, as_of=4) for name in ("base", "production")] == then
        assert restored.forest() == full.forest()
        entry = restored.history.environment("testing", limit=1)[0]
        assert (entry.kind, entry.author, entry.reason) == ("epoch", "op", "the disk died")
        with restored.edit("production", author="ada", idempotency_key="k") as edit:
            edit.set("plain.global.x", 3)
        assert edit.committed.replayed, "idempotency keys outlive a restore"
        with restored.edit("production", author="ada") as edit:
            edit.set("plain.global.x", 4)
        assert edit.committed.position == Position(2, 9)
        proof = restored.database.read(lambda connection: prove(connection, KEY.trust()))
        assert proof.audited == 8
        assert thaw(restored.get("plain.global.x", "testing").value) == 4


def test_the_files_of_a_backup_are_private_and_a_directory_is_never_overwritten(full: Store, tmp_path: Path) -> None:
    full.backup(tmp_path / "b")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "b").iterdir()} == {0o600}
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
    with pytest.raises(errors.UsageError, match="exists already"):
        full.backup(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_login_that_may_not_read_the_audit_cannot_back_up_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(errors.DeniedError):
        store.backup(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_restore_over_a_store_needs_to_be_said_and_goes_above_what_it_held(
    full: Store, tmp_path: Path, database: Database
) -> None:
    full.backup(tmp_path / "b")
    before = everything(full)
    with full.edit("base", author="ada") as edit:
        edit.set("lost.by.restore", 1)
    with pytest.raises(errors.ConflictError, match="not empty"):
        full.restore(tmp_path / "b", reason="r", author="op")
    with psycopg.connect(database.url, autocommit=True) as admin:
        report = {"epoch": 1, "revision": 40, "proven": 41}
        admin.execute("SELECT trimtab.trimtab_report_v1('base', 'a', %s)", (Jsonb(report),))
    committed = full.restore(tmp_path / "b", reason="r", author="op", replace=True)
    assert committed.position == Position(2, 42)
    assert everything(full) == before
    full.database.read(lambda connection: prove(connection, KEY.trust()))


def test_a_backup_of_an_older_schema_comes_back_where_its_tables_are_the_same(
    full: Store, tmp_path: Path, database: Database, migrated_template: str
) -> None:
    assert backup._SCHEMAS[-1] == migrate.known()[-1]  # a new migration has to say which older ones it can restore
    full.backup(tmp_path / "b")
    manifest = tmp_path / "b" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"{migrate.known()[-1]}"', f'"{backup._SCHEMAS[0]}"'))
    before = everything(full)
    with servers.database(database.server, migrated_template) as other, owner(other) as restored:
        restored.restore(tmp_path / "b", reason="r", author="op")
        assert everything(restored) == before


def damage(change: Callable[[bytes], bytes], name: str) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        path = directory / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Damage a table and make the manifest agree: only the proofs can find it."""

    def apply(directory: Path) -> None:
        import hashlib  # noqa: PLC0415

        path = directory / f"{name}.copy"
        before = path.read_bytes()
        after = change(before)
        assert before != after
        path.write_bytes(after)
        manifest = json.loads((directory / "manifest.json").read_text())
        for table in manifest["tables"]:
            if table["name"] == name:
                table["sha256"] = hashlib.sha256(after).hexdigest()
        (directory / "manifest.json").write_text(json.dumps(manifest))

    return apply


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a flipped byte": damage(lambda text: text[:-2] + bytes([text[-2] ^ 1]) + text[-1:], "links.copy"),
    "a cut file": damage(lambda text: text[:-10], "configuration_current.copy"),
    "a missing file": lambda directory: (directory / "changes.copy").unlink(),
    "no manifest": lambda directory: (directory / "manifest.json").unlink(),
    "a manifest of something else": damage(lambda _: b'{"a": 1}', "manifest.json"),
    "a manifest that is no JSON": damage(lambda _: b"\x00", "manifest.json"),
    "another schema": damage(lambda text: text.replace(b'"schema": "', b'"schema": "9'), "manifest.json"),
    "a forged item": rewrite("configuration_current", lambda text: text.replace(b"\\\\x33\t", b"\\\\x39\t")),
    "a forged author": rewrite("configuration_audit", lambda text: text.replace(b"ada", b"eve")),
    "a lost version": rewrite("configuration_versions", lambda text: text[: text[:-1].rindex(b"\n") + 1]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_backup_is_refused_and_changes_nothing(
    full: Store, tmp_path: Path, name: str, database: Database, migrated_template: str
) -> None:
    full.backup(tmp_path / "b")
    DAMAGES[name](tmp_path / "b")
    with servers.database(database.server, migrated_template) as other, owner(other) as restored:
        with pytest.raises(errors.TrimtabError) as caught:
            restored.restore(tmp_path / "b", reason="r", author="op")
        assert caught.value.remedy
        assert restored.forest().parents == {}
        assert restored.create_environment("base", author="ada").position == Position(1, 1)


def test_an_empty_store_can_be_backed_up_and_restored(
    database: Database, tmp_path: Path, migrated_template: str
) -> None:
    with owner(database) as empty:
        assert empty.backup(tmp_path / "b").position == Position(1, 0)
    with servers.database(database.server, migrated_template) as other, owner(other) as restored:
        assert restored.restore(tmp_path / "b", reason="r", author="op").position == Position(2, 1)
        assert restored.create_environment("base", author="ada").position == Position(2, 2)


def test_a_full_or_missing_disk_leaves_nothing(full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> tuple[int, str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_write", full_disk)
    with pytest.raises(errors.UnavailableError, match="No space left"):
        full.backup(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_the_example_fleet_loads_as_commits_and_loading_it_again_changes_nothing(database: Database) -> None:
    tree = read_tree(FLEET)
    with owner(database) as store:
        done = store.load_tree(tree, author="test", reason="example")
        assert len(done) > len(tree.environments)
        assert store.forest() == tree.forest
        for one in tree.environments:
            held = {(item.layer, item.path): item.content for item in store.queries.items(one.name, own=True)}
            assert held == {(item.layer, item.path): item.content for item in one.items()}
        assert store.load_tree(tree, author="test") == []
        with store.edit("production", author="ada") as edit:
            edit.set("plain.global.max_leverage", 1.0)
        assert store.load_tree(tree, author="test", update=False) == []
        assert len(store.load_tree(tree, author="test")) == 1
        store.database.read(lambda connection: prove(connection, KEY.trust()))
