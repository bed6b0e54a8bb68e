"""`trimtab-sidecar probe`: whether the sidecar here lives, or is ready; for containers, which have no curl.

It asks what anybody may ask, over a plain socket. No library is imported, so that a probe every few seconds costs
little more than the start of Python.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from trimtab.model.errors import SettingError, TrimtabError
from trimtab_sidecar.flags import Parser, tell

DESCRIPTION: Final = """\
Ask the sidecar here whether it is ready (it serves validated data, from wherever) or alive (it works at all). One line
says what it answered; the exit code is 0 for yes, 1 for no or no answer within 3 seconds, 2 for a wrong call.

Example: trimtab-sidecar probe --ready --shared /dev/shm/trimtab
Example: trimtab-sidecar probe --live --http 127.0.0.1:8377 --json
"""
SECONDS: Final = 3.0
"""How long all of it may take."""
_SHARED: Final = "TRIMTAB_SHARED_DIRECTORY"
_HTTP: Final = "TRIMTAB_HTTP"
_SOCKET: Final = "http.sock"
_UNIX: Final = "unix:"
_OK: Final = "200"
_ANSWER_BYTES: Final = 65_536


class Answer(NamedTuple):
    """What was answered: the status, the headers by their names in lower case, and the body."""

    status: str
    headers: Mapping[str, str]
    body: bytes


def run(arguments: Sequence[str]) -> int:
    """Ask once and say what was answered; the exit code."""
    as_json = "--json" in arguments
    try:
        given = parser().parse_args(list(arguments))
        address = _address(given.shared, given.http)
    except SystemExit as ended:  # after --help
        return int(ended.code or 0)
    except TrimtabError as error:
        tell(error, as_json=as_json)
        return error.exit_code
    word = "ready" if given.ready else "alive"
    holds, why = _ask(address, "/readyz" if given.ready else "/healthz")
    if as_json:
        sys.stdout.write(f"{json.dumps({word: holds, 'why': why})}\n")
    else:
        sys.stdout.write(f"{word if holds else f'not {word}'}: {why}\n")
    return 0 if holds else 1


def parser() -> Parser:
    """The flags."""
    made = Parser("trimtab-sidecar probe", DESCRIPTION)
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--ready", action="store_true", help="Whether it serves validated data.")
    what.add_argument("--live", action="store_true", help="Whether it works at all, whatever the servers do.")
    where = made.add_mutually_exclusive_group()
    where.add_argument("--shared", metavar="DIR", help=f"The directory that it shares [{_SHARED}].")
    where.add_argument("--http", metavar="ADDRESS", help=f"unix:/path or 127.0.0.1:PORT instead [{_HTTP}].")
    made.add_argument("--json", action="store_true", help="One JSON document on standard output.")
    return made


def _address(shared: str | None, http: str | None) -> str:
    """Where it answers: as it is told itself, by the same words."""
    if http:
        return http
    sockets = [one.strip() for one in os.environ.get(_HTTP, "").split(",") if one.strip().startswith(_UNIX)]
    if sockets and not shared:
        return sockets[0]
    directory = shared or os.environ.get(_SHARED)
    if not directory:
        raise SettingError(
            "No sidecar is named", "it could be anywhere", f"Add --shared DIR or --http ADDRESS, or set {_SHARED}"
        )
    return f"{_UNIX}{directory}/{_SOCKET}"


def _ask(address: str, target: str) -> tuple[bool, str]:
    try:
        answer = _get(address, target, time.monotonic() + SECONDS)
    except (OSError, ValueError) as error:
        return False, f"{address}: {getattr(error, 'strerror', None) or error}"
    return answer.status == _OK, _plain(_told(answer))


def _get(address: str, target: str, ends: float) -> Answer:
    """The answer to GET; raises `OSError` if nobody answers until then, `ValueError` for an address that is none."""
    with closing(_connect(address, ends)) as connection:
        connection.settimeout(_remaining(ends))
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        said = b""
        while len(said) < _ANSWER_BYTES:
            connection.settimeout(_remaining(ends))
            part = connection.recv(_ANSWER_BYTES)
            if not part:
                break
            said += part
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    status = first.split()[1:2] if first.startswith("HTTP/") else []
    return Answer("".join(status), {name.lower(): text.strip() for name, _, text in pairs}, body)


def _connect(address: str, ends: float) -> socket.socket:
    if address.startswith(_UNIX):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(_remaining(ends))
            made.connect(address.removeprefix(_UNIX))
        except BaseException:
            made.close()
            raise
        return made
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) >= 1 << 16:
        raise ValueError("it is unix:/path or HOST:PORT")
    return socket.create_connection((host.removeprefix("[").removesuffix("]"), int(port)), _remaining(ends))


def _remaining(ends: float) -> float:
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError(f"no answer within {SECONDS:g} s")
    return seconds


def _told(answer: Answer) -> str:
    """What an answer says, in one line."""
    if answer.status == _OK:
        names = ("environment", "epoch", "revision", "status", "staleness-seconds")
        environment, epoch, revision, status, seconds = (answer.headers.get(f"trimtab-{name}", "?") for name in names)
        return f"{environment} at {epoch}-{revision}, {status}, certified {seconds} s ago"
    try:
        said = json.loads(answer.body)["detail"]
    except (ValueError, KeyError, TypeError):
        said = "it is no answer of a sidecar"
    return f"{answer.status or 'nothing'}: {said}"


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
