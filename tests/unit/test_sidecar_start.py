"""The sidecar's life: settings, the held directory, readiness, addresses, logs, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from pathlib import Path

import aiohttp
import pytest

from tests.support.shared_line import SharedLine
from tests.support.sidecar import client, opener, running, settings_for, until
from tests.support.world import World
from tests.unit.test_cli_bare import python
from trimtab.model.errors import ConflictError, DirectoryHeld, FilesRefused, SettingError, TrimtabError
from trimtab_sidecar import _OF_THE_EXTRA, command, logs, settings
from trimtab_sidecar.holding import LOCK, Holding
from trimtab_sidecar.http import sockets
from trimtab_sidecar.node import Node
from trimtab_sidecar.running import Sidecar
from trimtab_sidecar.sharing import Sharing

# -- settings ----------------------------------------------------------------------------------------------------------


FLAGS = {"environment": "production", "trust": "trust.json", "shared": "/run/x"}


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text(
        'environment = "of-file"\ntrust = "of-file"\ndatabase_url = "postgresql://of-file"\nlog_level = "error"\n'
        'keep = "/kept"\nshared = "/run/of-file"\nlabels = "node=of-file"\n'
        '[[render]]\ntemplate = "a.j2"\ntarget = "/a"\nlabels = "bot=mm"\ncheck = "jq . {}"\n'
    )
    monkeypatch.setenv("TRIMTAB_ENVIRONMENT", "of-variable")
    monkeypatch.setenv("TRIMTAB_TRUST", "of-variable")
    monkeypatch.setenv("TRIMTAB_HTTP", "127.0.0.1:1, unix:/run/a.sock")
    monkeypatch.setenv("TRIMTAB_SIDECAR_FILE", str(file))
    read = settings.read({"environment": "of-flag"})
    assert (read.follow.environment, str(read.follow.trust)) == ("of-flag", "of-variable")
    assert (str(read.follow.directory), read.follow.labels) == ("/kept", {"node": "of-file"})
    assert read.follow.database_url is not None
    assert read.follow.database_url.get_secret_value() == "postgresql://of-file"
    assert (read.own.log_level, str(read.own.shared)) == ("error", "/run/of-file")
    assert read.own.addresses == ("127.0.0.1:1", "unix:/run/a.sock")
    (render,) = read.own.render
    assert (str(render.template), render.labels, render.check) == ("a.j2", {"bot": "mm"}, "jq . {}")


def test_the_socket_is_in_the_shared_directory_unless_another_is_named() -> None:
    read = settings.read({**FLAGS, "http": ["127.0.0.1:8377"]})
    assert read.own.addresses == ("unix:/run/x/http.sock", "127.0.0.1:8377")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"shared": None}, "No shared directory is named"),
        ({"render": ["a.j2"]}, "it is written TEMPLATE:FILE"),
        ({"render_check": "true"}, "Add --render"),
        ({"render": ["a:b"], "render_check": "'"}, "No closing quotation"),
        ({"render": ["a:b"], "render_then": " "}, "it names no command"),
        ({"render": ["a:b"], "render_signal": "NO:/pid"}, "NAME:PIDFILE"),
        ({"log_level": "loud"}, "log_level is refused"),
        ({"file": Path("/nowhere.toml")}, "/nowhere.toml cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(flags: dict[str, object], said: str) -> None:
    given = {name: value for name, value in {**FLAGS, **flags}.items() if value is not None}
    with pytest.raises(SettingError, match=said):
        settings.read(given)


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text('databse_url = "postgresql://:secret@h"\n')
    with pytest.raises(SettingError, match="databse_url") as refused:
        settings.read({**FLAGS, "file": file})
    assert "secret" not in str(refused.value)


def test_the_command_tells_refusals_as_the_others_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["--shared", "/run/x", "--nonsense"]) == 2
    assert capsys.readouterr().err.startswith("trimtab: This call is refused: unrecognized arguments: --nonsense.")
    assert command.run(["--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "setting"


def test_without_its_extra_it_says_what_to_install() -> None:
    said = python("import sys, trimtab_sidecar\nsys.exit(trimtab_sidecar.run([]))", set(_OF_THE_EXTRA))
    assert (said.returncode, said.stdout) == (2, ""), said
    assert 'pip install "trimtab[sidecar]"' in said.stderr


# -- the directory and the addresses -----------------------------------------------------------------------------------


def test_a_second_sidecar_is_refused_and_told_who_is_there(short_directory: Path) -> None:
    first = Holding(short_directory / "s", "production")
    with pytest.raises(DirectoryHeld) as refused:
        Holding(short_directory / "s", "production")
    assert refused.value.exit_code == 5
    assert f"by the sidecar of production with pid {os.getpid()}, started 20" in str(refused.value)
    first.close()
    Holding(short_directory / "s", "production").close()
    assert (short_directory / "s").stat().st_mode & 0o777 == 0o750


def test_a_directory_that_others_can_write_to_is_refused(short_directory: Path) -> None:
    (short_directory / "s").mkdir()
    (short_directory / "s").chmod(0o777)
    with pytest.raises(FilesRefused, match="others can write to it"):
        Holding(short_directory / "s", "production")
    assert not (short_directory / "s" / LOCK).exists()


@pytest.mark.parametrize("address", ["0.0.0.0:8377", "10.1.2.3:80", "example.org:80", "[::]:80", "8377", "127.0.0.1:x"])
def test_only_addresses_of_this_machine_are_taken(address: str) -> None:
    with pytest.raises(SettingError):
        sockets.listen(address)


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(short_directory: Path) -> None:
    address = f"unix:{short_directory}/a.sock"
    sockets.listen(address).close()  # as after a kill: the name is still there
    alive = sockets.listen(address)
    assert (short_directory / "a.sock").stat().st_mode & 0o777 == 0o660
    with pytest.raises(ConflictError, match="another process answers on it"):
        sockets.listen(address)
    sockets.remove(alive, address)
    assert not (short_directory / "a.sock").exists()


def test_a_file_with_the_name_of_the_socket_is_left_alone(short_directory: Path) -> None:
    (short_directory / "a.sock").write_text("precious")
    with pytest.raises(ConflictError, match="something else has this name"):
        sockets.listen(f"unix:{short_directory}/a.sock")
    assert (short_directory / "a.sock").read_text() == "precious"


def test_a_socket_path_that_is_too_long_is_refused(short_directory: Path) -> None:
    with pytest.raises(SettingError, match="107 bytes"):
        sockets.listen(f"unix:{short_directory}/{'a' * 107}")


# -- life --------------------------------------------------------------------------------------------------------------


def test_without_data_it_is_not_ready_whatever_is_shared(short_directory: Path) -> None:
    node = Node("production", {})
    assert (node.has_data, node.ready) == (False, False)
    with SharedLine(short_directory / "s", {"risk.max": 1}) as line:
        node.share(Sharing(line.publisher))
        assert (node.has_data, node.ready) == (False, False)


async def test_it_lives_without_its_servers_and_is_ready_with_its_first_data(
    made: World, short_directory: Path
) -> None:
    made.down()
    async with running(made, short_directory, ready=False) as sidecar, client(sidecar) as ask:
        async with ask.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"alive": True})
        async with ask.get("/readyz") as answer:
            assert (answer.status, answer.content_type) == (503, "application/problem+json")
            assert (await answer.json())["rule"] == "unavailable"
        made.down(None)
        await until(lambda: sidecar.node.ready)
        made.down()
        async with ask.get("/readyz") as answer:
            assert (answer.status, answer.headers["Trimtab-Revision"]) == (200, "1")


async def test_every_answer_says_which_revision_and_how_far_to_trust_it(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        for path in ("/healthz", "/v1/status", "/nowhere"):
            async with ask.get(path) as answer:
                told = answer.headers
                assert (told["Trimtab-Environment"], told["Trimtab-Epoch"], told["Trimtab-Revision"]) == (
                    "production", "1", "1",
                )  # fmt: skip
                assert told["Trimtab-Status"] in {"LIVE", "DEGRADED", "OFFLINE"}
                assert float(told["Trimtab-Staleness-Seconds"]) >= 0


async def test_a_clean_end_says_goodbye_and_records_a_clean_stop(made: World, short_directory: Path) -> None:
    kept = short_directory / "kept"
    async with running(made, short_directory / "s", keep=kept) as sidecar:
        await until(made.reports)
        name = made.reports()[0].agent
        assert not made.reports()[-1].closed
        assert (short_directory / "s" / "http.sock").exists()
    assert [one.agent for one in made.reports() if one.closed] != []
    assert all(one.agent == name for one in made.reports())
    assert not (short_directory / "s" / "http.sock").exists()
    made.down()
    async with running(made, short_directory / "s", keep=kept) as again:
        assert (again.node.position.revision, again.node.feed) == (1, "disk")
        assert "unclean" not in " ".join(again.node.known_alarms.values())
    assert sidecar is not again


async def test_a_start_that_is_refused_leaves_nothing_behind(made: World, short_directory: Path) -> None:
    async with running(made, short_directory / "s"):
        with pytest.raises(DirectoryHeld):
            async with running(made, short_directory / "s"):
                raise AssertionError("it must not start")
    with pytest.raises(SettingError):
        async with running(made, short_directory / "s", http=["0.0.0.0:1"]):
            raise AssertionError("it must not start")
    async with running(made, short_directory / "s"):
        pass


async def test_a_part_that_breaks_ends_the_sidecar_for_somebody_to_start_it_again(
    made: World, short_directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_self: Sharing) -> None:
        raise ZeroDivisionError

    sidecar = Sidecar(settings_for(short_directory), opener(made))
    task = asyncio.create_task(sidecar.run())
    await sidecar.started.wait()
    monkeypatch.setattr(Sharing, "tidy", broken)
    async with asyncio.timeout(10):
        assert not await task
    assert "ZeroDivisionError" in caplog.text


# -- the guard ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_but_reading_is_answered(made: World, short_directory: Path, method: str) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        for path in ("/healthz", "/nowhere"):
            async with ask.request(method, path) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
                assert (await answer.json(content_type=None))["remedy"] == "Change values with trimtab set."[:-1]
        async with ask.head("/healthz") as answer:
            assert (answer.status, await answer.read()) == (200, b"")


async def test_on_the_loopback_a_host_of_another_name_is_refused(made: World, short_directory: Path) -> None:
    async with running(made, short_directory, http=["127.0.0.1:0"]) as sidecar:
        address = sidecar.server.addresses[-1]
        port = address.rpartition(":")[2]
        async with aiohttp.ClientSession(f"http://{address}") as ask:
            for host, status in (
                (address, 200), (f"localhost:{port}", 200), ("LOCALHOST", 200), (f"[::1]:{port}", 200),
                (f"evil.example:{port}", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("evil.example", 421),
            ):  # fmt: skip
                async with ask.get("/healthz", headers={"Host": host}) as answer:
                    assert (host, answer.status) == (host, status)


async def raw(sidecar_socket: Path, content: bytes) -> bytes:
    """What is answered to these bytes, until the connection is closed or nothing comes for a while."""
    reader, writer = await asyncio.open_unix_connection(str(sidecar_socket))
    try:
        writer.write(content)
        await writer.drain()
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            return head + await reader.readexactly(length)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /healthz?" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /healthz?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5_000 + b"\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n", 400),
        (b"GET /healthz HTTP/9.9\r\nHost: x\r\nbad header\r\n\r\n", 400),
    ],
)
async def test_oversize_and_malformed_requests_are_refused_and_hurt_nobody(
    made: World, short_directory: Path, content: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(made, short_directory) as sidecar:
        head = await raw(short_directory / "http.sock", content)
        assert head.split()[1] == str(status).encode(), head
        async with client(sidecar) as ask, ask.get("/healthz") as answer:
            assert answer.status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# -- logs --------------------------------------------------------------------------------------------------------------


def test_a_line_is_json_and_holds_no_password() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    addresses = ["postgresql://u:p%40ss-1@h/d", "redis://:s3cr3t@h", "host=h password='q u' user=u"]
    handler.setFormatter(logs.formatter(addresses))
    logger = logging.getLogger("trimtab.test-of-logs")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        refused = TrimtabError("The login p@ss-1 is refused", "s3cr3t")
        logger.error("for %s and %s and %s", "p%40ss-1", ["deep s3cr3t"], "q u", exc_info=refused)
    finally:
        logger.removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("error", "trimtab.test-of-logs")
    assert "TrimtabError" in told["exception"]
    assert [secret for secret in ("p@ss-1", "p%40ss-1", "s3cr3t", "q u") if secret in line] == []


def test_an_event_of_the_sidecar_is_json_with_its_fields() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(["redis://:s3cr3t@h"]))
    logger = logging.getLogger("trimtab_sidecar")
    logger.addHandler(handler)
    try:
        logs.LOGGER.warning("render_failed", target="/a", why={"said": ["s3cr3t"]})
    finally:
        logger.removeHandler(handler)
    told = json.loads(stream.getvalue())
    assert (told["event"], told["target"], told["why"]) == ("render_failed", "/a", {"said": ["***"]})
    assert told["timestamp"].endswith("Z")
