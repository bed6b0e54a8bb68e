"""Bodies: the encoded subtrees and views of one revision, each made once, on a thread, however many ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

from trimtab.model.links import START, Position

Key: TypeAlias = tuple[str, str]
KEPT_BYTES: Final = 32 * 1024 * 1024
"""Of bodies that are kept until the next revision; the ones used longest ago go first."""
_AT_ONCE: Final = 2
"""Bodies that are made at the same time: they take the interpreter from the follower."""


class Bodies:
    """A cache for one revision at a time."""

    def __init__(self) -> None:
        self._position = START
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._size = 0
        self._making: dict[tuple[Position, Key], asyncio.Task[bytes]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def of(self, position: Position, key: Key, encode: Callable[[], bytes]) -> bytes:
        """The body of this revision; `encode` makes it where nobody has yet."""
        if position > self._position:
            self._kept.clear()
            self._position, self._size = position, 0
        kept = self._kept.get(key) if position == self._position else None
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        task = self._making.get((position, key))
        if task is None:
            task = self._making[position, key] = asyncio.create_task(self._make(position, key, encode))
        return await asyncio.shield(task)

    async def _make(self, position: Position, key: Key, encode: Callable[[], bytes]) -> bytes:
        try:
            async with self._turn:
                body = await asyncio.to_thread(encode)
        finally:
            del self._making[position, key]
        if position == self._position:
            self._kept[key] = body
            self._size += len(body)
            while self._size > KEPT_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest)
        return body
