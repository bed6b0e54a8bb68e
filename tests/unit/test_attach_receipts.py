"""What an attached reader tells its sidecar, and what it does where nobody listens."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shared_line import SharedLine, put
from trimtab import attach_taking
from trimtab.attached import attach
from trimtab.model import receipts
from trimtab.model.links import Position
from trimtab.model.receipts import Receipt


@pytest.fixture
def sidecar(place: Path, line: SharedLine) -> Iterator[socket.socket]:
    assert line.position.revision == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(place / receipts.SOCKET))
        yield listening


def told(sidecar: socket.socket) -> list[Receipt]:
    found: list[Receipt] = []
    while True:
        try:
            found.append(receipts.decode(sidecar.recv(receipts.MAX_RECEIPT_BYTES)))
        except BlockingIOError:
            return found


def receipt(revision: int, *, closed: bool = False) -> Receipt:
    labels = {"node": "n1", "bot": "mm"}
    return Receipt(name="mm", pid=os.getpid(), labels=labels, position=Position(1, revision), closed=closed)


def test_it_tells_what_it_took_once_and_that_it_closes(place: Path, line: SharedLine, sidecar: socket.socket) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    assert told(sidecar) == [receipt(1)]
    line.edit(put("risk.global.max", 4))
    assert told(sidecar) == [], "what nobody has read is not taken"
    assert [config["risk.global.max"] for _ in range(3_000)] == [4] * 3_000
    assert told(sidecar) == [receipt(2)]
    config.close()
    config.close()
    assert told(sidecar) == [receipt(2, closed=True)]


def test_without_a_listener_reading_goes_on_and_it_is_told_later(
    place: Path, line: SharedLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach_taking, "THOROUGH_SECONDS", 0.0)
    config = attach(place, {"bot": "mm"}, timeout=0)
    line.edit(put("risk.global.max", 4))
    assert config["risk.global.max"] == 4
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(place / receipts.SOCKET))
        assert config.revision == 2
        assert told(listening) == [receipt(2)]
        assert config.revision == 2
        assert told(listening) == [], "once is enough for a while"
    config.close()


def test_a_view_that_may_not_be_read_is_not_acknowledged(place: Path, line: SharedLine, sidecar: socket.socket) -> None:
    config = attach(place, {"bot": "mm"}, require={"mode": "paper"}, timeout=0)
    assert [one.position.revision for one in told(sidecar)] == [1]
    line.edit(put("fleet.bots.mm.labels.mode", "live"))
    assert config.labels["mode"] == "live"
    assert told(sidecar) == []
    line.edit(put("fleet.bots.mm.labels.mode", "paper"))
    assert config["risk.global.max"] == 3
    assert [one.position.revision for one in told(sidecar)] == [3]


def test_a_reader_that_is_collected_says_that_it_closes(place: Path, line: SharedLine, sidecar: socket.socket) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    assert told(sidecar) == [receipt(line.position.revision)]
    del config
    gc.collect()
    assert told(sidecar) == [receipt(1, closed=True)]


def test_one_of_several_readers_of_a_bot_that_closes_takes_nobody_along(
    place: Path, line: SharedLine, sidecar: socket.socket
) -> None:
    readers = [attach(place, {"bot": "mm"}, timeout=0) for _ in range(3)]
    other = attach(place, {"bot": "other"}, timeout=0)
    told(sidecar)
    readers.pop().close()
    del readers[0]
    gc.collect()
    assert told(sidecar) == []
    readers.pop().close()
    assert told(sidecar) == [receipt(line.position.revision, closed=True)]
    other.close()


ENDS = """
import os, sys
from trimtab import attach
first = attach(sys.argv[1], {"bot": "mm"}, timeout=0)
second = attach(sys.argv[1], {"bot": "mm"}, timeout=0)
child = os.fork() if sys.argv[2] == "forks" else None
if child == 0:
    sys.exit(0)
if child is not None:
    assert os.waitpid(child, 0)[1] == 0
    print(child, flush=True)
    sys.stdin.read()
if sys.argv[2] == "raises":
    raise RuntimeError("a bot that ends so")
"""


def bot(place: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ENDS, str(place), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize(("how", "code"), [("returns", 0), ("raises", 1)])
def test_a_process_that_ends_without_closing_says_so_once(
    place: Path, line: SharedLine, sidecar: socket.socket, how: str, code: int
) -> None:
    with bot(place, how) as process:
        process.communicate(timeout=30)
        assert process.returncode == code
    said = [(one.pid, one.position.revision, one.closed) for one in told(sidecar)]
    revision = line.position.revision
    assert said == [(process.pid, revision, False)] * 2 + [(process.pid, revision, True)]


def test_a_forked_child_that_ends_speaks_for_itself_only(place: Path, line: SharedLine, sidecar: socket.socket) -> None:
    with bot(place, "forks") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        said = told(sidecar)
        assert [one.pid for one in said if one.closed] == [child]
        assert {one.position.revision for one in said} == {line.position.revision}
        process.communicate(timeout=30)
    assert [(one.pid, one.closed) for one in told(sidecar)] == [(process.pid, True)]
