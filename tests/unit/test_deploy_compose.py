"""docker-compose.yml as docker compose itself reads it (its `config` needs no engine), and what no schema can say."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import deployment
from tests.support.deployment import COMPOSE, Prepared
from trimtab.model.statements import SigningKey, Trust
from trimtab_sidecar import settings

SERVERS = {"postgres", "redis"}
ONCE = {"migrate", "first-values", "trimtab"}
DOCKER = """#!{python}
import pathlib, subprocess, sys
told = sys.argv[1:]
with pathlib.Path("{told}").open("a") as log:
    print(*told, sep="\t", file=log)
if told[0] == "run":
    place = told[told.index("--volume") + 1].removesuffix(":/keys")
    inside = told[told.index("{image}") + 1 :]
    outside = [one.replace("/keys/", place + "/") for one in inside]
    sys.exit(subprocess.run([sys.executable, "-m", "trimtab_store", *outside]).returncode)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return deployment.prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def model(made: Prepared) -> dict[str, Any]:
    return deployment.compose_model(made)


def test_without_what_prepare_makes_compose_refuses_and_says_what_to_run() -> None:
    done = deployment.compose("--env-file", os.devnull, "config", "--quiet")
    assert done.returncode != 0
    assert "run deploy/compose/prepare first" in done.stderr


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("  read_only: true\n", "  read_onyl: true\n", "read_onyl"),
        ("condition: service_healthy", "condition: service_fit", "condition"),
        ("secrets: [valkey.conf]", "secrets: [valkey]", "undefined secret valkey"),
        ("networks: [market]", "networks: [markt]", "undefined network markt"),
    ],
)
def test_a_mistake_is_found_by_the_schema_or_by_compose(
    made: Prepared, tmp_path: Path, before: str, after: str, said: str
) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace(before, after))
    done = deployment.compose("--env-file", made.settings, "config", "--quiet", file=wrong)
    assert done.returncode != 0
    assert said in done.stderr


def test_every_service_is_confined(model: dict[str, Any]) -> None:
    for name, service in model["services"].items():
        user, group = map(int, service["user"].split(":"))
        assert user > 0 < group, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.keys() & {"privileged", "cap_add", "devices", "ports", "pid", "ipc", "network_mode"} == set(), (
            name
        )
        assert {"mem_limit", "cpus", "pids_limit"} <= service.keys(), name
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), name
        assert ("healthcheck" in service) == (name not in ONCE), name


def test_bots_reach_no_server_hold_no_secret_and_write_nothing_that_is_shared(model: dict[str, Any]) -> None:
    services, networks = model["services"], model["networks"]
    reached = {network for name in SERVERS for network in services[name]["networks"]}
    assert all(networks[name]["internal"] for name in reached)
    for kind in ("paper", "live"):
        bot, sidecar = services[f"bot-{kind}"], services[f"sidecar-{kind}"]
        assert not reached & bot["networks"].keys()
        assert reached & sidecar["networks"].keys()
        assert "secrets" not in bot
        assert "environment" not in bot
        [shared] = bot["volumes"]
        [written] = [one for one in sidecar["volumes"] if one["target"] == "/run/trimtab"]
        assert (shared["source"], shared["target"]) == (written["source"], written["target"])
        assert (shared.get("read_only"), written.get("read_only")) == (True, None)
        options = model["volumes"][shared["source"]]["driver_opts"]
        assert options["type"] == "tmpfs"
        assert f"--owner={sidecar['user'].split(':')[0]}" in bot["command"]
        assert {"mode=0750", "noexec", f"uid={sidecar['user'].split(':')[0]}"} <= set(options["o"].split(","))
        assert bot["user"].split(":")[1] == sidecar["user"].split(":")[1]
        assert bot["depends_on"][f"sidecar-{kind}"]["condition"] == "service_healthy"


def test_only_who_commits_holds_the_signing_key_and_nobody_but_postgres_its_password(model: dict[str, Any]) -> None:
    holders: dict[str, set[str]] = {}
    for name, service in model["services"].items():
        for one in service.get("secrets", ()):
            holders.setdefault(one["source"], set()).add(name)
    assert holders["signing-key.json"] == {"first-values", "trimtab"}
    assert holders["postgres-password"] == {"postgres"}
    assert holders["owner-database-url"] == {"migrate"}
    for name in ("agent-database-url", "follower-redis-url", "trust.json"):
        assert holders[name] == {"sidecar-paper", "sidecar-live"}
    assert holders["relay-database-url"] == {"relay"}


def test_prepare_makes_every_secret_for_its_owner_alone_and_keeps_what_there_is(made: Prepared) -> None:
    model = deployment.compose_model(made)
    for one in model["secrets"].values():
        status = Path(one["file"]).stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_size > 0
    before = {path.name: path.read_bytes() for path in made.secrets.iterdir()}, made.settings.read_bytes()
    deployment.prepare(made.secrets.parent)
    assert ({path.name: path.read_bytes() for path in made.secrets.iterdir()}, made.settings.read_bytes()) == before


def test_two_runs_of_prepare_in_two_folders_share_no_secret(made: Prepared, tmp_path: Path) -> None:
    other = deployment.prepare(tmp_path)
    same = {
        path.name for path in made.secrets.iterdir() if path.read_bytes() == (other.secrets / path.name).read_bytes()
    }
    assert same == set()


def test_without_trimtab_prepare_has_its_image_make_the_key(tmp_path: Path, model: dict[str, Any]) -> None:
    """A docker stands in that runs here what it is told: as whom, with which image and on which folder is looked at."""
    image = model["services"]["trimtab"]["image"]
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(python=sys.executable, image=image, told=str(tmp_path / "told")))
    docker.chmod(0o755)
    found = deployment.prepare(tmp_path, f"{tmp_path}:/usr/bin:/bin")
    build, run = (line.split("\t") for line in (tmp_path / "told").read_text().splitlines())
    assert build == ["build", "--quiet", "--target", "store", "--tag", image, str(deployment.ROOT)]
    assert {"--rm", "--read-only", f"{os.geteuid()}:{os.getegid()}", f"{found.secrets}:/keys"} <= set(run)
    assert run[run.index("--network") + 1] == "none"
    assert run[run.index("--cap-drop") + 1] == "ALL"
    key = SigningKey.from_bytes((found.secrets / "signing-key.json").read_bytes())
    assert Trust.from_bytes((found.secrets / "trust.json").read_bytes()).to_bytes() == key.trust().to_bytes()


def test_what_prepare_writes_is_what_trimtab_reads(made: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey.from_bytes((made.secrets / "signing-key.json").read_bytes())
    trust = Trust.from_bytes((made.secrets / "trust.json").read_bytes())
    assert trust.to_bytes() == key.trust().to_bytes()
    flags = {"environment": "production", "shared": "/run/x", "trust": made.secrets / "trust.json"}
    for variable, name in (("DATABASE", "agent-database-url"), ("REDIS", "follower-redis-url")):
        monkeypatch.setenv(f"TRIMTAB_{variable}_URL_FILE", str(made.secrets / name))
    read = settings.read(flags)
    assert read.follow.database_url is not None
    assert read.follow.database_url.get_secret_value() == made.secret("agent-database-url")
    assert read.follow.redis_url is not None
    assert read.follow.trusted.to_bytes() == trust.to_bytes()


def test_no_secret_stands_in_a_container_s_description(made: Prepared, model: dict[str, Any]) -> None:
    shown = repr(model["services"])
    for path in made.secrets.iterdir():
        assert path.read_text().strip() not in shown, path.name
