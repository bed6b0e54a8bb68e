"""Inherited connections in a forked child: silenced, never closed, never finalised."""

from __future__ import annotations

import os
from typing import Final

_kept: Final[list[object]] = []


def silence(descriptor: int) -> None:
    """Put /dev/null in the place of a descriptor: what a client library still writes to it reaches nobody.

    Closing it instead would free its number, and the library's last words would go to whatever is opened next.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


def keep(client: object) -> None:
    """Hold a client for as long as the process lives, so that no finaliser speaks for it."""
    _kept.append(client)
