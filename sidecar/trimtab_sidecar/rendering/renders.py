"""Renders: keeps every rendered file up to date. What fails keeps the old file, is reported, and is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from trimtab.model import layers
from trimtab.model.errors import SettingError, TrimtabError
from trimtab_sidecar import logs
from trimtab_sidecar.node import Node
from trimtab_sidecar.rendering import commands
from trimtab_sidecar.rendering.target import Target
from trimtab_sidecar.rendering.templates import Template
from trimtab_sidecar.settings import Render

LOOK_SECONDS: Final = 1.0
"""So often templates are looked at: who changes one does not wait for the next revision."""
AGAIN_SECONDS: Final = 5.0
"""What failed is tried again so soon, also where nothing is new: a disk has room again, a bot has started."""

Counted = Callable[[str], None]


class Renders:
    """All files of a sidecar. `run` is their life; `news` tells the fleet that there is more, or less, to report."""

    def __init__(self, node: Node, given: Sequence[Render], counted: Counted, news: Callable[[], None]) -> None:
        """Raises `SettingError` where two write one file, `LayerError` for labels that a process cannot bring."""
        targets = [one.target.absolute() for one in given]
        for target in targets:
            if targets.count(target) > 1:
                raise SettingError(f"The file {target} is rendered twice", "one would undo the other", "Remove one")
        self._node = node
        self._files = [_File(node, one, counted, news) for one in given]

    async def run(self) -> None:
        """Render for ever."""
        async with asyncio.TaskGroup() as group:
            for file in self._files:
                group.create_task(file.run())


class _File:
    def __init__(self, node: Node, given: Render, counted: Counted, news: Callable[[], None]) -> None:
        self._node = node
        self._given = given
        self._identity = {**node.identity, **layers.check_identity(given.labels)}
        self._counted = counted
        self._news = news
        self._template = Template(given.template)
        self._target = Target(given.target.absolute(), given.mode)
        self._alarm = f"render {given.target}"
        self._owed = False  # the file was replaced, and whoever should be told of it was not

    async def run(self) -> None:
        """Render at every revision, where the template is another one, and again where it failed."""
        while True:
            news = self._node.news
            failed = self._node.has_data and not await self._try()
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if failed else None):
                    await self._cause(news)

    async def _cause(self, news: asyncio.Event) -> None:
        """Wait for a revision, or for another template."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await news.wait()
                    return
            if await asyncio.to_thread(self._template.changed):
                return

    async def _try(self) -> bool:
        """Render once; whether everything that is owed was done."""
        try:
            outcome = await self._render()
        except (TrimtabError, OSError) as error:
            said = str(error) if isinstance(error, TrimtabError) else error.strerror or type(error).__name__
            return self._failed(said)
        except Exception as error:  # noqa: BLE001 - a bug of ours in one file keeps no other from being rendered
            logs.LOGGER.exception("render_broke", target=str(self._target.path))
            return self._failed(f"it broke: {type(error).__name__}")
        self._say("")
        self._counted(outcome)
        return True

    def _failed(self, said: str) -> bool:
        self._say(said)
        self._counted("failed")
        return False

    async def _render(self) -> str:
        node, target = self._node, self._target
        view = node.view(self._identity)
        content = await asyncio.to_thread(self._template.render, node.environment, node.position, view)
        outcome = "same"
        if not await asyncio.to_thread(target.holds, content):
            await self._replace(content)
            self._owed, outcome = True, "written"
            logs.LOGGER.info("rendered", target=str(target.path), revision=node.position.revision)
        if self._owed:
            await self._tell()
            self._owed = False
        return outcome

    async def _replace(self, content: bytes) -> None:
        try:
            draft = await asyncio.to_thread(self._target.draft, content)
            if self._given.check:
                await commands.check(self._given.check, draft)
            await asyncio.to_thread(self._target.replace)
        finally:
            self._target.discard()

    async def _tell(self) -> None:
        if self._given.then:
            await commands.run(self._given.then)
        if self._given.signal:
            commands.send(self._given.signal)

    def _say(self, text: str) -> None:
        """An alarm while it fails, said once for each reason."""
        if text == self._node.own_alarms.get(self._alarm, ""):
            return
        if text:
            self._node.own_alarms[self._alarm] = text
            logs.LOGGER.warning("render_failed", target=str(self._target.path), why=text)
        else:
            self._node.own_alarms.pop(self._alarm, None)
        self._news()
