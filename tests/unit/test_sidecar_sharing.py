"""Shared memory behind a sidecar: what it follows is what attached readers see, and how far they may trust it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sidecar import running, until
from tests.support.world import World, world
from trimtab import Status
from trimtab.attached import Attached, attach
from trimtab_sidecar import node

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
