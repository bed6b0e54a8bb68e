"""A sidecar over a world in memory, on the test's own loop; and clients that ask it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from tests.support.signed_line import KEY
from tests.support.world import Tap, World
from trimtab import settings as agent_settings
from trimtab.errands import ReportingFeed, ReportingPushFeed
from trimtab.feeds.disk import DiskFeed
from trimtab.standing import Plan, Sources
from trimtab_sidecar.running import Sidecar
from trimtab_sidecar.settings import Own, SidecarSettings

IDENTITY = {"node": "ny4-1", "region": "ny4"}


def settings_for(directory: Path, *, keep: Path | None = None, **own: Any) -> SidecarSettings:
    """Settings as `settings.read` would make them."""
    follow = agent_settings.read(
        {
            "environment": "production",
            "trust": KEY.trust(),
            "labels": own.pop("labels", IDENTITY),
            "database_url": "postgresql://unused",
            "redis_url": "redis://unused",
            "directory": keep,
            "local": own.pop("local", None),
        }
    )
    return SidecarSettings(follow, Own.model_validate({"shared": directory, **own}))


def opener(world: World) -> Callable[[Plan, bool], Sources]:
    """Opens the feeds of a world."""

    def open_sources(plan: Plan, keep: bool) -> Sources:  # noqa: ARG001, FBT001 - the shape of OpenSources
        taps = Tap(world.postgres), Tap(world.redis)
        world.taps += taps
        postgres, redis = cast("tuple[ReportingFeed, ReportingPushFeed]", taps)
        return Sources(postgres=postgres, redis=redis)

    return open_sources


def keeping(world: World, directory: Path) -> Callable[[Plan, bool], Sources]:
    """The same with a directory that is kept."""

    def open_sources(plan: Plan, keep: bool) -> Sources:  # noqa: FBT001 - the shape of OpenSources
        found = opener(world)(plan, keep)
        disk = DiskFeed.open(directory, plan.environment, plan.trust)
        return Sources(postgres=found.postgres, redis=found.redis, disk=disk)

    return open_sources


@contextlib.asynccontextmanager
async def running(
    world: World, directory: Path, *, ready: bool = True, keep: Path | None = None, **own: Any
) -> AsyncGenerator[Sidecar]:
    """A sidecar that runs until the end of the block, and then must end cleanly."""
    open_sources = opener(world) if keep is None else keeping(world, keep)
    made = Sidecar(settings_for(directory, keep=keep, **own), open_sources)
    task = asyncio.create_task(made.run())
    started = asyncio.create_task(made.started.wait())
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    if task.done():
        task.result()
    try:
        if ready:
            await until(lambda: made.node.ready)
        yield made
    finally:
        made.stop()
        assert await task


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition; the time is only there to end a failing test."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def client(sidecar: Sidecar) -> AsyncGenerator[aiohttp.ClientSession]:
    """Asks through the sidecar's unix socket: `client.get("/v1/view")`."""
    address = next(one for one in sidecar.server.addresses if one.startswith("unix:"))
    connector = aiohttp.UnixConnector(path=address.removeprefix("unix:"))
    async with aiohttp.ClientSession("http://trimtab", connector=connector) as session:
        yield session


def told(caplog: pytest.LogCaptureFixture, event: str, alarm: str = "") -> list[dict[str, Any]]:
    """What the sidecar logged under the name of an event, and if given of one alarm."""
    said = [cast("dict[str, Any]", one.msg) for one in caplog.records if isinstance(one.msg, dict)]
    return [one for one in said if one["event"] == event and alarm in {"", one.get("alarm")}]
