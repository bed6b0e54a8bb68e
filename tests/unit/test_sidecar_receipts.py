"""Receipts of attached bots: what they say, who counts, and what the fleet is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from tests.support.sidecar import client, running, until
from tests.support.world import World
from trimtab.model import receipts
from trimtab.model.errors import ValueRefused
from trimtab.model.links import START, Position
from trimtab.model.receipts import Receipt
from trimtab.model.reports import LIVE_SECONDS, STRAGGLER_SECONDS, AttachedBots
from trimtab_sidecar import attachments
from trimtab_sidecar.attachments import Attachments

RECEIPT = Receipt(name="mm-btc", pid=77, labels={"bot": "mm-btc"}, position=Position(1, 4))


class Clock:
    """Attachments with a clock of the test's own, and how often the fleet would be told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told = 0
        self.attachments = Attachments(self._tell, lambda: self.now)

    def _tell(self) -> None:
        self.told += 1

    def take(self, revision: int, *, name: str = "mm-btc", process: int = 0, closed: bool = False) -> AttachedBots:
        receipt = replace(RECEIPT, name=name, position=Position(1, revision), closed=closed)
        self.attachments.take(receipt.encode(), process)
        return self.attachments.bots()


def test_a_receipt_comes_back() -> None:
    for one in (RECEIPT, replace(RECEIPT, labels={}, closed=True)):
        assert receipts.decode(one.encode()) == one


FIELDS = orjson.loads(RECEIPT.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b"x" * 5000,
        *(orjson.dumps({**FIELDS, name: None}) for name in FIELDS),
        *(orjson.dumps({name: value for name, value in FIELDS.items() if name != left}) for left in FIELDS),
        orjson.dumps({**FIELDS, "revision": -1}),
        orjson.dumps({**FIELDS, "revision": 2**62}),
        orjson.dumps({**FIELDS, "pid": True}),
        orjson.dumps({**FIELDS, "labels": {"bot": 7}}),
        orjson.dumps({**FIELDS, "labels": {"bot": "a b\n"}}),
        orjson.dumps({**FIELDS, "labels": {f"d{number}": "x" for number in range(17)}}),
    ],
)
def test_what_is_no_receipt_is_refused_and_counts_for_nothing(text: bytes) -> None:
    with pytest.raises(ValueRefused):
        receipts.decode(text)
    clock = Clock()
    clock.attachments.take(text, 0)
    assert (clock.attachments.bots(), clock.told) == (AttachedBots(0, START), 0)


def test_the_slowest_of_all_is_what_counts() -> None:
    clock = Clock()
    assert clock.take(4, name="a") == AttachedBots(1, Position(1, 4))
    assert clock.take(3, name="b") == AttachedBots(2, Position(1, 3))
    assert clock.take(5, name="b") == AttachedBots(2, Position(1, 4))
    assert clock.take(9, name="a", closed=True) == AttachedBots(1, Position(1, 5))
    assert clock.told == 4
    clock.take(5, name="b")
    assert clock.told == 4  # nothing new


def test_a_silent_bot_counts_while_its_process_is_seen_to_live() -> None:
    clock = Clock()
    clock.take(4, name="unseen")
    clock.take(4, name="seen", process=os.getpid())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    clock.take(4, name="gone", process=gone.pid)
    assert clock.attachments.bots().count == 3
    clock.now = LIVE_SECONDS + 1
    assert clock.attachments.bots().count == 1
    clock.now = STRAGGLER_SECONDS + 1
    assert clock.attachments.bots().count == 0


def test_a_bot_whose_process_ended_is_gone_at_once_also_while_nobody_has_waited_for_that() -> None:
    clock = Clock()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ending:
        own = replace(RECEIPT, pid=ending.pid)
        clock.attachments.take(own.encode(), ending.pid)
        clock.attachments.take(replace(own, name="sent by another", pid=77).encode(), ending.pid)
        clock.attachments.take(replace(own, name="not seen").encode(), 0)
        assert clock.attachments.bots().count == 3
        ending.kill()
        os.waitid(os.P_PID, ending.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
        assert [one["name"] for one in listed(clock)] == ["not seen", "sent by another"]
    assert clock.attachments.bots().count == 2


def test_a_later_process_with_the_same_number_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    clock.attachments.take(replace(RECEIPT, pid=os.getpid()).encode(), os.getpid())

    def began(_process: int) -> bytes:
        return b"12"

    monkeypatch.setattr(attachments, "_began", began)
    assert clock.attachments.bots().count == 0
    clock.attachments.take(replace(RECEIPT, pid=os.getpid()).encode(), os.getpid())
    assert clock.attachments.bots().count == 1


def listed(clock: Clock) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", clock.attachments.listed())


def test_bots_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_BOTS", 3)
    clock = Clock()
    for number in range(5):
        clock.take(4, name=f"bot-{number}")
    assert clock.take(5, name="bot-1").count == 3
    assert len(clock.attachments.listed()) == 3


async def test_a_sidecar_reports_its_bots_and_shows_them(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        path = short_directory / receipts.SOCKET
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bot:
            for content in (b"nonsense", RECEIPT.encode(), b"x" * 4097):
                bot.sendto(content, str(path))
            bots = AttachedBots(1, Position(1, 4))
            await until(lambda: any(report.attached == bots for report in made.reports()))
            async with ask.get("/v1/status") as answer:
                told = {"name": "mm-btc", "pid": 77, "labels": {"bot": "mm-btc"}, "epoch": 1, "revision": 4}
                assert (await answer.json())["attached"] == [told]
            async with ask.get("/metrics") as answer:
                text = await answer.text()
            assert "\ntrimtab_attached 1.0\n" in text
            assert "\ntrimtab_attached_slowest_revision 4.0\n" in text
            # the kernel says who sent it: the number in the receipt is believed by nobody
            assert [key[0] for key in sidecar.attachments._bots] == [os.getpid()]
            bot.sendto(replace(RECEIPT, closed=True).encode(), str(path))
            await until(lambda: sidecar.node.attached() == AttachedBots(0, START))
    assert not path.exists()


async def test_a_flood_of_receipts_stalls_nobody(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bot:
            bot.setblocking(False)  # noqa: FBT003 - its only argument
            bot.connect(str(short_directory / receipts.SOCKET))
            sent = 0
            for number in range(3_000):
                try:
                    bot.send(replace(RECEIPT, name=f"bot-{number}").encode())
                    sent += 1
                except BlockingIOError:
                    async with ask.get("/healthz") as answer:
                        assert answer.status == 200
        await until(lambda: sidecar.attachments.bots().count == min(sent, attachments.MAX_BOTS))
