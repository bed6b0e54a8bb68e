"""Attachments: the bots that read through this sidecar, as far as they say so.

Each sends a small datagram for every revision that it applies, and one when it closes (`trimtab.model.receipts`). The
kernel adds the number of the process that sent it, so a bot that has nothing to say is still known to live. Where that
is the number that the bot itself says (both see the same processes, and nobody else sent it), the end of this process
is the end of the bot, whether or not it said so. One whose process is not visible from here (another pid namespace)
counts for as long as an agent that is silent does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from trimtab import clock
from trimtab.model import layers, receipts
from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab.model.links import START
from trimtab.model.receipts import MAX_RECEIPT_BYTES, Receipt
from trimtab.model.reports import LIVE_SECONDS, STRAGGLER_SECONDS, AttachedBots
from trimtab_sidecar.http import sockets

MAX_BOTS: Final = 1_024
_SHOWN: Final = 100
_AT_ONCE: Final = 64
"""Datagrams that are read before the loop turns to others."""
_CREDENTIALS: Final = struct.Struct("3i")
_UNKNOWN: Final = b"?"
_Key: TypeAlias = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class _Bot:
    receipt: Receipt
    at: float
    process: int
    """The number of its process here, 0 where it cannot be seen."""
    began: bytes | None
    """When that began, if the bot is this process; None if that is not known to be so."""


class Attachments:
    """Takes receipts until `close`. `news` is called when the fleet should know something else than before."""

    def __init__(self, news: Callable[[], None], now: Callable[[], float] = clock.now) -> None:
        self._news = news
        self._now = now
        self._bots: dict[_Key, _Bot] = {}
        self._known = AttachedBots(0, START)
        self._socket: socket.socket | None = None
        self._address = ""

    def open(self, directory: Path, group: int | None = None) -> None:
        """Listen in a shared directory."""
        path = directory / receipts.SOCKET
        path.unlink(missing_ok=True)  # we hold the directory: whoever made it is gone
        made = sockets.unix(path, socket.SOCK_DGRAM, group)
        if hasattr(socket, "SO_PASSCRED"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket, self._address = made, f"{sockets.UNIX}{path}"
        asyncio.get_running_loop().add_reader(made, self._read)

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            sockets.remove(self._socket, self._address)
            self._socket = None

    def bots(self) -> AttachedBots:
        """How many there are, and the position of the slowest."""
        self._forget()
        self._known = self._count()
        return self._known

    def listed(self) -> list[Json]:
        """The slowest of them, for people."""
        self._forget()
        found = sorted((bot.receipt for bot in self._bots.values()), key=lambda one: (one.position, one.name, one.pid))
        return [_told(receipt) for receipt in found[:_SHOWN]]

    def take(self, content: bytes, process: int) -> None:
        """One datagram, from a process whose number is known, or 0. What is malformed is nothing."""
        self._note(content, process)
        self._compare()

    def _note(self, content: bytes, process: int) -> None:
        try:
            receipt = receipts.decode(content)
        except ValueRefused:
            return
        key = (process or receipt.pid, receipt.name, layers.of(receipt.labels).text)
        if receipt.closed:
            self._bots.pop(key, None)
        elif key in self._bots or len(self._bots) < MAX_BOTS:
            began = _began(process) if process == receipt.pid else None
            self._bots[key] = _Bot(receipt, self._now(), process, began)

    def _count(self) -> AttachedBots:
        return AttachedBots(len(self._bots), min((bot.receipt.position for bot in self._bots.values()), default=START))

    def _compare(self) -> None:
        known, self._known = self._known, self._count()
        if self._known != known:
            self._news()

    def _read(self) -> None:
        assert self._socket is not None
        for _ in range(_AT_ONCE):
            try:
                content, ancillary, _, _ = self._socket.recvmsg(
                    MAX_RECEIPT_BYTES + 1, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except OSError:  # nothing more now
                break
            process = 0
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == getattr(socket, "SCM_CREDENTIALS", -1):
                    process = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0]
            self._note(content, process)
        self._compare()

    def _forget(self) -> None:
        now = self._now()
        began = {bot.process: _began(bot.process) for bot in self._bots.values() if bot.began}
        for key, bot in list(self._bots.items()):
            silent = now - bot.at
            ended = bot.began and began[bot.process] not in {bot.began, _UNKNOWN}
            if ended or silent > STRAGGLER_SECONDS or (silent > LIVE_SECONDS and not _lives(bot.process)):
                del self._bots[key]


def _began(process: int) -> bytes | None:
    """When a process began, as the kernel counts; None if it has ended, `_UNKNOWN` where that is not to be seen."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # it is gone, or somebody else's and hidden, or there is no such file system
        return _UNKNOWN if _lives(process) else None
    return None if fields[0] == b"Z" else fields[19]


def _lives(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's, and there
        return True
    return True


def _told(receipt: Receipt) -> Json:
    return {
        "name": receipt.name,
        "pid": receipt.pid,
        "labels": dict(receipt.labels),
        "epoch": receipt.position.epoch,
        "revision": receipt.position.revision,
    }
