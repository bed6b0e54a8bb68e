"""`trimtab-sidecar probe`: one question, one line, one exit code; and hardly anything but the start of Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.support.sidecar import running, until
from tests.support.world import World
from trimtab_sidecar import probing, run

BOUND = 60


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A probe as a container runs it."""
    command = [sys.executable, "-m", "trimtab_sidecar", "probe", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=BOUND)


@contextlib.contextmanager
def answering(place: Path, answer: Callable[[socket.socket], object]) -> Generator[str]:
    """Somebody on a unix socket who does this with the first connection; the address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as connection, contextlib.suppress(OSError):  # a probe gives up in the middle
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"unix:{place}"
        finally:
            thread.join(BOUND)


async def test_it_tells_the_truth_of_a_sidecar_before_it_is_ready_when_it_is_and_after_it_ended(
    made: World, short_directory: Path
) -> None:
    place = f"--shared={short_directory}"
    made.down()
    async with running(made, short_directory, ready=False) as sidecar:
        done = await asyncio.to_thread(program, "--live", place)
        assert (done.returncode, done.stdout.partition(":")[0], done.stderr) == (0, "alive", "")
        done = await asyncio.to_thread(program, "--ready", place)
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.startswith("not ready: 503: "), done.stdout
        assert done.stdout.count("\n") == 1
        made.down(None)
        await until(lambda: sidecar.node.ready)
        made.down()
        done = await asyncio.to_thread(program, "--ready", place)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("ready: production at 1-1, "), done.stdout
    done = await asyncio.to_thread(program, "--live", place)
    assert (done.returncode, done.stdout) == (
        1, f"not alive: unix:{short_directory}/http.sock: No such file or directory\n",
    )  # fmt: skip


async def test_a_port_is_asked_as_well_and_programs_get_json(made: World, short_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with running(made, short_directory, http=[address]):
        done = await asyncio.to_thread(program, "--ready", f"--http={address}", "--json")
    assert (done.returncode, json.loads(done.stdout)["ready"]) == (0, True)
    done = await asyncio.to_thread(program, "--live", f"--http={address}", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"alive": False, "why": f"{address}: Connection refused"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "nothing: it is no answer of a sidecar"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "nothing: it is no answer of a sidecar"),
        (b"HTTP/1.0 500 Oops\r\n\r\nOops", "500: it is no answer of a sidecar"),
        (b'HTTP/1.0 503 No\r\nA: b\r\n\r\n{"detail": "not yet\\n\\u001b[2J"}', "503: not yet  [2J"),
        (b"HTTP/1.1 2000 OK\r\n\r\n{}", "2000: it is no answer of a sidecar"),
    ],
)
def test_whatever_answers_makes_one_line_that_harms_no_terminal(
    short_directory: Path, capsys: pytest.CaptureFixture[str], answer: bytes, said: str
) -> None:
    def reply(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with answering(short_directory / "s", reply) as address:
        assert probing.run(["--ready", "--http", address]) == 1
    assert capsys.readouterr().out == f"not ready: {said}\n"


def test_who_accepts_and_never_ends_its_answer_is_given_up_after_all_of_the_time(
    short_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "SECONDS", 0.3)

    def drip(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.0 200 OK\r\n")
            time.sleep(0.05)  # each byte is in time, the whole is not

    with answering(short_directory / "s", drip) as address:
        began = time.monotonic()
        assert probing.run(["--live", "--http", address]) == 1
        assert time.monotonic() - began < BOUND
    assert capsys.readouterr().out.startswith("not alive: ")


def test_an_answer_is_read_up_to_a_bound_and_its_end_is_not_waited_for(
    short_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\nTrimtab-Environment: production\r\n\r\n")
        connection.sendall(b"x" * probing._ANSWER_BYTES)
        connection.settimeout(BOUND)
        while connection.recv(4096):  # until the probe goes
            pass

    with answering(short_directory / "s", pour) as address:
        assert probing.run(["--ready", "--http", address]) == 0
    assert capsys.readouterr().out.startswith("ready: production at ")


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        (["--shared", "/run/x"], {"HTTP": "unix:/run/a.sock"}, "unix:/run/x/http.sock"),
        (["--http", "127.0.0.1:1"], {"SHARED_DIRECTORY": "/run/x"}, "127.0.0.1:1"),
        ([], {"SHARED_DIRECTORY": "/run/x"}, "unix:/run/x/http.sock"),
        ([], {"SHARED_DIRECTORY": "/run/x", "HTTP": "127.0.0.1:1"}, "unix:/run/x/http.sock"),
        ([], {"SHARED_DIRECTORY": "/run/x", "HTTP": "127.0.0.1:1, unix:/run/a.sock"}, "unix:/run/a.sock"),
    ],
)
def test_it_asks_where_a_sidecar_with_these_words_answers(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    variables: dict[str, str],
    expected: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    monkeypatch.setattr(probing, "SECONDS", 0.0)  # nobody is asked
    assert run(["probe", "--live", *arguments]) == 1
    assert capsys.readouterr().out == f"not alive: {expected}: no answer within 0 s\n"


@pytest.mark.parametrize("address", ["8377", "127.0.0.1:x", "127.0.0.1:70000", f"unix:/{'a' * 200}"])
def test_an_address_that_is_none_is_a_no(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert probing.run(["--live", "--http", address]) == 1
    assert capsys.readouterr().out.startswith(f"not alive: {address}: ")


@pytest.mark.parametrize("arguments", [[], ["--ready", "--live"], ["--ready"], ["--ready", "--shared=a", "--http=b"]])
def test_a_wrong_call_is_neither_yes_nor_no(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert probing.run([*arguments, "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["error"]["remedy"]


def test_its_help_shows_examples_that_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["probe", "--help"]) == 0
    examples = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Example: ")]
    assert len(examples) == 2
    for line in examples:
        words = line.removeprefix("Example: trimtab-sidecar probe ").split()
        given = probing.parser().parse_args(words)
        assert given.ready != given.live


def test_it_imports_no_library_at_all() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import trimtab_sidecar; trimtab_sidecar.run(['probe', '--live', '--shared=/nowhere'])\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    foreign = set(done.stdout.splitlines()[-1].split()) - set(sys.stdlib_module_names)
    assert foreign == {"trimtab", "trimtab_sidecar"}
    assert "asyncio" not in done.stdout.split()
