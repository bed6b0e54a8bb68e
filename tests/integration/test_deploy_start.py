"""What `docker compose up` does, without containers: the same scripts, commands and flags, over real servers.

Only places are others: sockets instead of names in a network, folders instead of volumes. The bot on paper takes its
flags from docker-compose.yml, the live one from deploy/kubernetes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import MakePostgres
from tests.support import deployment
from tests.support.deployment import DEPLOY, Prepared
from tests.support.waiting import eventually
from trimtab_store.embedded.postgres import PostgresServer, find_programs
from trimtab_store.embedded.redis_programs import find_program

SECONDS = 20


@dataclass
class Started:
    """A process and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def reads(self, leverage: float) -> bool:
        return bool(found := self.lines()) and found[-1].get("risk.global.max_leverage") == leverage

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(SECONDS)


@dataclass
class Place:
    """The servers as the compose file starts them, and where everything else is."""

    made: Prepared
    postgres: PostgresServer
    redis_socket: Path
    folder: Path
    model: dict[str, Any]

    def __post_init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        for name in ("owner", "writer", "relay", "agent"):
            password = self.made.secret(f"{name}-password")
            url = self.postgres.url("trimtab", user=f"login_{name}", password=password)
            (self.made.secrets / f"{name}-database-url").write_text(url)
        for user in ("publisher", "follower"):
            (self.made.secrets / f"{user}-redis-url").write_text(self.redis_url(user))
        for name, file in (("database-url", "agent-database-url"), ("redis-url", "follower-redis-url")):
            (self.made.secrets / name).symlink_to(file)  # as the guide names them for a sidecar in a cluster

    def redis_url(self, user: str) -> str:
        return f"unix://{user}:{self.made.secret(f'redis-{user}-password')}@{self.redis_socket}"

    def moved(self, text: str, pair: str = "") -> str:
        """An argument with the place of a container exchanged for ours."""
        for inside, outside in (
            ("/run/secrets/trimtab", str(self.made.secrets)),
            ("/run/secrets", str(self.made.secrets)),
            ("/etc/trimtab", str(self.made.secrets)),
            ("/run/trimtab", str(self.folder / f"run-{pair}")),
            ("/var/lib/trimtab", str(self.folder / f"keep-{pair}")),
            ("/tmp", str(self.folder / f"tmp-{pair}")),  # noqa: S108 - of the container
            ("/first-values", str(DEPLOY / "compose" / "first-values")),
            ("--owner=10001", f"--owner={os.geteuid()}"),
            ("$(NODE)", "node-7"),
        ):
            if inside in text:
                return text.replace(inside, outside, 1)
        return text

    def environment(self, service: str) -> dict[str, str]:
        given = self.model["services"][service].get("environment", {})
        return self.variables(given)

    def variables(self, given: dict[str, str]) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path} | {name: self.moved(value) for name, value in given.items()}

    def command(self, service: str) -> list[str]:
        """What a service of the store runs: the entrypoint of its image or its own, and its command."""
        own = self.model["services"][service]
        entrypoint: list[str] = own.get("entrypoint") or ["python", "-m", "trimtab_store"]
        command: list[str] = own.get("command") or []
        return [self.moved(one) for one in (*entrypoint, *command)]

    def run(self, service: str, *more: str) -> str:
        done = subprocess.run(
            [*self.command(service), *more],
            env=self.environment(service),
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *command: str, environment: dict[str, str]) -> Started:
        log = self.folder / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        self.started.append(process)
        return Started(process, log)

    def says_yes(self, probe: list[str], pair: str = "") -> bool:
        """Whether a probe of a container succeeds."""
        asked = [sys.executable, *(self.moved(one, pair) for one in probe[1:])]
        return subprocess.run(asked, check=False, capture_output=True, env=self.variables({})).returncode == 0

    def pair(
        self, name: str, mode: int, sidecar: list[str], given: dict[str, str], probe: list[str], bot: list[str]
    ) -> tuple[Started, Started]:
        """A sidecar with the bot beside it, in a volume with these rights; the bot starts when the probe succeeds."""
        for one in ("run", "keep", "tmp"):
            (self.folder / f"{one}-{name}").mkdir()
            (self.folder / f"{one}-{name}").chmod(mode if one == "run" else 0o1777)
        first = self.start(
            f"sidecar-{name}",
            *(sys.executable, "-m", "trimtab_sidecar"),
            *(self.moved(one, name) for one in sidecar),
            environment=self.variables(given),
        )
        assert eventually(lambda: self.says_yes(probe, name), SECONDS), first.log.read_text()
        program = (sys.executable, str(DEPLOY / "bot" / "bot.py"))
        moved = (self.moved(one, name) for one in bot)
        return first, self.start(f"bot-{name}", *program, *moved, environment=self.variables({}))


