from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests.conftest import MakePostgres
from tests.support.servers import processes_of_mine, short_directory
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.postgres import FAST, PostgresServer
from trimtab_store.embedded.privilege import ordinary_privilege
from trimtab_store.embedded.process import children_of, identity, processes_in, wait_until

DURABLE: dict[str, str] = {}
PATIENCE = 30.0
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root must become somebody else")


def execute(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statement.encode())


def numbers(server: PostgresServer) -> list[int]:
    with psycopg.connect(server.url()) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]


def test_a_server_starts_serves_and_leaves_nothing_behind_but_its_data() -> None:
    before = processes_of_mine()
    with short_directory() as base:
        with PostgresServer(base / "p", settings=FAST, tcp=True) as server:
            execute(server, "CREATE TABLE t (n int)")
            with psycopg.connect(server.url(tcp=True)) as connection:
                checked = connection.execute(
                    "SELECT current_setting('data_checksums'), current_setting('server_encoding'), count(*) FROM t"
                ).fetchone()
            children = children_of(server.pid or 0)
        assert checked == ("on", "UTF8", 0)
        assert children != []
        assert [identity(child.pid) for child in children if identity(child.pid) == child] == []
        assert processes_in(server.data) == []
        assert sorted(path.name for path in (base / "p").iterdir()) == ["data", "log", "password"]
    assert processes_of_mine() == before


def test_the_password_is_generated_private_and_needed(own_postgres: MakePostgres, short_directory: Path) -> None:
    server, other = own_postgres("a"), own_postgres("b")
    assert server.password != other.password
    assert stat.S_IMODE((short_directory / "a" / "password").stat().st_mode) == 0o600
    for wrong in (server.url(password="wrong"), server.url(password=other.password)):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def test_a_restart_keeps_data_and_address(own_postgres: MakePostgres) -> None:
    server = own_postgres(tcp=True)
    execute(server, "CREATE TABLE t AS SELECT 1 AS n")
    address = server.url(), server.url(tcp=True)
    server.restart()
    assert numbers(server) == [1]
    assert (server.url(), server.url(tcp=True)) == address


def test_a_crash_loses_nothing_committed_and_leaves_no_process(own_postgres: MakePostgres) -> None:
    server = own_postgres(settings=DURABLE)
    execute(server, "CREATE TABLE t AS SELECT generate_series(1, 100) AS n")
    server.kill()
    assert (server.running, server.pid, processes_in(server.data)) == (False, None, [])
    server.start()
    assert numbers(server) == list(range(1, 101))


def test_a_pid_file_that_names_a_stranger_does_not_stop_a_start(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    execute(server, "CREATE TABLE t AS SELECT 1 AS n")
    server.kill()
    pid_file = server.data / "postmaster.pid"
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        lines = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))
        server.start()
        assert numbers(server) == [1]
    finally:
        stranger.communicate(b"\n")


def test_a_paused_server_keeps_connections_silent_and_goes_on(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        server.pause()
        states = {child.pid: Path(f"/proc/{child.pid}/stat").read_text() for child in children_of(server.pid or 0)}
        assert {text.rpartition(")")[2].split()[0] for text in states.values()} == {"T"}
        assert not server.accepts()
        server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_paused_server_can_be_stopped(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    server.pause()
    server.stop()
    assert (server.running, processes_in(server.data)) == (False, [])


def test_stopping_twice_and_starting_twice_change_nothing(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.stop()
    server.stop()
    assert not server.running


def test_a_lagging_standby_is_promoted_and_forks(own_postgres: MakePostgres, short_directory: Path) -> None:
    primary = own_postgres("primary")
    execute(primary, "CREATE TABLE t AS SELECT 1 AS n")
    with primary.standby(short_directory / "standby") as standby:
        assert wait_until(lambda: numbers(standby) == [1], PATIENCE)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            execute(standby, "INSERT INTO t VALUES (9)")
        standby.stop()
        execute(primary, "INSERT INTO t VALUES (2)")  # the standby never hears of it
        primary.kill()
        standby.start()
        standby.promote()
        execute(standby, "INSERT INTO t VALUES (3)")
        assert numbers(standby) == [1, 3]
    primary.start()
    assert numbers(primary) == [1, 2]


def test_a_directory_with_a_long_path_gets_its_socket_elsewhere(short_directory: Path) -> None:
    base = short_directory / ("long" * 50) / "p"
    with PostgresServer(base, settings=FAST) as server:
        execute(server, "SELECT 1")
        sockets = server.socket_directory
        assert not sockets.is_relative_to(base)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()


@AS_ROOT
def test_a_directory_below_a_closed_one_works_as_root_and_keeps_its_permissions() -> None:
    closed = Path(tempfile.mkdtemp(prefix="tt-"))
    try:
        with PostgresServer(closed / "p", settings=FAST) as server:
            execute(server, "SELECT 1")
            owner = (server.data / "PG_VERSION").stat().st_uid
        assert (stat.S_IMODE(closed.stat().st_mode), owner) == (0o700, 0)
    finally:
        subprocess.run(["/bin/rm", "-r", str(closed)], check=True)


@AS_ROOT
def test_where_namespaces_are_refused_the_user_nobody_runs_the_server(short_directory: Path) -> None:
    short_directory.chmod(0o711)
    programs = PostgresServer(short_directory / "probe").programs
    if not all(parent.stat().st_mode & stat.S_IXOTH for parent in programs.resolve().parents):
        pytest.skip("the user nobody cannot reach the installed programs here")
    with PostgresServer(short_directory / "p", settings=FAST, privilege="nobody") as server:
        execute(server, "CREATE TABLE t AS SELECT 1 AS n")
        server.restart()
        assert numbers(server) == [1]
        assert (server.data / "PG_VERSION").stat().st_uid != 0


@AS_ROOT
def test_where_nobody_cannot_reach_the_directory_the_error_names_the_remedy(short_directory: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        PostgresServer(short_directory / "p", privilege="nobody")
    assert f"chmod o+x {short_directory}" in caught.value.remedy or "chmod o+x" in caught.value.remedy


def test_the_server_does_not_run_as_root(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    assert server.privilege == ordinary_privilege()
    with psycopg.connect(server.url()) as connection:  # PostgreSQL itself refuses to start as root
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(short_directory: Path) -> None:
    server = PostgresServer(short_directory / "p", settings={"shared_buffers": "nonsense"})
    try:
        with pytest.raises(UnavailableError, match="shared_buffers"):
            server.start()
        assert (server.running, processes_of_mine() & {server.pid}) == (False, set())
    finally:
        server.close()


CHILD = """
import sys, time
from pathlib import Path
from trimtab_store.embedded.postgres import PostgresServer
server = PostgresServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_parent_takes_its_server_along_and_the_next_start_finds_the_data(short_directory: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", CHILD, str(short_directory / "p")], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        server = identity(pid)
        assert server is not None
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    with PostgresServer(short_directory / "p") as successor:  # it waits for the other to go
        assert identity(pid) != server
        execute(successor, "SELECT 1")


def test_statements_and_values_of_users_stay_out_of_the_log(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE t (n text UNIQUE)")
        connection.execute("INSERT INTO t VALUES ('hunter2')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO t VALUES (%s)", ["hunter2"])
    assert "duplicate key" in server.log.read_text()
    assert "hunter2" not in server.log.read_text()
