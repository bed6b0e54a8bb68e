"""What bad input gets: one paragraph with a remedy, the documented exit code, and nothing changed."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Generator
from pathlib import Path

import orjson
import psycopg
import pytest
import redis
from psycopg import sql

from tests.integration.conftest import KEY
from tests.support.console import Console, Said
from tests.support.servers import Database
from trimtab.feeds.scripts import REPORT
from trimtab.model.reports import Report, Status
from trimtab_store import migrate
from trimtab_store.embedded.directory import DataDirectory
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.store import Store

PRODUCTION = ("-e", "production", "--reason", "a test")


def refused(said: Said, code: int, what: str) -> None:
    """Exit code, one line on standard error that matches, and nothing on standard output."""
    assert (said.code, said.out) == (code, ""), said
    assert said.err.startswith("trimtab: "), said
    assert said.err.count("\n") == 1, said
    assert re.search(what, said.err), said


def revision(console: Console) -> int:
    return int(console.done("history", "-e", "production", "--limit", "1")[0]["revision"])


def content(database: Database) -> tuple[object, ...]:
    """Where the store stands, and a digest of everything that it holds."""
    with psycopg.connect(database.url) as connection:
        row = connection.execute(
            "SELECT h.epoch, h.revision, h.structure_revision,"
            " (SELECT md5(string_agg(c::text, '|' ORDER BY environment, layer, path))"
            "    FROM trimtab.configuration_current AS c),"
            " (SELECT md5(string_agg(e::text, '|' ORDER BY name)) FROM trimtab.environments AS e)"
            "  FROM trimtab.store_head AS h"
        ).fetchone()
    assert row is not None
    return row


@contextlib.contextmanager
def unchanged(database: Database) -> Generator[None]:
    """Whatever is tried inside, the store holds afterwards what it held."""
    before = content(database)
    yield
    assert content(database) == before


USAGE = [
    (("frobnicate",), "No such command 'frobnicate'. See trimtab --help"),
    (("set", "a.b", "1", "--enviroment", "staging"), "No such option: --enviroment .*--environment"),
    (("set", "a.b"), "Missing argument 'VALUE'. See trimtab set --help"),
    (("set", "a.b", "1"), "No environment is named: .*Add -e NAME, or set TRIMTAB_ENVIRONMENT"),
    (("set", "a.b", "1", "-e", "production"), "No reason is given: .*Add --reason TEXT"),
    (("set", "a.b", "1", "-e", "production", "--reason", " "), "No reason is given"),
    (("rollback", "3", "-e", "production"), "No reason is given"),
    (("set", "a..b", "1", *PRODUCTION), r"The path 'a\.\.b' is refused: expected a segment at character 3"),
    (("set", "a b", "1", *PRODUCTION), "The path 'a b' is refused"),
    (("set", "", "1", *PRODUCTION), "An empty path is refused"),
    (("get", "a.\u202eb", "-e", "production"), r"expected a segment at character 3, found U\+202E"),
    (("set", ".".join("a" * 33), "1", *PRODUCTION), "it has 33 segments, at most 32 are allowed"),
    (("set", "a.b", "True", *PRODUCTION), "write true; for the text write --string"),
    (("set", "a.b", "5%", *PRODUCTION), "write 0.05 for the ratio, 5 for percent"),
    (("set", "a.b", '{"a":', *PRODUCTION), "it is not JSON"),
    (("set", "a.b", "", *PRODUCTION), "An empty value is refused"),
    (("set", "a.b", "1", "--layer", "mode", *PRODUCTION), r"a label is written dimension=label"),
    (("set", "a.b", "1", "--layer", "venue=nyse", *PRODUCTION), "the environment does not declare it"),
    (("set", "a.b", "1", "--layer", "regio=ny4", *PRODUCTION), "Did you mean region"),
    (("set", "a.b", "1", "--wait", "soon", *PRODUCTION), "--wait soon is refused: .*Write 2s, 500ms or 1m"),
    (("rollback", "3", "--wait", "soon", *PRODUCTION), "--wait soon is refused"),
    (("env", "create", "x", "--wait", "soon"), "--wait soon is refused"),
    (("set", "a.b", "1", "--author", "", *PRODUCTION), "without an author"),
    (("rollback", "3", "--author", "", *PRODUCTION), "without an author"),
    (("rollback", "3", "--expect", "-1", *PRODUCTION), "'--expect': Input should be greater than or equal to 0"),
    (("rollback", "3", "--idempotency-key", "", *PRODUCTION), "An empty idempotency key is refused"),
    (("set", "a.b", "1", "--expect", "-1", *PRODUCTION), "'--expect': Input should be greater than or equal to 0"),
    (("get", "a", "-e", "staging", "--as-of", "yesterday"), "'yesterday' is neither a revision nor a time"),
    (("get", "a", "-e", "staging", "--as-of", "2026-01-05T14:03:07"), "has no zone: .*Write 2026-01-05T14:03:07Z"),
    (("list", "-e", "staging", "--limit", "0"), "Invalid value for '--limit' / '-n'"),
    (("export", "-e", "staging", "--format", "xml"), "The format 'xml' is refused"),
    (("export", "-e", "staging", "--output", "no/such/folder"), "no/such/folder cannot be written"),
    (("import", "missing.json", "-e", "staging"), "missing.json cannot be read: No such file"),
    (("watch", "risk.", "-e", "staging"), "expected a segment at character 6, found the end"),
    (("epoch", "declare", "--from", "1"), "An epoch without a reason is refused"),
]  # fmt: skip
NOT_FOUND = [
    (("get", "risk.global.max_leverag", "-e", "production"), r"Did you mean risk\.global\.max_leverage\?"),
    (("explain", "nothing.here", "-e", "production"), "Nothing resolves at nothing.here in production"),
    (("get", "risk", "-e", "prodution"), "There is no environment 'prodution'. Did you mean production?"),
    (("set", "a.b", "1", "-e", "stagin"), "Did you mean staging?"),
    (("status", "-e", "stagin"), "Did you mean staging?"),
    (("env", "create", "x", "--parent", "bas"), "Did you mean base?"),
    (("unset", "risk.global.max_leverage", *PRODUCTION), "unset it there, or hide it here"),
    (("get", "risk", "-e", "production", "--as-of", "99999"), "There is no revision 99999: the newest is"),
    (("diff", "10", "99999", "-e", "production"), "There is no revision 99999"),
    (("rollback", "99999", *PRODUCTION), "There is no revision 99999"),
]  # fmt: skip
VALIDATION = [
    (("set", "a.b", "NaN", *PRODUCTION), "JSON has no NaN and no Infinity"),
    (("set", "a.b", "[1, NaN]", *PRODUCTION), "JSON has no NaN and no Infinity"),
    (("set", "a.b", '{"k": 1, "k": 2}', *PRODUCTION), "The key 'k' stands twice"),
    (("set", "a.b", r'"\u0000"', *PRODUCTION), r"it holds the character U\+0000"),
    (("set", "a.b", "0.10000000000000000001", *PRODUCTION), "it would come back as another number. Write it as a str"),
    (("set", "a.b", "9223372036854775808", *PRODUCTION), "it does not fit in 64 bits"),
    (("set", "a.b", "[" * 40 + "]" * 40, *PRODUCTION), "nested deeper than 32 levels"),
    (("set", "a.b", '"' + "x" * 70_000 + '"', *PRODUCTION), "it has 70002 bytes, at most 65536 are allowed"),
    (("set", "risk.global.max_leverage.high", "1", *PRODUCTION), "risk.global.max_leverage"),
    (("set", "fleet.bots.mm-btc.labels.mode", "7", *PRODUCTION), "labels are a flat object of strings"),
    (("env", "create", "Bad Name"), "The environment name 'Bad Name' is refused"),
    (("env", "inherit", "base", "production"), "that would be a cycle"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "what"), USAGE)
def test_a_wrong_call_is_2(console: Console, arguments: tuple[str, ...], what: str) -> None:
    before = revision(console)
    refused(console(*arguments), 2, what)
    assert revision(console) == before


@pytest.mark.parametrize(("arguments", "what"), NOT_FOUND)
def test_what_is_not_there_is_3_and_the_nearest_name_is_suggested(
    console: Console, arguments: tuple[str, ...], what: str
) -> None:
    before = revision(console)
    refused(console(*arguments), 3, what)
    assert revision(console) == before


@pytest.mark.parametrize(("arguments", "what"), VALIDATION)
def test_what_a_rule_refuses_is_4(console: Console, arguments: tuple[str, ...], what: str) -> None:
    before = revision(console)
    refused(console(*arguments), 4, what)
    assert revision(console) == before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"trimtab": 2}', "it does not say trimtab: 1"),
        ('{"trimtab": 1, "environment": "staging", "layers": {"common": {"values": {"a": NaN}}}}', "NaN"),
        ('{"trimtab": 1, "environment": "staging", "layers": {"common": {"value": {}}}}', "Did you mean values?"),
        ('{"trimtab": 1, "trimtab": 1}', "stands twice"),
    ],
)
def test_a_file_that_cannot_be_imported_is_4_whether_it_is_checked_or_imported(
    console: Console, tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "bad.json").write_text(text)
    refused(console("validate", "bad.json", "-e", "staging"), 4, re.escape(what))
    refused(console("import", "bad.json", "-e", "staging"), 4, re.escape(what))


def test_items_that_were_changed_by_hand_are_4(console: Console, fleet_database: Database) -> None:
    with psycopg.connect(fleet_database.url, autocommit=True) as connection:
        connection.execute(
            "UPDATE trimtab.configuration_current SET content = '9' WHERE path = 'risk.global.max_leverage'"
        )
    refused(console("validate", "-e", "production"), 4, "do not add up to the checksum .* Restore a backup")


def test_an_expectation_that_no_longer_holds_is_5(console: Console, fleet_database: Database) -> None:
    seen = console.done("set", "risk.global.max_leverage", "2", *PRODUCTION)["revision"]
    now = console.done("set", "risk.global.max_leverage", "2.5", *PRODUCTION)["revision"]
    with unchanged(fleet_database):
        refused(
            console("set", "risk.global.max_leverage", "3", "--expect", str(seen), *PRODUCTION),
            5,
            "was 2 at revision .* and is 2.5 now",
        )
    assert console.done("set", "risk.global.max_leverage", "3", "--expect", str(now), *PRODUCTION)["created"]


@pytest.mark.parametrize("command", ["rollback", "import"])
def test_what_replaces_everything_takes_expectation_and_key_too(
    console: Console, fleet_database: Database, command: str
) -> None:
    then = revision(console)
    seen = console.done("set", "a.b", "2", *PRODUCTION)["revision"]
    assert console("export", "-e", "production", "--as-of", str(then), "--output", "then.yaml").code == 0
    call = (command, str(then) if command == "rollback" else "then.yaml", *PRODUCTION)
    now = console.done("set", "risk.global.max_correlation", "0.1", "-e", "base")["revision"]
    with unchanged(fleet_database):
        refused(
            console(*call, "--expect", str(seen), "--idempotency-key", "k"),
            5,
            f"risk.global.max_correlation in production was 0.7 at revision {seen} and is 0.1 now",
        )
    done = console.done(*call, "--expect", str(now), "--idempotency-key", "k", "--urgent")
    assert (done["paths"], done["replayed"]) == (["a.b"], False)
    assert console.done("history", "-e", "production", "--limit", "1")[0]["urgent"] is True
    again = console.done(*call, "--idempotency-key", "k", "--urgent")
    assert (again["revision"], again["replayed"]) == (done["revision"], True)
    with unchanged(fleet_database):
        refused(console(*call, "--idempotency-key", "k"), 5, "The idempotency key 'k' is taken")


def test_a_key_that_was_used_for_something_else_is_5(console: Console, fleet_database: Database) -> None:
    console.done("set", "a.b", "1", "--idempotency-key", "k", *PRODUCTION)
    with unchanged(fleet_database):
        refused(console("set", "a.b", "2", "--idempotency-key", "k", *PRODUCTION), 5, "key")


def test_an_epoch_that_is_not_declared_from_the_head_is_5(console: Console, fleet_database: Database) -> None:
    with unchanged(fleet_database):
        refused(console("epoch", "declare", "--from", "1", "--reason", "r"), 5, "the head of this database is revision")


def test_a_second_up_on_a_directory_is_5(console: Console, short_directory: Path) -> None:
    with DataDirectory(short_directory / "d"):
        before = sorted(short_directory.rglob("*"))
        said = console("up", "--directory", str(short_directory / "d"), "--seconds", "1")
        assert sorted(short_directory.rglob("*")) == before
    refused(said, 5, r"is in use: another `trimtab up` runs on it \(pid \d+\)")


def test_a_directory_without_servers_is_6(console: Console, tmp_path: Path) -> None:
    console.variables(DATABASE_URL=None, OWNER_URL=None)
    refused(console("status"), 6, "No servers run on .*Start them with `trimtab up`.*TRIMTAB_DATABASE_URL")
    refused(console("get", "a", "-e", "base", "--directory", str(tmp_path)), 6, "No servers run on")


def test_a_server_that_cannot_be_reached_is_6(console: Console, fleet_database: Database, tmp_path: Path) -> None:
    console.variables(DATABASE_URL=f"postgresql://nobody@/trimtab?host={tmp_path}", OWNER_URL=None)
    with unchanged(fleet_database):
        for command in (("get", "a", "-e", "base"), ("set", "a.b", "1", "-e", "base"), ("migrate", "--check")):
            refused(console(*command), 6, "cannot be reached")


def test_a_database_that_is_not_there_is_6(console: Console, fleet_database: Database) -> None:
    console.variables(DATABASE_URL=fleet_database.server.url("missing"))
    refused(console("get", "a", "-e", "base"), 6, "There is no such database")


def test_a_database_that_is_not_migrated_is_6_and_the_remedy_works(console: Console, empty_database: Database) -> None:
    console.variables(DATABASE_URL=empty_database.url, OWNER_URL=None)
    for command in (("get", "a", "-e", "base"), ("set", "a.b", "1", "-e", "base"), ("migrate", "--check")):
        refused(console(*command), 6, "The database is not migrated: .*Run: trimtab migrate")
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("SELECT to_regnamespace('trimtab')").fetchone() == (None,)
    assert console("migrate").out == f"The schema is at {migrate.known()[-1]}.\n"
    assert console.done("migrate", "--check") == {"schema": migrate.known()[-1]}
    assert console.done("env", "list") == []


def test_a_database_that_is_newer_than_the_program_is_6(console: Console, fleet_database: Database) -> None:
    with psycopg.connect(fleet_database.url, autocommit=True) as connection:
        connection.execute("UPDATE trimtab.alembic_version SET version_num = '9999'")
    with unchanged(fleet_database):
        refused(
            console("set", "a.b", "1", *PRODUCTION), 6, "The database is newer than this trimtab: .*Install the trimtab"
        )
        refused(console("rollback", "3", *PRODUCTION), 6, "The database is newer than this trimtab")
        refused(console("migrate"), 6, "The database is newer than this trimtab")


def test_a_refused_login_is_7_and_no_password_is_shown(console: Console, fleet_database: Database) -> None:
    wrong = fleet_database.server.url(fleet_database.name, user="login_trimtab_writer", password="w-r-o-n-g")
    console.variables(DATABASE_URL=wrong, OWNER_URL=wrong)
    calls = [("get", "a", "-e", "base"), ("set", "a.b", "1", "-e", "base"), ("migrate", "--check"), ("status",)]
    with unchanged(fleet_database):
        for command in calls:
            said = console(*command)
            refused(said, 7, "Postgres refused the login: .*Check user and password")
            assert "w-r-o-n-g" not in said.err


def test_a_role_without_the_right_is_7(console: Console, fleet_database: Database) -> None:
    console.variables(DATABASE_URL=fleet_database.login("trimtab_agent"))
    with unchanged(fleet_database):
        for command in (("set", "a.b", "1"), ("unset", "risk.global"), ("rollback", "3")):
            said = console(*command, *PRODUCTION)
            assert (said.code, said.out) == (7, ""), said
        assert console("env", "create", "x").code == 7


def test_a_signing_key_that_others_may_read_is_refused(console: Console, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_bytes(KEY.to_bytes())
    key.chmod(0o644)
    console.variables(SIGNING_KEY=key)
    refused(console("set", "a.b", "1", *PRODUCTION), 2, "others may read it. chmod 600")


def test_a_store_without_a_signing_key_reads_and_refuses_to_write(console: Console) -> None:
    console.variables(SIGNING_KEY=None)
    assert console("get", "risk.global.max_correlation", "-e", "base").out == "0.7\n"
    refused(console("set", "a.b", "1", *PRODUCTION), 2, "there is no signing key. Set TRIMTAB_SIGNING_KEY")


def report(client: redis.Redis, agent: str, revision: int) -> None:
    """Report as an agent does."""
    made = Report(
        agent=agent,
        environment="production",
        labels={"bot": agent},
        epoch=1,
        revision=revision,
        proven=revision,
        status=Status.LIVE,
        staleness_seconds=0.0,
    )
    fields = orjson.loads(made.encode())
    del fields["at"]
    client.eval(REPORT, 1, "trimtab:{production}:fleet", agent, orjson.dumps(fields))


def test_a_commit_that_an_agent_does_not_serve_in_time_is_8(console: Console, one_redis: RedisServer) -> None:
    with one_redis.client() as client:
        report(client, "mm-btc", 1)
        said = console("set", "a.b", "1", "--wait", "200ms", *PRODUCTION)
        assert (said.code, said.out[:19]) == (8, "Committed revision ")
        assert "committed, but not served everywhere yet: mm-btc (production, serves 1-1)" in said.err
        said = console("set", "a.b", "2", "--wait", "200ms", "--json", *PRODUCTION)
        assert (said.code, said.json["created"], said.json["served"]) == (8, True, [])
        assert said.json["stragglers"] == [{"agent": "mm-btc", "environment": "production", "why": "serves 1-1"}]
        assert said.error["code"] == "not_served_everywhere"


def test_a_wait_ends_as_soon_as_every_agent_serves_it(console: Console, one_redis: RedisServer) -> None:
    with one_redis.client() as client:
        before = revision(console)
        report(client, "mm-btc", 1)

        def catch_up() -> None:
            while revision_now() == before:
                time.sleep(0.05)
            report(client, "mm-btc", before + 1)

        def revision_now() -> int:
            text = client.get("trimtab:{production}:head")
            return int(text.split()[1]) if isinstance(text, bytes) else before

        thread = threading.Thread(target=catch_up)
        thread.start()
        said = console("set", "a.b", "1", "--wait", "30s", *PRODUCTION)
        thread.join()
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("Served by 1 agent.\n")


def test_a_wait_without_any_agent_is_over_at_once(console: Console) -> None:
    said = console("set", "a.b", "1", "--wait", "30s", *PRODUCTION)
    assert (said.code, said.out.splitlines()[-1]) == (0, "Served by 0 agents.")


def test_status_shows_each_agent_and_what_it_serves(console: Console, one_redis: RedisServer) -> None:
    with one_redis.client() as client:
        report(client, "mm-btc", 7)
    (agent,) = console.done("status", "-e", "production")["agents"]
    assert (agent["agent"], agent["labels"], agent["revision"], agent["state"]) == (
        "mm-btc", {"bot": "mm-btc"}, 7, "live",
    )  # fmt: skip
    row = console("status", "-e", "production").out.splitlines()[-1]
    assert row.split()[:5] == ["mm-btc", "production", "bot=mm-btc", "LIVE", "7"]


def test_a_fault_of_ours_is_1_and_says_so(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Store, "forest", broken)
    said = console("env", "list")
    assert (said.code, said.out) == (1, "")
    assert "ZeroDivisionError" in said.err
    assert said.err.splitlines()[-1].startswith("trimtab: internal error, see above")


def test_an_error_is_one_object_for_programs(console: Console) -> None:
    said = console("get", "risk.global.max_leverag", "-e", "production", "--json")
    assert (said.code, said.out) == (3, "")
    assert said.error == {
        "code": "path_not_found",
        "what": "Nothing resolves at risk.global.max_leverag in production",
        "why": "",
        "remedy": "Did you mean risk.global.max_leverage?",
    }
    assert console("set", "--json").error["code"] == "usage"


def test_the_live_screen_has_no_json(console: Console) -> None:
    said = console("up", "--json")
    assert (said.code, said.error["what"]) == (2, "--json goes with --demo")


def test_a_commit_stands_although_redis_is_away(console: Console, one_redis: RedisServer) -> None:
    one_redis.stop()
    said = console("set", "a.b", "1", *PRODUCTION)
    assert (said.code, said.err) == (0, "")
    assert console("status").code == 0


def test_where_the_fleet_cannot_be_asked_a_commit_is_8_and_not_a_failure(
    console: Console, one_redis: RedisServer, fleet_database: Database
) -> None:
    with psycopg.connect(fleet_database.url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER TABLE trimtab.agent_reports RENAME TO gone"))
    one_redis.stop()
    said = console("set", "a.b", "1", "--wait", "100ms", *PRODUCTION)
    assert (said.code, said.out[:19]) == (8, "Committed revision ")
    assert "is committed, but the fleet cannot be asked" in said.err