@contextlib.contextmanager
def valkey(made: Prepared, folder: Path) -> Generator[Path]:
    """A server that takes the file as it is, but for the folder and the port."""
    place = folder / "r"
    place.mkdir()
    conf = place / "valkey.conf"
    conf.write_text(made.secret("valkey.conf").replace("dir /data", f"dir {place}").replace("bind * -::*\n", ""))
    command = [*find_program("valkey").command, str(conf), "--port", "0", "--unixsocket", str(place / "s")]
    with (place / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            assert eventually((place / "s").exists, SECONDS), (place / "log").read_text()
            yield place / "s"
        finally:
            process.terminate()
            process.wait(SECONDS)


@pytest.fixture
def place(own_postgres: MakePostgres, short_directory: Path) -> Iterator[Place]:
    made = deployment.prepare(short_directory)
    model = deployment.compose_model(made)
    server = own_postgres()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE trimtab")
    script = DEPLOY / "compose" / "initdb" / "10-roles.sql"
    subprocess.run(
        [
            find_programs() / "psql",
            "-v",
            "ON_ERROR_STOP=1",
            "--no-psqlrc",
            "--quiet",
            "-f",
            script,
            server.url("trimtab"),
        ],
        check=True,
        env={"PATH": os.environ["PATH"], "TRIMTAB_SECRETS": str(made.secrets)},
    )
    with valkey(made, short_directory) as socket:
        found = Place(made, server, socket, short_directory, model)
        yield found
        for one in found.started:
            if one.poll() is None:
                one.kill()
                one.wait()


def test_migration_first_values_relay_sidecars_and_bots_work_together_as_the_files_start_them(place: Place) -> None:
    assert "The schema is at" in place.run("migrate")
    place.run("first-values")
    before = place.run("trimtab", "history", "-e", "production", "--json")
    place.run("first-values")
    assert place.run("trimtab", "history", "-e", "production", "--json") == before
    services = place.model["services"]
    (place.folder / "tmp-").mkdir()
    relay = place.start("relay", *place.command("relay"), environment=place.environment("relay"))
    turning = services["relay"]["healthcheck"]["test"][1:]
    assert eventually(lambda: place.says_yes(turning), SECONDS), relay.log.read_text()

    one = services["sidecar-paper"]
    probe, bot = one["healthcheck"]["test"][1:], services["bot-paper"]["command"]
    paper = place.pair("paper", 0o750, one["command"], one["environment"], probe, bot)
    manifests = {name: container for name, _, container in deployment.containers()}
    one, bot = manifests["bot-live/sidecar"], manifests["bot-live/bot"]["args"]
    probe, given = one["startupProbe"]["exec"]["command"], deployment.variables_of(one)
    live = place.pair("live", 0o2777, one["args"], given, probe, bot)  # as the kubelet makes one for a group
    assert place.says_yes(one["livenessProbe"]["exec"]["command"], "live")
    assert manifests["relay/relay"]["livenessProbe"]["exec"]["command"] == turning
    assert eventually(lambda: paper[1].reads(3.0), SECONDS), paper[1].log.read_text()
    assert eventually(lambda: live[1].reads(1.5), SECONDS), live[1].log.read_text()
    assert paper[1].lines()[-1]["labels"]["mode"] == "paper"
    assert (place.folder / "run-live" / "shared").stat().st_mode & 0o7777 == 0o2750

    change = ("-e", "production", "-l", "mode=live", "--author", "me", "--reason", "why", "--wait", "10s")
    place.run("trimtab", "set", "risk.global.max_leverage", "2", *change)
    assert eventually(lambda: live[1].reads(2), SECONDS), live[1].log.read_text()
    assert paper[1].reads(3.0)
    for one in (live[1], paper[1], live[0], paper[0], relay):
        assert one.end() == 0, one.log.read_text()
    for one in (live[0], paper[0], relay):
        assert [line for line in one.lines() if line["level"].upper() not in {"INFO", "DEBUG"}] == []


def test_a_follower_of_redis_can_write_nothing_but_reports_and_a_stranger_nothing(short_directory: Path) -> None:
    made = deployment.prepare(short_directory)
    with valkey(made, short_directory) as socket:
        check_rights(socket, made.secret("redis-follower-password"))


def check_rights(socket: Path, password: str) -> None:
    follower = redis.Redis(
        unix_socket_path=str(socket), username="follower", password=password, retry=Retry(NoBackoff(), 0)
    )
    assert follower.hset("trimtab:{production}:fleet", "agent", "report") == 1
    for refused in (
        lambda: follower.hset("trimtab:{production}:snapshot", "meta", "forged"),
        lambda: follower.set("trimtab:{production}:head", "1 9 00"),
        lambda: follower.eval("return redis.call('SET', KEYS[1], '1 9 00')", 1, "trimtab:{production}:fleet"),
        lambda: follower.publish("trimtab:{production}:changes", "N1 9 00"),
        lambda: follower.get("other"),
        lambda: follower.config_get("*"),
    ):
        with pytest.raises(redis.ResponseError):
            refused()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)).ping()
