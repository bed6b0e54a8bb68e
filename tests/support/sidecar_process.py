"""Sidecars as processes over real servers, and what is asked of them."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from trimtab_store.store import Store

LEVERAGE = "risk.global.max_leverage"


class Connection(HTTPConnection):
    """HTTP through a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("trimtab", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


class Process:
    """A sidecar process and what it logs."""

    def __init__(
        self, shared: Path, log: Path, variables: dict[str, str], *flags: str, head: Sequence[str] = ()
    ) -> None:
        """`head` is what starts it: by default nothing but Python."""
        self.shared = shared
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [*head, sys.executable, "-m", "trimtab_sidecar", "--shared", str(shared), *flags],
                env=variables,
                stderr=stream,
            )

    def get(self, target: str, **headers: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of an answer."""
        with contextlib.closing(Connection(self.shared / "http.sock")) as connection:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, json.loads(content) if content else None

    def first_event(self, target: str) -> Any:
        """The data of the first event of a stream."""
        with contextlib.closing(Connection(self.shared / "http.sock")) as connection:
            connection.request("GET", target)
            answer = connection.getresponse()
            while not (line := answer.readline()).startswith(b"data: "):
                assert line
            return json.loads(line.removeprefix(b"data: "))

    def ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


Start = Callable[..., Process]


def commit(store: Store, value: float) -> int:
    with store.edit("production", author="test", reason="test") as edit:
        edit.set(LEVERAGE, value)
    assert edit.committed is not None
    return edit.committed.revision
