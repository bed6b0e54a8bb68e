"""Running: everything of a sidecar, wired together; all that there is to know of start and stop order.

Start: signals → the shared directory is held → shared memory, and receipts of its readers → the feeds are opened and
followed → HTTP answers. Readiness comes with the first validated data, from wherever. Stop, in the opposite order: HTTP
accepts no more and ends its streams → the follower says goodbye to the fleet and records a clean stop → shared memory
says that nobody follows → the directory is given back.
"""

from __future__ import annotations

import asyncio
import grp
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

from aiohttp.typedefs import Handler

from trimtab import sources
from trimtab.follower import Follower
from trimtab.model.errors import SettingError
from trimtab.standing import OpenSources
from trimtab_sidecar import logs
from trimtab_sidecar.attachments import Attachments
from trimtab_sidecar.holding import Holding
from trimtab_sidecar.http.guard import Guard
from trimtab_sidecar.http.health import Health
from trimtab_sidecar.http.reading import Reading
from trimtab_sidecar.http.server import Server
from trimtab_sidecar.http.stream import Streams
from trimtab_sidecar.metrics import Metrics, Standings
from trimtab_sidecar.node import Node
from trimtab_sidecar.overrides.file import OverrideFile
from trimtab_sidecar.rendering.renders import Renders
from trimtab_sidecar.settings import SidecarSettings
from trimtab_sidecar.shared.files import SharedDirectory
from trimtab_sidecar.shared.publisher import Publisher
from trimtab_sidecar.sharing import Sharing

STOP_SECONDS: Final = 10.0
"""Everything has ended within this time after a signal."""


class Sidecar:
    """One sidecar. `run` is its life; `stop` ends it as a signal does."""

    def __init__(self, given: SidecarSettings, open_sources: OpenSources | None = None) -> None:
        """`open_sources` replaces the feeds, for tests. Raises what settings and sources refuse."""
        self._given = given
        planned = sources.plan(given.follow)
        self._plan = replace(planned, overrides=None)  # the node puts them in, for every reader as it sees things
        self._open_sources = open_sources or sources.opener(given.follow)
        self._group = _group(given.own.group)
        self._stopping = asyncio.Event()
        self.metrics = Metrics()
        self.attachments = Attachments(self._report)
        self.node = Node(
            planned.environment,
            planned.identity,
            watcher=self.metrics,
            attached=self.attachments.bots,
            overrides=planned.overrides,
        )
        self.metrics.registry.register(Standings(self.node))
        self._renders = Renders(self.node, given.own.render, self.metrics.rendered, self._report)
        self._streams = Streams(self.node, self.metrics)
        self.server = Server(Guard(self.node, self.metrics.answered), self._routes(), self.metrics)
        self._follower: Follower | None = None
        self._broken = False
        self.started = asyncio.Event()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        self._streams.end()

    async def run(self, on_stopping: Callable[[], None] | None = None) -> bool:
        """Run until a signal; whether everything ended in time. Raises what keeps it from starting."""
        loop = asyncio.get_running_loop()
        stack = AsyncExitStack()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
            stack.callback(loop.remove_signal_handler, number)
        try:
            await self._start(stack)
            await self._stopping.wait()
            logs.LOGGER.info("stopping")
        finally:
            if on_stopping is not None:
                on_stopping()
            clean = await self._close(stack)
        clean = clean and not self._broken
        logs.LOGGER.info("stopped", clean=clean)
        return clean

    async def _start(self, stack: AsyncExitStack) -> None:
        own = self._given.own
        held = Holding(own.shared, self._plan.environment, self._group)
        stack.callback(held.close)
        shared = SharedDirectory(own.shared, self._group)
        self.node.share(Sharing(Publisher(shared, self._plan.environment, self._plan.identity)))
        stack.callback(self.node.unshare)
        self.attachments.open(own.shared, self._group)
        stack.callback(self.attachments.close)
        self._follower = follower = Follower(self._plan, self._open_sources(self._plan, True), self.node)  # noqa: FBT003 - its shape
        following = self._begin("following", follower.run())
        stack.push_async_callback(_end, follower, following)
        stack.push_async_callback(_cancel, self._begin("tending", self.node.tend()))
        if self._given.follow.local is not None:
            overriding = OverrideFile(self.node, self._given.follow.local, self._report)
            stack.push_async_callback(_cancel, self._begin("overriding", overriding.run()))
        if own.render:
            stack.push_async_callback(_cancel, self._begin("rendering", self._renders.run()))
        await self.server.start(own.addresses, self._group)
        stack.push_async_callback(self.server.close)
        logs.LOGGER.info(
            "started", environment=self._plan.environment, agent=self._plan.agent, addresses=self.server.addresses
        )
        self.started.set()

    def _begin(self, name: str, life: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A part that runs until we stop it: if it ends by itself, everything ends, and somebody starts us again."""

        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                return
            error = task.exception()
            if error is not None:
                logs.LOGGER.error("part_failed", part=name, exc_info=error)
            self._broken = self._broken or error is not None or not self._stopping.is_set()
            self.stop()

        task = asyncio.create_task(life, name=name)
        task.add_done_callback(ended)
        return task

    def _report(self) -> None:
        """The fleet should know what only this sidecar knows."""
        if self._follower is not None:
            self._follower.report()

    async def _close(self, stack: AsyncExitStack) -> bool:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await stack.aclose()
        except TimeoutError:
            logs.LOGGER.error("stop_took_too_long", seconds=STOP_SECONDS)
            return False
        return True

    def _routes(self) -> list[tuple[str, Handler]]:
        health, reading = Health(self.node, self._plan.agent, self.attachments.listed), Reading(self.node)
        return [
            ("/healthz", health.healthz),
            ("/readyz", health.readyz),
            ("/metrics", self.metrics.metrics),
            ("/v1/status", health.status),
            ("/v1/values/{path:.+}", reading.value),
            ("/v1/view", reading.view),
            ("/v1/changes", self._streams.changes),
        ]


async def _end(follower: Follower, following: asyncio.Task[None]) -> None:
    follower.stop()
    await asyncio.wait({following})


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise SettingError(f"The group {name!r} is refused", "this machine has none of this name", "Make it") from error
