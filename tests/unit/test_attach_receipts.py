"""What an attached reader tells its sidecar, and what it does where nobody listens."""

from __future__ import annotations

import os
import socket
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
