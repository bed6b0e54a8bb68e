"""Shared memory behind a sidecar: what it follows is what attached readers see, and how far they may trust it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sidecar import client, running, told, until
from tests.support.world import World, world
from trimtab import Status
from trimtab.attached import Attached, attach
from trimtab_sidecar import node
from trimtab_sidecar.shared import SharedDirectory

LEVERAGE = "risk.global.max_leverage"


@pytest.fixture
def made() -> Iterator[World]:
    with world() as found:
        found.commit({"fleet.bots.mm.labels.mode": "paper"})
        found.commit({LEVERAGE: 1.0}, layer="mode=live")
        found.commit({LEVERAGE: 7.0}, layer="node=ny4-1")
        yield found


async def test_attached_readers_see_what_the_sidecar_follows(made: World, short_directory: Path) -> None:
    async with running(made, short_directory / "s") as sidecar:
        await until(lambda: sidecar.node.position.revision == made.revision)
        with await attached(short_directory, bot="mm") as bot:
            assert (bot[LEVERAGE], bot.revision, dict(bot.labels)) == (
                7.0, 4, {"bot": "mm", "mode": "paper", "node": "ny4-1", "region": "ny4"},
            )  # fmt: skip
            generations = len(list((short_directory / "s").glob("snapshot-*")))
            for number in range(5):
                made.commit({LEVERAGE: number}, layer="node=ny4-1")
                await until(lambda: sidecar.node.position.revision == made.revision)
                assert (bot[LEVERAGE], bot.revision) == (number, made.revision)
            assert len(list((short_directory / "s").glob("snapshot-*"))) == generations  # each was one frame of the log
            await until(lambda: bot.status is Status.LIVE)
            revision = made.commit({"fleet.bots.mm.labels.mode": "live"})
            await until(lambda: bot.revision == revision)
            assert bot.labels["mode"] == "live"
            await until(lambda: bot.wait_for(revision, 0))
    assert bot.status is Status.STALE  # nobody follows any more, and it says so at once


async def attached(directory: Path, **labels: str) -> Attached:
    """A reader; it waits for its first view, so the loop must not."""
    return await asyncio.to_thread(attach, directory / "s", labels)


def heartbeat(bot: Attached) -> float:
    said = bot._following.attested
    return 0.0 if said is None else said.heartbeat


async def test_the_sidecar_says_that_it_lives_while_nothing_happens(
    made: World, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "TEND_SECONDS", 0.01)
    async with running(made, short_directory / "s"):
        with await attached(short_directory) as bot:
            first = heartbeat(bot)
            await until(lambda: heartbeat(bot) > first)
            made.down()
            await until(lambda: bot.status is Status.STALE)
            assert bot[LEVERAGE] == 7.0


async def test_a_restarted_sidecar_goes_on_where_it_was(made: World, short_directory: Path) -> None:
    async with running(made, short_directory / "s"):
        bot = await attached(short_directory)
    revision = made.commit({LEVERAGE: 9.0}, layer="node=ny4-1")
    assert bot[LEVERAGE] == 7.0
    async with running(made, short_directory / "s"):
        await until(lambda: (bot[LEVERAGE], bot.revision) == (9.0, revision))
        await until(lambda: bot.status is Status.LIVE)
    bot.close()


async def test_it_is_ready_when_bots_find_what_it_serves_and_stays_so(
    made: World, short_directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node, "TEND_SECONDS", 0.01)
    caplog.set_level("INFO", "trimtab_sidecar")
    create, full = SharedDirectory.create, True

    def creating(self: SharedDirectory, name: str, size: int = 0) -> int:
        if full and name.startswith("snapshot-"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(self, name, size)

    monkeypatch.setattr(SharedDirectory, "create", creating)
    async with running(made, short_directory / "s", ready=False) as sidecar, client(sidecar) as ask:
        await until(lambda: sidecar.node.has_data)
        async with ask.get("/readyz") as answer:
            assert (answer.status, (await answer.json(content_type=None))["rule"]) == (503, "unavailable")
            await until(lambda: "No space left" in sidecar.node.known_alarms.get("shared_memory", ""))
        async with ask.get("/readyz") as answer:
            assert "No space left" in (await answer.json(content_type=None))["detail"]
        async with ask.get(f"/v1/values/{LEVERAGE}") as answer:
            assert answer.status == 200, "who asks by HTTP needs no shared memory"
        async with ask.get("/metrics") as answer:
            text = await answer.text()
            assert ("trimtab_ready 0.0" in text, 'trimtab_alarm{alarm="shared_memory"} 1.0' in text) == (True, True)
        full = False
        await until(lambda: sidecar.node.ready)
        await until(lambda: "shared_memory" not in sidecar.node.known_alarms)
        await until(lambda: told(caplog, "alarm_over", "shared_memory"))
        assert len(told(caplog, "alarm", "shared_memory")) == 1
        with await attached(short_directory) as bot:
            full = True
            made.commit({f"bulk.{number}": number for number in range(5_000)})  # more than a log takes
            await until(lambda: "shared_memory" in sidecar.node.known_alarms)
            async with ask.get("/readyz") as answer:
                assert answer.status == 200, "the bots read on"
            assert (bot[LEVERAGE], "bulk" in bot) == (7.0, False)
