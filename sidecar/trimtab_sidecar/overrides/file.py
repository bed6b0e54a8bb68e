"""The file of overrides, looked at every second: what it says anew takes effect for every reader of the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trimtab import override
from trimtab.model.errors import SettingError
from trimtab_sidecar import logs
from trimtab_sidecar.node import Node

LOOK_SECONDS: Final = 1.0
ALARM: Final = "override_file"


class OverrideFile:
    """Keeps a node at what its file says. `news` tells the fleet that there is more, or less, to report."""

    def __init__(self, node: Node, file: Path, news: Callable[[], None]) -> None:
        """The node begins with what the file said when its settings were read."""
        self._node = node
        self._file = file
        self._news = news
        self._known: bytes | None = None

    async def run(self) -> None:
        """Look for ever. What cannot be used leaves what was read before, and is an alarm."""
        while True:
            try:
                await self._look()
            except SettingError as error:
                self._known = None
                self._say(f"{error.what}: {error.why}; what it said before holds")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        content = await asyncio.to_thread(override.content, self._file)
        if content == self._known:
            return
        for _ in self._node.override(override.overrides(self._file, content)):
            await asyncio.sleep(0)
        self._known = content
        self._say("")
        logs.LOGGER.info("local_overrides", file=str(self._file), held=self._node.overlaid.held)
        self._news()

    def _say(self, text: str) -> None:
        """An alarm while the file cannot be used."""
        if text == self._node.reader_alarms.get(ALARM, ""):
            return
        self._node.reader_alarms.pop(ALARM, None)
        if text:
            self._node.reader_alarms[ALARM] = text
        self._node.attest()
        self._news()
