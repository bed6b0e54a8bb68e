"""The runner's side of a reader's process."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

from benchmarks.children import Child
from benchmarks.peers.reading import Peer, Place


class NotRun(Exception):
    """A reader could not be measured; the text is the reason."""


class Talking(Protocol):
    """A process that is told and tells, as `benchmarks.children.Child` does."""

    def told(self) -> Any: ...

    def tell(self, said: Any) -> None: ...


Start = Callable[[ExitStack, str, Peer, Place], Talking]
"""Starts the process of a reader for a role; the stack ends it."""


def start(closing: ExitStack, role: str, peer: Peer, place: Place) -> Talking:
    """A fresh process."""
    return closing.enter_context(Child("peers.child", role, peer.key, place))


def missing(peer: Peer) -> str:
    """Why this peer cannot run here, or nothing."""
    try:
        peer.version()
    except importlib.metadata.PackageNotFoundError as error:
        return f"{error.name} is not installed here"
    return ""


def answer(child: Talking) -> Any:
    """What it tells; raises NotRun with the reason if it failed."""
    try:
        found = child.told()
    except RuntimeError as error:
        raise NotRun(str(error)) from error
    if "failed" in found:
        raise NotRun(found["failed"])
    return found


def ask(child: Talking, *asked: Any) -> Any:
    """Ask something, and wait for what was found."""
    child.tell(asked)
    return answer(child)["found"]
