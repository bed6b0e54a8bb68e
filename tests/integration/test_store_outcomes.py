"""Idempotency keys, `expect`, and commits whose answer is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.conftest import KEY, ConnectStore
from tests.support.proxy import Proxy
from tests.support.servers import Database
from trimtab.model import errors
from trimtab.model.values import thaw
from trimtab_store import commit
from trimtab_store.store import Store
from trimtab_store.writer import Committed


def write(store: Store, environment: str, path: str, value: object, **words: object) -> Committed:
    with store.edit(environment, author="test", **words) as edit:  # type: ignore[arg-type]
        edit.set(path, value)
    return edit.committed


# Idempotency


def test_the_same_key_with_the_same_edits_gives_back_the_first_commit(store: Store) -> None:
    first = write(store, "base", "a.b", {"x": 1}, idempotency_key="k")
    write(store, "base", "a.b", {"x": 2})
    again = write(store, "base", "a.b", {"x": 1}, idempotency_key="k", reason="another reason")
    assert again.replayed
    assert not first.replayed
    assert (again.position, again.hash, again.paths, again.environments, again.committed_at) == (
        first.position,
        first.hash,
        first.paths,
        first.environments,
        first.committed_at,
    )
    assert thaw(store.get("a.b.x", "base").value) == 2


def test_the_same_key_with_other_edits_is_refused(store: Store) -> None:
    write(store, "base", "a.b", 1, idempotency_key="k")
    for environment, value, words in (("base", 2, {}), ("production", 1, {}), ("base", 1, {"urgent": True})):
        with pytest.raises(errors.IdempotencyMismatch, match="revision 4"):
            write(store, environment, "a.b", value, idempotency_key="k", **words)


def test_a_key_used_by_many_at_once_commits_once(connect_store: ConnectStore, store: Store) -> None:
    del store  # it made the environments
    writers = [connect_store(pool_size=1) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(write, one, "base", "a.b", 1, idempotency_key="k") for one in writers]
    done = [one.result() for one in asked]
    assert {one.revision for one in done} == {4}
    assert sum(not one.replayed for one in done if one.created) == 1


def test_an_edit_that_changed_nothing_leaves_its_key_free(store: Store) -> None:
    write(store, "base", "a.b", 1)
    assert not write(store, "base", "a.b", 1, idempotency_key="k").created
    assert write(store, "base", "a.b", 2, idempotency_key="k").created


# expect


def test_expect_holds_while_the_touched_documents_stay_as_they_were(store: Store) -> None:
    revision = write(store, "base", "plain.global", {"x": 1, "y": 1}).revision
    write(store, "base", "plain.other", {"x": 2})
    assert write(store, "base", "plain.global.x", 2, expect=revision).created


def test_expect_is_refused_with_both_values(store: Store) -> None:
    revision = write(store, "base", "plain.global", {"x": 1, "y": 1}).revision
    write(store, "base", "plain.global.y", 5)
    with pytest.raises(errors.ExpectationFailed) as caught:
        write(store, "production", "plain.global.x", 2, expect=revision)
    assert "plain.global.y in production was 1 at revision 4 and is 5 now" in caught.value.why
    assert caught.value.exit_code == 5


def test_expect_looks_at_values_not_at_revisions(store: Store) -> None:
    revision = write(store, "base", "plain.global.x", 1).revision
    write(store, "base", "plain.global.x", 2)
    write(store, "base", "plain.global.x", 1)
    assert write(store, "base", "plain.global.x", 3, expect=revision).created


def test_expect_ignores_what_no_reader_sees(store: Store) -> None:
    write(store, "base", "plain.global.x", 1)
    revision = write(store, "production", "plain.global.x", 2).revision
    write(store, "base", "plain.global.x", 9)
    assert write(store, "production", "plain.global.x", 3, expect=revision).created


def test_expect_sees_a_change_that_only_some_readers_see(store: Store) -> None:
    revision = write(store, "base", "plain.global.x", 1).revision
    with store.edit("base", author="test") as edit:
        edit.set("plain.global.x", 7, {"mode": "live", "region": "ny4"})
    with pytest.raises(errors.ExpectationFailed, match="mode=live,region=ny4"):
        write(store, "base", "plain.global.x", 2, expect=revision)


def test_expect_sees_a_document_that_appeared_or_vanished(store: Store) -> None:
    write(store, "base", "plain.global.x", 1)
    with pytest.raises(errors.ExpectationFailed, match="absent"):
        write(store, "base", "plain.global.y", 2, expect=3)
    revision = write(store, "base", "plain.global.z", 1).revision
    with store.edit("production", author="test", force="nothing is to be left") as edit:
        edit.hide("plain.global")
    with pytest.raises(errors.ExpectationFailed, match="absent"):
        write(store, "production", "plain.global.x", 2, expect=revision)


def test_expect_sees_a_new_parent(store: Store) -> None:
    write(store, "testing", "plain.global.x", 5)
    revision = write(store, "base", "plain.global.x", 1).revision
    store.reparent_environment("production", "testing", author="test")
    with pytest.raises(errors.ExpectationFailed, match="was 1 at revision 5 and is 5 now"):
        write(store, "production", "plain.global.x", 2, expect=revision)


def test_expect_names_a_revision_that_exists(store: Store) -> None:
    with pytest.raises(errors.RevisionNotFound, match="99"):
        write(store, "base", "a.b", 1, expect=99)
    with pytest.raises(errors.ExpectationFailed, match="did not exist"):
        write(store, "testing", "a.b", 1, expect=1)


# Lost answers


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    port = database.server.port
    assert port is not None
    with Proxy(("127.0.0.1", port)) as made:
        yield made


@pytest.fixture
def far(store: Store, database: Database, proxy: Proxy) -> Iterator[Store]:
    """A store behind the proxy; `store` made the environments."""
    del store
    address, port = proxy.address, database.server.port
    assert isinstance(address, tuple)
    url = database.login("trimtab_writer", tcp=True).replace(f":{port}/", f":{address[1]}/")
    with Store.connect(url, signing_key=KEY, pool_size=2) as made:
        write(made, "base", "warm.up.v", 0)
        yield made


def test_a_lost_commit_is_settled_by_its_key(far: Store, proxy: Proxy, store: Store) -> None:
    proxy.drop_replies_matching(b"COMMIT\x00")
    committed = write(far, "base", "a.b", 1, idempotency_key="k")
    assert committed.replayed
    assert (committed.revision, committed.paths) == (5, ("a.b",))
    assert thaw(store.get("a.b", "base").value) == 1


@pytest.mark.parametrize(("calm", "reply"), [(100, b"COMMIT\x00"), (commit.CALM, b"trimtab_commit_at_once_v1\x00")])
def test_a_lost_commit_without_a_key_is_unknown_and_not_repeated(
    far: Store, proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch, calm: int, reply: bytes
) -> None:
    monkeypatch.setattr(commit, "CALM", calm)  # beyond its own, nothing is committed at once
    proxy.drop_replies_matching(reply)
    with pytest.raises(errors.OutcomeUnknown, match="unknown") as caught:
        write(far, "base", "a.b", 1)
    assert caught.value.exit_code == 6
    assert [one.position.revision for one in store.history.environment("base", limit=2)] == [5, 4]


def test_a_commit_that_never_arrived_is_known_not_to_be(far: Store, proxy: Proxy, store: Store) -> None:
    proxy.drop_replies_matching(
        b"trimtab_commit_v1"
    )  # its answer is lost and the connection reset before COMMIT is done
    try:
        committed = write(far, "base", "a.b", 1, idempotency_key="k")
    except errors.UnavailableError as error:
        assert "Nothing was committed" in error.what  # noqa: PT017 - both ends are right, but each must be true
        with pytest.raises(errors.PathNotFound):
            store.get("a.b", "base")
    else:
        assert thaw(store.get("a.b", "base").value) == 1
        assert committed.revision == 5


def test_a_connection_cut_at_any_byte_leaves_all_or_nothing(far: Store, proxy: Proxy, store: Store) -> None:
    done: dict[int, bool] = {}
    for count in (*range(0, 3000, 211), *range(700, 1000, 37)):
        proxy.reset_after(count, "up")
        try:
            write(far, "base", f"cut.d.n{count}", count, idempotency_key=f"k{count}")
            done[count] = True
        except errors.UnavailableError as error:
            assert not isinstance(error, errors.OutcomeUnknown)  # noqa: PT017 - settled every time
            done[count] = False
        proxy.resume()
    held = {item.path for item in store.queries.items("base", "cut")}
    assert held == {f"cut.d.n{count}" for count, committed in done.items() if committed}


def test_a_server_that_falls_silent_is_given_up(
    far: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    from trimtab_store import locking, outcomes  # noqa: PLC0415

    monkeypatch.setattr(commit, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(locking, "HOLD_MS", 300)
    monkeypatch.setattr(outcomes, "SETTLE_MS", 2000)
    proxy.drop_replies_matching(b"COMMIT\x00", "silence")
    assert write(far, "base", "a.b", 1, idempotency_key="k").replayed
    assert thaw(store.get("a.b", "base").value) == 1


# Servers that refuse


def test_no_message_shows_a_password(database: Database) -> None:
    secret = "hunter2-secret"
    wrong = database.server.url(database.name, password=secret)
    for url in (
        wrong,
        f"postgresql://u:{secret}@127.0.0.1:1/x",
        f"postgresql://u:{secret}%zz@127.0.0.1/x",
        f"mysql://u:{secret}@h/x",
        f"{secret}",
        database.server.url("nowhere"),
        f"postgresql://u:{secret}@127.0.0.1:x/y",
    ):
        with pytest.raises(errors.TrimtabError) as caught:
            Store.connect(url, signing_key=KEY)
        assert secret not in str(caught.value)
        assert caught.value.remedy
        assert caught.value.exit_code in {2, 6, 7}


def test_a_wrong_password_is_denied_and_an_absent_server_unavailable(database: Database) -> None:
    with pytest.raises(errors.DeniedError):
        Store.connect(database.server.url(database.name, password="wrong"))
    with pytest.raises(errors.UnavailableError):
        Store.connect("postgresql://u@127.0.0.1:1/x")


def test_a_database_that_is_not_migrated_is_named(empty_database: Database) -> None:
    with pytest.raises(errors.NotMigrated, match="trimtab migrate"):
        Store.connect(empty_database.url)


def test_a_newer_database_is_named(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as admin:
        admin.execute("UPDATE trimtab.alembic_version SET version_num = '9999'")
    with pytest.raises(errors.NotMigrated, match="newer"):
        Store.connect(database.url)


def test_an_agents_login_cannot_write(database: Database, store: Store) -> None:
    del store
    with pytest.raises(errors.DeniedError):
        Store.connect(database.login("trimtab_agent"), signing_key=KEY)
